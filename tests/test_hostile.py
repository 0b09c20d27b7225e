"""Files that come from anyone can't run code, nor write outside their folder.

Every attack here has a canary: a file outside that is there if the attack got through.
"""

import io
import json
import os
import pickle
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.runs import resealed, seal, tiny_config, write_dataset, write_pictures
from unpaired.cli import run
from unpaired.errors import UserError
from unpaired.networks.vgg import IMAGENET_URL, load_vgg16
from unpaired.plain_yaml import MOST, NotPlainError, read_plain
from unpaired.study.design import read_design
from unpaired.training.config import write_yaml
from unpaired.training.finding import find_checkpoint
from unpaired.training.run import train

BY_TORCH = ("--backend", "torch", "--out")


class Payload:
    """Pickled, it makes the canary when it is read by anything that obeys."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def one_line(capsys, *arguments: object) -> str:
    """The error of a command that must be refused."""
    assert run([str(argument) for argument in arguments]) == 2
    said = [s for s in capsys.readouterr().err.splitlines() if not s.startswith("warning:")]
    assert len(said) == 1, said
    assert said[0].startswith("unpaired: error:")
    return said[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    config = tiny_config(write_dataset(folder / "data"), steps=2, checkpoint_every=1)
    train(config, folder / "run", quiet=True)
    return folder


@pytest.fixture
def hostile(trained, tmp_path) -> Path:
    """A copy of the run, to be made hostile; its data stand beside the original."""
    return Path(shutil.copytree(trained / "run", tmp_path / "run"))


def test_the_payload_would_work(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "plain pickle"])
def test_a_pickle_with_a_payload_runs_nowhere(zipped, tmp_path, monkeypatch, capsys, hostile):
    canary = tmp_path / "canary"
    content = io.BytesIO()
    torch.save(
        {"features.0.weight": Payload(canary)}, content, _use_new_zipfile_serialization=zipped
    )
    picture = write_pictures(tmp_path / "pictures", 1, 0) / "00.png"
    # as weights that are downloaded once and then read from the cache
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    cached = tmp_path / "hub" / "checkpoints"
    cached.mkdir(parents=True)
    (cached / IMAGENET_URL.rsplit("/", 1)[1]).write_bytes(content.getvalue())
    with pytest.raises(UserError, match="does not hold the weights"):
        load_vgg16("imagenet")
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    from unpaired.evaluation.features import InceptionV3

    (cached / fidelity.URL_INCEPTION_V3.rsplit("/", 1)[1]).write_bytes(content.getvalue())
    with pytest.raises(UserError, match="does not hold the weights"):
        InceptionV3()
    # as the run that translates
    for name in ("weights.pth", "weights.pt", "weights.safetensors", "w.pt2", "w.onnx", "w.ckpt"):
        (tmp_path / name).write_bytes(content.getvalue())
        one_line(capsys, "translate", tmp_path / name, picture, "--out", tmp_path / "out")
    # within a checkpoint that vouches for it
    checkpoint = find_checkpoint(hostile)
    for file in checkpoint.glob("*.safetensors"):
        file.write_bytes(content.getvalue())
    (hostile / "latest").write_text("step_00000002\n")
    seal(checkpoint)
    said = one_line(capsys, "translate", hostile, picture, *BY_TORCH, tmp_path / "out")
    assert "weights.safetensors" in said
    assert not canary.exists()


def header(tensors: object, length: int | None = None, data: bytes = b"") -> bytes:
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


HUGE = 10**12
LIES = {
    "no header": b"",
    "a header of 2^63 bytes": header({}, length=1 << 63),
    "a header of 90 MB": header({}, length=90_000_000),
    "no JSON": header(b"\xff" * 64),
    "deep JSON": header(b'{"a":' + b"[" * 100_000 + b"}"),
    "a tensor of 4 TB": header({"a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4]}}),
    "offsets past the end": header(
        {"a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}}
    ),
    "offsets that overlap": header(
        {
            "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]},
        },
        data=bytes(8),
    ),
    "a negative shape": header({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}),
    "an unknown type": header({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}),
    "other tensors": header(
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, data=bytes(4)
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_lying_weights_are_refused_by_name(lie, hostile, trained, tmp_path, capsys):
    checkpoint = find_checkpoint(hostile)
    (checkpoint / "weights.safetensors").write_bytes(LIES[lie])
    seal(checkpoint)
    picture = trained / "data" / "trainA" / "00.png"
    said = one_line(capsys, "translate", hostile, picture, *BY_TORCH, tmp_path / "out")
    assert str(checkpoint) in said


def test_weights_that_are_not_finite_are_refused(hostile, trained, tmp_path, capsys):
    checkpoint = find_checkpoint(hostile)
    path = checkpoint / "ema.safetensors"
    tensors = load_file(path)
    name = next(iter(tensors))
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, path)
    seal(checkpoint)
    picture = trained / "data" / "trainA" / "00.png"
    said = one_line(capsys, "translate", hostile, picture, *BY_TORCH, tmp_path / "out")
    assert name in said
    assert "not finite" in said


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("checkpoint.json", "[" * 200_000),
        ("checkpoint.json", '{"files": []}'),
        ("checkpoint.json", '{"files": {"weights.safetensors": 3}, "format": "x"}'),
        ("state.json", "[" * 200_000),
        ("state.json", "[]"),
        ("state.json", '{"steps": "many", "run": 3}'),
        ("state.json", '{"run": {"seconds": 0, "prepared": null, "watch": {}, "best": 1}}'),
    ],
)
def test_a_hostile_state_is_refused_in_one_line(file, content, hostile, capsys):
    for checkpoint in (hostile / "checkpoints").iterdir():
        (checkpoint / file).write_text(content)
        if file != "checkpoint.json":
            seal(checkpoint)
    one_line(capsys, "train", "--out", hostile, "--resume", "--steps", "3")


def test_a_pointer_leads_nowhere_else(hostile, tmp_path):
    inside = find_checkpoint(hostile)
    outside = tmp_path / "step_00000009"
    inside.rename(outside)
    for pointer in (f"../../{outside.name}", str(outside), "..", "", "\x00"):
        for name in ("latest", "best"):
            (hostile / name).write_text(pointer)
        assert find_checkpoint(hostile).parent == hostile / "checkpoints"
        with pytest.raises(UserError):
            find_checkpoint(hostile, "best")


def bomb(levels: int = 40) -> str:
    """10^levels values in a few lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    return "\n".join(lines)


