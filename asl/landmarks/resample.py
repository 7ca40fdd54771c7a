"""Time: which part of a clip is used, and at how many frames it is read."""

from typing import Optional, Tuple

import torch
from torch import Tensor


def span_of_known(known: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor]:
    """First and last frame in which any point is known.

    Isolated signs are recorded from rest to rest: before the hands come into the picture and after they have
    left it there is nothing to see, and cutting it off puts the sign itself at the same place in every clip.

    Args:
        known: ``(batch, frames, points)``.
        lengths: ``(batch,)``.

    Returns:
        ``first`` and ``last``, ``(batch,)`` float, inclusive; the whole clip where nothing is known.
    """
    any_point = known.any(dim=2)
    frames = any_point.shape[1]
    time = torch.arange(frames, device=known.device)[None, :].expand_as(any_point)
    first = torch.where(any_point, time, torch.full_like(time, frames)).min(dim=1).values
    last = torch.where(any_point, time, torch.full_like(time, -1)).max(dim=1).values
    nothing = last < 0
    first = torch.where(nothing, torch.zeros_like(first), first)
    last = torch.where(nothing, lengths - 1, last)
    return first.float(), last.float()


def positions(
    first: Tensor,
    last: Tensor,
    frames: Optional[int],
    speed: Optional[Tensor] = None,
    warp: Optional[Tensor] = None,
) -> Tuple[Tensor, Tensor]:
    """Where in each clip the output frames are read.

    Args:
        first, last: ``(batch,)`` span, inclusive, in frames.
        frames: output frames of every clip; None keeps the clip's own rate.
        speed: ``(batch,)`` playing speed (only with ``frames=None``; 2 halves the frames).
        warp: ``(batch,)`` in (-1, 1): bends time, later (positive) or earlier, with the ends fixed.

    Returns:
        ``(batch, out_frames)`` fractional frame numbers, and the output lengths ``(batch,)``.
    """
    span = last - first
    if frames is not None:
        out_lengths = torch.full_like(first, frames).long()
    else:
        out_lengths = ((span / speed if speed is not None else span).round().long() + 1).clamp(min=1)
    step = torch.arange(int(out_lengths.max()), device=first.device)[None, :]
    u = (step / (out_lengths[:, None] - 1).clamp(min=1)).clamp(max=1.0)
    if warp is not None:
        u = u + warp[:, None] * u * (1 - u)
    return first[:, None] + u * span[:, None], out_lengths


def read_at(x: Tensor, known: Tensor, position: Tensor) -> Tuple[Tensor, Tensor]:
    """Read clips at fractional frames, linearly between two known neighbours, else from the known one.

    Args:
        x: ``(batch, frames, points, dims)`` with 0 where not known.
        known: ``(batch, frames, points)``.
        position: ``(batch, out_frames)``.

    Returns:
        ``(batch, out_frames, points, dims)`` and ``(batch, out_frames, points)``.
    """
    last = x.shape[1] - 1
    lo = position.floor().long().clamp(0, last)
    hi = (lo + 1).clamp(max=last)
    weight = (position - lo).clamp(0, 1)
    rows = torch.arange(x.shape[0], device=x.device)[:, None]
    w_lo = (1 - weight)[:, :, None] * known[rows, lo]
    w_hi = weight[:, :, None] * known[rows, hi]
    total = w_lo + w_hi
    y = (x[rows, lo] * w_lo[..., None] + x[rows, hi] * w_hi[..., None]) / total.clamp(min=1e-6)[..., None]
    ok = total > 1e-3
    return torch.where(ok[..., None], y, torch.zeros_like(y)), ok
