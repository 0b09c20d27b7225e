import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.evaluation.corners import Corners
from tests.training.runs import tiny_config, write_dataset
from unpaired.data.datasets import open_dataset
from unpaired.data.decode import UnreadableImage
from unpaired.data.order import spread
from unpaired.data.showing import as_rgb
from unpaired.errors import UserError
from unpaired.evaluation.entries import grouped
from unpaired.evaluation.estimates import Estimate
from unpaired.evaluation.instruments import Instruments
from unpaired.evaluation.metrics import Scores
from unpaired.evaluation.reporting import report
from unpaired.evaluation.reporting.comparison import write_comparison
from unpaired.evaluation.reporting.curves import INK, loss_curves
from unpaired.evaluation.reporting.direction import verdict
from unpaired.evaluation.reporting.facts import domain_names, resume_command
from unpaired.evaluation.reporting.figures import mosaic
from unpaired.evaluation.reporting.pages import figure
from unpaired.evaluation.reporting.report import write_report
from unpaired.methods import METHODS
from unpaired.training.config import TrainConfig, read_yaml, with_changes
from unpaired.training.run import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    data = write_dataset(folder / "data", train=7, test=4)
    return train(tiny_config(data, steps=6, sample_every=2), folder / "my run", quiet=True)


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    unpaired = replace(open_dataset(read_yaml(run / "config.yaml").data), paired_test=False)
    path, _ = write_report(run, Instruments(Corners()), dataset=unpaired)
    assert path == run / "report.html"
    return path.read_text(encoding="utf-8")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_is_whole_and_leads_nowhere_but_into_itself(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    for tag, attributes in tags.seen:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("data:", "#")), (tag, attributes)
        if tag == "img":
            assert attributes["alt"]
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert "<script" not in page


def test_page_says_what_was_measured_and_how_to_go_on(run: Path, page: str) -> None:
    assert "KID-Corners" in page
    assert f"unpaired train --out '{run}' --resume --steps 36" in html.unescape(page)
    assert "prefers-color-scheme: dark" in page
    for words in ("best single colour transform", "translated back", "The failures", "cycle_x"):
        assert words in page
    assert "hidden truth" not in page  # this set has no pairs


def test_numbers_are_written_for_machines(run: Path, page: str) -> None:
    numbers = json.loads((run / "numbers.json").read_text(encoding="utf-8"))
    assert numbers["instruments"]["features"] == "Corners"
    assert numbers["steps"] == {"run": 6}
    assert set(numbers["directions"]) == {"x2y", "y2x"}
    scores = numbers["directions"]["x2y"]["scores"]
    assert set(scores) == {"input", "colour", "run", "real"}
    assert "l1" not in scores["run"]
    assert set(scores["run"]["kid"]) == {"value", "low", "high", "error"}


def test_a_paired_test_split_is_scored_shown_and_kept(run: Path) -> None:
    config = read_yaml(run / "config.yaml")
    data = replace(open_dataset(config.data), paired_test=True)
    path, judged = write_report(run, Instruments(Corners(), limit=3), dataset=data)
    assert "hidden truth" in path.read_text(encoding="utf-8")
    side = judged.evaluation.sides[0]
    assert len(side.inputs) == 3
    mae = side.scores["run"]["l1"]
    assert mae is not None
    assert side.truth is not None
    by_hand = np.abs(side.translated.astype(float) - side.truth).mean()
    assert mae.value == pytest.approx(by_hand)
    for name, pixels in zip(side.names, side.translated):
        saved = np.asarray(Image.open(run / "translations" / "x2y" / f"{name}.png"))
        np.testing.assert_array_equal(saved, pixels)


