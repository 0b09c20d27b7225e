"""Seconds of something done again and again: warmed up, synchronised, with its spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

LEAST = 3  # repetitions that are timed, however long they take


@dataclass(frozen=True)
class Spread:
    """Seconds of one repetition: median and quartiles over `count` of them."""

    median: float
    low: float
    high: float
    count: int


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def timed(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, until the device is done."""
    synchronise(device)
    began = time.perf_counter()
    run()
    synchronise(device)
    return time.perf_counter() - began


def repeated(
    run: Callable[[], object], device: torch.device, budget: float, warm_up: int = 2
) -> list[float]:
    """Seconds of each call: at least LEAST of them, until `budget` seconds are spent.

    Args: warm_up: calls before that aren't counted: kernels are chosen and memory is claimed.
    """
    for _ in range(warm_up):
        timed(run, device)
    seconds: list[float] = []
    while len(seconds) < LEAST or sum(seconds) < budget:
        seconds.append(timed(run, device))
    return seconds


def spread(seconds: list[float]) -> Spread:
    """Median and quartiles; of two or more."""
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Spread(median, low, high, len(seconds))
