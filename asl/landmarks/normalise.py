"""Coordinates that do not depend on where the camera stood or how large the signer is.

Three frames of reference: a part's own (a hand about its wrist, in units of its size), the body's (about the
middle of the shoulders, in shoulder widths) and the clip's (about the mean place of the hands, in hand sizes,
for landmarks that hold no body). What is the clip's is a mean over it, or over the frames so far (``RunningMeans``).
"""

from typing import Callable, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

_EPS = 1e-4  # of the picture: nothing real is smaller


def mean_over(x: Tensor, known: Tensor, dims: Sequence[int]) -> Tensor:
    """Mean of ``x`` ``(batch, frames, points, dims)`` over what is known along ``dims`` (kept, size 1)."""
    w = known[..., None].to(x.dtype)
    return (x * w).sum(dim=tuple(dims), keepdim=True) / w.sum(dim=tuple(dims), keepdim=True).clamp(min=1)


# (x, known, dims) -> mean, as ``mean_over``
Mean = Callable[[Tensor, Tensor, Sequence[int]], Tensor]


class RunningMeans:
    """``mean_over`` in which each frame sees itself and the frames before it alone, not the whole clip.

    The features of a clip ask for several means, always in the same order; the sums of each are kept, so that a
    clip can come in pieces: ``begin`` a piece, then ask for all of its means. The pieces may overlap.
    """

    def __init__(self) -> None:
        self._sums: List[Tensor] = []
        self._asked, self._again = 0, 0

    def begin(self, again: int = 0) -> None:
        """Begin the next piece, whose last ``again`` frames will be the first of the one after it."""
        self._asked, self._again = 0, again

    def __call__(self, x: Tensor, known: Tensor, dims: Sequence[int]) -> Tensor:
        """As ``mean_over``; where ``dims`` hold the frames (1), the mean of each frame is over those up to it."""
        if 1 not in dims:
            return mean_over(x, known, dims)
        inner = [dim for dim in dims if dim != 1]
        w = known[..., None].to(torch.float64)  # of a stream of any length
        both = torch.cat([x * w, w], dim=-1)
        total = (both.sum(dim=inner, keepdim=True) if inner else both).cumsum(dim=1)
        if self._asked < len(self._sums):
            total = total + self._sums[self._asked]
        else:
            self._sums.append(torch.zeros_like(total[:, :1]))
        kept = x.shape[1] - self._again
        if kept > 0:
            self._sums[self._asked] = total[:, kept - 1 : kept]
        self._asked += 1
        return (total[..., :-1] / total[..., -1:].clamp(min=1)).to(x.dtype)


def part_local(
    x: Tensor, known: Tensor, anchor: int, per_frame: bool = True, mean: Mean = mean_over
) -> Tuple[Tensor, Tensor]:
    """One part about its anchor point, divided by its size.

    Args:
        x: ``(batch, frames, points, dims)`` of one part, 0 where not known.
        known: ``(batch, frames, points)``.
        anchor: the point that becomes the origin (0, the wrist, for a hand).
        per_frame: size of each frame (the shape alone is left) or the clip's mean (nearness to the camera
            and foreshortening stay visible).
        mean: over what the clip's mean is taken.

    Returns:
        The local coordinates, 0 where not known, and the size ``(batch, frames or 1, 1, 1)`` in units of
        ``x``: the root mean square distance of the points from the anchor.
    """
    ok = known & known[:, :, anchor : anchor + 1]
    local = torch.where(ok[..., None], x - x[:, :, anchor : anchor + 1], torch.zeros_like(x))
    square = mean(local.square().sum(-1, keepdim=True), ok, dims=[2] if per_frame else [1, 2])
    size = square.sqrt().clamp(min=_EPS)
    return local / size, size


def clip_frame(anchors: Tensor, known: Tensor, sizes: Tensor, mean: Mean = mean_over) -> Tuple[Tensor, Tensor]:
    """Origin and unit of a clip without a body: the mean place of the hands and their mean size.

    Args:
        anchors: ``(batch, frames, hands, dims)`` wrists.
        known: ``(batch, frames, hands)``.
        sizes: ``(batch, frames, hands, 1)`` sizes of the hands.
        mean: over what the means are taken.

    Returns:
        Origin ``(batch, 1, 1, dims)`` and unit ``(batch, 1, 1, 1)``; with ``RunningMeans`` those of each frame,
        ``(batch, frames, 1, ...)``.
    """
    return mean(anchors, known, [1, 2]), mean(sizes, known, [1, 2]).clamp(min=_EPS)


def body_frame(
    x: Tensor, known: Tensor, shoulders: Sequence[int], mean: Mean = mean_over
) -> Tuple[Tensor, Tensor]:
    """Origin and unit of a clip from the signer's shoulders: their middle and their distance in the picture.

    Args:
        x: ``(batch, frames, points, dims)``; known: ``(batch, frames, points)``.
        shoulders: indices of the left and the right shoulder.
        mean: over what the means are taken.

    Returns:
        Origin ``(batch, 1, 1, dims)`` and unit ``(batch, 1, 1, 1)``: means over the clip, so that a nod of the
        detector does not move the whole signer; with ``RunningMeans`` those of each frame, ``(batch, frames, 1,
        ...)``. Where no frame has both shoulders there is no place: the unit is infinite, and everything divided
        by it 0.
    """
    pair = x[:, :, list(shoulders)]
    both = known[:, :, list(shoulders)].all(dim=2, keepdim=True)
    origin = mean(pair.mean(dim=2, keepdim=True), both, [1, 2])
    width = (pair[:, :, :1, :2] - pair[:, :, 1:, :2]).square().sum(-1, keepdim=True).sqrt()
    unit = mean(width, both, [1, 2]).clamp(min=_EPS)
    seen = mean(both[..., None].to(x.dtype), both, [1, 2]) > 0
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
