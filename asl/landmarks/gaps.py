"""Frames in which a point was not found: filled where a neighbour in time is near, and always remembered.

Most gaps in MediaPipe's output are short (about three quarters are at most three frames long), so a straight
line over a short gap is close to the truth; over a long gap it would be an invention, and the point stays
lost.
"""

from typing import Tuple

import torch
from torch import Tensor


def fill_gaps(landmarks: Tensor, lengths: Tensor, max_gap: int = 3) -> Tuple[Tensor, Tensor, Tensor]:
    """Interpolate gaps of at most ``max_gap`` frames linearly, point by point.

    Args:
        landmarks: ``(batch, frames, points, dims)``, NaN where a point was not found and in padding.
        lengths: ``(batch,)`` frames of each clip.
        max_gap: longest run of lost frames that is filled; 0 fills none. Runs at the start or the end of a
            clip have no second neighbour and are never filled.

    Returns:
        The coordinates ``(batch, frames, points, dims)`` with 0 where there is still nothing, ``known``
        ``(batch, frames, points)``: found or filled, and ``found`` ``(batch, frames, points)``: measured.
    """
    batch, frames, _, _ = landmarks.shape
    time = torch.arange(frames, device=landmarks.device)
    inside = time[None, :] < lengths[:, None]
    found = torch.isfinite(landmarks).all(dim=-1) & inside[:, :, None]
    x = torch.where(found[..., None], landmarks, landmarks.new_zeros(()))
    if max_gap == 0:
        return x, found, found

    # index of the last found frame at or before each frame, and of the first one at or after it;
    # (batch, points, frames): along the last dimension it is several times as fast
    seen = found.transpose(1, 2).contiguous()
    index = time.to(torch.int32).expand_as(seen)
    before = torch.where(seen, index, index.new_tensor(-1)).cummax(dim=2).values
    after = torch.where(seen, index, index.new_tensor(frames)).flip(2).cummin(dim=2).values.flip(2)
    fill = ~seen & (before >= 0) & (after < frames) & (after - before - 1 <= max_gap)

    # few points are filled, so only their lines are computed
    clip, point, frame = fill.nonzero(as_tuple=True)
    lo, hi = before[fill].long(), after[fill].long()
    weight = ((frame - lo).to(x.dtype) / (hi - lo).to(x.dtype))[:, None]
    x[clip, frame, point] = x[clip, lo, point] * (1 - weight) + x[clip, hi, point] * weight
    return x, found | fill.transpose(1, 2), found
