"""`unpaired study`, from outside: what it prints, and every mistake in one line."""

import builtins
import json
import socket
import sys

import pytest

from tests.cli.test_wrong_use import everything_below
from tests.study.studies import small_study, write_pictures
from unpaired.cli import run
from unpaired.cli.study import ServeOptions


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "real", 60)
    write_pictures(tmp_path / "fake", 60, seed=1)
    write_pictures(tmp_path / "few", 5)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "something").write_text("x")
    (tmp_path / "a-file").write_text("x")
    return tmp_path


CREATE = "study create a=fake --real real --out s"
CASES = {
    "no such verb": ("study crate", 'no study verb "crate" (did you mean create?)'),
    "no such preset": (f"{CREATE} --preset cyclegan2071", "did you mean cyclegan2017"),
    "a size that is none": (f"{CREATE} --size 5000", "--size is 5000; give 16 to 1024 pixels"),
    "no practice at all, and less": (f"{CREATE} --practice -1", "practice is -1; give 0 or more"),
    "a taken place": ("study create a=fake --real real --out taken", "is not empty"),
    "a place that is a file": ("study create a=fake --real real --out a-file", "is not empty"),
    "below a file": ("study create a=fake --real real --out a-file/s", "cannot write the study"),
    "too few pictures": (
        "study create a=few --real real --out s",
        "a: 5 generated and 60 real pictures; a session needs 50 and 53",
    ),
    "one to compare": (f"{CREATE} --preset versus", "comparing algorithms takes two"),
    "a study that is none": ("study results fake", 'no study at "fake"'),
    "to serve none": ("study serve fake", 'no study at "fake"'),
    "to simulate at none": ("study simulate fake", 'no study at "fake"'),
    "a rate beyond": ("study power --rate-a 1.2 --rate-b 0.3", "--rate-a must lie between 0 and 1"),
    "nobody": ("study power --rate-a 0.2 --rate-b 0.3 --people 1", "--people is 1; give 2 to"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_line_and_leaves_nothing(case, place, capsys):
    line, said = CASES[case]
    before = everything_below(place)
    assert run(line.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert everything_below(place) == before


def test_a_study_of_folders_is_made_and_says_how_to_go_on(place, capsys):
    assert run([*CREATE.split(), "--people", "30", "--seed", "5"]) == 0
    told = capsys.readouterr().out
    assert "60 real, 60 generated pictures, 3 obvious fakes -> s" in told
    assert "then: unpaired study serve s" in told
    design = (place / "s" / "study.yaml").read_text()
    assert "people: 30" in design
    assert "seed: 5" in design
    assert "size: 24" in design  # the pictures' shorter side


def test_a_mistake_in_the_design_is_said_before_anything_is_served(place, capsys):
    study = small_study(place / "x")
    design = study / "study.yaml"
    design.write_text(design.read_text().replace("exposure:", "exposrue:"))
    assert run(["study", "serve", str(study)]) == 2
    assert 'unknown "exposrue" (did you mean exposure?)' in capsys.readouterr().err


def test_a_taken_port_is_said(place, capsys):
    study = small_study(place / "x")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["study", "serve", str(study), "--port", str(port)]) == 2
    assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err
    assert run(["study", "serve", str(study), "--port", "99999"]) == 2
    assert "give another --host or --port" in capsys.readouterr().err
    assert run(["study", "serve", str(study), "--host", "no.such.host.invalid"]) == 2
    assert "cannot listen at no.such.host.invalid" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "nonsense", "http://", "ftp://x", ""])
def test_an_address_where_nothing_is_served_is_said(address, place, capsys):
    study = small_study(place / "x")
    assert run(["study", "simulate", str(study), "--address", address]) == 2
    said = capsys.readouterr().err
    assert "is it being served?" in said
    assert said.count("\n") == 1


def test_only_this_machine_sees_a_study_unless_told_otherwise():
    assert ServeOptions("s").host == "127.0.0.1"


def test_results_print_write_and_keep_numbers(place, capsys):
    study = small_study(place / "x")
    assert run(["study", "results", str(study), "--json", "numbers.json"]) == 0
    told = capsys.readouterr().out
    assert "beside Table 1 of Zhu et al. 2017" in told
    assert told.strip().endswith("report.html")
    assert json.loads((place / "numbers.json").read_text())["resamples"] == 10_000


def test_results_that_cannot_be_written_are_said(place, capsys):
    study = small_study(place / "x")
    (study / "results").write_text("in the way")
    assert run(["study", "results", str(study)]) == 2
    assert "cannot make" in capsys.readouterr().err


def test_power_says_what_a_study_can_tell(capsys):
    assert run(["study", "power", "--rate-a", "0.2", "--rate-b", "0.35"]) == 0
    told = capsys.readouterr().out
    assert "25 people with 40 trials each tell 20% from 35% with a chance of 9" in told
    assert "a chance of 80% takes 1" in told


@pytest.mark.parametrize("verb", ["serve", "simulate"])
def test_what_is_not_installed_is_named_with_its_remedy(verb, place, capsys, monkeypatch):
    study = small_study(place / "x")
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] in ("fastapi", "uvicorn", "httpx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **more)

    for name in [n for n in sys.modules if n.startswith("unpaired.study.s")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    assert run(["study", verb, str(study)]) == 2
    assert "run: pip install 'unpaired[study]'" in capsys.readouterr().err
