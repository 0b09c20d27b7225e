"""Files of weights are read without running anything, and their generator is found."""

import io
import os
import pickle
import random
import struct
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.networks.foreign import resnet, unet
from unpaired.errors import UserError
from unpaired.networks.layout import build
from unpaired.translation import weights
from unpaired.translation.weights import read_generator


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return resnet("affine", k=2, blocks=1)


def saved(path: Path, held: object, **options) -> Path:
    torch.save(held, path, **options)
    return path


@torch.no_grad()
def assert_holds(path: Path, net: nn.Module, **options) -> weights.Generator:
    """The file's generator computes what `net` does."""
    found = read_generator(path, **options)
    ours = build(found.layout)
    ours.load_state_dict(found.state)
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    assert (ours.eval()(x) - net(x)).abs().max() <= 1e-5
    return found


def wrapped(state: dict) -> dict[str, object]:
    """A state dict in the ways people wrap it."""
    module = {f"module.{name}": tensor for name, tensor in state.items()}
    adam = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2, 3, 7, 7)}}, "param_groups": []}
    return {
        "plain": state,
        "of parallel modules": module,
        **{name: {name: state} for name in ("state_dict", "G", "netG", "model", "params")},
        "in parallel modules in a state_dict": {"epoch": 3, "state_dict": module},
        "with a discriminator and an optimizer": {
            "netG": state,
            "netD": {"model.0.weight": torch.zeros(4, 3, 4, 4), "model.2.bias": torch.zeros(4)},
            "optimizer": adam,
        },
        "flat, with a discriminator": {
            **{f"G.{name}": tensor for name, tensor in state.items()},
            "D.model.0.weight": torch.zeros(4, 3, 4, 4),
        },
    }


@pytest.mark.parametrize("way", wrapped({}))
def test_a_state_dict_is_found_however_it_is_wrapped(way, net, tmp_path):
    assert_holds(saved(tmp_path / "a.pth", wrapped(net.state_dict())[way]), net)


def test_every_format_is_read(net, tmp_path):
    state = dict(net.state_dict())
    assert_holds(saved(tmp_path / "old.pth", state, _use_new_zipfile_serialization=False), net)
    save_file(state, tmp_path / "a.safetensors")
    assert_holds(tmp_path / "a.safetensors", net)
    (tmp_path / "misnamed.pth").write_bytes((tmp_path / "a.safetensors").read_bytes())
    assert_holds(tmp_path / "misnamed.pth", net)
    half = {name: tensor.half() for name, tensor in state.items()}
    found = read_generator(saved(tmp_path / "half.pth", half))
    assert {tensor.dtype for tensor in found.state.values()} == {torch.float32}


def test_of_several_generators_one_must_be_named(net, tmp_path):
    other = resnet("affine", k=2, blocks=1)
    both = {"netG_A": net.state_dict(), "module.netG_B": other.state_dict()}
    path = saved(tmp_path / "both.pth", both)
    with pytest.raises(UserError, match=r"--part module\.netG_B or --part netG_A"):
        read_generator(path)
    assert assert_holds(path, net, part="netG_A").part == "netG_A"
    assert_holds(path, other, part="module.netG_B")
    with pytest.raises(UserError, match=r"did you mean netG_A"):
        read_generator(path, part="netG_a")


def test_two_generators_are_told_apart_even_by_words_that_say_nothing(net, tmp_path):
    state = net.state_dict()
    both = {**state, **{f"module.{name}": tensor for name, tensor in state.items()}}
    with pytest.raises(UserError, match="holds 2 generators"):
        read_generator(saved(tmp_path / "a.pth", both))
    assert_holds(tmp_path / "a.pth", net, part="module.model")


