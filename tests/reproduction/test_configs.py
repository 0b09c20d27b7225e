"""The trainings that stand behind the tables, and the call without any."""

import pytest

import unpaired
from unpaired.reproduction import CONTENDERS
from unpaired.reproduction.configs import config_of, contenders_of


def test_contenders_differ_in_nothing_but_what_makes_them_themselves():
    configs = {key: config_of(key) for key in CONTENDERS}
    for config in configs.values():
        assert (config.data, config.steps) == ("worldtiles:labels-aerial", 2000)
        assert (config.optimizer.lr, config.batch, config.images.rotate) == (2e-4, 4, True)
    assert configs["gan-alone"].settings.loss.cycles == (0.0, 0.0)
    own = config_of("cut", (), own_data=True, steps=None)
    assert (own.data, own.steps, own.images.rotate) == (None, None, False)
    assert contenders_of(["4", "2"])[0] == "cycle-alone"
    with pytest.raises(unpaired.UserError, match="did you mean cyclegan"):
        contenders_of(["2"], ["cyclegann"])


def test_the_call_takes_a_number_and_shows_itself(tmp_path):
    result = unpaired.reproduce([1], out=str(tmp_path / "tables"))
    assert "Table 1" in str(result)
    assert str(result) == (tmp_path / "tables" / "tables.txt").read_text()
    assert "<h4>Table 1a." in result._repr_html_()
    assert "Table 1" in repr(result)
    with pytest.raises(unpaired.UserError, match='no table "7"'):
        unpaired.reproduce([7], out=tmp_path / "more")
    assert not (tmp_path / "more").exists()
