"""One step of training, for any method: gradients of every player, then all players step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Adam

from unpaired.errors import UserError
from unpaired.methods import Method
from unpaired.methods.base import Batch
from unpaired.training.checkpoint import State
from unpaired.training.config import TrainConfig
from unpaired.training.ema import EMA
from unpaired.training.history import History
from unpaired.training.precision import autocast, choose_precision
from unpaired.training.randomness import derived, random_state, restore_random_state
from unpaired.training.schedule import Plateau, factor_at
from unpaired.training.validation import Translate

ADAM_STATE = ("step", "exp_avg", "exp_avg_sq")


class Step(NamedTuple):
    """What one step computed. `losses` stay on the device until somebody reads them."""

    losses: dict[str, Tensor]
    lr: float
    finite: bool


class Trainer:
    """A method with its optimizers, history buffers, averaged weights, schedule and scaler.

    `step` changes them; `state` and `restore` carry all of them, and nothing else.
    """

    def __init__(self, method: Method, config: TrainConfig[Any], accelerator: Accelerator) -> None:
        self.config, self.accelerator = config, accelerator
        self.device = accelerator.device
        # channels-last is what bf16 convolutions compute in; our norms keep it
        self.method = method.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.dtype = choose_precision(config.precision, self.device)
        self.parameters: dict[str, dict[str, nn.Parameter]] = {
            player: _parameters(method, player) for player in method.players
        }
        saved = method.state_dict()  # a frozen net's buffers are not persistent, and don't change
        self.buffers = {name: b for name, b in method.named_buffers() if name in saved}
        first = method.players[0]
        rates = config.optimizer
        self.rates = {
            player: rates.lr if player == first else rates.lr_discriminators or rates.lr
            for player in method.players
        }
        self.optimizers = {
            player: Adam(
                self.parameters[player].values(),
                lr=self.rates[player],
                betas=(rates.beta1, rates.beta2),
                fused=self.device.type in ("cpu", "cuda"),
            )
            for player in method.players
        }
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)
        self.history = {name: History(config.history) for name in method.remembered}
        translators = method.networks(first)
        named = {n: m for n, m in method.named_children() if any(m is t for t in translators)}
        self.ema = EMA(named, config.ema) if config.ema else None
        self.plateau = Plateau()
        self.steps = 0
        self.skipped = 0  # steps thrown away because something was not finite
        self.skipped_in_a_row = 0

    def on_device(self, batch: Batch) -> Batch:
        """A batch as `step` wants it."""
        return {
            name: images.to(self.device, non_blocking=True, memory_format=torch.channels_last)
            for name, images in batch.items()
        }

    def step(self, batches: list[Batch], progress: float) -> Step:
        """Take one step of every player on the mean gradient over `batches`.

        If any loss or gradient is not finite no player steps, and nothing but the counters changes.

        Args:
            batches: as many as `accumulate`, already on the device.
            progress: share of the run that is done, for the schedule.
        """
        statistics = {name: b.clone() for name, b in self.buffers.items()}
        gradients, losses = self._gradients(batches)
        factor = factor_at(self.config.schedule, progress, self.steps) * self.plateau.factor
        for player, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.rates[player] * factor
        finite = self._apply(gradients, losses)
        self.steps += 1
        if finite:
            self.skipped_in_a_row = 0
            for buffer in self.history.values():
                buffer.commit()
            if self.ema:
                self.ema.update(self.steps)
        else:
            self.skipped += 1
            self.skipped_in_a_row += 1
            for buffer in self.history.values():
                buffer.forget()
            for name, before in statistics.items():
                self.buffers[name].copy_(before)
        return Step(losses, self.rates[self.method.players[0]] * factor, finite)

    def _gradients(self, batches: list[Batch]) -> tuple[dict[str, list[Tensor]], dict[str, Tensor]]:
        """The mean gradients of each player (scaled, under fp16) and the mean of each loss."""
        gradients: dict[str, list[Tensor]] = {}
        sums: dict[str, Tensor] = {}
        for k, batch in enumerate(batches):
            with autocast(self.device, self.dtype):
                made = self.method.generate(batch)
            for place, (player, parameters) in enumerate(self.parameters.items()):
                if place == 1:  # the first player needs the graph, the later ones must not have it
                    made = self._shown(made, k)
                with autocast(self.device, self.dtype):
                    losses = self.method.losses(player, batch, made)
                if not losses:
                    continue
                total = torch.stack(list(losses.values())).sum() / len(batches)
                own = torch.autograd.grad(
                    self.scaler.scale(total),
                    list(parameters.values()),
                    allow_unused=True,
                    materialize_grads=True,
                )
                so_far = gradients.get(player)
                gradients[player] = (
                    list(own) if so_far is None else [a + b for a, b in zip(so_far, own)]
                )
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0) + value.detach() / len(batches)
        return gradients, sums

    def _shown(self, made: dict[str, Tensor], micro: int) -> dict[str, Tensor]:
        """`made` as later players see it: without gradients, through the history buffers."""
        shown = {name: value.detach() for name, value in made.items()}
        for name, buffer in self.history.items():
            rng = derived(
                self.config.seed,
                f"history {name}",
                self.steps,
                micro,
                self.accelerator.process_index,
            )
            shown[name] = buffer.exchange(shown[name], rng)
        return shown

    def _apply(self, gradients: dict[str, list[Tensor]], losses: dict[str, Tensor]) -> bool:
        """Average over processes, check, clip, and step every player; False if none stepped."""
        if self.accelerator.num_processes > 1:
            for own in gradients.values():
                flat = self.accelerator.reduce(torch.cat([g.flatten() for g in own]), "mean")
                for g, mean in zip(own, flat.split([g.numel() for g in own])):
                    g.copy_(mean.view_as(g))
        for player, own in gradients.items():
            for parameter, gradient in zip(self.parameters[player].values(), own):
                parameter.grad = _laid_out_as(parameter, gradient)
            self.scaler.unscale_(self.optimizers[player])
        norms = [torch.nn.utils.get_total_norm(own) for own in gradients.values()]
        finite = bool(torch.stack([*norms, *losses.values()]).isfinite().all())
        if finite:
            for player, norm in zip(gradients, norms):
                if self.config.clip:
                    torch.nn.utils.clip_grads_with_norm_(
                        self.parameters[player].values(), self.config.clip, norm
                    )
                self.scaler.step(self.optimizers[player])
        self.scaler.update()
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)
        return finite

    @contextlib.contextmanager
    def translating(self) -> Iterator[Translate]:
        """`translate` with the weights that will be used, in evaluation mode, on any device."""
        with self.ema.applied() if self.ema else contextlib.nullcontext():
            self.method.eval()
            with torch.no_grad():
                yield lambda images, way: self.method.translate(images.to(self.device), way)
        self.method.train()

    def translating_parameters(self) -> list[nn.Parameter]:
        """The parameters of the networks that translate."""
        return list(self.parameters[self.method.players[0]].values())

    def state(self) -> State:
        """Everything that the next step depends on, as tensors and plain values."""
        random_tensors, random_values = random_state()
        optimizers = {}
        for player, optimizer in self.optimizers.items():
            for name, parameter in self.parameters[player].items():
                for key, value in optimizer.state.get(parameter, {}).items():
                    optimizers[f"{player}/{name}/{key}"] = value
        tensors = {
            "weights": {k: v.detach() for k, v in self.method.state_dict().items()},
            "ema": self.ema.average if self.ema else {},
            "optimizers": optimizers,
            "history": {name: buffer.state() for name, buffer in self.history.items()},
            "random": random_tensors,
        }
        values = {
            "steps": self.steps,
            "stepped": [p for p, optimizer in self.optimizers.items() if optimizer.state],
            "skipped": self.skipped,
            "skipped_in_a_row": self.skipped_in_a_row,
            "plateau": {
                "best": self.plateau.best if math.isfinite(self.plateau.best) else None,
                "waited": self.plateau.waited,
                "factor": self.plateau.factor,
            },
            "scaler": self.scaler.state_dict(),
            "random": random_values,
        }
        return State(tensors, values)

    def restore(self, state: State) -> None:
        """Take up a saved state.

        Raises: UserError that names the first field that is missing or does not fit.
        """
        tensors, values = state.tensors, state.values
        try:
            self.method.load_state_dict(tensors["weights"], strict=True)
            if self.ema:
                self.ema.restore(tensors["ema"])
            for player, optimizer in self.optimizers.items():
                stepped = player in values["stepped"]
                own = self.parameters[player].items() if stepped else ()
                saved = {
                    i: {
                        key: _laid_out_as(p, tensors["optimizers"][f"{player}/{name}/{key}"])
                        for key in ADAM_STATE
                    }
                    for i, (name, p) in enumerate(own)
                }
                optimizer.load_state_dict({**optimizer.state_dict(), "state": saved})
            for name, buffer in self.history.items():
                buffer.restore(tensors["history"][name].to(self.device))
            plateau = values["plateau"]
            self.plateau = Plateau(
                best=math.inf if plateau["best"] is None else plateau["best"],
                waited=plateau["waited"],
                factor=plateau["factor"],
            )
            scaler = values["scaler"]
            if scaler or not self.scaler.is_enabled():
                self.scaler.load_state_dict(scaler)
            self.steps = values["steps"]
            self.skipped = values["skipped"]
            self.skipped_in_a_row = values["skipped_in_a_row"]
            restore_random_state(tensors["random"], values["random"])
        except KeyError as error:
            raise UserError(f"the checkpoint lacks {error}; it can't continue the run") from None
        except (RuntimeError, ValueError, TypeError) as error:
            detail = " ".join(str(error).split())[:300]
            raise UserError(f"the checkpoint does not fit this run: {detail}") from None


def _parameters(method: Method, player: str) -> dict[str, nn.Parameter]:
    """The player's parameters by their name on the method, each once (tied ones too)."""
    own = {id(p) for network in method.networks(player) for p in network.parameters()}
    return {n: p for n, p in method.named_parameters() if id(p) in own and p.requires_grad}


def _laid_out_as(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` in the parameter's memory layout: fused Adam pairs elements by place in memory."""
    if value.shape != parameter.shape or value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter).copy_(value)