CONFIGS = {
    "python object": "steps: !!python/object/apply:os.mkdir [CANARY]",
    "python name": "data: !!python/name:os.mkdir",
    "python module": "!!python/object/new:os.mkdir [CANARY]",
    "another document": "steps: 1\n---\ndata: 3",
    "alias bomb": bomb(),
    "merge bomb": "a: &a {x: 1}\n"
    + "\n".join(
        f"m{n}: &m{n} {{<<: [{', '.join(['*a' if n == 0 else f'*m{n - 1}'] * 9)}]}}"
        for n in range(30)
    ),
    "itself": "&a [*a]",
    "deep": "[" * 2000,
    "long": "# " + "x" * MOST,
    "a date that is none": "steps: 2001-99-99",
    "a number without end": "steps: " + "9" * 5000,
    "no keys": "- steps\n- 3",
    "null": "",
    "bytes": "\x00\x01",
    "not a number": "steps: .nan",
    "infinite": "minutes: .inf",
    "size": "{size: 1000000000, data: 'worldtiles:map-aerial', steps: 1}",
    "size in bounds": "{size: 65536, batch: 65536, data: 'worldtiles:map-aerial', steps: 1}",
    "batch": "{batch: 1000000000, data: 'worldtiles:map-aerial', steps: 1}",
    "workers": "{workers: 1000000000, data: 'worldtiles:map-aerial', steps: 1}",
    "filters": "{settings: {filters: 1000000000}, data: 'worldtiles:map-aerial', steps: 1}",
    "blocks": "{settings: {blocks: 1000000000}, data: 'worldtiles:map-aerial', steps: 1}",
    "negative": "{size: -64, data: 'worldtiles:map-aerial', steps: 1}",
    "method": "{method: ../../evil, steps: 1}",
    "device": "{device: 'cpu; touch CANARY', data: 'worldtiles:map-aerial', steps: 1}",
    "data": "{data: '$(mkdir CANARY)', steps: 1}",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_configuration_is_refused_in_one_line(name, tmp_path, capsys):
    canary, file = tmp_path / "canary", tmp_path / "config.yaml"
    file.write_text(CONFIGS[name].replace("CANARY", str(canary)))
    one_line(capsys, "train", "--config", file, "--out", tmp_path / "run")
    assert not canary.exists()
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize("name", ["python object", "alias bomb", "merge bomb", "itself", "deep"])
def test_a_hostile_design_of_a_study_is_refused(name, tmp_path):
    canary, file = tmp_path / "canary", tmp_path / "study.yaml"
    file.write_text(CONFIGS[name].replace("CANARY", str(canary)))
    with pytest.raises(UserError):
        read_design(file)
    assert not canary.exists()


def test_plain_yaml_is_read_as_ever(tmp_path):
    write_yaml(tiny_config(tmp_path), tmp_path / "config.yaml")
    assert read_plain((tmp_path / "config.yaml").read_text())["settings"]["filters"] == 2
    with pytest.raises(NotPlainError, match="write it out"):
        read_plain("a: &a 1\nb: *a")


def test_a_hostile_configuration_of_a_run_is_refused(hostile, tmp_path, capsys):
    text = CONFIGS["python object"].replace("CANARY", str(tmp_path / "canary"))
    (hostile / "config.yaml").write_text(text)
    one_line(capsys, "train", "--out", hostile, "--resume")
    one_line(capsys, "evaluate", hostile)
    assert not (tmp_path / "canary").exists()


def evil_zip(path: Path, canary: Path, picture: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in ("trainA", "trainB"):
            archive.writestr(f"{folder}/a.png", picture)
        for name in ("../canary.png", str(canary), "trainA/../../canary.png"):
            archive.writestr(name, picture)
        archive.writestr("trainA/bomb.png", bytes(20_000_000))
        link = zipfile.ZipInfo("trainA/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")


def evil_tar(path: Path, canary: Path, picture: bytes) -> None:
    with tarfile.open(path, "w:gz") as archive:

        def add(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = len(picture) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(picture) if member.size else None)

        add("trainA/a.png")
        add("trainB/a.png")
        add("../canary.png")
        add(str(canary))
        add("trainA/out", tarfile.SYMTYPE, str(canary.parent))
        add("trainA/out/canary.png")
        add("trainA/device.png", tarfile.CHRTYPE)
        add("trainA/pipe.png", tarfile.FIFOTYPE)
        add("trainA/hard.png", tarfile.LNKTYPE, "/etc/passwd")


@pytest.mark.parametrize("make", [evil_zip, evil_tar])
def test_an_archive_is_never_unpacked(make, trained, tmp_path, capsys):
    """Data sets are folders; an archive given in their place is refused and left packed."""
    canary = tmp_path / "outside" / "canary.png"
    canary.parent.mkdir()
    place = tmp_path / "inside"
    place.mkdir()
    archive = place / f"set.{make.__name__.removeprefix('evil_')}"
    make(archive, canary, (trained / "data" / "trainA" / "00.png").read_bytes())
    for arguments in (
        ("train", "cyclegan", "--data", archive, "--steps", "1", "--out", place / "run"),
        ("train", "cyclegan", "--x", archive, "--y", archive, "--steps", "1", "--out", place / "r"),
        ("data", "check", archive),
    ):
        one_line(capsys, *arguments)
    # nor where it is called a picture
    out = tmp_path / "out"
    pretender = tmp_path / "pretender.png"
    pretender.write_bytes(archive.read_bytes())
    run(["translate", str(trained / "run"), str(pretender), *BY_TORCH, str(out)])
    assert not list(canary.parent.iterdir())
    assert [p.name for p in place.iterdir()] == [archive.name]
    assert not out.exists() or not list(out.iterdir())


def test_a_card_can_name_no_file_outside(hostile, trained, tmp_path, capsys):
    """What a card says of other files is held against them; it never says where to look."""
    checkpoint = find_checkpoint(hostile)
    path = checkpoint / "checkpoint.json"
    tree = json.loads(path.read_text())
    tree["files"] = {f"../../../{name}": facts for name, facts in tree["files"].items()}
    path.write_text(resealed(tree))
    picture = trained / "data" / "trainA" / "00.png"
    said = one_line(capsys, "translate", hostile, picture, *BY_TORCH, tmp_path / "out")
    assert "does not list weights.safetensors" in said
