"""What sign phonology speaks of, measured in every frame: handshape, location, movement, orientation.

Each hand is described apart, the left one mirrored, so that the same handshape on either hand gives the
same numbers (Stokoe 1960; Battison 1978). The descriptors are what pre-training quantises
(``asl.models.quantizer``); a network's input are the features of ``asl.landmarks.features``.

``handshape`` (45)
    the three outer joints of each finger about the finger's base, in the palm's own axes and length: where
    the hand points and which way the palm faces is taken out
``location`` (3)
    the palm's middle about the middle of the shoulders in shoulder widths, or about the clip's mean place of
    the hands in hand sizes where the layout has no shoulders
``movement`` (3 for each of ``MOVEMENT_LAGS``)
    that place so many frames later less that place so many frames ago, a frame; squashed, so that direction
    counts more than haste
``orientation`` (6)
    the palm's normal and the direction from the wrist to the middle finger's base, each of length 1
"""

from typing import Dict, List, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.landmarks.features import HANDS, shoulder_points
from asl.landmarks.layouts import HAND, Layout
from asl.landmarks.normalise import body_frame, clip_frame, part_local

MOVEMENT_LAGS = (1, 3)
DESCRIPTORS: Dict[str, int] = {
    "handshape": 45,
    "location": 3,
    "movement": 3 * len(MOVEMENT_LAGS),
    "orientation": 6,
}

_WRIST, _INDEX, _MIDDLE, _PINKY = (HAND.index(p) for p in ("wrist", "index_1", "middle_1", "pinky_1"))
_BASES = [HAND.index(f"{finger}_1") for finger in ("thumb", "index", "middle", "ring", "pinky")]
_PALM = [_WRIST, *_BASES[1:]]
_EPS = 1e-4  # of the picture: nothing real is smaller
_SPEED = 0.25  # hand sizes (or shoulder widths) a frame at which movement is squashed to one half


def describe(x: Tensor, known: Tensor, layout: Layout) -> Tuple[Tensor, Tensor]:
    """Describe the hands of clips in every frame.

    Args:
        x: ``(batch, frames, points, 2 or 3)`` picture coordinates, 0 where not known; without depth the third
            coordinate is 0.
        known: ``(batch, frames, points)``.
        layout: of the points; must have both hands.

    Returns:
        Descriptors ``(batch, frames, 2 hands, sum of DESCRIPTORS)`` in the order of ``DESCRIPTORS``, 0 where
        not known, and ``(batch, frames, 2 hands, 4)``: whether each of them is known.

    Raises:
        AslError: the layout lacks a hand.
    """
    missing = [name for name in HANDS if name not in layout.parts]
    if missing:
        raise AslError(
            f"layout {layout.name} has no {missing[0]}, so its handshapes, locations, movements and "
            "orientations cannot be described; take a layout with both hands, as hands42"
        )
    x = F.pad(x[..., :3], (0, 3 - min(3, x.shape[-1])))
    flip = x.new_tensor([-1.0, 1.0, 1.0])
    values: Dict[str, List[Tensor]] = {name: [] for name in DESCRIPTORS}
    masks: Dict[str, List[Tensor]] = {name: [] for name in DESCRIPTORS}
    origin, unit = _reference(x, known, layout)
    for name in HANDS:
        points = list(layout.parts[name])
        hand, seen = x[:, :, points], known[:, :, points]
        whole = seen.all(dim=2)
        place = (hand[:, :, _PALM].mean(dim=2) - origin[:, :, 0]) / unit[:, :, 0]
        if name == "hand_left":
            hand, place = hand * flip, place * flip
        axes, size, firm = _palm(hand)
        values["handshape"].append(_fingers(hand, axes, size))
        masks["handshape"].append(whole & firm)
        values["orientation"].append(torch.cat([axes[..., 2, :], axes[..., 0, :]], dim=-1))
        masks["orientation"].append(whole & firm)
        placed = seen[:, :, _PALM].all(dim=2) & torch.isfinite(unit[:, :, 0, 0])
        values["location"].append(place)
        masks["location"].append(placed)
        moved, both = _movement(place, placed)
        values["movement"].append(moved)
        masks["movement"].append(both)
    mask = torch.stack([torch.stack(masks[name], dim=2) for name in DESCRIPTORS], dim=-1)
    parts = [torch.stack(values[name], dim=2) for name in DESCRIPTORS]
    zero = x.new_zeros(())
    parts = [torch.where(mask[..., i, None], part, zero) for i, part in enumerate(parts)]
    return torch.cat(parts, dim=-1), mask


def _reference(x: Tensor, known: Tensor, layout: Layout) -> Tuple[Tensor, Tensor]:
    """Origin ``(batch, 1, 1, 3)`` and unit ``(batch, 1, 1, 1)`` of the hands' places."""
    shoulders = shoulder_points(layout)
    if shoulders:
        return body_frame(x, known, shoulders)
    hands = [list(layout.parts[name]) for name in HANDS]
    sizes = [part_local(x[:, :, hand], known[:, :, hand], anchor=0)[1] for hand in hands]
    palms = torch.stack([x[:, :, hand][:, :, _PALM].mean(dim=2) for hand in hands], dim=2)
    seen = torch.stack([known[:, :, hand].all(dim=2) for hand in hands], dim=2)
    return clip_frame(palms, seen, torch.cat(sizes, dim=2))


def _palm(hand: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    """Axes of the palm, its length, and whether it is more than a line.

    The axes are the rows of ``(batch, frames, 3, 3)``: along the hand, across it, its normal; the others are
    ``(batch, frames)``.
    """
    along = hand[:, :, _MIDDLE] - hand[:, :, _WRIST]
    across = hand[:, :, _PINKY] - hand[:, :, _INDEX]
    size = along.norm(dim=-1).clamp(min=_EPS)
    first = along / size[..., None]
    normal = torch.cross(first, across, dim=-1)
    height = normal.norm(dim=-1)
    third = normal / height.clamp(min=_EPS)[..., None]
    second = torch.cross(third, first, dim=-1)
    return torch.stack([first, second, third], dim=-2), size, (height > _EPS) & (size > _EPS)


def _fingers(hand: Tensor, axes: Tensor, size: Tensor) -> Tensor:
    """The outer joints of each finger about its base, in the palm's axes and length: 45 numbers a frame."""
    joints = torch.cat(
        [hand[:, :, base + 1 : base + 4] - hand[:, :, base : base + 1] for base in _BASES], dim=2
    )
    return (torch.matmul(joints, axes.transpose(-1, -2)) / size[..., None, None]).flatten(2)


def _movement(place: Tensor, known: Tensor) -> Tuple[Tensor, Tensor]:
    """Squashed differences of ``place`` ``(batch, frames, 3)`` about each frame, and where all are known."""
    moved, both = [], known
    for lag in MOVEMENT_LAGS:
        step, ok = torch.zeros_like(place), torch.zeros_like(known)
        step[:, lag:-lag] = place[:, 2 * lag :] - place[:, : -2 * lag]
        ok[:, lag:-lag] = known[:, 2 * lag :] & known[:, : -2 * lag]
        step = torch.where(ok[..., None], step / (2 * lag), torch.zeros_like(step))
        moved.append(step / (step.norm(dim=-1, keepdim=True) + _SPEED))
        both = both & ok
    return torch.cat(moved, dim=-1), both
