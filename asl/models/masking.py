"""Padding that does not leak: masks for normalisation and pooling."""

import torch
from torch import Tensor, nn


def length_mask(lengths: Tensor, frames: int) -> Tensor:
    """``(batch, frames)`` True inside each sequence."""
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the frames inside: ``(batch, frames, channels)`` -> ``(batch, channels)``."""
    w = mask[..., None].to(x.dtype)
    return (x * w).sum(dim=1) / w.sum(dim=1).clamp(min=1)


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
