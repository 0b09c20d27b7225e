"""The words of the verbs whose options depend on methods, which can't be asked without torch.

They stand in training.json, which `python tools/completion_words.py` writes and a test compares
with the dataclasses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from typing import Any

from unpaired.cli.completion.words import Option, options_of

FILE = "training.json"


@lru_cache(maxsize=1)
def _read() -> dict[str, Any]:
    file = resources.files("unpaired.cli.completion") / FILE
    return json.loads(file.read_text(encoding="utf-8"))


def names(kind: str) -> dict[str, str]:
    """Args: kind: "methods", "presets" or "tables". Returns: names, and what each is."""
    return dict(_read()[kind])


def training_options(verb: str, method: str | None) -> list[Option]:
    """Args: verb: train or reproduce; method: None: what every method has."""
    words = _read()["options"]
    found = [*words["all"], *words[verb], *(words["methods"][method] if method else [])]
    return [Option(name, takes, tuple(choices), about) for name, takes, choices, about in found]


def gathered() -> dict[str, Any]:
    """What training.json must hold: the words as the dataclasses have them; imports torch."""
    from unpaired.cli.reproduce import ReproduceOptions
    from unpaired.cli.train import TrainOptions
    from unpaired.methods import METHODS
    from unpaired.reproduction import TABLES
    from unpaired.training.config import TrainConfig
    from unpaired.training.presets import PRESETS

    def of(kind: Any, method: str) -> dict[str, Option]:
        config = TrainConfig[METHODS[method].Config]  # type: ignore[misc,valid-type]
        options = options_of(kind[config])
        return {option.name: option for option in options}

    train = {method: of(TrainOptions, method) for method in METHODS}
    every = _common(train.values())
    reproduce = _common(of(ReproduceOptions, method) for method in METHODS)  # whichever is asked
    shared = _common([every, reproduce])
    return {
        "methods": {name: method.title for name, method in METHODS.items()},
        "presets": {name: preset.about.split(":")[0] for name, preset in PRESETS.items()},
        "tables": dict.fromkeys(TABLES, ""),
        "options": {
            "all": _rows(shared),
            "train": _rows(every, shared),
            "reproduce": _rows(reproduce, shared),
            "methods": {method: _rows(words, every) for method, words in train.items()},
        },
    }


def _common(words: Iterable[dict[str, Option]]) -> dict[str, Option]:
    """What all of them have, and mean alike."""
    first, *others = words
    return {n: o for n, o in first.items() if all(other.get(n) == o for other in others)}


def as_text(words: dict[str, Any]) -> str:
    """JSON with a line for every option, so that changes can be read."""
    return _lines(words, "\n") + "\n"


def _lines(words: Any, newline: str) -> str:
    deeper = newline + " "
    if isinstance(words, dict) and words:
        inner = [f"{json.dumps(key)}: {_lines(value, deeper)}" for key, value in words.items()]
        return "{" + deeper + f",{deeper}".join(inner) + newline + "}"
    if isinstance(words, list) and words and isinstance(words[0], list):
        return (
            "[" + deeper + f",{deeper}".join(_lines(row, deeper) for row in words) + newline + "]"
        )
    return json.dumps(words, ensure_ascii=False)


def _rows(options: dict[str, Option], without: Iterable[str] = ()) -> list[list[Any]]:
    rest = [option for name, option in options.items() if name not in without]
    return [[o.name, o.takes, list(o.choices), o.about] for o in rest]