def test_what_is_no_generator_is_said_in_words(tmp_path):
    for held, words in (
        ({"features.0.weight": torch.zeros(8, 3, 3, 3)}, r"0\.weight 8x3x3x3; known are"),
        ({"weight": torch.zeros(8)}, "1 tensors, the first is weight"),
        ({}, "holds no weights"),
        ([torch.zeros(2)], "holds no weights but a list"),
        (torch.zeros(2), "holds no weights but a Tensor"),
        ({"model.0.weight": torch.zeros(4, 3, 4, 4), "model.2.weight": torch.zeros(8, 4, 4, 4)},
         "discriminator"),
        ({n: t for n, t in unet(k=1).state_dict().items() if "model.3.model.1" not in n},
         "known are"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            read_generator(saved(tmp_path / "a.pth", held))


def test_numbers_that_no_training_leaves_are_refused(net, tmp_path):
    state = net.state_dict()
    nan = {**state, "model.1.bias": torch.full((2,), float("nan"))}
    with pytest.raises(UserError, match="not finite"):
        read_generator(saved(tmp_path / "a.pth", nan))
    whole = {name: tensor.long() for name, tensor in state.items()}
    with pytest.raises(UserError, match="not floats"):
        read_generator(saved(tmp_path / "a.pth", whole))


class Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "plain pickle"])
def test_code_in_a_file_is_not_run(zipped, net, tmp_path):
    canary = tmp_path / "canary"
    held = {**net.state_dict(), "extra": Payload(canary)}
    path = saved(tmp_path / "a.pth", held, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"it would run \w+\.mkdir when read, so it was not read"):
        read_generator(path)
    whole = saved(tmp_path / "whole.pth", net, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"state_dict\(\) instead"):
        read_generator(whole)
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Payload(canary)))
    with pytest.raises(UserError):
        read_generator(tmp_path / "bare.pth")
    assert not canary.exists()
    pickle.loads(pickle.dumps(Payload(canary)))  # the payload would have worked
    assert canary.exists()


def test_every_truncation_is_refused_in_one_line(net, tmp_path):
    state = dict(net.state_dict())
    save_file(state, tmp_path / "a.safetensors")
    whole = [
        saved(tmp_path / "zip.pth", state).read_bytes(),
        saved(tmp_path / "old.pth", state, _use_new_zipfile_serialization=False).read_bytes(),
        (tmp_path / "a.safetensors").read_bytes(),
    ]
    place = tmp_path / "short.pth"
    for content in whole:
        for length in (0, 1, 8, 9, 100, len(content) // 2, len(content) - 9, len(content) - 1):
            place.write_bytes(content[:length])
            with pytest.raises(UserError) as refusal:
                read_generator(place)
            assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["zip", "plain pickle", "safetensors"])
def test_bytes_that_are_wrong_never_bring_more_than_one_line(kind, net, tmp_path):
    place, rng = tmp_path / "a.pth", random.Random(kind)
    if kind == "safetensors":
        save_file(dict(net.state_dict()), place)
    else:
        saved(place, net.state_dict(), _use_new_zipfile_serialization=kind == "zip")
    whole, refused = place.read_bytes(), 0
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(rng.choice((1, 3, 20))):
            reach = rng.choice((60, 3000, len(whole)))  # the beginning is what is parsed
            content[rng.randrange(min(reach, len(whole)))] = rng.randrange(256)
        place.write_bytes(content)
        try:
            read_generator(place)
        except UserError as error:
            refused += "\n" not in str(error)
    assert refused > 20


