"""Padding that does not leak: masks for normalisation, pooling and subsampling."""

from typing import Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def length_mask(lengths: Tensor, frames: int) -> Tensor:
    """``(batch, frames)`` True inside each sequence."""
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the frames inside: ``(batch, frames, channels)`` -> ``(batch, channels)``."""
    w = mask[..., None].to(x.dtype)
    return (x * w).sum(dim=1) / w.sum(dim=1).clamp(min=1)


def average_frames(x: Tensor, lengths: Tensor, by: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Average every ``by`` frames into one, over the frames inside only.

    Returns:
        ``(batch, ceil(frames / by), channels)``, the new lengths, and their mask.
    """
    frames = x.shape[1]
    pad = (-frames) % by
    mask = F.pad(length_mask(lengths, frames), (0, pad)).view(x.shape[0], -1, by).to(x.dtype)
    x = F.pad(x, (0, 0, 0, pad)).view(x.shape[0], -1, by, x.shape[2])
    x = (x * mask[..., None]).sum(2) / mask.sum(2).clamp(min=1)[..., None]
    lengths = (lengths + by - 1) // by
    return x, lengths, length_mask(lengths, x.shape[1])


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the frames inside the sequences; padding stays 0.

    Shape: ``(batch, frames, channels)``, mask ``(batch, frames)`` -> ``(batch, frames, channels)``.
    """

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        if bool(mask.all()):
            return super().forward(x.flatten(0, 1)).view_as(x)
        out = torch.zeros_like(x)
        out[mask] = super().forward(x[mask])
        return out
