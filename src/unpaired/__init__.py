"""Image translation without paired examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unpaired.errors import UserError

if TYPE_CHECKING:
    from unpaired.demo import demo
    from unpaired.evaluation.validation import train
    from unpaired.methods import METHODS
    from unpaired.training.config import TrainConfig
    from unpaired.translation.exporting.export import export
    from unpaired.translation.translator import Translator

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "TrainConfig",
    "Translator",
    "UserError",
    "__version__",
    "demo",
    "export",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import torch only when something that needs it is asked for (PEP 562)."""
    if name == "train":
        from unpaired.evaluation.validation import train

        return train
    if name == "TrainConfig":
        from unpaired.training.config import TrainConfig

        return TrainConfig
    if name == "METHODS":
        from unpaired.methods import METHODS

        return METHODS
    if name == "Translator":
        from unpaired.translation.translator import Translator

        return Translator
    if name == "demo":
        from unpaired.demo import demo

        return demo
    if name == "export":
        from unpaired.translation.exporting.export import export

        return export
    raise AttributeError(f"module 'unpaired' has no attribute {name!r}")
