"""What `unpaired push` brings to the Hub, and what it never does."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

import unpaired
from tests.translation.fakes import noise, save
from tests.translation.hub.standin import Hub
from unpaired import Translator
from unpaired.cli import run
from unpaired.training.checkpoint import read_state
from unpaired.training.finding import find_checkpoint

SLIM = {"README.md", "checkpoint.json", "config.yaml", "samples.png", "weights.safetensors"}


def said(capsys, *arguments: object) -> str:
    """The one line of a command that is refused."""
    capsys.readouterr()
    assert run([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "hf_ann" not in err + out
    *_, line = err.splitlines()
    assert line.startswith("unpaired: error:")
    return line


def pictures(source: object, tmp_path: Path, name: str, *more: str) -> bytes:
    """What `unpaired translate` makes of one picture."""
    picture = save(tmp_path / "in" / "a.png", noise(32, 48))
    out = tmp_path / name
    shutil.rmtree(out, ignore_errors=True)
    arguments = ["translate", str(source), str(picture), "--out", str(out), "--precision", "fp32"]
    assert run([*arguments, "--backend", "torch", *more]) == 0
    return (out / "a.png").read_bytes()


@pytest.mark.usefixtures("ann")
def test_what_was_pushed_translates_as_the_run_does(hub: Hub, run_folder, tmp_path, capsys):
    assert run(["push", str(run_folder), "ann/seasons", "--json", str(tmp_path / "j")]) == 0
    out, err = capsys.readouterr()
    [first, made] = hub.repos["ann/seasons"].messages
    assert (first, made) == ("", "Push with unpaired")
    address = f"{hub.url}/ann/seasons/commit/{hub.repos['ann/seasons'].branches['main']}"
    assert out.splitlines()[0] == address == json.loads((tmp_path / "j").read_text())["commit"]
    assert hub.repos["ann/seasons"].files().keys() == SLIM | {".gitattributes"}
    assert "hf_ann" not in out + err
    for way in ("x2y", "y2x"):
        more = ("--direction", way)
        ours = pictures(run_folder, tmp_path, "ours", *more)
        assert pictures("ann/seasons", tmp_path, "theirs", *more) == ours
    fetched = [path.name for path in (tmp_path / "hub").rglob("*") if "snapshots" in path.parts]
    assert {"checkpoint.json", "weights.safetensors"} == {n for n in fetched if "." in n}


def test_a_dry_run_writes_what_would_be_pushed_and_asks_nobody(hub: Hub, run_folder, tmp_path):
    assert run(["push", str(run_folder), "ann/a", "--dry-run", str(tmp_path / "dry")]) == 0
    assert {path.name for path in (tmp_path / "dry").iterdir()} == SLIM
    assert hub.asked == []
    assert pictures(tmp_path / "dry", tmp_path, "a") == pictures(run_folder, tmp_path, "b")


@pytest.mark.parametrize("full", [False, True])
def test_where_the_pictures_lay_is_told_to_nobody(trained, tmp_path, full):
    more = ["--full"] if full else []
    assert run(["push", str(trained), "ann/a", "--dry-run", str(tmp_path / "dry"), *more]) == 0
    for file in (tmp_path / "dry").iterdir():
        assert b"private" not in file.read_bytes().replace(b"--private", b""), file.name
        assert str(tmp_path).encode() not in file.read_bytes()
    card = json.loads((tmp_path / "dry" / "checkpoint.json").read_text())
    assert card["data"] == "trainA and trainB"
    config = yaml.safe_load((tmp_path / "dry" / "config.yaml").read_text())
    assert (config["x"], config["y"]) == ("trainA", "trainB")


def test_the_sample_grid_is_drawn_anew_so_that_nothing_hides_in_its_file(run_folder, tmp_path):
    grid = max((run_folder / "samples").glob("step_*.png"))
    before = Image.open(grid).convert("RGB")
    with grid.open("ab") as file:
        file.write(b"a hidden message")
    assert run(["push", str(run_folder), "ann/a", "--dry-run", str(tmp_path / "dry")]) == 0
    drawn = tmp_path / "dry" / "samples.png"
    assert b"hidden" not in drawn.read_bytes()
    assert Image.open(drawn).tobytes() == before.tobytes()


def test_a_sample_grid_that_is_no_picture_is_refused(run_folder, tmp_path, capsys):
    grid = max((run_folder / "samples").glob("step_*.png"))
    grid.unlink()
    (tmp_path / "key").write_text("a secret key")
    grid.symlink_to(tmp_path / "key")
    line = said(capsys, "push", run_folder, "ann/a", "--dry-run", tmp_path / "dry")
    assert "--no-samples" in line
    assert [path.name for path in tmp_path.iterdir() if "dry" in path.name] == []


@pytest.mark.usefixtures("ann")
def test_a_later_push_takes_away_what_it_does_not_bring(hub: Hub, run_folder):
    assert run(["push", str(run_folder), "ann/a", "--full"]) == 0
    files = hub.repos["ann/a"].files()
    files["notes.txt"] = b"mine"
    assert "optimizers.safetensors" in files
    assert run(["push", str(run_folder), "ann/a", "--no-samples", "--message", "No pictures"]) == 0
    assert hub.repos["ann/a"].files().keys() == (SLIM - {"samples.png"}) | {
        ".gitattributes",
        "notes.txt",
    }
    assert hub.repos["ann/a"].messages[1:] == ["Push with unpaired", "No pictures"]
    assert b"holds no picture of the data" in hub.repos["ann/a"].files()["README.md"]


@pytest.mark.usefixtures("ann")
def test_private_makes_it_private_and_nothing_goes_where_all_can_see(hub: Hub, run_folder, capsys):
    assert run(["push", str(run_folder), "ann/mine", "--private"]) == 0
    assert hub.repos["ann/mine"].private
    hub.make("ann/open")
    line = said(capsys, "push", run_folder, "ann/open", "--private")
    assert "ann/open is there and public, so nothing was pushed" in line
    assert hub.repos["ann/open"].files().keys() == {".gitattributes"}


@pytest.mark.usefixtures("ann")
def test_a_branch_is_made_and_fetched_by_its_name(hub: Hub, run_folder, tmp_path):
    assert run(["push", str(run_folder), "ann/a", "--branch", "early"]) == 0
    assert hub.repos["ann/a"].files("main").keys() == {".gitattributes"}
    assert b"ann/a@early photo.jpg" in hub.repos["ann/a"].files("early")["README.md"]
    assert pictures("ann/a@early", tmp_path, "a") == pictures(run_folder, tmp_path, "b")


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "no right to write to ann/a (401); log in with `hf auth login`, or set $HF_TOKEN"),
        ("hf_bob_may_read", "no right to write to ann/a (403); log in with `hf auth login`, or"),
        ("hf_unknown_one", "no right to write to ann/a (401)"),
    ],
)
def test_who_may_not_write_is_told_so(hub: Hub, run_folder, monkeypatch, capsys, token, words):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.make("ann/a")
    line = said(capsys, "push", run_folder, "ann/a")
    assert words in line
    assert token is None or token not in line


@pytest.mark.parametrize("name", ["seasons", "ann/a/b", "ann/", "ann/a--b", "../a", "ann/a.git"])
def test_what_is_no_name_is_refused_before_anything_is_asked(hub: Hub, run_folder, capsys, name):
    assert "is no name of a repository" in said(capsys, "push", run_folder, name)
    assert hub.asked == []


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    ("status", "words"), [(429, "too many requests"), (503, "the Hub fails with 503")]
)
def test_a_hub_that_has_no_time_is_told_in_a_line(hub: Hub, run_folder, capsys, status, words):
    hub.fails["POST /api/repos/create"] = status
    assert words in said(capsys, "push", run_folder, "ann/a")


@pytest.mark.usefixtures("ann")
def test_a_licence_that_the_hub_does_not_know_is_told_in_its_words(hub: Hub, run_folder, capsys):
    line = said(capsys, "push", run_folder, "ann/a", "--license", "mine")
    assert (
        'the Hub refuses what was pushed to ann/a: Invalid metadata in README.md. - "license"'
        in line
    )
    assert hub.repos["ann/a"].files().keys() == {".gitattributes"}


def test_what_is_no_run_is_refused(hub: Hub, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert "not a run folder" in said(capsys, "push", tmp_path / "empty", "ann/a")
    assert "no run at" in said(capsys, "push", tmp_path / "nowhere", "ann/a")
    assert hub.asked == []


@pytest.mark.usefixtures("ann")
def test_the_complete_checkpoint_goes_on_training(hub: Hub, run_folder, tmp_path):
    unpaired.push(run_folder, "ann/a", full=True)
    files = hub.repos["ann/a"].files()
    step = find_checkpoint(run_folder).name
    folder = tmp_path / "again" / "checkpoints" / step
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    shutil.copy(run_folder / "config.yaml", tmp_path / "again")  # with the pictures' places
    _, before = read_state(find_checkpoint(run_folder))
    _, after = read_state(folder)
    assert after.values == before.values
    assert after.tensors["optimizers"].keys() == before.tensors["optimizers"].keys()
    assert run(["train", "--out", str(tmp_path / "again"), "--resume", "--steps", "5"]) == 0
    assert find_checkpoint(tmp_path / "again").name == "step_00000005"


@pytest.mark.usefixtures("ann")
def test_a_translator_saves_and_pushes_itself(hub: Hub, run_folder, tmp_path):
    translator = Translator.load(run_folder, precision="fp32")
    assert translator.save_pretrained(tmp_path / "saved" / "seasons") is None
    pixels = noise(32, 32)
    expected = translator(pixels)
    again = Translator.from_pretrained(tmp_path / "saved" / "seasons", precision="fp32")
    assert (again(pixels) == expected).all()
    address = translator.push_to_hub("ann/b", commit_message="From Python", private=True)
    assert address.startswith(f"{hub.url}/ann/b/commit/")
    fetched = Translator.from_pretrained("ann/b", precision="fp32")
    assert (fetched(pixels) == expected).all()
    options = {"repo_id": "ann/c", "push_to_hub": True, "license": "apache-2.0"}
    assert fetched.save_pretrained(tmp_path / "third", **options)
    front = hub.repos["ann/c"].files()["README.md"].split(b"---")[1]
    assert yaml.safe_load(front)["license"] == "apache-2.0"
