"""Tab offers what the verbs take, in every shell, without loading torch."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import unpaired
from tests.cli.terminal import in_terminal
from unpaired import options as parsing
from unpaired.cli import VERBS, run
from unpaired.cli.completion import SHELLS, script, training
from unpaired.cli.completion.candidates import (
    complete,
    options_class,
    split,
    subverbs,
    training_options_of,
)
from unpaired.cli.completion.words import options_of

BELOW = [f"{verb} {below}" for verb in VERBS for below in subverbs(import_module(VERBS[verb]))]
ALL = [verb for verb in VERBS if not subverbs(import_module(VERBS[verb]))] + BELOW
"""Every verb that does something: "translate", "study create", ..."""


def offered(line: str, capsys, shell: str = "fish") -> list[str]:
    """What stands in the answer for a line up to the cursor."""
    words = ["bash", " \t\n=:", line] if shell == "bash" else [shell, *split(line)[1:]]
    capsys.readouterr()
    assert run(["__complete", *words]) == 0
    return [one.split("\t")[0] for one in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("line", "words"),
    {
        "unpaired tr": ["train", "translate"],
        "unpaired -q tr": ["train", "translate"],
        "unpaired help stu": ["study"],
        "unpaired --vers": ["--version"],
        "unpaired study cr": ["create"],
        "unpaired study create --preset c": ["cyclegan2017"],
        "unpaired train cy": ["cyclegan"],
        "unpaired train cyclegan --loss.cycle-": ["--loss.cycle-x", "--loss.cycle-y"],
        "unpaired train cut --loss.cyc": [],
        "unpaired train cyclegan --preset quic": ["quick"],
        "unpaired train --conf": ["--config"],
        "unpaired train cyclegan --precision b": ["bf16"],
        "unpaired train cyclegan --steps ": [],
        "unpaired reproduce --bud": ["--budget"],
        "unpaired reproduce 4": ["4"],
        "unpaired translate RUN --fo": ["--format"],
        "unpaired translate RUN --over": ["--overwrite"],
        "unpaired translate RUN --no-o": ["--no-overwrite"],
        "unpaired translate RUN --overwrite --over": [],
        "unpaired translate RUN --format t": ["tif"],
        "unpaired translate RUN --format=j": ["--format=jpg"],
        "unpaired translate RUN ": [":files"],
        "unpaired translate RUN --json ": [":files"],
        "unpaired translate 'my run": [":files"],
        "unpaired evaluate RUN --segm": ["--segmenter"],
        "unpaired completion z": ["zsh"],
        "unpaired doctor ": ["--json", "--help", "--verbose", "--quiet"],
        "unpaired nonsense --": [],
        "unpaired data check worldtiles:labels-a": ["worldtiles:labels-aerial", ":files"],
    }.items(),
)
def test_what_fits_is_offered(line, words, capsys):
    assert offered(line, capsys) == words


def test_each_shell_gets_words_as_it_splits_them(capsys):
    line = "unpaired train cyclegan --data worldtiles:map-a"
    assert offered(line, capsys, "bash") == ["map-aerial", ":files"]
    assert offered(line, capsys, "zsh")[0] == r"worldtiles\:map-aerial"
    assert offered("unpaired translate RUN --format=j", capsys, "bash") == ["jpg"]
    assert offered("unpaired translate RUN --format=j", capsys, "zsh") == ["jpg"]


@pytest.mark.parametrize("verb", [verb for verb in ALL if verb != "data list"])
def test_the_options_offered_are_those_of_the_help(verb, capsys, monkeypatch):
    """By tyro's own help, so that neither a new verb nor a new kind of option is forgotten."""
    monkeypatch.setenv("COLUMNS", "70")
    name, *below = verb.split()
    method = ["cyclegan"] if name == "train" else []
    with pytest.raises(SystemExit):
        run([name, *below, *method, "--help"])
    option = r"(--[a-z][\w.-]*)"
    pairs = re.findall(rf"(?m)(?:^  |[│|] ){option}(?:, {option})?", capsys.readouterr().out)
    told = {one for pair in pairs for one in pair if one}
    if name in ("train", "reproduce"):
        found = training_options_of(name, method[0] if method else None)
    else:
        found = options_of(options_class(import_module(VERBS[name]), below[0] if below else name))
    ours = {option.name for option in found if not option.positional}
    # `reproduce` shows those of the first method that it would train
    assert ours == told or (name == "reproduce" and "--budget" in ours < told)


