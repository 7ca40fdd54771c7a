"""Where in a clip signs are: a tag for each frame, outside a sign, inside one, or its begin.

For training a segmentation beside CTC (tags as Moryossef et al. 2023, Linguistically motivated sign language
segmentation). They come from

- the alignment ``sign`` of a cut's supervisions (lhotse's ``AlignmentItem``: symbol, start, duration), as a
  forced alignment gives it, where there is one;
- else, for a clip of one sign, from the hands: see ``raised_span``;
- else they are not known.
"""

from typing import Any, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from asl.landmarks.features import HANDS
from asl.landmarks.layouts import Layout

ALIGNMENT = "sign"
UNKNOWN, OUTSIDE, INSIDE, BEGIN = -1, 0, 1, 2


def aligned_signs(cut: Any) -> Optional[np.ndarray]:
    """Which sign each frame of ``cut`` belongs to by its alignment: 1, 2, …, 0 outside; None without one."""
    items = [a for s in cut.supervisions for a in (s.alignment or {}).get(ALIGNMENT, [])]
    if not items:
        return None
    rate = 1.0 / cut.features.frame_shift
    signs = np.zeros(cut.num_frames, dtype=np.int64)
    for number, item in enumerate(sorted(items, key=lambda a: a.start), 1):
        first = max(round(item.start * rate), 0)
        signs[first : max(round((item.start + item.duration) * rate), first + 1)] = number
    return signs


def raised_span(landmarks: np.ndarray, layout: Layout) -> Optional[Tuple[int, int]]:
    """First and last frame in which the hands are raised to sign.

    Signers start and end with their hands down or out of the picture. The height of a frame is that of the
    higher wrist found in it, the signing height the median over the frames with a wrist. The sign begins with
    the first frame in which the hands have come half of the way from where they were first found up to the
    signing height, and ends with the last before they have gone half of the way down to where they were last
    found. Hands that are first (last) found less than half the larger hand's size below the signing height
    come into (leave) the picture signing: the sign begins (ends) with the first (last) frame in which one is
    found.

    Args:
        landmarks: ``(frames, points, dims)``, y downwards, NaN where not found.

    Returns:
        None where no wrist is found or the layout has no hands.
    """
    hands = [list(layout.parts[name]) for name in HANDS if name in layout.parts]
    if not hands:
        return None
    wrists = np.stack([landmarks[:, hand[0], 1] for hand in hands], axis=1)
    frames = np.flatnonzero(np.isfinite(wrists).any(axis=1))
    if not len(frames):
        return None
    height = np.nanmin(wrists[frames], axis=1)
    signing = float(np.median(height))
    sizes = [_size(landmarks[frames][:, hand, :2]) for hand in hands]
    size = max((s for s in sizes if np.isfinite(s)), default=0.0)
    begin, end = 0, len(frames) - 1
    if height[0] - signing > size / 2:
        begin = np.flatnonzero(height <= (signing + height[0]) / 2)[0]
    if height[-1] - signing > size / 2:
        end = np.flatnonzero(height <= (signing + height[-1]) / 2)[-1]
    return int(frames[begin]), int(frames[end])


def _size(hand: np.ndarray) -> float:
    """Median over the frames of a hand's larger side, NaN where it is never found."""
    seen = hand[np.isfinite(hand).all(axis=(1, 2))]
    return float(np.median(np.ptp(seen, axis=1).max(axis=1))) if len(seen) else float("nan")


def signs_of(cut: Any, landmarks: np.ndarray, layout: Layout, tokens: int) -> np.ndarray:
    """Which sign each frame belongs to: 1, 2, …, 0 outside, -1 where it is not known.

    Args:
        cut: whose alignment counts, where it has one.
        landmarks: ``(frames, points, dims)`` of it.
        tokens: how many signs it is said to hold; the hands tell only where one is.
    """
    signs = aligned_signs(cut)
    if signs is not None:
        return signs
    span = raised_span(landmarks, layout) if tokens == 1 else None
    signs = np.full(len(landmarks), UNKNOWN if span is None else OUTSIDE, dtype=np.int64)
    if span is not None:
        signs[span[0] : span[1] + 1] = 1
    return signs


def tags(signs: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
    """Tags of the frames that a pipeline has read.

    Args:
        signs: ``(batch, frames)`` of ``signs_of``.
        positions: ``(batch, out_frames)`` where each clip was read, in frames.
        lengths: ``(batch,)`` frames that were read.

    Returns:
        ``(batch, out_frames)`` int64; a frame begins a sign if it is inside one and the frame read before is
        not inside the same; -1 beyond the lengths.
    """
    read = read_at(signs, positions, lengths)
    before = torch.cat([torch.zeros_like(read[:, :1]), read[:, :-1]], dim=1)
    out = read.clamp(max=INSIDE)
    out[(read > 0) & (read != before)] = BEGIN
    return out


def read_at(labels: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
    """Labels of frames ``(batch, frames)`` at the nearest of the ``positions``, -1 beyond the lengths; see ``tags``."""
    nearest = positions.round().long().clamp(0, labels.shape[1] - 1)
    read = labels.gather(1, nearest)
    inside = torch.arange(read.shape[1], device=read.device)[None] < lengths[:, None]
    return torch.where(inside, read, torch.full_like(read, UNKNOWN))
