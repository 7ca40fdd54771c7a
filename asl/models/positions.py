"""Sinusoidal positions (Vaswani et al. 2017, Attention is all you need)."""

import math

import torch
from torch import Tensor


def sinusoidal_positions(frames: int, channels: int, device: torch.device) -> Tensor:
    """``(frames, channels)``: sines in the even, cosines in the odd channels, wavelengths 2π to 10000·2π."""
    time = torch.arange(frames, device=device, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, channels, 2, device=device) * (-math.log(10000.0) / channels))[None, :]
    out = torch.zeros(frames, channels, device=device)
    out[:, 0::2] = torch.sin(time * rate)
    out[:, 1::2] = torch.cos(time * rate[:, : channels // 2])
    return out
