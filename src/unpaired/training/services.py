"""W&B and MLflow behind one face, through Accelerate's trackers."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from importlib import util
from typing import Any, Protocol

import numpy as np

from unpaired.errors import UserError


class Service(Protocol):
    """Where a run is told of. Every call comes from the one thread that called `start`.

    All raise whatever their library raises.
    """

    def start(self, known: Mapping[str, str] | None) -> dict[str, str]:
        """Begin, or go on with the run that `known` names; what names it, to be kept."""

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers by name, as TensorBoard has them."""

    def picture(self, step: int, pixels: np.ndarray) -> None:
        """A sample grid, (H, W, 3) uint8."""

    def finish(self) -> None:
        """Send what is left, and end."""


class WandB:
    """https://wandb.ai, or a server of one's own; `WANDB_MODE=offline` keeps all on this disk."""

    def __init__(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        self.project, self.name, self.config = project, name, config

    def start(self, known: Mapping[str, str] | None) -> dict[str, str]:
        from accelerate.tracking import WandBTracker

        run = (known or {}).get("id") or secrets.token_hex(4)
        self.tracker = WandBTracker(self.project, name=self.name, id=run, resume="allow")
        self.tracker.start()
        # W&B's own steps only go up, but a resumed run repeats those after its checkpoint
        self.tracker.tracker.define_metric("step")
        self.tracker.tracker.define_metric("*", step_metric="step")
        self.tracker.store_init_configuration(dict(self.config))
        return {"id": run}

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.tracker.log({"step": step, **values})

    def picture(self, step: int, pixels: np.ndarray) -> None:
        import wandb

        self.tracker.log({"step": step, "samples": wandb.Image(pixels)})

    def finish(self) -> None:
        self.tracker.finish()


class MLflow:
    """https://mlflow.org: the server or store of `MLFLOW_TRACKING_URI`, else a file here."""

    def __init__(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        self.project, self.name, self.config = project, name, config

    def start(self, known: Mapping[str, str] | None) -> dict[str, str]:
        # its own are seven attempts of two minutes each, at every call and once more at exit
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        from accelerate.tracking import MLflowTracker

        run = (known or {}).get("id")
        self.tracker = MLflowTracker(self.project, run_id=run, run_name=self.name)
        self.tracker.start()
        if run is None:  # there, what was set once can't change
            self.tracker.store_init_configuration(dict(self.config))
        return {"id": self.tracker.tracker.info.run_id}

    def metrics(self, step: int, values: Mapping[str, float]) -> None:
        self.tracker.log(dict(values), step=step)

    def picture(self, step: int, pixels: np.ndarray) -> None:
        import mlflow

        mlflow.log_image(pixels, key="samples", step=step)

    def finish(self) -> None:
        self.tracker.finish()


SERVICES: dict[str, Callable[[str, str, Mapping[str, Any]], Service]] = {
    "wandb": WandB,
    "mlflow": MLflow,
}
"""By name: (project, the run's name, its configuration) -> the service."""


def check_installed(names: tuple[str, ...]) -> None:
    """Raises: UserError with the command that installs what is missing."""
    for name in names:
        if util.find_spec(name) is None:
            raise UserError(f"--tracker {name} needs `pip install 'unpaired[{name}]'`")


def flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A configuration as names with dots, as both services show it."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{before}{name}.")
        elif isinstance(value, (list, tuple)):
            found[before + name] = ", ".join(map(str, value))
        else:
            found[before + name] = value
    return found
