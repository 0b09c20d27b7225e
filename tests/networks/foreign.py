"""The authors' generators written down once more, in torch's own layers, from their papers and the
places of their layers: nothing here is shared with what is tested."""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
NORMS: dict[str, Norm] = {
    "instance": nn.InstanceNorm2d,
    "affine": lambda c: nn.InstanceNorm2d(c, affine=True),
    "batch": nn.BatchNorm2d,
    "none": lambda c: nn.Identity(),
}


class Holder(nn.Module):
    """A network under the name "model"."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Residual(nn.Module):
    def __init__(self, c: int, norm: Norm, dropout: bool, bias: bool) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=bias), norm(c), nn.ReLU()]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3, bias=bias), norm(c)]
        drop = [nn.Dropout(0.5)] if dropout else []
        self.conv_block = nn.Sequential(*first, *drop, *second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def kernel(taps: list[float], channels: int) -> Tensor:
    a = torch.tensor(taps)
    square = a[:, None] * a[None, :]
    return (square / square.sum()).repeat(channels, 1, 1, 1)


class Down(nn.Module):
    """CUT's halving after a convolution of stride 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", kernel([1.0, 2.0, 1.0], channels))

    def forward(self, x: Tensor) -> Tensor:
        return fn.conv2d(fn.pad(x, (1, 1, 1, 1), "reflect"), self.filt, stride=2, groups=x.shape[1])


class Up(nn.Module):
    """CUT's doubling before a convolution of stride 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", 4 * kernel([1.0, 3.0, 3.0, 1.0], channels))

    def forward(self, x: Tensor) -> Tensor:
        x = fn.pad(x, (1, 1, 1, 1), "replicate")
        x = fn.conv_transpose2d(x, self.filt, stride=2, padding=2, groups=x.shape[1])
        return x[:, :, 1:-1, 1:-1]


def resnet(
    norm: str = "instance",
    k: int = 4,
    blocks: int = 2,
    ends: tuple[int, int] = (3, 3),
    dropout: bool = False,
    bias: bool | None = None,
    down: bool = False,
    up: bool = False,
) -> nn.Module:
    """ResNet; `down`, `up`: CUT's filters against aliasing."""
    n = NORMS[norm]
    b = norm in ("instance", "affine") if bias is None else bias
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(ends[0], k, 7, bias=b), n(k), nn.ReLU()]
    for c in (k, 2 * k):
        stride = 1 if down else 2
        layers += [nn.Conv2d(c, 2 * c, 3, stride, 1, bias=b), n(2 * c), nn.ReLU()]
        layers += [Down(2 * c)] if down else []
    layers += [Residual(4 * k, n, dropout, b) for _ in range(blocks)]
    for c in (4 * k, 2 * k):
        if up:
            layers += [Up(c), nn.Conv2d(c, c // 2, 3, padding=1, bias=b)]
        else:
            layers += [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, 1, bias=b)]
        layers += [n(c // 2), nn.ReLU()]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(k, ends[1], 7), nn.Tanh()]
    return alive(Holder(nn.Sequential(*layers)))


class Skip(nn.Module):
    """A level of a U-Net beside its input."""

    def __init__(self, model: nn.Sequential) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.model(x)], 1)


def unet(
    norm: str = "batch",
    k: int = 2,
    depth: int = 5,
    ends: tuple[int, int] = (3, 3),
    dropout: bool = False,
    bias: bool | None = None,
) -> nn.Module:
    """U-Net of at least 5 levels."""
    n = NORMS[norm]
    b = norm in ("instance", "affine") if bias is None else bias
    widths = [k, 2 * k, 4 * k, *[8 * k] * (depth - 3)]
    inner: nn.Module | None = None
    for outer, c in reversed(list(pairwise(widths))):
        layers = [nn.LeakyReLU(0.2), nn.Conv2d(outer, c, 4, 2, 1, bias=b)]
        layers += [n(c), inner] if inner else []
        joined = 2 * c if inner else c
        layers += [nn.ReLU(), nn.ConvTranspose2d(joined, outer, 4, 2, 1, bias=b), n(outer)]
        layers += [nn.Dropout(0.5)] if dropout and inner and outer == 8 * k else []
        inner = Skip(nn.Sequential(*layers))
    down = nn.Conv2d(ends[0], k, 4, 2, 1, bias=b)
    up = nn.ConvTranspose2d(2 * k, ends[1], 4, 2, 1)
    outermost = nn.Sequential(down, inner, nn.ReLU(), up, nn.Tanh())
    return alive(Holder(Holder(outermost)))


@torch.no_grad()
def alive(network: nn.Module) -> nn.Module:
    """Weights as if trained: outputs are no flat grey, norms and their statistics do something."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.weight.mul_(2)
        elif getattr(module, "weight", None) is not None:
            module.weight.add_(0.3 * torch.randn_like(module.weight))
            module.bias.add_(0.3 * torch.randn_like(module.bias))
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.3, 2)
    return network.eval()


def aged(network: nn.Module) -> dict[str, Tensor]:
    """The state dict as torch wrote it before 2018: instance norms had running statistics."""
    state = dict(network.state_dict())
    for name, module in network.named_modules():
        if isinstance(module, nn.InstanceNorm2d):
            state[f"{name}.running_mean"] = 100 * torch.randn(module.num_features)
            state[f"{name}.running_var"] = 100 * torch.rand(module.num_features)
    return state
