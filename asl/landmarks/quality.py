"""How far a clip's landmarks can be relied on: what was found, gaps, jitter, implausible hands.

Everything is measured in the picture (x and y, as fractions of its width and height), clip by clip, in units of the
signer: hand sizes, shoulder widths. The limits below are set so that real signing hardly meets them; next to
each stands how much of it did: MediaPipe Holistic on How2Sign's 89 clips, then tracked MediaPipe Hands on 525 of
WLASL's. Neighbouring frames are 1/24 to 1/30 s apart there: at another rate steps are larger or smaller.
"""

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.layouts import Layout, get_layout
from asl.landmarks.tracking import PALM, WRIST, chirality, hand_size

SIZE_JUMP = 1.6  # a hand grows or shrinks by more from one frame to the next: 1.0 % and 0.5 % of the steps
PLACE_JUMP = 1.5  # hand sizes that it moves from one frame to the next: 0.1 % and 0.4 %
ONE_TWICE = 0.3  # mean distance of the two hands' points in hand sizes: 1.6 % and (masked by stage 2) none
OFF_WRIST = 1.0  # hand sizes from the body's wrist of its side: 0.9 %
OTHER_SHAPE = 2.0  # log odds that it is the other hand: 1.8 % and 2.2 %
_SWAP = 0.5  # changing hands explains the step with half the way, or less
_MIN_SIZE = 1e-3

HANDS = ("hand_left", "hand_right")
#: what is held against a hand, and what it is a share of
IMPLAUSIBLE: Dict[str, str] = {
    "size_jump": f"steps to the next frame in which a hand grows or shrinks more than {SIZE_JUMP} times",
    "place_jump": f"steps in which a hand moves more than {PLACE_JUMP} hand sizes",
    "swap": "steps in which the hands change their names (left and right)",
    "one_twice": "frames with two hands in which both are one and the same",
    "off_wrist": f"hands more than {OFF_WRIST:g} hand size from the body's wrist of their side",
    "other_wrist": "hands nearer to the wrist of the body's other side",
    "other_shape": "hands whose shape is clearly the other hand's; a hint only",
}
#: what a part's jitter is measured in
JITTER_UNITS = {
    "hand_left": "hand sizes", "hand_right": "hand sizes", "pose": "shoulder widths", "face": "face heights"
}  # fmt: skip
_STEADY = ("nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow")  # wrists move, legs are guessed

Count = Tuple[int, int]  # so many, out of so many


@dataclass(frozen=True)
class Quality:
    """What was measured of one clip; what its layout does not allow to judge is left out of the dicts.

    Attributes:
        present: part (and ``any_hand``) -> ``(frames,)`` True where it was found. A part is found where at least
            half of those of its points are that are found anywhere in the clip (OpenPose lists legs that are never
            in the picture).
        gaps: part -> lengths in frames ``(gaps,)`` of the runs without it between two frames with it. What is
            missing before the first and after the last is no gap: hands come up and go down.
        jitter: part -> median length of the second difference of its points, in ``JITTER_UNITS``; NaN where
            it is never found in three frames running.
        implausible: a key of ``IMPLAUSIBLE`` -> how many, of how many that could be judged.
        unreliable: ``(frames,)`` True where no hand was found or one is implausible in place or size (all but
            ``other_shape``); in layouts without hands, where a part is missing.
    """

    present: Dict[str, np.ndarray]
    gaps: Dict[str, np.ndarray]
    jitter: Dict[str, float]
    implausible: Dict[str, Count]
    unreliable: np.ndarray


