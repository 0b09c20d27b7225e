"""Train a segmenter of our own: a small U-Net on real photos and their class maps."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as fn

import unpaired
from unpaired.errors import UserError
from unpaired.evaluation.segmenting.augmentation import augment
from unpaired.evaluation.segmenting.classes import IGNORED, Classes, Maps, Photos
from unpaired.evaluation.segmenting.trained import SegmenterCard, TrainedSegmenter, units
from unpaired.networks.fcn import FCN
from unpaired.training.ema import EMA
from unpaired.training.precision import autocast, choose_device, choose_precision
from unpaired.training.randomness import derived

STEPS = 2000  # unless steps or minutes are given
BATCH = 16
RATE = 3e-3
WARMUP = 0.15  # share of the training in which the rate rises
DECAY = 0.05  # of weights, decoupled
AVERAGE = 0.995  # of weights over steps: what is kept
BALANCE = 0.5  # a class of share p weighs p^-BALANCE; 0 would be plain cross-entropy

Progress = Callable[[int, float, float], None]
"""Told (steps done, share of the training done, loss) after every step."""


def train_segmenter(
    photos: Photos,
    maps: Maps,
    classes: Classes,
    *,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    width: int = 32,
    rotate: bool = False,
    data: str = "",
    device: str = "auto",
    on_progress: Progress | None = None,
) -> TrainedSegmenter:
    """Train a small U-Net on real photos and their class maps.

    AdamW under a one-cycle rate (Smith and Topin 2018), cross-entropy weighted by class, pictures
    moved and recoloured at random; the mean of the weights over the last steps is kept. With
    `steps` the result follows from the seed, bit by bit on one machine; `minutes` end it earlier.

    Args:
        photos: (N, H, W, 3) uint8; maps: (N, H, W) uint8, IGNORED where no class is known.
        steps: of `BATCH` pictures; None: `STEPS`, or as many as fit into `minutes`.
        width: of the network's first level.
        rotate: turn pictures by any angle: for pictures seen from above.
        data: what the pictures are, in words, for the card.
    Raises: UserError for fewer than two pictures, maps without any class, or senseless numbers.
    """
    _check(photos, maps, classes, steps, minutes, width)
    if steps is None and minutes is None:
        steps = STEPS
    where = choose_device(device)
    dtype = choose_precision("auto", where)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = FCN(len(classes.names), width)
        network = network.to(where).to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        ema = EMA({"network": network}, AVERAGE)
        weight = class_weights(maps, len(classes.names)).to(where)
        x, truth = units(photos), torch.from_numpy(maps)
        began, done, progress, losses = time.monotonic(), 0, 0.0, list[float]()
        while progress < 1:
            rng = derived(seed, "segmenter", done)
            chosen = torch.from_numpy(_chosen(len(x), done, seed))
            batch, target = augment(x[chosen].to(where), truth[chosen].to(where), rng, rotate)
            for group in optimizer.param_groups:
                group["lr"] = RATE * one_cycle(progress)
            with autocast(where, dtype):
                scores = network(batch.contiguous(memory_format=torch.channels_last))
            loss = fn.cross_entropy(scores.float(), target.long(), weight, ignore_index=IGNORED)
            if loss.isfinite():  # not so if the crops happen to hold no class at all
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                losses.append(loss.item())
            done += 1
            ema.update(done)
            spent = (time.monotonic() - began) / 60
            progress = max(done / steps if steps else 0.0, spent / minutes if minutes else 0.0)
            if on_progress:
                on_progress(done, min(progress, 1.0), losses[-1] if losses else math.nan)
        with ema.applied():
            averaged = {k: v.detach().clone() for k, v in network.state_dict().items()}
    network.load_state_dict(averaged)
    card = SegmenterCard(
        classes=classes,
        width=width,
        size=(photos.shape[1], photos.shape[2]),
        rotate=rotate,
        data=data,
        training={
            "pictures": len(photos),
            "steps": done,
            "batch": BATCH,
            "seconds": round(time.monotonic() - began, 1),
            "seed": seed,
            "rate": RATE,
            "loss": round(float(np.mean(losses[-50:])), 4) if losses else None,
            "precision": str(dtype or torch.float32).removeprefix("torch."),
        },
        versions={
            "unpaired": unpaired.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    )
    return TrainedSegmenter(network, card, device)


def class_weights(maps: NDArray[np.uint8], count: int) -> Tensor:
    """(K,): p^-BALANCE of each class's share p, so that the mean weight of a pixel is 1."""
    share = np.bincount(maps.ravel(), minlength=256)[:count].astype(np.float64)
    share /= share.sum()
    weight = np.where(share > 0, np.maximum(share, 1e-3) ** -BALANCE, 0.0)
    return torch.from_numpy(weight / (weight * share).sum()).float()


def one_cycle(progress: float) -> float:
    """The factor on the rate: up on a cosine, then down on a longer one, nearly to 0."""
    if progress < WARMUP:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / WARMUP))
    return 0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP)))


def _chosen(count: int, step: int, seed: int) -> NDArray[np.int64]:
    """The pictures of one step: all of them in turn, in an order that is new every time round."""
    places = np.arange(step * BATCH, (step + 1) * BATCH)
    orders = {
        turn: derived(seed, "segmenter order", turn).permutation(count)
        for turn in set((places // count).tolist())
    }
    return np.array([orders[place // count][place % count] for place in places.tolist()])


def _check(
    photos: Photos,
    maps: Maps,
    classes: Classes,
    steps: int | None,
    minutes: float | None,
    width: int,
) -> None:
    if photos.shape[:3] != maps.shape:
        raise ValueError(f"photos {photos.shape} and class maps {maps.shape} are no pairs")
    if len(photos) < 2:
        raise UserError(f"{len(photos)} labelled photos; a segmenter needs 2 or more")
    if not (maps < len(classes.names)).any():
        raise UserError(f"no pixel of the label images has a class of {classes.name}")
    if (steps is not None and steps < 1) or (minutes is not None and not minutes > 0):
        raise UserError("--steps must be 1 or more, and --minutes above 0")
    if width < 1:
        raise UserError(f"--width is {width}; give 1 or more, such as 32")