def test_every_verb_parses_into_the_class_that_tab_asks(monkeypatch):
    """The convention: VerbOptions, or for verbs below, VERBS and BelowOptions."""

    class AskedError(Exception):
        pass

    def ask(kind, arguments, prog, **options):
        raise AskedError(kind)

    for verb in ALL:
        name, *below = verb.split()
        if name in ("train", "reproduce") or verb == "data list":
            continue  # theirs depend on methods
        module = import_module(VERBS[name])
        monkeypatch.setattr(module, "parse", ask)
        with pytest.raises(AskedError) as asked:
            module.run([*below, "--nonsense"])
        assert asked.value.args[0] is options_class(module, below[0] if below else name)
    assert parsing.parse is not ask


def test_the_words_of_training_are_up_to_date():
    file = Path(training.__file__).with_name(training.FILE)
    words = training.gathered()
    assert json.loads(file.read_text(encoding="utf-8")) == words, (
        "methods, presets or their options have changed; run: python tools/completion_words.py"
    )
    assert json.loads(training.as_text(words)) == words


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed(shell, capsys):
    assert run(["completion", shell]) == 0
    assert capsys.readouterr().out == script(shell)
    assert run(["completion", "tcsh"]) == 2


def test_tab_loads_no_torch():
    for words in (["train", "cyclegan", "--data", ""], ["translate", "--"], ["study", "serve", ""]):
        result = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "unpaired", "__complete", "fish", *words],
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = {line.rsplit("|", 1)[1].strip() for line in result.stderr.splitlines()}
        assert result.stdout
        assert not loaded & {"torch", "scipy", "rich"}


@pytest.fixture
def place(tmp_path) -> Path:
    """A folder with the command in `bin`, the scripts, and files to complete."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "unpaired"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m unpaired "$@"\n')
    command.chmod(0o755)
    for shell in SHELLS:
        (tmp_path / f"script.{shell}").write_text(script(shell))
    (tmp_path / "my run").mkdir()
    (tmp_path / "holiday.jpg").write_bytes(b"")
    return tmp_path


STARTS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
SETUP = {
    "bash": "PS1='rea''dy> '; source script.bash",
    "zsh": "PS1='rea''dy> '; autoload -U compinit; compinit -u -D; source script.zsh",
}
TABS = {
    "unpaired docto\t": "unpaired doctor",
    "unpaired study resu\t": "unpaired study results",
    "unpaired train cycle\t--preset qui\t": "unpaired train cyclegan --preset quick",
    "unpaired train cyclegan --precision=bf\t": "unpaired train cyclegan --precision=bf16",
    "unpaired train cyclegan --data worldtiles:labels-m\t": (
        "unpaired train cyclegan --data worldtiles:labels-map"
    ),
    "unpaired translate my\t": "unpaired translate my\\ run",
    "unpaired translate RUN holi\t--form\tti\t": (
        "unpaired translate RUN holiday.jpg --format tif"
    ),
}


@pytest.mark.skipif(os.name == "nt", reason="needs a terminal of Unix")
@pytest.mark.parametrize("shell", STARTS)
def test_a_person_presses_tab(shell, place):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    # before Enter a line becomes `echo '<LINE>'`, which shows what Tab made of it
    lines = [f"{typed}\x01echo '<\x05>'\n" for typed in TABS]

    def made(shown: bytes) -> list[str]:
        return re.findall(r"[\r\n]<(unpaired[^\r\n]*?)[/ ]?>\r\n", shown.decode())

    _, shown = in_terminal(
        STARTS[shell],
        "".join([f"{SETUP[shell]}\n", *lines]).encode(),
        until=lambda shown: len(made(shown)) == len(lines),
        cwd=place,
        PATH=f"{place / 'bin'}:{os.environ['PATH']}",
        PYTHONPATH=str(Path(unpaired.__file__).parents[1]),
        HOME=str(place),
    )
    assert made(shown) == list(TABS.values())


def test_fish_completes(place):
    if not shutil.which("fish"):
        pytest.skip("no fish here")
    for line, word in {
        "unpaired docto": "doctor",
        "unpaired train cyclegan --precision=bf": "--precision=bf16",
        "unpaired train cyclegan --data worldtiles:labels-m": "worldtiles:labels-map",
        "unpaired translate my": "my run/",
        "unpaired translate RUN --json=holi": "--json=holiday.jpg",
    }.items():
        result = subprocess.run(
            ["fish", "--no-config", "-c", f"source script.fish; complete -C '{line}'"],
            capture_output=True,
            text=True,
            cwd=place,
            env={
                "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(Path(unpaired.__file__).parents[1]),
                "HOME": str(place),
            },
            timeout=60,
        )
        assert word in [one.split("\t")[0] for one in result.stdout.splitlines()], result


def test_of_options_only_presets_are_offered_again():
    given = ["train", "cyclegan", "--preset", "small", "--seed", "1"]
    assert "--preset" in complete(given, "--pre", VERBS, {}).words
    assert "--seed" not in complete(given, "--se", VERBS, {}).words
