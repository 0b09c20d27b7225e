"""What the pages tell people to type is understood by the command."""

import ast
import importlib
import json
import pkgutil
import re
import shlex
from dataclasses import replace
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import yaml
from PIL import Image

from unpaired import __version__
from unpaired.cli import run
from unpaired.methods import METHODS
from unpaired.training.config import TrainConfig, write_yaml
from unpaired.training.run import train
from unpaired.translation.translator import Translator

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CALLED = [  # what each verb calls once its options are understood
    "unpaired.training.run.train",
    "unpaired.translation.translator.Translator.load",
    "unpaired.translation.exporting.export.export",
    "unpaired.translation.resolving.weights_of",
    "unpaired.translation.hub.packing.pack",
    "unpaired.translation.hub.pushing.push",
    "unpaired.cli.many.translate_many",
    "unpaired.translation.many.ray.translate_by_ray",
    "unpaired.translation.stylist.style_files",
    "unpaired.demonstration.demo",
    "unpaired.data.check.check_dataset",
    "unpaired.data.getting.get",
    "unpaired.doctor.examine",
    "unpaired.bench.machine.bench",
    "unpaired.board.runs.runs_in",
    "unpaired.evaluation.result.evaluate",
    "unpaired.evaluation.instruments.load_segmenter",
    "unpaired.evaluation.segmenting.ceiling.make_segmenter",
    "unpaired.reproduction.reproduce",
    "unpaired.serving.serve.serve",
    "unpaired.study.sources.open_sides",
    "unpaired.study.server.make_app",
    "unpaired.study.report.write_results",
    "unpaired.study.simulation.truth_from",
    "unpaired.study.power.power",
]


for target in CALLED:  # a module that is imported while a name is patched would keep the patch
    pkgutil.resolve_name(target)


class UnderstoodError(Exception):
    """The command got as far as its work."""


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^```([^\n]*)\n(.*?)^```", text, re.M | re.S)
    return [block for kind, block in fenced if kind == language]


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page, "") for line in block.splitlines()]
    return [line for line in lines if line.startswith("unpaired ") and not set("[|") & set(line)]


TYPED = [pytest.param(c, id=f"{p.stem}: {c}") for p in PAGES for c in commands(p)]


@pytest.mark.parametrize("command", TYPED)
def test_a_command_in_the_docs_is_understood(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command.split(" > ")[0], comments=True)[1:]
    needed = []  # what came before it
    for option, name in (("--config", ""), ("--out", "config.yaml")):
        if option in arguments and arguments[0] == "train":
            needed.append(tmp_path / arguments[arguments.index(option) + 1] / name)
    if arguments[0] == "evaluate":
        runs = takewhile(lambda word: not word.startswith("-"), arguments[1:])
        needed += [tmp_path / run / "config.yaml" for run in runs]
    for path in needed:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_yaml(TrainConfig(settings=METHODS["cyclegan"].Config()), path)
    if arguments[0] == "translate" and Path(arguments[-1]).suffix == ".png":  # one to one
        Image.new("RGB", (4, 4)).save(tmp_path / arguments[2])
    for target in CALLED:
        mock.patch(target, side_effect=UnderstoodError).start()
    try:
        assert run(arguments) == 0
    except UnderstoodError:
        pass
    finally:
        mock.patch.stopall()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_python_in_the_docs_is_python(page):
    for block in blocks(page, "python"):
        ast.parse(block)


def test_the_method_on_the_page_trains_resumes_and_translates(tmp_path, monkeypatch):
    (tmp_path / "gcgan.py").write_text(blocks(ROOT / "docs/extending.md", "python")[0])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(METHODS, "gcgan", None)  # taken out again afterwards
    settings = importlib.import_module("gcgan").GcGANConfig(filters=4, blocks=1)
    config = TrainConfig(
        settings, method="gcgan", data="worldtiles:map-aerial", size=64, steps=2, log_every=1
    )
    run_folder = train(config, tmp_path / "run", quiet=True)
    train(replace(config, steps=3), run_folder, resume=True, quiet=True)
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 3
    assert json.loads(lines[-1])["geometry"] > 0
    picture = np.zeros((20, 24, 3), np.uint8)
    translated = Translator.load(run_folder, backend="torch")(picture)
    assert translated.shape == picture.shape


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target.split("#")[0]).exists(), target


def test_every_page_is_on_the_site_and_in_the_list():
    index, listed = (ROOT / "docs" / name for name in ("index.md", "README.md"))
    trees = "\n".join(blocks(index, "{toctree}")).splitlines()
    found = [p for suffix in ("md", "ipynb") for p in (ROOT / "docs").rglob(f"*.{suffix}")]
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in found} - {"index.md", "README.md"}
    on_site = {line for line in trees if line and not line.startswith(":")}
    assert on_site == {str(Path(page).with_suffix("")) for page in pages}
    folders = {page for page in pages if "/" in page}  # these are listed by their README.md
    included = {"worldtiles.md", "changelog.md", "contributing.md"}
    listing = listed.read_text(encoding="utf-8")
    for page in sorted(pages - folders - included):
        assert f"]({page})" in listing, page


def test_make_targets_in_the_readme_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+): ", (ROOT / "Makefile").read_text(), re.M))
    assert {"demo", "test"} <= set(re.findall(r"^make (\w+)", readme, re.M)) <= targets


def test_the_version_is_said_alike_everywhere():
    assert metadata.version("unpaired") == __version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+),", changes, re.M)[1] == __version__