def test_a_file_that_lies_about_its_size_is_refused_at_once(net, tmp_path):
    began = time.monotonic()
    path = tmp_path / "a.pth"
    with path.open("wb") as file:  # a terabyte, of which nothing is on the disk
        file.truncate(10**12)
    with pytest.raises(UserError, match=r"1000\.0 GB, more than any generator"):
        read_generator(path)
    # one number that says it is a whole convolution
    state = dict(net.state_dict())
    state["model.1.weight"] = torch.zeros(1).expand(2, 3, 7, 7)
    state["model.11.weight"] = torch.zeros(1).expand(8, 4, 3, 3)
    wide = resnet("affine", k=512, blocks=0, ends=(3, 3)).state_dict()
    lies = {name: torch.zeros(1).expand(tensor.shape) for name, tensor in wide.items()}
    with pytest.raises(UserError, match="more than it has"):
        read_generator(saved(path, lies))
    # compressed: a little file that would fill the memory
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\0" * 10**8)
    path.write_bytes(content.getvalue())
    with pytest.raises(UserError, match="compressed"):
        read_generator(path)
    # the same beside so much that is stored that sizes alone don't tell
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"\0" * 1000, zipfile.ZIP_DEFLATED)
        archive.writestr("a/data/0", bytes(2000))
        archive.comment = bytes(5000)
    with pytest.raises(UserError, match="compressed"):
        read_generator(path)
    # a header of safetensors for what isn't there
    header = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}'
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(UserError, match="is damaged"):
        read_generator(path)
    assert time.monotonic() - began < 30


def test_dictionaries_in_each_other_end(tmp_path):
    inner: dict = {str(i): i for i in range(30)}
    for _ in range(5):
        inner = {str(i): inner for i in range(30)}
    with pytest.raises(UserError, match="holds over"):
        read_generator(saved(tmp_path / "a.pth", inner))


def test_files_that_are_not_there_or_no_weights(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_generator(tmp_path / "none.pth")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    with pytest.raises(UserError, match="damaged, or no file of weights alone"):
        read_generator(tmp_path / "a.jpg")


def shared(state: dict) -> dict:
    room = torch.zeros(100_000)
    return {name: room[: tensor.numel()].view(tensor.shape) for name, tensor in state.items()}


def test_views_of_one_storage_are_weights_of_their_own(net, tmp_path):
    found = read_generator(saved(tmp_path / "a.pth", shared(dict(net.state_dict()))))
    places = [tensor.untyped_storage().data_ptr() for tensor in found.state.values()]
    assert len(set(places)) == len(places)


def test_what_a_file_puts_in_place_of_a_tensors_methods_is_dropped(net, tmp_path):
    state = dict(net.state_dict())
    weight = nn.Parameter(state["model.1.weight"].clone())
    weight.numel = weight.detach = weight.float = weight.is_floating_point = 7
    assert_holds(saved(tmp_path / "a.pth", {**state, "model.1.weight": weight}), net)


@pytest.mark.filterwarnings("ignore")
def test_tensors_without_a_shape_or_a_name_are_refused_or_passed_over(net, tmp_path):
    state = dict(net.state_dict())
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    with pytest.raises(UserError, match="nested tensors"):
        read_generator(saved(tmp_path / "a.pth", {**state, "other": nested}))
    odd = {torch.zeros(3): torch.zeros(3), ("a", 1): torch.zeros(3), None: torch.zeros(3)}
    assert_holds(saved(tmp_path / "a.pth", {**state, **odd}), net)
    save_file({}, tmp_path / "a.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="there is nothing in it"):
        read_generator(tmp_path / "a.safetensors")


def twice_and_twice_again(times: int) -> bytes:
    """A dictionary whose key is a tuple of 2^times parts, in 5 bytes for each doubling."""
    doubled = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(times))
    return b"\x80\x02}X\x01\0\0\0a" + doubled + b"X\x01\0\0\0vs."


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "plain pickle"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (twice_and_twice_again(60), "a tuple of over"),
        (b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\0\0\0\0\x02\x85R.", "builtin__.bytearray"),
        (b"\x80\x02c_codecs\nencode\nX\x01\0\0\0aX\x03\0\0\0hex\x86R.", r"_codecs\.encode"),
    ],
    ids=["years of hashing", "gigabytes of nothing", "an encoding"],
)
def test_a_small_file_cannot_ask_for_all_time_or_memory(content, words, zipped, tmp_path):
    path = tmp_path / "a.pth"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", content)
            archive.writestr("a/version", "3\n")
    else:
        head = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
        path.write_bytes(b"".join(pickle.dumps(one, 2) for one in head) + content)
    with pytest.raises(UserError, match=words):
        read_generator(path)
