"""Winograd's minimal filtering (Lavin and Gray 2016): 3x3 convolutions with fewer multiplications.

A tile of 4 x 4 outputs takes 36 multiplications instead of 144:
Y = A^T [(G g G^T) * (B^T d B)] A for a filter g and a tile d of 6 x 6 inputs. Summed over channels,
the products are one matrix multiplication for each of the 36 places, and so are the gradients'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

OUT, IN = 4, 6
"""Sides of a tile of outputs and of the inputs it depends on."""
POINTS = (0.0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)
"""Where the polynomials behind B, G and A are evaluated, beside infinity. With these the result
is off by 3e-6 of its largest value (256 channels), where torch's is by 2e-6, in float32 both; with
the usual 0, 1, -1, 2, -2 it is by 1.5e-5."""
PIECE = 256
"""Tiles that are worked on at once, so that what they are transformed to stays in a cache."""


def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """B^T (36, 36), G (36, 9) and A^T (16, 36), of Toom and Cook, for rows and columns at once."""
    B, G, A = (torch.zeros(rows, IN, dtype=torch.float64) for rows in (IN, 3, OUT))
    for place, point in enumerate(POINTS):
        others = [p for p in POINTS if p != point]
        scale = math.prod(point - p for p in others)
        B[: IN - 1, place] = _coefficients(others)
        G[:, place] = torch.tensor([point**k / scale for k in range(3)])
        A[:, place] = torch.tensor([point**k for k in range(OUT)])
    B[:, -1] = _coefficients(POINTS)
    G[-1, -1] = A[-1, -1] = 1
    B, G = B.T, G.T
    return torch.kron(B, B).float(), torch.kron(G, G).float(), torch.kron(A, A).float()


def _coefficients(roots: tuple[float, ...] | list[float]) -> Tensor:
    """Of the product of (x - root), the constant first."""
    found = torch.ones(1, dtype=torch.float64)
    for root in roots:
        found = torch.cat([found.new_zeros(1), found]) - root * torch.cat(
            [found, found.new_zeros(1)]
        )
    return found


B, G, A = _matrices()


def fits(x: Tensor, weight: Tensor) -> bool:
    """Whether `Winograd` computes a convolution without padding, and faster than the direct way."""
    wide = min(weight.shape[:2]) >= 128
    height, width = x.shape[2] - 2, x.shape[3] - 2
    return wide and height % OUT == 0 and width % OUT == 0 and height * width >= 1024


class Winograd(torch.autograd.Function):
    """The 3x3 convolution of stride 1: (N, C, H, W), (O, C, 3, 3) -> (N, O, H - 2, W - 2).

    float32, channels-last; H - 2 and W - 2 are multiples of 4.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        filters = _filters(weight)
        y = x.new_empty(len(x), x.shape[2] - 2, x.shape[3] - 2, len(weight))
        for inputs, outputs in zip(_pieces(x, IN), _pieces(y.permute(0, 3, 1, 2), OUT)):
            products = torch.bmm(_transformed(B, inputs), filters)
            outputs.copy_((A @ products.flatten(1)).view(outputs.shape))
        if bias is not None:
            y += bias
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Every step of `forward`, transposed."""
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        filters = _filters(weight)
        of_filters = torch.zeros_like(filters) if for_weight else None
        of_x = torch.zeros_like(x, memory_format=torch.channels_last) if for_x else None
        places = [(i, j) for i in range(IN) for j in range(IN)]
        received = _pieces(of_y.contiguous(memory_format=torch.channels_last), OUT)
        sent = _pieces(x if of_x is None else of_x, IN)
        for inputs, of_inputs, of_outputs in zip(_pieces(x, IN), sent, received):
            of_products = _transformed(A.T, of_outputs)
            if of_filters is not None:
                of_filters.baddbmm_(_transformed(B, inputs).transpose(1, 2), of_products)
            if of_x is not None:
                of_tiles = B.T @ torch.bmm(of_products, filters.transpose(1, 2)).flatten(1)
                for place, share in zip(places, of_tiles.view(-1, *of_inputs.shape[2:])):
                    of_inputs[place].add_(share)
        of_weight = None
        if of_filters is not None:
            of_weight = (G.T @ of_filters.flatten(1)).view(3, 3, *filters.shape[1:])
            of_weight = of_weight.permute(3, 2, 0, 1)
        return of_x, of_weight, of_y.sum((0, 2, 3)) if for_bias else None


def _filters(weight: Tensor) -> Tensor:
    """(O, C, 3, 3) -> (36, C, O)."""
    rows = weight.permute(2, 3, 1, 0)
    return (G @ rows.reshape(9, -1)).view(-1, *rows.shape[2:])


def _transformed(matrix: Tensor, tiles: Tensor) -> Tensor:
    """(a, a, rows, columns, C) -> (36, rows * columns, C)."""
    return (matrix @ tiles.reshape(matrix.shape[1], -1)).view(IN * IN, -1, tiles.shape[-1])


def _pieces(x: Tensor, side: int) -> Iterator[Tensor]:
    """The tiles of `side` pixels, 4 apart, of (N, C, H, W), some rows of them at once.

    Yields: views (side, side, rows, columns, C).
    """
    high, wide = ((length - side) // OUT + 1 for length in x.shape[2:])
    rows = max(1, PIECE // wide)
    _, channel, down, right = x.stride()
    strides = (down, right, OUT * down, OUT * right, channel)
    for image in x:
        for top in range(0, high, rows):
            shape = (side, side, min(rows, high - top), wide, x.shape[1])
            start = image.storage_offset() + top * OUT * down
            yield image.as_strided(shape, strides, start)
