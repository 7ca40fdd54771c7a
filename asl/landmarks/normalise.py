"""Coordinates that do not depend on where the camera stood or how large the signer is.

Three frames of reference: a part's own (a hand about its wrist, in units of its size), the body's (about the
middle of the shoulders, in shoulder widths) and the clip's (about the mean place of the hands, in hand sizes,
for landmarks that hold no body).
"""

from typing import Optional, Sequence, Tuple

import torch
from torch import Tensor

_EPS = 1e-4  # of the picture: nothing real is smaller


def mean_over(x: Tensor, known: Tensor, dims: Sequence[int]) -> Tensor:
    """Mean of ``x`` ``(batch, frames, points, dims)`` over what is known along ``dims`` (kept, size 1)."""
    w = known[..., None].to(x.dtype)
    return (x * w).sum(dim=tuple(dims), keepdim=True) / w.sum(dim=tuple(dims), keepdim=True).clamp(min=1)


def part_local(x: Tensor, known: Tensor, anchor: int, per_frame: bool = True) -> Tuple[Tensor, Tensor]:
    """One part about its anchor point, divided by its size.

    Args:
        x: ``(batch, frames, points, dims)`` of one part, 0 where not known.
        known: ``(batch, frames, points)``.
        anchor: the point that becomes the origin (0, the wrist, for a hand).
        per_frame: size of each frame (the shape alone is left) or the clip's mean (nearness to the camera
            and foreshortening stay visible).

    Returns:
        The local coordinates, 0 where not known, and the size ``(batch, frames or 1, 1, 1)`` in units of
        ``x``: the root mean square distance of the points from the anchor.
    """
    ok = known & known[:, :, anchor : anchor + 1]
    local = torch.where(ok[..., None], x - x[:, :, anchor : anchor + 1], torch.zeros_like(x))
    square = mean_over(local.square().sum(-1, keepdim=True), ok, dims=[2] if per_frame else [1, 2])
    size = square.sqrt().clamp(min=_EPS)
    return local / size, size


def clip_frame(anchors: Tensor, known: Tensor, sizes: Tensor) -> Tuple[Tensor, Tensor]:
    """Origin and unit of a clip without a body: the mean place of the hands and their mean size.

    Args:
        anchors: ``(batch, frames, hands, dims)`` wrists.
        known: ``(batch, frames, hands)``.
        sizes: ``(batch, frames, hands, 1)`` sizes of the hands.

    Returns:
        Origin ``(batch, 1, 1, dims)`` and unit ``(batch, 1, 1, 1)``.
    """
    return mean_over(anchors, known, dims=[1, 2]), mean_over(sizes, known, dims=[1, 2]).clamp(min=_EPS)


def body_frame(x: Tensor, known: Tensor, shoulders: Sequence[int]) -> Tuple[Tensor, Tensor]:
    """Origin and unit of a clip from the signer's shoulders: their middle and their distance in the picture.

    Args:
        x: ``(batch, frames, points, dims)``; known: ``(batch, frames, points)``.
        shoulders: indices of the left and the right shoulder.

    Returns:
        Origin ``(batch, 1, 1, dims)`` and unit ``(batch, 1, 1, 1)``: means over the clip, so that a nod of the
        detector does not move the whole signer. Where no frame has both shoulders there is no place: the unit
        is infinite, and everything divided by it 0.
    """
    pair = x[:, :, list(shoulders)]
    both = known[:, :, list(shoulders)].all(dim=2, keepdim=True)
    origin = mean_over(pair.mean(dim=2, keepdim=True), both, dims=[1, 2])
    width = (pair[:, :, :1, :2] - pair[:, :, 1:, :2]).square().sum(-1, keepdim=True).sqrt()
    unit = mean_over(width, both, dims=[1, 2]).clamp(min=_EPS)
    seen = both.any(dim=1, keepdim=True)[..., None]
    return origin, torch.where(seen, unit, torch.full_like(unit, float("inf")))


def difference(x: Tensor, known: Optional[Tensor], lag: int) -> Tensor:
    """Motion: ``x[t] - x[t - lag]``, 0 where either end is not known and in the first ``lag`` frames.

    Args:
        x: ``(batch, frames, points, dims)``; known: ``(batch, frames, points)`` or None (all).
    """
    out = torch.zeros_like(x)
    step = x[:, lag:] - x[:, :-lag]
    if known is not None:
        step = step * (known[:, lag:] & known[:, :-lag])[..., None].to(x.dtype)
    out[:, lag:] = step
    return out
