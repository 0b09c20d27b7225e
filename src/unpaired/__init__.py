"""Image translation without paired examples."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unpaired.errors import UserError

if TYPE_CHECKING:
    from unpaired.demonstration import demo
    from unpaired.evaluation.instruments import instruments
    from unpaired.evaluation.result import evaluate
    from unpaired.evaluation.validation import train
    from unpaired.methods import METHODS
    from unpaired.reproduction import reproduce
    from unpaired.training.config import TrainConfig
    from unpaired.training.presets import apply_preset
    from unpaired.translation.exporting.export import export
    from unpaired.translation.hub.pushing import push
    from unpaired.translation.translator import Translator

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "TrainConfig",
    "Translator",
    "UserError",
    "__version__",
    "apply_preset",
    "demo",
    "evaluate",
    "export",
    "instruments",
    "push",
    "reproduce",
    "train",
]

_PLACES = {
    "METHODS": "unpaired.methods",
    "TrainConfig": "unpaired.training.config",
    "Translator": "unpaired.translation.translator",
    "apply_preset": "unpaired.training.presets",
    "demo": "unpaired.demonstration",
    "evaluate": "unpaired.evaluation.result",
    "export": "unpaired.translation.exporting.export",
    "instruments": "unpaired.evaluation.instruments",
    "push": "unpaired.translation.hub.pushing",
    "reproduce": "unpaired.reproduction",
    "train": "unpaired.evaluation.validation",
}
"""Where the public names live; most bring torch, so they are imported when asked for (PEP 562)."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'unpaired' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
