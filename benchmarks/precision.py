"""Does training in bfloat16 lead where float32 leads? `python -m benchmarks.precision --out DIR`

Trains a CycleGAN at 64 pixels once per seed and precision: by `--preset quick`, which has learnt
something within minutes, or with `--norms` as the paper does (instance norms, history, batch 1, a
falling rate; but averaged weights and enlarging by resizing), which takes longer. A seed fixes
weights, order and augmentation, so that its two runs differ in rounding alone. Judges every
run by its test pictures, whose true pairs training never saw, and prints the paired differences
over seeds. Beside them: how far one step's gradients point apart.

What is trained or judged already in DIR is not done again.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from unpaired.data.order import spread
from unpaired.evaluation.estimates import Estimate, student_estimate
from unpaired.evaluation.instruments import instruments
from unpaired.evaluation.valid_json import json_text
from unpaired.methods import METHODS, Method
from unpaired.methods.base import Batch
from unpaired.methods.cyclegan import CycleGANConfig
from unpaired.networks import DiscriminatorConfig, GeneratorConfig
from unpaired.reproduction.training import Training, judge_missing, train_missing
from unpaired.training.checkpoint import load_method
from unpaired.training.config import TrainConfig, to_dict
from unpaired.training.finding import find_checkpoint
from unpaired.training.precision import autocast
from unpaired.training.presets import apply_preset
from unpaired.training.randomness import seed_everything
from unpaired.training.shares import Shares, data_of

PRECISIONS = ("fp32", "bf16")
MARGINS = {"kid": 0.01, "l1": 2.0}
"""Differences that would not matter, set before the first run: of KID, and of 255 grey levels."""
TITLES = {"kid": ("KID-EffNetLite0", 3), "l1": ("mean error, of 255", 1)}
PICTURES = 16  # whose gradients are compared


def config(precision: Any, seed: int, steps: int, norms: bool) -> TrainConfig[CycleGANConfig]:
    """The training that is tried."""
    settings = CycleGANConfig(
        filters=32,
        blocks=6,
        generator=GeneratorConfig(upsample="resize"),
        discriminator=DiscriminatorConfig(filters=32),
    )
    own = TrainConfig(
        settings,
        data="worldtiles:map-aerial",
        size=64,
        steps=steps,
        seed=seed,
        precision=precision,
        device="cpu",
        ema=0.999,
    )
    return own if norms else apply_preset(own, "quick")


# -- gradients -----------------------------------------------------------------------------------


def gradients(method: Method, batch: Batch, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """By player: its whole gradient for one batch, flat, as the trainer takes it."""
    found = {}
    with autocast(torch.device("cpu"), dtype):
        made = method.generate(batch)
        for player in method.players:
            losses = method.losses(player, batch, made)
            made = {name: value.detach() for name, value in made.items()}
            parameters = (p for network in method.networks(player) for p in network.parameters())
            own = [p for p in parameters if p.requires_grad]
            parts = torch.autograd.grad(torch.stack(list(losses.values())).sum(), own)
            found[player] = torch.cat([part.flatten() for part in parts])
    return found


def cosine(a: Tensor, b: Tensor) -> float:
    """Of the angle between two flat gradients, taken in float64."""
    return float(torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=0))


def agreement(method: Method, batches: list[Batch]) -> dict[str, dict[str, float]]:
    """By player: how alike gradients of one batch are in the two precisions (the median, and that
    of their mean over all batches), and those of neighbouring batches in float32."""
    method.train().requires_grad_(True)
    exact = [gradients(method, batch, None) for batch in batches]
    rounded = [gradients(method, batch, torch.bfloat16) for batch in batches]
    found = {}
    for player in method.players:
        full, half = ([one[player] for one in own] for own in (exact, rounded))
        found[player] = {
            "same batch": statistics.median(cosine(a, b) for a, b in zip(full, half)),
            "mean over batches": cosine(torch.stack(full).mean(0), torch.stack(half).mean(0)),
            "other batch": statistics.median(cosine(a, b) for a, b in itertools.pairwise(full)),
        }
    return found


def gradient_table(trained: Training) -> dict[str, Any]:
    """The agreement at a run's first weights and at its last."""
    own = trained.config
    shares = Shares(data_of(own, 3, 3), own, Accelerator(cpu=True), print, paired=False).train
    places = {"x": spread(len(shares.x), PICTURES), "y": spread(len(shares.y), PICTURES)}
    pictures = {name: shares.fixed(name, at) for name, at in places.items()}  # type: ignore[arg-type]
    batches = [{k: p[i : i + 1] for k, p in pictures.items()} for i in range(PICTURES)]
    seed_everything(own.seed)
    first = METHODS[own.method](own.settings, channels_x=3, channels_y=3, size=own.size)
    last, _ = load_method(find_checkpoint(trained.folder))
    return {"first step": agreement(first, batches), "last step": agreement(last, batches)}


