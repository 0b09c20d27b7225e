"""The demonstration, from an empty folder to the page."""

import json

import pytest

from unpaired.demonstration import demo


@pytest.mark.slow
def test_the_demo_trains_translates_scores_and_writes_its_page(tmp_path):
    page = demo(minutes=0.05, out=tmp_path / "demo", quiet=True)
    assert page == tmp_path / "demo" / "report.html"
    text = page.read_text(encoding="utf-8")
    assert "http://" not in text.replace("http://www.w3.org", "")  # self-contained
    assert "--resume" in text
    numbers = json.loads((tmp_path / "demo" / "numbers.json").read_text())
    for direction in ("x2y", "y2x"):
        scores = numbers["directions"][direction]["scores"]
        assert scores["input"]["kid"]["value"] > scores["colour"]["kid"]["value"]
        assert scores["real"]["kid"]["value"] < 0.01
        assert len(list((tmp_path / "demo" / "translations" / direction).iterdir())) == 195
