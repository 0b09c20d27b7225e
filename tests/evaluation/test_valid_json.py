"""What machines are told is JSON, whatever was measured."""

import json
import math

import numpy as np
import pytest

from unpaired.evaluation.valid_json import finite, json_text


def refuse(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_json_has_no_word_for_is_null(value):
    text = json_text({"a": [1.5, (value, {"b": value})], "c": "nan"})
    assert json.loads(text, parse_constant=refuse) == {"a": [1.5, [None, {"b": None}]], "c": "nan"}


def test_everything_else_is_as_it_was():
    tree = {"a": [1, 2.5, True, None, "x"], "b": {"c": {}, "d": []}}
    assert finite(tree) == tree
    assert json.loads(json_text(tree)) == tree
