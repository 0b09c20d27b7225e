"""The peer of every benchmark: a CycleGAN step in the style of the field's code of 2017.

One network call per image set, float32, contiguous (NCHW) memory, `nn.InstanceNorm2d`, Adam without
fused or batched kernels. Written from the paper's equations, without our losses or methods, so that
it can also check them: see tests/methods/test_cyclegan.py.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from unpaired.networks.blocks import InstanceNorm


class TorchInstanceNorm(nn.Module):
    """Torch's own instance norm, for any number of channels."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.instance_norm(x)


def with_torch_norms(network: nn.Module) -> nn.Module:
    """A copy of the network, same weights, contiguous, whose instance norms are torch's own.

    All its parameters are trained, as in the field's code.
    """
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm) and child.weight is None:
                setattr(module, name, TorchInstanceNorm())
    return network.to(memory_format=torch.contiguous_format).requires_grad_(True)


def squared(scores: Tensor, target: float) -> Tensor:
    """The least-squares GAN loss against a constant target."""
    return nn.functional.mse_loss(scores, torch.full_like(scores, target))


class NaiveCycleGAN:
    """G, F, D_X, D_Y and one step, with every network called on every image set by itself."""

    def __init__(
        self,
        G: nn.Module,
        F: nn.Module,
        D_X: nn.Module,
        D_Y: nn.Module,
        *,
        cycle: float = 10.0,
        identity: float = 5.0,
        lr: float = 2e-4,
    ) -> None:
        self.G, self.F, self.D_X, self.D_Y = (with_torch_norms(n) for n in (G, F, D_X, D_Y))
        self.cycle, self.identity = cycle, identity
        self.generators = [*self.G.parameters(), *self.F.parameters()]
        self.discriminators = [*self.D_X.parameters(), *self.D_Y.parameters()]
        options = {"lr": lr, "betas": (0.5, 0.999), "foreach": False, "fused": False}
        self.adam_generators = torch.optim.Adam(self.generators, **options)
        self.adam_discriminators = torch.optim.Adam(self.discriminators, **options)

    def generator_losses(self, x: Tensor, y: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """Eq. 3 and the identity term; also returns G(x) and F(y)."""
        l1 = nn.functional.l1_loss
        fake_y = self.G(x)
        rec_x = self.F(fake_y)
        fake_x = self.F(y)
        rec_y = self.G(fake_x)
        losses = {
            "gan_G": squared(self.D_Y(fake_y), 1.0),
            "gan_F": squared(self.D_X(fake_x), 1.0),
            "cycle_x": self.cycle * l1(rec_x, x),
            "cycle_y": self.cycle * l1(rec_y, y),
        }
        if self.identity:
            losses["identity_x"] = self.identity * l1(self.F(x), x)
            losses["identity_y"] = self.identity * l1(self.G(y), y)
        return losses, fake_y, fake_x

    def discriminator_losses(
        self, x: Tensor, y: Tensor, fake_y: Tensor, fake_x: Tensor
    ) -> dict[str, Tensor]:
        """Real to 1, generated to 0, halved."""
        return {
            "D_X": (squared(self.D_X(x), 1.0) + squared(self.D_X(fake_x), 0.0)) * 0.5,
            "D_Y": (squared(self.D_Y(y), 1.0) + squared(self.D_Y(fake_y), 0.0)) * 0.5,
        }

    def step(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Generators first, then discriminators, as in the authors' code."""
        for p in self.discriminators:
            p.requires_grad_(False)
        self.adam_generators.zero_grad()
        losses, fake_y, fake_x = self.generator_losses(x, y)
        sum(losses.values()).backward()
        self.adam_generators.step()
        for p in self.discriminators:
            p.requires_grad_(True)
        self.adam_discriminators.zero_grad()
        critics = self.discriminator_losses(x, y, fake_y.detach(), fake_x.detach())
        sum(critics.values()).backward()
        self.adam_discriminators.step()
        return {**losses, **critics}


def losses_and_gradients(
    method: nn.Module, batch: dict[str, Tensor], *, cycle: float, identity: float
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The naive step's losses and gradients at the weights of `method` (attributes G, F, D_X, D_Y).

    Returns: losses by name; gradients by the parameter's name on `method`.
    """
    naive = NaiveCycleGAN(
        method.G, method.F, method.D_X, method.D_Y, cycle=cycle, identity=identity
    )
    x, y = batch["x"], batch["y"]
    losses, fake_y, fake_x = naive.generator_losses(x, y)
    of_generators = torch.autograd.grad(sum(losses.values()), naive.generators, retain_graph=True)
    critics = naive.discriminator_losses(x, y, fake_y.detach(), fake_x.detach())
    of_discriminators = torch.autograd.grad(sum(critics.values()), naive.discriminators)
    names = [
        f"{network}.{name}"
        for network in ("G", "F", "D_X", "D_Y")
        for name, _ in getattr(method, network).named_parameters()
    ]
    return {**losses, **critics}, dict(zip(names, (*of_generators, *of_discriminators)))