def test_without_a_test_split_the_page_says_so(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", train=6, test=0)
    run = train(tiny_config(data, steps=1), tmp_path / "run", quiet=True)
    path, judged = write_report(run, Instruments(Corners()))
    assert not judged.evaluation.held_out
    assert "trained on" in path.read_text(encoding="utf-8")


def test_a_folder_that_is_no_run_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        write_report(tmp_path, Instruments(Corners()))


def test_text_from_outside_is_escaped(run: Path) -> None:
    path, _ = write_report(run, Instruments(Corners()), about="<script>alert(1)</script>")
    assert "<script" not in path.read_text(encoding="utf-8")


def test_reference_runs_appear_only_beside_the_same_data(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = {"label": "as in 2017", "data": "d", "direction": "x2y", "minutes": 10, "kid": 0.5}
    monkeypatch.setattr(report, "reference_runs", lambda data: [measured])
    path, _ = write_report(run, Instruments(Corners()))
    assert "as in 2017" in path.read_text(encoding="utf-8")
    monkeypatch.undo()
    assert report.reference_runs("data nobody has") == []
    path, _ = write_report(run, Instruments(Corners()))
    assert "as in 2017" not in path.read_text(encoding="utf-8")


def scores(**kid: tuple[float, float, float]) -> dict[str, Scores]:
    return {
        name: {"kid": Estimate(value, low, high, 0.0)} for name, (low, value, high) in kid.items()
    }


def test_the_verdict_does_not_flatter() -> None:
    baselines = {"input": (0.4, 0.5, 0.6), "colour": (0.2, 0.3, 0.4)}
    assert "3.0 times closer" in verdict(scores(**baselines, run=(0.05, 0.1, 0.15)))
    assert "overlap" in verdict(scores(**baselines, run=(0.1, 0.19, 0.25)))
    assert "Further" in verdict(scores(**baselines, run=(0.5, 0.6, 0.7)))
    assert "Far closer" in verdict(scores(**baselines, run=(-0.01, -0.001, 0.01)))


def test_curves_take_the_colour_of_the_page() -> None:
    lines = [{"step": float(i), "lr": 0.1, "gan_G": 1 / (i + 1), "cycle_x": 2.0} for i in range(9)]
    svg = loss_curves(lines)
    assert svg is not None
    assert "currentColor" in svg
    assert INK not in svg
    assert "gan_G" in svg
    assert loss_curves(lines[:1]) is None
    assert loss_curves([]) is None


def test_small_things() -> None:
    assert figure(-0.0004, 3) == "0.000"
    assert figure(-0.0015, 3) == "\u22120.002"
    assert spread(10, 4) == [0, 2, 5, 7]
    assert spread(2, 4) == [0, 1]
    tile = np.full((4, 4, 1), 7, np.uint8)
    assert mosaic([[tile, tile], [tile]], gap=1).shape == (9, 9, 3)
    assert as_rgb(np.full((1, 1, 2), 65535, np.uint16)).tolist() == [[[255, 255, 255]]]


def test_resume_command_lengthens_what_ended_the_run(run: Path) -> None:
    config = read_yaml(run / "config.yaml")
    assert resume_command(Path("r"), config) == "unpaired train --out r --resume --steps 36"
    minutes = replace(config, steps=None, minutes=10.0)
    assert resume_command(Path("r"), minutes).endswith("--minutes 60")


def test_a_pair_of_which_one_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", train=6, test=5)
    run = train(tiny_config(data, steps=1), tmp_path / "run", quiet=True)
    dataset = open_dataset(str(data))

    def torn(index: int, at_least: int | None = None) -> np.ndarray:
        if index == 2:
            raise UnreadableImage(Path("torn.png"), "torn")
        return dataset.test_x.read(index, at_least)

    broken = replace(dataset, test_x=replace(dataset.test_x, read=torn), paired_test=True)
    _, judged = write_report(run, Instruments(Corners()), dataset=broken)
    for side in judged.evaluation.sides:
        assert [name[:2] for name in side.names] == ["00", "01", "03", "04"]
    mended = replace(broken, test_x=dataset.test_x)
    _, whole = write_report(run, Instruments(Corners()), dataset=mended)
    errors = [one.evaluation.sides[0].per_picture["l1"] for one in (judged, whole)]
    np.testing.assert_allclose(errors[0], errors[1][[0, 1, 3, 4]])


def test_five_channels_of_16_bits_are_judged_against_grey(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, channels, count in (("A", 5, 6), ("B", 1, 6)):
        for split in ("train", "test"):
            (tmp_path / "data" / (split + name)).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 65536, (channels, 40, 40)).astype(np.uint16)
                place = tmp_path / "data" / (split + name) / f"{i}.tif"
                tifffile.imwrite(
                    place,
                    pixels if channels > 1 else pixels[0],
                    planarconfig="separate" if channels > 1 else None,
                    photometric="minisblack",
                )
    config = tiny_config(tmp_path / "data", steps=1)
    config = with_changes(config, {"settings.loss.identity": 0.0})
    run = train(config, tmp_path / "run", quiet=True)
    path, judged = write_report(run, Instruments(Corners()))
    text = path.read_text(encoding="utf-8")
    assert "5 channels, each in a hue of its own" in text
    assert "stand-in" in text
    there, back = judged.evaluation.sides
    assert there.inputs.shape[3] == 5 == back.translated.shape[3]
    assert {"input", "colour", "run", "real"} == set(there.scores) == set(back.scores)
    seen = json.loads((run / "numbers.json").read_text())["directions"]["x2y"]["seen_as"]
    assert seen["translation"].startswith("16 bits")
    entries = grouped([run])
    page = write_comparison(tmp_path / "page.html", entries).read_text(encoding="utf-8")
    assert "5 channels, each in a hue of its own" in page


@pytest.mark.parametrize(
    ("given", "x", "y"),
    [
        ({"data": "worldtiles:map-aerial"}, "map", "aerial"),
        ({"data": "photos"}, "X", "Y"),
        ({"x": "photos/summer", "y": "photos/winter/"}, "summer", "winter"),
        ({"x": "summer/train", "y": "winter/train"}, "summer/train", "winter/train"),
        ({"x": "hf://ours/summer", "y": "winter"}, "X", "Y"),
    ],
)
def test_domains_are_called_like_their_views_or_folders_and_change_places_when_swapped(given, x, y):
    config = TrainConfig(METHODS["cyclegan"].Config(), **given)
    assert domain_names(config) == {"x": x, "y": y}
    swapped = {"x": x, "y": y} if x == "X" else {"x": y, "y": x}
    assert domain_names(replace(config, swap=True)) == swapped
