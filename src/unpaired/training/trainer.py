"""One step of training, for any method: gradients of every player, then all players step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.methods import Method
from unpaired.methods.base import Batch
from unpaired.networks.whole_batch import Part, holding, see_whole_batch
from unpaired.training.config import TrainConfig
from unpaired.training.ema import EMA
from unpaired.training.exchange import Mean, take_from_main, whole_batch
from unpaired.training.guard import Guard
from unpaired.training.history import History
from unpaired.training.player import Player
from unpaired.training.precision import autocast, choose_precision, without_autocast
from unpaired.training.randomness import derived
from unpaired.training.schedule import Plateau, factor_at
from unpaired.training.sharding import Shards, is_asked_for, shard_of


class Step(NamedTuple):
    """What one step computed. The tensors stay on the device until somebody reads them."""

    losses: dict[str, Tensor]
    lr: float
    finite: Tensor
    """A boolean scalar; False: the step was thrown away."""


class Trainer:
    """A method with its players, history buffers, averaged weights, schedule and scaler.

    `step` changes them; `state.state_of` and `state.restore` carry all of them, and nothing else.
    A step never waits for the device: whether it is thrown away is decided there.
    """

    def __init__(self, method: Method, config: TrainConfig[Any], accelerator: Accelerator) -> None:
        self.config, self.accelerator = config, accelerator
        self.device = accelerator.device
        self.part = Part(accelerator.process_index, accelerator.num_processes)
        if self.part.parts > 1:
            see_whole_batch(method)
        # channels-last is what bf16 convolutions compute in; our norms keep it
        self.method = method.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.dtype = choose_precision(config.precision, self.device)
        if config.compile:  # in place, so that weights keep their names
            for network in method.networks(method.players[0]):
                network.compile(dynamic=False)
        saved = method.state_dict()  # a frozen net's buffers are not persistent, and don't change
        if self.part.parts > 1:  # in whatever way each process came to its weights
            take_from_main(saved.values())
        self.shards = Shards(method)
        if is_asked_for(accelerator):
            if self.dtype is torch.float16:
                raise UserError("--precision fp16 can't be scaled over shards; give bf16 or fp32")
            self.shards.make(method.networks(method.players[0]), accelerator)
        self.players = [Player(method, name, config.optimizer) for name in method.players]
        self.buffers = [b for name, b in method.named_buffers() if name in saved]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype is torch.float16)
        self.history = {name: History(config.history) for name in method.remembered}
        self.ema = EMA(method.translators(), config.ema) if config.ema else None
        self.plateau = Plateau()
        self.guard = Guard(config.patience, self.device)
        self.steps = 0

    def on_device(self, batch: Batch) -> Batch:
        """A batch as `step` wants it; returns before it is there."""
        if self.device.type == "cuda":  # a copy from other memory would wait for the step before
            batch = {name: images.pin_memory() for name, images in batch.items()}
        return {
            name: images.to(self.device, non_blocking=True).contiguous(
                memory_format=torch.channels_last
            )
            for name, images in batch.items()
        }

    def step(self, batches: list[Batch], progress: float) -> Step:
        """Take one step of every player on the mean gradient over `batches`.

        If any loss or gradient is not finite no player steps, and nothing but the counters changes.

        Args:
            batches: as many as `accumulate`, already on the device.
            progress: share of the run that is done, for the schedule.
        """
        factor = factor_at(self.config.schedule, progress, self.steps) * self.plateau.factor
        statistics = [b.clone() for b in self.buffers]
        gradients, losses = self._gradients(batches)
        finite = self._apply(gradients, losses, factor)
        self.steps += 1
        for buffer, before in zip(self.buffers, statistics):
            buffer.copy_(torch.where(finite, buffer, before))
        for history in self.history.values():
            history.settle(finite)
        if self.ema:
            self.ema.update(self.steps, finite)
        return Step(losses, self.players[0].rate * factor, finite)

    def _gradients(self, batches: list[Batch]) -> tuple[dict[str, list[Tensor]], dict[str, Tensor]]:
        """The mean gradients of each player (scaled, under fp16) and the mean of each loss.

        The means are over micro-batches and processes. A player's gradients travel while the next
        player computes its own. One context of autocast spans them all: no weight changes
        meanwhile, so each is cast once.
        """
        gradients: dict[str, list[Tensor]] = {}
        sums: dict[str, Tensor] = {}
        travelling: list[Mean] = []
        with holding(self.part), autocast(self.device, self.dtype):
            for k, batch in enumerate(batches):
                made = self.method.generate(batch)
                for place, player in enumerate(self.players):
                    if place == 1:  # the first needs the graph, the later ones must not have it
                        made = self._shown(made, k)
                    losses = self.method.losses(player.name, batch, made)
                    if not losses:
                        continue
                    terms = torch.stack(list(losses.values()))
                    with without_autocast(self.device, self.dtype):
                        own = self._own_gradients(player, terms.sum() / len(batches))
                    so_far = gradients.get(player.name)
                    gradients[player.name] = (
                        list(own) if so_far is None else [a + b for a, b in zip(so_far, own)]
                    )
                    for name, value in zip(losses, (terms.detach() / len(batches)).unbind()):
                        sums[name] = sums[name] + value if k else value
                    last = k == len(batches) - 1
                    if self.part.parts > 1 and last and not player.sharded:
                        travelling.append(Mean(gradients[player.name], self.part.parts))
        if self.part.parts > 1:  # the losses too, so that all judge alike
            travelling.append(Mean(list(sums.values()), self.part.parts))
        for mean in travelling:
            mean.arrive()
        return gradients, sums

    def _own_gradients(self, player: Player, loss: Tensor) -> Sequence[Tensor]:
        """The gradients of a player's parameters (its shards of them), and of nobody else's."""
        parameters = list(player.parameters.values())
        if player.sharded:
            return self.shards.gradients(loss, parameters)
        return torch.autograd.grad(
            self.scaler.scale(loss), parameters, allow_unused=True, materialize_grads=True
        )

    def _shown(self, made: dict[str, Tensor], micro: int) -> dict[str, Tensor]:
        """`made` as later players see it: without gradients, through the history buffers.

        Every process has the same buffers, which take the whole batch; it is shown its own part.
        """
        shown = {name: value.detach() for name, value in made.items()}
        for name, buffer in self.history.items():
            if buffer.capacity:
                rng = derived(self.config.seed, f"history {name}", self.steps, micro, 0)
                images = whole_batch(shown[name], self.accelerator)
                shown[name] = self.part.of(buffer.exchange(images, rng))
        return shown

    def _apply(
        self, gradients: dict[str, list[Tensor]], losses: dict[str, Tensor], factor: float
    ) -> Tensor:
        """Judge, clip, and step every player; False: none has stepped."""
        stepping = [player for player in self.players if player.name in gradients]
        for player in stepping:
            player.take(gradients[player.name])
            self.scaler.unscale_(player.optimizer)
        norms = [self._norm(player) for player in stepping]
        finite = self.guard.judge(self.steps + 1, losses, norms)
        skip = (~finite).float()
        for player, norm in zip(stepping, norms):
            player.step(factor, self.config.clip, norm, skip)
        self.scaler.update()
        return finite

    def _norm(self, player: Player) -> Tensor:
        """The norm of all gradients of a player, a scalar."""
        norm = player.norm()
        if not player.sharded:
            return norm
        squares: Tensor = self.accelerator.reduce(norm.square())
        return squares.sqrt()

    @contextlib.contextmanager
    def translating(self) -> Iterator[Method]:
        """The method with the weights that will be used, in evaluation mode, without gradients.

        All processes take part in entering; within, each may translate by itself, but with sharded
        weights the main one alone. Never compiled: sizes and batches are others than in training,
        each would be compiled anew.
        """
        with self.ema.applied() if self.ema else contextlib.nullcontext():
            method = self._whole_method() if self.shards.spread else self.method
            method.eval()
            with torch.no_grad(), torch.compiler.set_stance("force_eager"):
                yield method
        if method is self.method:
            method.train()
        else:
            method.cpu()

    def _whole_method(self) -> Method:
        """A method that one process can run, with the weights of all: the main one's."""
        weights = self.weights()
        if self.shards.twin is None:
            return self.method
        self.shards.twin.load_state_dict(weights)
        return cast(Method, self.shards.twin.to(self.device))

    def weights(self) -> dict[str, Tensor]:
        """The whole weights and buffers; all processes take part."""
        return {n: self.shards.whole(n, shard_of(v)) for n, v in self.method.state_dict().items()}

    def translating_parameters(self) -> list[nn.Parameter]:
        """What this process holds of the parameters of the networks that translate."""
        return list(self.players[0].held.values())
