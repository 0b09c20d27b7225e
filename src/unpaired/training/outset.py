"""What a run says before its first step: its pictures, what computes, when it ends."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from unpaired.data.check import few
from unpaired.data.decode import UnreadableImage
from unpaired.data.domains import Domain
from unpaired.data.order import spread
from unpaired.training.config import TrainConfig
from unpaired.training.session import Session

UNSEEN = 2  # held-out pictures a side, without which `evaluate` looks at the training pictures
LOOKED_AT, DARK = 8, 0.25  # 16-bit pictures, and the share of the range they should use
STUDY = 53  # pictures a side that a session of the paper's study takes


def outset(session: Session, *, resumed: bool, finished: bool) -> list[str]:
    """The opening lines of a run, or of its continuation.

    Args: resumed: a checkpoint was taken up; finished: at which nothing is left to do.
    """
    config, trainer, step = session.config, session.trainer, session.trainer.steps
    (unit, length), *_ = config.length.items()
    amount = f"{length:g}" if unit == "minutes" else str(length)
    if finished:
        return [
            f"{session.out} is finished: step {step}, the end by --{unit} {amount}; "
            f"a larger --{unit} makes it longer"
        ]
    start = f"{config.method} on {named(config)}"
    if resumed:
        start = f"continuing {session.out} from step {step}"
    precision = str(trainer.dtype or "fp32").removeprefix("torch.")
    precision = {"bfloat16": "bf16", "float16": "fp16"}.get(precision, precision)
    device = "cpu" if trainer.device.type == "cpu" else trainer.device  # not cpu:0, cpu:1
    processes = f"{session.ranks.count} processes, " if session.ranks.count > 1 else ""
    line = (
        f"{start}: {_pictures(session)}; {processes}{device}, {precision}; "
        f"ends after {amount} {unit if length != 1 else unit[:-1]}"
    )
    return [line] if resumed else [line, *_warnings(session)]


def named(config: TrainConfig[Any]) -> str:
    """The pictures as the user gave them."""
    return config.data or f"{config.x} and {config.y}"


def _pictures(session: Session) -> str:
    """How many there are of X and Y, and for what."""
    shares, data = session.shares, session.dataset
    text = f"{len(shares.train.x)} + {len(shares.train.y)} pictures"
    if shares.held:
        text += f", {len(shares.held.x)} + {len(shares.held.y)} to choose the best by"
    return f"{text}, {len(data.test_x)} + {len(data.test_y)} held out for tests"


def dark(side: str, domain: Domain) -> str:
    """What to say of 16-bit pictures that use little of their bits; empty: they are bright enough.

    A few pictures are looked at; those that can't be read are told of later.
    """
    if domain.dtype != "uint16" or domain.units is not None or domain.arrival is not None:
        return ""
    found = []
    for index in spread(len(domain), LOOKED_AT):
        with contextlib.suppress(UnreadableImage):
            found.append(np.percentile(domain.read(index), 99.9) / 65535)
    if not found or max(found) > DARK:
        return ""
    return (
        f"{side} uses {max(found):.0%} of 16 bits, so the network sees it nearly black; "
        "`unpaired data check` suggests an --images.range"
    )


def _warnings(session: Session) -> list[str]:
    """What to know before hours are spent."""
    train, data = session.shares.train, session.dataset
    counts = {"X": len(train.x), "Y": len(train.y)}
    lines = [warning for side, count in counts.items() if (warning := few(side, count))]
    lines += [
        line
        for side, own in (("X", data.train_x), ("Y", data.train_y))
        if (line := dark(side, own))
    ]
    held = min(len(data.test_x), len(data.test_y))
    more = "--data FOLDER with testA and testB lets you choose them"
    if held < UNSEEN:
        lines.append(
            f"fewer than {UNSEEN} pictures of a side are held out, so `unpaired evaluate` will "
            f"judge by training pictures; {more}"
        )
    elif held < STUDY:
        lines.append(
            f"only {held} pictures of a side are held out: wide intervals in `unpaired evaluate`, "
            f"and the paper's study takes {STUDY} of each; {more}"
        )
    return [f"warning: {line}" for line in lines]
