"""What the network sees of each part: shape, place, motion, and whether it was found."""

from typing import Dict, List, Sequence, Tuple

import torch
from torch import Tensor

from asl.landmarks.layouts import Layout
from asl.landmarks.normalise import Mean, body_frame, clip_frame, difference, mean_over, part_local

HANDS = ("hand_left", "hand_right")
COORDINATES = ("hand", "clip", "picture")
MIRRORED = ("none", "shape", "all")


def part_widths(layout: Layout, space: int, lags: Sequence[int], place: bool) -> Dict[str, int]:
    """Width of each part's features, in the order in which they are joined.

    A part of n points has ``n * space`` coordinates, as many differences for each lag, and one number for how
    much of it was found; a hand has besides its place and the place's differences.
    """
    widths = {}
    for name, points in layout.parts.items():
        width = len(points) * space * (1 + len(lags)) + 1
        if name in HANDS and place:
            width += space * (1 + len(lags))
        widths[name] = width
    return widths


def shoulder_points(layout: Layout) -> List[int]:
    """Indices of the left and the right shoulder, or an empty list where the layout holds none."""
    ends = ("left_shoulder", "right_shoulder")
    found = [next((i for i, p in enumerate(layout.points) if p.endswith(end)), None) for end in ends]
    return [] if None in found else [i for i in found if i is not None]


def _flat(x: Tensor) -> Tensor:
    return x.flatten(2)


def _with_motion(x: Tensor, known: Tensor, lags: Sequence[int]) -> List[Tensor]:
    return [_flat(x)] + [_flat(difference(x, known, lag)) for lag in lags]


def part_features(
    x: Tensor,
    known: Tensor,
    found: Tensor,
    layout: Layout,
    space: int = 3,
    lags: Sequence[int] = (1,),
    place: bool = True,
    per_frame_size: bool = True,
    coordinates: str = "hand",
    mirror_left: str = "shape",
    mean: Mean = mean_over,
) -> Tensor:
    """Join the features of all parts of a clip.

    Hands are given about their own wrist in units of their own size, the left one mirrored, so that both can
    go through the same weights; their place is given apart (not mirrored), about the shoulders' middle in
    shoulder widths, or about the clip's mean hand in hand sizes where the layout has no shoulders. Other
    parts are given about the shoulders' middle, or about their own first point. ``coordinates`` and
    ``mirror_left`` switch this off, to see what it brings.

    Args:
        x: ``(batch, frames, points, dims)`` picture coordinates, 0 where not known.
        known, found: ``(batch, frames, points)`` found or filled; measured.
        space: how many of x, y, z are used.
        lags: differences over so many frames are added.
        place: whether the hands' places are added.
        per_frame_size: see ``part_local``.
        coordinates: what the hands' points are given in: ``hand``, as above; ``clip``, as their place is;
            ``picture``, where they (and every other point) are in the picture, from its middle.
        mirror_left: what of the left hand is mirrored: ``shape``, ``all`` (its place too) or ``none``.
        mean: over what the clip's origin and sizes are taken, see ``RunningMeans``.

    Returns:
        ``(batch, frames, sum(part_widths().values()))``.
    """
    x = x[..., :space]
    hands = [name for name in HANDS if name in layout.parts]
    local: Dict[str, Tuple[Tensor, Tensor]] = {}
    for name in hands:
        points = list(layout.parts[name])
        local[name] = part_local(x[:, :, points], known[:, :, points], 0, per_frame_size, mean)

    shoulders = shoulder_points(layout)
    in_picture = coordinates == "picture"
    if in_picture:
        origin, unit = x.new_tensor([0.5, 0.5, 0.0])[:space], 1.0
    elif shoulders:
        origin, unit = body_frame(x, known, shoulders, mean)
    elif hands:
        wrists = [layout.parts[name][0] for name in hands]
        sizes = torch.cat([local[name][1].expand(-1, x.shape[1], 1, 1) for name in hands], dim=2)
        origin, unit = clip_frame(x[:, :, wrists], known[:, :, wrists], sizes, mean)

    joined = []
    for name, points in layout.parts.items():
        index = list(points)
        part_known = known[:, :, index]
        if name in hands:
            flip = x.new_tensor([-1.0, 1.0, 1.0])[:space] if name == "hand_left" else x.new_ones(space)
            if coordinates == "hand":
                shape, shape_known = local[name][0], part_known & part_known[:, :, :1]
            else:
                shape, shape_known = (x[:, :, index] - origin) / unit, part_known
                shape = torch.where(part_known[..., None], shape, x.new_zeros(()))
            joined += _with_motion(shape if mirror_left == "none" else shape * flip, shape_known, lags)
            if place:
                wrist_known = part_known[:, :, :1]
                wrist = (x[:, :, index[:1]] - origin) / unit
                wrist = torch.where(wrist_known[..., None], wrist, x.new_zeros(()))
                joined += _with_motion(wrist * flip if mirror_left == "all" else wrist, wrist_known, lags)
        else:
            if shoulders or in_picture:
                y = (x[:, :, index] - origin) / unit
            else:
                y, _ = part_local(x[:, :, index], part_known, 0, False, mean)
            joined += _with_motion(torch.where(part_known[..., None], y, x.new_zeros(())), part_known, lags)
        joined.append(found[:, :, index].to(x.dtype).mean(dim=2, keepdim=True))
    return torch.cat(joined, dim=-1)
