"""`unpaired bench` from outside. Nothing here says how fast it must be."""

import contextlib
import io
import json

import pytest

from tests.methods.tiny import tiny_settings
from unpaired.bench import machine
from unpaired.cli import run
from unpaired.training.config import TrainConfig

TINY = "--size 32 --filters 2 --blocks 1 --batch 2 --translate 32 --backend torch onnx --seconds 0"


@pytest.fixture(
    scope="module", params=["here", pytest.param("as users run it", marks=pytest.mark.slow)]
)
def found(request, tmp_path_factory) -> tuple[dict, str]:
    """The numbers, and what stood on paper; "here": without processes of their own."""
    file, paper = tmp_path_factory.mktemp("bench") / "bench.json", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(paper):
        if request.param == "here":
            patch.setattr(machine, "alone", here)
        assert run([*f"bench {TINY} --precision fp32 --json".split(), str(file)]) == 0
    return json.loads(file.read_text()), paper.getvalue()


def here(measure, *given, environment):
    """Without a process of its own: quicker, and the memory means nothing."""
    return measure(*given)


def test_the_numbers_agree_with_each_other(found):
    numbers, _ = found
    assert set(numbers) == {
        "machine",
        "setting",
        "precision",
        "peaks",
        "steps",
        "translations",
        "loading",
        "outlook",
    }
    assert set(numbers["peaks"]) == {"fp32"} == {numbers["precision"]}
    assert [one["size"] for one in numbers["steps"]] == [32]
    for one in [*numbers["steps"], *numbers["translations"]]:
        seconds = one["seconds"]
        assert 0 < seconds["low"] <= seconds["median"] <= seconds["high"]
        assert seconds["count"] >= 3
        assert one["images_per_second"] * seconds["median"] == pytest.approx(one.get("batch", 1))
        assert one["operations_per_second"] * seconds["median"] == pytest.approx(one["operations"])
        share = one["operations_per_second"] / numbers["peaks"]["fp32"]
        assert one["share_of_peak"] == pytest.approx(share)
        assert one["memory"] >= 0
    low, high = numbers["outlook"]["seconds"]
    assert numbers["outlook"]["hours"] == pytest.approx(
        [one * 100_000 / 3600 for one in (low, high)]  # 200 epochs of 500 batches
    )
    assert not numbers["outlook"]["measured"]
    assert numbers["setting"]["settings"]["filters"] == 2


def test_a_picture_that_a_method_cannot_translate_is_left_out(monkeypatch):
    monkeypatch.setattr(machine, "alone", here)
    monkeypatch.setattr(machine, "convolution_peak", lambda *given: 1e12)
    monkeypatch.setattr(machine, "SIZE", 32)
    config = TrainConfig(tiny_settings("cogan"), method="cogan", precision="fp32", device="cpu")
    said = []
    found = machine.bench(config, [16], translated=[64], budget=0, say=said.append)
    assert found.translations == ()
    assert any("no more translations by torch: cogan renders" in text for text in said)


def test_paper_shows_what_the_numbers_say(found):
    numbers, paper = found
    for one in [*numbers["steps"], *numbers["translations"]]:
        assert f"{one['images_per_second']:.3g}" in paper
    assert "32 x 32, torch in fp32" in paper
    assert "200 epochs of 1,000 pictures" in paper
    assert "\x1b" not in paper
    assert max(map(len, paper.splitlines())) < 200
