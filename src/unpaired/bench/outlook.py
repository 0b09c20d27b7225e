"""What was measured, carried over to what was not: the paper's training, and larger batches.

Both seconds and memory of a step are a fixed part and one that grows with its operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unpaired.bench.step import StepFigures

EPOCHS, IMAGES, SIZE = 200, 1000, 256
"""The paper's training: 200 epochs of a thousand pictures of 256 pixels (sec. 7.1)."""
ROOM = 0.9  # share of the free memory that may be planned with


@dataclass(frozen=True)
class Outlook:
    """The paper's length of training on this machine, with the measured method and batch."""

    batch: int
    measured: bool
    """Whether steps of SIZE pixels were measured; else they are estimated from smaller ones."""
    seconds: tuple[float, float]
    """Of a step of SIZE pixels: the measured quartiles, or the two ends of the estimate."""
    hours: tuple[float, float]
    """For EPOCHS epochs of IMAGES pictures."""
    largest_batch: int | None
    """So many pictures of SIZE pixels fit, about; 0: not even one; None: it can't be told."""
    room: int
    """Bytes of memory that are free, of which ROOM are planned with."""


def look_out(operations: int, state: int, steps: Sequence[StepFigures], room: int) -> Outlook:
    """Args:
    operations, state: of a step at SIZE pixels with the batch that `steps` have.
    room: bytes of memory that are free.
    """
    batch = steps[0].batch
    own = next((one for one in steps if one.size == SIZE), None)
    if own:
        seconds = (own.seconds.low, own.seconds.high)
    else:
        seconds = seconds_between(operations, steps)
    low, high = (EPOCHS * IMAGES / batch * one / 3600 for one in seconds)
    fits = largest_batch(operations / batch, state, steps, int(ROOM * room))
    return Outlook(batch, own is not None, seconds, (low, high), fits, room)


def seconds_between(operations: int, steps: Sequence[StepFigures]) -> tuple[float, float]:
    """Seconds of a step: two estimates, the smaller one first.

    One takes the operations per second of the largest step measured; the other one draws a line
    through the two largest, as part of a step (the optimizer's) doesn't grow.
    """
    largest = max(steps, key=lambda one: one.operations)
    even = largest.seconds.median * operations / largest.operations
    fixed, slope = _line([(one.operations, one.seconds.median) for one in steps])
    low, high = sorted((even, fixed + slope * operations))
    return low, high


def largest_batch(
    operations: float, state: int, steps: Sequence[StepFigures], room: int
) -> int | None:
    """How many pictures' activations fit beside weights and optimizer.

    Args: operations: per picture; state: bytes of weights, gradients and optimizer.
    Returns: None if the memory of a step isn't known.
    """
    known = [(one.operations, one.memory - one.state) for one in steps if one.memory is not None]
    if not known:
        return None
    fixed, slope = _line(known)
    if slope <= 0:
        return None
    return max(0, int((room - state - fixed) / (slope * operations)))


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(at 0, slope) of the line through the last two points; of one, or falling ones: from 0."""
    *before, (x, y) = sorted(points)
    if before:
        x0, y0 = before[-1]
        slope = (y - y0) / (x - x0)
        if 0 < slope < y / x:
            return y - slope * x, slope
    return 0.0, y / x