def measure(array: np.ndarray, layout: str) -> Quality:
    """Measure one clip.

    Args:
        array: ``(frames, points, dims)``, NaN where a point was not found.
        layout: name of its layout.

    Raises:
        AslError: ``array`` is not in ``layout`` or holds no frame.
    """
    form = get_layout(layout)
    if array.ndim != 3 or array.shape[1:] != (form.num_points, form.num_dims) or len(array) == 0:
        wanted = f"(frames, {form.num_points}, {form.num_dims}) with at least one frame"
        raise AslError(f"cannot measure an array of {array.shape} as {layout}, which is {wanted}")
    array = array[..., : form.num_space].astype(np.float32)
    present = {part: part_found(array[:, list(points)]) for part, points in form.parts.items()}
    gaps = {part: gap_lengths(there) for part, there in present.items()}
    unreliable = ~np.all(list(present.values()), axis=0)
    implausible: Dict[str, Count] = {}
    if has_hands(form):
        any_hand = present["hand_left"] | present["hand_right"]
        present["any_hand"] = any_hand
        marks = _judge_hands(array, form, np.stack([present[side] for side in HANDS], axis=1))
        implausible = {name: (int(hit.sum()), int(judged)) for name, (hit, judged) in marks.items()}
        hits = [_by_frame(hit, len(array)) for name, (hit, _) in marks.items() if name != "other_shape"]
        unreliable = ~any_hand | np.any(hits, axis=0)
    jitter = {part: _part_jitter(array, form, part) for part in form.parts if _has_unit(form, part)}
    return Quality(present, gaps, jitter, implausible, unreliable)


def unjudged(layout: str) -> List[str]:
    """What ``measure`` cannot say of clips in ``layout``, and why, in words."""
    form = get_layout(layout)
    lacks = [name for part, name in (("pose", "body"), ("face", "face")) if part not in form.parts]
    said = [f"{name}: {layout} has none" for name in lacks]
    if "pose" in form.parts and not _has_unit(form, "pose"):
        said.append(f"jitter of the body: {layout} has no shoulders")
    if not has_hands(form):
        return said + [f"hands (implausible ones, too): {layout} has none; unreliable are frames that lack a part"]
    if not _wrists(form):
        said.append(f"hands off the body's wrists: {layout} has no wrists of a body")
    if form.num_space < 3:
        said.append(f"hands with the other hand's shape: {layout} has no depth")
    return said


def has_hands(form: Layout) -> bool:
    """Whether the layout has both hands of 21 points."""
    return all(len(form.parts.get(side, ())) == 21 for side in HANDS)


def part_found(points: np.ndarray) -> np.ndarray:
    """``(frames,)``: where at least half of the part's points are that are found anywhere in the clip.

    ``points`` is ``(frames, points, dims)``.
    """
    there = np.isfinite(points[..., 0]) & np.isfinite(points[..., 1])  # numpy is slow along short last axes
    ever = int(there.any(axis=0).sum())
    return 2 * there.sum(axis=1) >= max(ever, 1)


def gap_lengths(found: np.ndarray) -> np.ndarray:
    """Lengths of the runs of False between two True of ``found`` ``(frames,)``."""
    steps = np.diff(np.flatnonzero(found))
    return steps[steps > 1] - 1


def jitter(place: np.ndarray, size: float) -> float:
    """Median length of the second difference of ``place`` ``(frames, points, 2)`` in units of ``size``.

    NaN where no point is found in three frames running, or the size is not known. Real movement counts as well: it
    tells detections of one corpus and rate from each other, and is no measure of noise by itself.
    """
    bends = _length(place[2:] - 2 * place[1:-1] + place[:-2])
    bends = bends[np.isfinite(bends)]
    return float(np.median(bends) / max(size, _MIN_SIZE)) if bends.size and np.isfinite(size) else float("nan")


def _length(v: np.ndarray) -> np.ndarray:
    """Length of vectors in the plane along the last axis."""
    return np.hypot(v[..., 0], v[..., 1])


def _by_frame(hit: np.ndarray, frames: int) -> np.ndarray:
    """Marks of hands or steps ``(frames or steps[, 2])`` as ``(frames,)``; a step counts as the frame it leads to."""
    hit = hit.any(axis=1) if hit.ndim == 2 else hit
    return np.concatenate([np.zeros(frames - len(hit), bool), hit])


def _wrists(form: Layout) -> Sequence[int]:
    """The body's left and right wrist, or nothing."""
    names = ("left_wrist", "right_wrist")
    return [form.points.index(name) for name in names] if set(names) <= set(form.points) else []


