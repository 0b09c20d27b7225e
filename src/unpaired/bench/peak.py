"""The most that convolutions reach on a device."""

from __future__ import annotations

import torch

from unpaired.bench.clock import repeated

CHANNELS, SIDE = 256, 128


@torch.inference_mode()
def convolution_peak(device: torch.device, dtype: torch.dtype, budget: float = 1.0) -> float:
    """Operations per second of a 3 x 3 convolution of 256 channels: the best of many.

    Channels-last, as in the layers that ResNet generators spend their time in, at a size that no
    overhead disturbs. With the device's own defaults: on CUDA float32 may be TensorFloat-32, here
    as in training.
    """
    batch = 1 if device.type == "cpu" else 16  # fills a GPU
    conv = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, device=device, dtype=dtype)
    conv = conv.to(memory_format=torch.channels_last)
    x = torch.randn(batch, CHANNELS, SIDE, SIDE, device=device, dtype=dtype)
    x = x.to(memory_format=torch.channels_last)
    fastest = min(repeated(lambda: conv(x), device, budget, warm_up=1))
    return 2 * batch * CHANNELS * CHANNELS * 9 * SIDE * SIDE / fastest
