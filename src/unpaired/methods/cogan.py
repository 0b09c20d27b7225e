"""CoGAN: two generators share a latent; to translate is to find the latent of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from unpaired.errors import UserError
from unpaired.losses import ADVERSARIAL
from unpaired.methods.base import Batch, Direction, Losses, Method
from unpaired.methods.discriminator import discriminator_losses
from unpaired.methods.settings import AdversarialName
from unpaired.networks.blocks import Norm, Upsample
from unpaired.networks.coupled import CoupledDiscriminators, CoupledGenerators, Domain
from unpaired.networks.init import Init
from unpaired.networks.whole_batch import uniform


@dataclass(frozen=True)
class CoGANLoss:
    """Two games of one form; they differ in nothing but their domain."""

    adversarial: AdversarialName = "lsgan"
    """Form of the adversarial loss."""


@dataclass(frozen=True)
class SearchConfig:
    """The search for the latent that renders an image; it runs when translating, not in training.

    Latents are drawn, always the same ones; L-BFGS starts from those that render most alike.
    """

    candidates: int = 64
    """Latents that are rendered and compared."""
    starts: int = 2
    """Candidates, the nearest, that a search starts from; the one that ends nearest is taken."""
    steps: int = 40
    """Renderings in each search."""

    def __post_init__(self) -> None:
        if self.starts < 1:
            raise UserError(f"--search.starts is {self.starts}; give 1 or more")
        if self.candidates < self.starts:
            raise UserError(
                f"--search.candidates is {self.candidates}, but {self.starts} of them are to be "
                "refined; give more, or fewer --search.starts"
            )
        if self.steps < 0:
            raise UserError(f"--search.steps is {self.steps}; give 0 or more")


@dataclass(frozen=True)
class CoGANConfig:
    """Settings of CoGAN; its networks follow the authors' code for faces, not CycleGAN."""

    latent: int = 100
    """Length of the latent vector."""
    filters: int = 32
    """Filters at full resolution, in generators and discriminators; doubled with every halving."""
    norm: Norm = "instance"
    """The paper's is "batch"; instance norm does at batch 1 and searches as it trained."""
    upsample: Upsample = "transposed"
    """"resize" leaves no checkerboards."""
    init: Init = "normal"
    init_gain: float = 0.02
    loss: CoGANLoss = field(default_factory=CoGANLoss)
    search: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        for name in ("latent", "filters"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name} is {getattr(self, name)}; give 1 or more")
        if not 0 < self.init_gain < float("inf"):
            raise UserError(f"--init-gain is {self.init_gain}; give a number above 0")