def _has_unit(form: Layout, part: str) -> bool:
    """Whether the layout holds what the jitter of ``part`` is measured in."""
    return part != "pose" or {"left_shoulder", "right_shoulder"} <= set(form.points)


def _part_jitter(array: np.ndarray, form: Layout, part: str) -> float:
    points = list(form.parts[part])
    if part == "pose":
        points = [form.points.index(p) for p in _STEADY if p in form.points]
        left, right = (array[:, form.points.index(f"{side}_shoulder"), :2] for side in ("left", "right"))
        place, sizes = array[:, points, :2], _length(left - right)
    else:
        place = array[:, points, :2]
        height = np.ascontiguousarray(place[..., 1].T)
        sizes = hand_size(place) if part in HANDS else np.fmax.reduce(height) - np.fmin.reduce(height)
    sizes = sizes[np.isfinite(sizes)]
    return jitter(place, float(np.median(sizes)) if sizes.size else float("nan"))


def _judge_hands(array: np.ndarray, form: Layout, found: np.ndarray) -> Dict[str, Tuple[np.ndarray, int]]:
    """Each key of ``IMPLAUSIBLE`` that can be judged -> marks ``(frames or steps[, 2])`` and out of how many.

    ``found`` is ``(frames, 2)``: where the left and the right hand are. A comparison with a hand that is NaN is False.
    """
    hands = np.stack([array[:, list(form.parts[side])] for side in HANDS], axis=1)
    with np.errstate(invalid="ignore"):
        size = np.maximum(hand_size(hands), _MIN_SIZE)
        palm = hands[:, :, PALM, :2].mean(axis=2)
        marks = _judge_steps(palm, size, found)
        both = found.all(axis=1)
        apart = _length(hands[:, 0, :, :2] - hands[:, 1, :, :2]).mean(axis=-1)
        marks["one_twice"] = apart < ONE_TWICE * size.mean(axis=1), both.sum()
        wrists = _wrists(form)
        if wrists:
            own = _length(hands[:, :, WRIST, :2] - array[:, wrists, :2])
            other = _length(hands[:, :, WRIST, :2] - array[:, wrists[::-1], :2])
            judged = found & np.isfinite(own) & np.isfinite(other)
            marks["off_wrist"] = own > OFF_WRIST * size, judged.sum()
            # two wrists in one place tell nothing
            apart = _length(array[:, wrists[0], :2] - array[:, wrists[1], :2])[:, None]
            marks["other_wrist"] = (other < own) & (apart > OFF_WRIST * size), judged.sum()
        if form.num_space == 3:
            marks["other_shape"] = chirality(hands) * np.float32([1, -1]) < -OTHER_SHAPE, found.sum()
    return marks


def _judge_steps(palm: np.ndarray, size: np.ndarray, found: np.ndarray) -> Dict[str, Tuple[np.ndarray, int]]:
    """Steps from one frame to the next; ``palm`` ``(frames, 2, 2)``, ``size`` and ``found`` ``(frames, 2)``."""
    before, after = slice(None, -1), slice(1, None)
    stays = (found[before] & found[after]).sum()
    ratio = size[after] / size[before]
    larger = np.maximum(size[after], size[before])
    way = _length(palm[after] - palm[before])
    crossed = _length(palm[after] - palm[before][:, ::-1])
    mean_size = larger.mean(axis=1)
    two = (crossed.sum(axis=1) < _SWAP * way.sum(axis=1)) & (way.sum(axis=1) > 2 * mean_size)
    # one hand alone that goes on under the other name: (left before, right after) or the reverse
    alone_before, alone_after = found[before] & ~found[before][:, ::-1], found[after] & ~found[after][:, ::-1]
    one = (alone_before[:, ::-1] & alone_after & (crossed < _SWAP * size[after])).any(axis=1)
    judged = (found[before].any(axis=1) & found[after].any(axis=1)).sum()
    return {
        "size_jump": ((ratio > SIZE_JUMP) | (ratio < 1 / SIZE_JUMP), stays),
        "place_jump": (way > PLACE_JUMP * larger, stays),
        "swap": (two | one, judged),
    }
