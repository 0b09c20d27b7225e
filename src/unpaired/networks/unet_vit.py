"""The generator of UVCGANv2: a UNet with a transformer at its bottom and a style in its decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as fn
from torch import Tensor, nn

from unpaired.networks.init import initialise


class UNetViT(nn.Module):
    """UNet, pixel-wise vision transformer, style modulation (Torbunov et al. 2023).

    The encoder halves the image `levels` times. Every pixel of its last map is a token of the
    transformer, beside one learned token that leaves it as the image's style. The decoder's
    convolutions are modulated by the style as in StyleGAN2 (Karras et al. 2020). Residual branches
    of the transformer and the style start switched off (ReZero), so training starts from a UNet.

    Args:
        filters: of the first level; doubled with every level.
        features, heads, blocks: of the transformer.

    Attributes:
        multiple: height and width must be multiples of it, 2^levels.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        filters: int = 48,
        levels: int = 4,
        features: int = 384,
        heads: int = 6,
        blocks: int = 12,
    ) -> None:
        super().__init__()
        widths = [filters * 2**level for level in range(levels)]
        outer = [filters, *widths[:-1]]  # channels that enter a level, and leave it again
        self.input = nn.Conv2d(in_channels, filters, 3, padding=1)
        self.encoder = nn.ModuleList(EncoderLevel(a, b) for a, b in zip(outer, widths))
        self.transformer = PixelTransformer(widths[-1], features, heads, blocks)
        self.decoder = nn.ModuleList(
            DecoderLevel(b, a, style=features) for a, b in reversed(list(zip(outer, widths)))
        )
        self.output = nn.Conv2d(filters, out_channels, 1)
        self.multiple = 2**levels
        # without norms N(0, 0.02) would let the picture die out on the way down, by 10^-6 in four
        # levels; the paper trains its generators to paint in masked pictures first
        initialise(self, "kaiming")
        with torch.no_grad():
            self.output.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) in [-1, 1] -> (N, out, H, W) in [-1, 1]."""
        x = fn.leaky_relu(self.input(x), 0.2)
        skips = []
        for level in self.encoder:
            x, skip = level(x)
            skips.append(skip)
        x, style = self.transformer(x)
        for level, skip in zip(self.decoder, reversed(skips)):
            x = level(x, skip, style)
        return torch.tanh(self.output(x))


class EncoderLevel(nn.Module):
    """Two 3x3 convolutions, whose result is the skip; then a 2x2 one of stride 2."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.halve = nn.Conv2d(channels_out, channels_out, 2, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in, H, W) -> (N, out, H/2, W/2) and the skip (N, out, H, W)."""
        skip = fn.leaky_relu(self.second(fn.leaky_relu(self.first(x), 0.2)), 0.2)
        return self.halve(skip), skip


class DecoderLevel(nn.Module):
    """Double, put the skip beside it, then two convolutions modulated by the style."""

    def __init__(self, channels_in: int, channels_out: int, style: int) -> None:
        super().__init__()
        self.grow = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(channels_in, channels_in, 3, padding=1),
        )
        self.first = ModulatedConv(2 * channels_in, channels_in, style)
        self.second = ModulatedConv(channels_in, channels_out, style)

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        """(N, in, H, W), (N, in, 2H, 2W), (N, style) -> (N, out, 2H, 2W)."""
        x = torch.cat([self.grow(x), skip], 1)
        x = fn.leaky_relu(self.first(x, style), 0.2)
        return fn.leaky_relu(self.second(x, style), 0.2)


class ModulatedConv(nn.Module):
    """A 3x3 convolution whose input channels a style scales, its output scaled back (StyleGAN2).

    y_o = sum_i s_i w_oi * x_i / sqrt(sum_ik (s_i w_oik)^2) + b_o, with s = 1 + alpha A(style) and
    alpha = 0 at first.
    """

    def __init__(self, channels_in: int, channels_out: int, style: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.affine = nn.Linear(style, channels_in)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, in, H, W), (N, style) -> (N, out, H, W)."""
        s = 1 + self.alpha * self.affine(style).float()  # (N, in)
        squares = self.conv.weight.square().sum((2, 3))  # (out, in)
        length = (s.square()[:, None] * squares).sum(2).add(1e-6).sqrt()  # (N, out)
        y = self.conv(x * s[:, :, None, None].to(x.dtype))
        return y / length[:, :, None, None].to(y.dtype) + self.bias[:, None, None].to(y.dtype)


class PixelTransformer(nn.Module):
    """A vision transformer whose tokens are the pixels of a map, and one more: the style.

    Places are told by sin(A (row, column)), both from -1 to 1 over the image whatever its size
    (Anokhin et al. 2020).
    """

    def __init__(self, channels: int, features: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.place = nn.Linear(2, features)
        self.enter = nn.Linear(features + channels, features)
        self.style = nn.Parameter(torch.randn(1, 1, features))
        self.blocks = nn.ModuleList(TransformerBlock(features, heads) for _ in range(blocks))
        self.leave = nn.Linear(features, channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> (N, C, H, W) and the style (N, features)."""
        count, _, height, width = x.shape
        places = self.places(height, width, x.device)
        where = torch.sin(self.place(places)).expand(count, -1, -1)
        pixels = x.flatten(2).transpose(1, 2)
        tokens = self.enter(torch.cat([where.to(x.dtype), pixels], 2))
        tokens = torch.cat([tokens, self.style.expand(count, -1, -1).to(tokens.dtype)], 1)
        for block in self.blocks:
            tokens = block(tokens)
        pixels = self.leave(tokens[:, :-1]).transpose(1, 2)
        return pixels.unflatten(2, (height, width)), tokens[:, -1]

    def places(self, height: int, width: int, device: torch.device) -> Tensor:
        """(row, column) of every pixel, (H * W, 2), both from -1 to 1."""
        rows, columns = (torch.linspace(-1, 1, side, device=device) for side in (height, width))
        return torch.cartesian_prod(rows, columns)


class TransformerBlock(nn.Module):
    """x + alpha attention(norm(x)), then x + alpha mlp(norm(x)); alpha starts at 0 (ReZero)."""

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(features), nn.LayerNorm(features)
        self.query_key_value = nn.Linear(features, 3 * features)
        self.join = nn.Linear(features, features)
        self.mlp = nn.Sequential(
            nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, features)
        )
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, tokens, features) -> the same."""
        x = x + self.alpha.to(x.dtype) * self._attention(self.norm_attention(x))
        return x + self.alpha.to(x.dtype) * self.mlp(self.norm_mlp(x))

    def _attention(self, x: Tensor) -> Tensor:
        parts = self.query_key_value(x).unflatten(2, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (N, heads, tokens, features/heads)
        mixed = fn.scaled_dot_product_attention(query, key, value)
        return self.join(mixed.transpose(1, 2).flatten(2))