# -- runs ----------------------------------------------------------------------------------------


def differences(found: dict[str, Any], seeds: range) -> dict[str, Any]:
    """By direction and metric: both figures of every seed, and bf16 - fp32 over the seeds."""
    table: dict[str, Any] = {}
    for way in ("x2y", "y2x"):
        for key in MARGINS:
            figures = {
                precision: [
                    found[name(precision, seed)]["directions"][way]["scores"]["run"][key]
                    for seed in seeds
                ]
                for precision in PRECISIONS
            }
            values = [[one["value"] for one in figures[p]] for p in PRECISIONS]
            table[f"{way} {key}"] = {
                **figures,
                "means": [asdict(student_estimate(own)) for own in values],
                "difference": asdict(student_estimate([b - a for a, b in zip(*values)])),
                "margin": MARGINS[key],
            }
    return table


def verdict(difference: Estimate, margin: float) -> str:
    """What the interval of a difference can tell."""
    apart = difference.low > 0 or difference.high < 0
    if -margin <= difference.low and difference.high <= margin:
        return f"the same within {margin:g}" + (", though not exactly" if apart else "")
    if apart:
        return f"bf16 is {'worse' if difference.value > 0 else 'better'}"
    return (
        f"no difference seen; one of {max(-difference.low, difference.high):.2g} can't be ruled out"
    )


def name(precision: str, seed: int) -> str:
    """Of the run's folder."""
    return f"{precision}-seed{seed}"


def print_table(table: dict[str, Any], seeds: range) -> None:
    """For people."""
    for row, cells in table.items():
        way, key = row.split()
        title, digits = TITLES[key]
        print(f"\n{way}, {title}: 95% intervals over the test pictures, over seeds below the line")

        def shown(estimate: dict[str, float], digits: int = digits) -> str:
            value, low, high = (f"{estimate[k]:.{digits}f}" for k in ("value", "low", "high"))
            return f"{value} ({low} to {high})"

        for i, seed in enumerate(seeds):
            a, b = (cells[precision][i] for precision in PRECISIONS)
            print(
                f"  seed {seed}  fp32 {shown(a):26} bf16 {shown(b):26} "
                f"{b['value'] - a['value']:+.{digits}f}"
            )
        a, b = cells["means"]
        print(f"  mean    fp32 {shown(a):26} bf16 {shown(b):26}")
        difference = Estimate(**cells["difference"])
        print(
            f"  bf16 - fp32: {shown(cells['difference'])}: {verdict(difference, cells['margin'])}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=4, help="at least 2")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--norms", action="store_true", help="train nearly as the paper does")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    given = parser.parse_args()
    seeds = range(given.seeds)
    trainings = [
        Training(
            precision,
            config(precision, seed, given.steps, given.norms),
            given.out / name(precision, seed),
        )
        for seed in seeds
        for precision in PRECISIONS
    ]
    measures = instruments()
    found: dict[str, Any] = {}
    for pair in zip(*[iter(trainings)] * len(PRECISIONS)):  # a seed's numbers before the next seed
        if failed := train_missing(pair, print, quiet=True):
            raise SystemExit("\n".join(failed.values()))
        found |= judge_missing(pair, measures, print)
    table = differences(found, seeds)
    print_table(table, seeds)
    angles = gradient_table(trainings[0])
    for moment, players in angles.items():
        for player, cosines in players.items():
            shown = ", ".join(f"{what} {value:.3f}" for what, value in cosines.items())
            print(f"cosine of gradients, {moment}, {player}: {shown}")
    if given.json:
        setting = to_dict(trainings[0].config) | {"precision": list(PRECISIONS)}
        told = {"setting": setting, "seeds": list(seeds), "scores": table, "cosines": angles}
        given.json.write_text(json_text(told), encoding="utf-8")


if __name__ == "__main__":
    main()