class CoGAN(Method):
    """Coupled generative adversarial networks (Liu and Tuzel 2016, https://arxiv.org/abs/1606.07536).

    Generators g_X, g_Y and discriminators f_X, f_Y play the sum of two games,
    E_x[log f_X(x)] + E_z[log(1 - f_X(g_X(z)))] + E_y[log f_Y(y)] + E_z[log(1 - f_Y(g_Y(z)))],
    under the constraint that the first layers of the generators and the last ones of the
    discriminators are equal. z is uniform in [-1, 1]^latent, as in the authors' code.
    """

    name = "cogan"
    title = "CoGAN"
    Config = CoGANConfig
    players = ("generators", "discriminators")
    directions = ("x2y", "y2x")
    remembered = ("fake_x", "fake_y")

    def __init__(
        self, settings: CoGANConfig, *, channels_x: int, channels_y: int, size: int
    ) -> None:
        """Build both pairs; they render and judge images of `size` alone.

        Raises: UserError if `size` is not a multiple of 16.
        """
        super().__init__(settings, channels_x=channels_x, channels_y=channels_y, size=size)
        if size < 16 or size % 16:
            raise UserError(f"--size is {size}, but cogan needs a multiple of 16")
        s = settings
        self.g = CoupledGenerators(
            s.latent,
            channels_x,
            channels_y,
            size,
            s.filters,
            s.norm,
            s.upsample,
            s.init,
            s.init_gain,
        )
        self.f = CoupledDiscriminators(
            channels_x, channels_y, size, s.filters, s.norm, s.init, s.init_gain
        )
        self.adversarial = ADVERSARIAL[s.loss.adversarial]
        self.latent, self.size, self.search = s.latent, size, s.search

    def networks(self, player: str) -> list[nn.Module]:
        return [self.g] if player == "generators" else [self.f]

    def generate(self, batch: Batch) -> dict[str, Tensor]:
        """One scene in both domains: fake_x = g_X(z), fake_y = g_Y(z)."""
        x = batch["x"]
        z = 2 * uniform(len(x), self.latent).to(x.device, non_blocking=True) - 1
        fake_x, fake_y = self.g(z)
        return {"fake_x": fake_x, "fake_y": fake_y}

    def losses(self, player: str, batch: Batch, made: dict[str, Tensor]) -> Losses:
        f_X, f_Y = self.f.of("x"), self.f.of("y")
        fake_x, fake_y = made["fake_x"], made["fake_y"]
        if player == "generators":
            return {
                "gan_x": self.adversarial.generator(f_X(fake_x)),
                "gan_y": self.adversarial.generator(f_Y(fake_y)),
            }
        return {
            **discriminator_losses(self.adversarial, "D_X", f_X, batch["x"], fake_x),
            **discriminator_losses(self.adversarial, "D_Y", f_Y, batch["y"], fake_y),
        }

    def translate(self, images: Tensor, direction: Direction) -> Tensor:
        """The latent that renders the image, found by a search, rendered in the other domain.

        Each image is searched for alone and from the same candidates, so its translation depends on
        nothing beside it; weights get no gradients, and torch's random state is not touched.

        Args: images: (N, C, size, size).
        Raises: UserError for images larger than the training size.
        """
        if images.shape[2:] != (self.size, self.size):
            raise UserError(
                f"cogan renders pictures of its training size only, and this one is larger than "
                f"{self.size} x {self.size}; scale or crop it first"
            )
        source: Domain = "x" if direction == "x2y" else "y"
        target: Domain = "y" if direction == "x2y" else "x"
        # the search needs gradients where its caller wants none, and rounding would mislead them
        with torch.inference_mode(False), torch.autocast(images.device.type, enabled=False):
            z = find_latents(
                lambda z: self.g.render(z, source), images.float().clone(), self.latent, self.search
            )
        return torch.cat([self.g.render(one, target) for one in torch.split(z, 1)])

    @property
    def multiple(self) -> int:
        return self.size


def find_latents(
    render: Callable[[Tensor], Tensor], images: Tensor, length: int, search: SearchConfig
) -> Tensor:
    """argmin over z of |render(z) - image|^2 for each image, by L-BFGS, as in the paper.

    Args:
        render: (k, length) -> (k, C, H, W).
        images: (N, C, H, W).
    Returns: (N, length).
    """
    rng = torch.Generator().manual_seed(0)
    candidates = 2 * torch.rand(search.candidates, length, generator=rng).to(images.device) - 1
    with torch.no_grad():  # few at a time, for the sake of memory
        distances = [
            torch.stack([squared_distance(rendered, image) for image in images])
            for rendered in map(render, torch.split(candidates, 8))
        ]
    nearest = torch.cat(distances, 1).topk(search.starts, largest=False).indices  # (N, starts)
    found = []
    for image, places in zip(images, nearest):
        ends = [refine(render, image, candidates[i : i + 1], search.steps) for i in places.tolist()]
        found.append(min(ends, key=lambda end: end[0])[1])
    return torch.cat(found)


def refine(
    render: Callable[[Tensor], Tensor], image: Tensor, start: Tensor, steps: int
) -> tuple[float, Tensor]:
    """L-BFGS from one latent (1, length): (the distance where it ends, the latent there)."""
    z = start.clone().requires_grad_(True)

    def distance() -> Tensor:
        with torch.enable_grad():
            loss = squared_distance(render(z), image).sum()
            (z.grad,) = torch.autograd.grad(loss, z)
        return loss.detach()

    search = torch.optim.LBFGS([z], max_iter=steps, max_eval=steps, line_search_fn="strong_wolfe")
    search.step(distance)  # type: ignore[no-untyped-call]
    return distance().item(), z.detach()


def squared_distance(rendered: Tensor, image: Tensor) -> Tensor:
    """Euclidean distances, squared: (k, C, H, W), (C, H, W) -> (k,)."""
    return (rendered.float() - image).square().sum((1, 2, 3))
