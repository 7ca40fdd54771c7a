"""Clips of isolated signs made ready to be joined: in another layout, at another rate, where another signer stands.

Points that were not found are NaN and stay so, and never spread: a frame between a found and a lost one takes the
nearer, and a hand that is lost in the last frame of a sign goes on from where it was found a moment before.
"""

import warnings
from typing import List, NamedTuple, Optional, Sequence

import numpy as np

from asl.landmarks.features import HANDS, shoulder_points
from asl.landmarks.layouts import XYZ, Layout

EDGE = 5  # frames from an end of a sign in which a point may have been found last


_ARMS = ("elbow", "wrist", "pinky", "index", "thumb")  # of the body: where the hands are, they follow


class Frame(NamedTuple):
    """Where in the picture a signer is.

    Attributes:
        anchors: ``(n, 2)``: the middle of the shoulders, or each hand's median wrist (hands apart, since one is found
            more often than the other); NaN where not known.
        size: the length that landmarks are measured by.
        posture: ``(points, dims)`` the median place of each point, NaN where it is never found.
    """

    anchors: np.ndarray
    size: float
    posture: np.ndarray


def shared_points(source: Layout, target: Layout) -> List[str]:
    """The points that both layouts have."""
    return [point for point in target.points if point in source.points]


def convert(array: np.ndarray, source: Layout, target: Layout) -> np.ndarray:
    """``(frames, points, dims)`` in layout ``target``; points that ``source`` lacks are not found (NaN).

    Of a point that was found a depth that ``source`` lacks is 0 and a visibility 1.
    """
    if source.name == target.name:
        return array
    out = np.full((len(array), target.num_points, target.num_dims), np.nan, dtype=array.dtype)
    points = shared_points(source, target)
    old, new = [source.points.index(p) for p in points], [target.points.index(p) for p in points]
    found = np.isfinite(array[:, old]).all(-1)
    for place, dim in enumerate(target.dims):
        if dim in source.dims:
            out[:, new, place] = array[:, old, source.dims.index(dim)]
        else:
            out[:, new, place] = np.where(found, 0.0 if dim in XYZ else 1.0, np.nan)
    return out


def measure_frame(arrays: List[np.ndarray], layout: Layout, shoulders: bool) -> Optional[Frame]:
    """The frame of one signer's clips ``(frames, points, dims)``.

    Args:
        shoulders: whether it is the middle and distance of the shoulders; else the wrists and the size of the hands.
            Medians over all frames, so that no one sign decides where the signer stands.

    Returns:
        None where nothing of it was found.
    """
    if shoulders:
        ends = _found(arrays, shoulder_points(layout))
        anchors, sizes = [ends.mean(1)], np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
    else:
        hands = [_found(arrays, layout.parts[h]) for h in HANDS if h in layout.parts]
        anchors = [hand[:, 0] for hand in hands]
        sizes = np.concatenate([np.ptp(hand, axis=1).max(axis=1) for hand in hands]) if hands else np.zeros(0)
    if not len(sizes) or not np.median(sizes) > 0:
        return None
    places = np.stack([np.median(a, axis=0) if len(a) else np.full(2, np.nan) for a in anchors])
    return Frame(places, float(np.median(sizes)), _posture(arrays))


def _found(arrays: List[np.ndarray], points: Sequence[int]) -> np.ndarray:
    """``(frames, len(points), 2)`` x and y in the frames in which all of the points were found."""
    places = np.concatenate([array[:, points, :2] for array in arrays]).astype(np.float64)
    return places[np.isfinite(places).all((1, 2))]


def _posture(arrays: List[np.ndarray]) -> np.ndarray:
    frames = np.concatenate(arrays).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of points that are never found
        return np.nanmedian(frames, axis=0)


def stand(array: np.ndarray, source: Layout, target: Layout, place: Optional[Frame]) -> np.ndarray:
    """The clip with the body and face points that ``source`` lacks where the signer of ``place`` mostly has them.

    Landmarks of hands alone say nothing of the shoulders, which the hands' places are measured by. They are made to
    stand still; arms are left out, since they do not.
    """
    hands = {point for hand in HANDS for point in target.parts.get(hand, ())}
    lacking = [
        i for i, point in enumerate(target.points)
        if i not in hands and point not in source.points and not point.endswith(_ARMS)
    ]  # fmt: skip
    if place is None or not lacking:
        return array
    out = array.copy()
    out[:, lacking] = place.posture[lacking]
    return out


def move(array: np.ndarray, layout: Layout, old: Optional[Frame], new: Optional[Frame]) -> np.ndarray:
    """The clip moved and scaled from one signer's frame to another's; as it is, where one is not known."""
    if old is None or new is None:
        return array
    both = np.isfinite(old.anchors + new.anchors).all(1)
    if not both.any():
        return array
    scale, out = new.size / old.size, array.astype(np.float32)
    out[..., :2] = (out[..., :2] - old.anchors[both].mean(0)) * scale + new.anchors[both].mean(0)
    if "z" in layout.dims:
        out[..., layout.dims.index("z")] *= scale
    return out


def at_speed(array: np.ndarray, speed: float) -> np.ndarray:
    """The clip read ``speed`` times as fast, linearly between frames; beside a lost point the nearer frame decides."""
    frames = max(int(round(len(array) / speed)), 1)
    at = np.linspace(0, len(array) - 1, frames)
    low = np.floor(at).astype(int)
    high, weight = np.minimum(low + 1, len(array) - 1), (at - low)[:, None, None]
    out = array[low] * (1 - weight) + array[high] * weight
    nearer = np.where(weight < 0.5, array[low], array[high])
    return np.where(np.isfinite(out), out, nearer).astype(array.dtype)


def travel(before: np.ndarray, after: np.ndarray, frames: int) -> np.ndarray:
    """``(frames, points, dims)`` between two clips, of least jerk (Flash and Hogan 1985).

    A point starts (arrives) where it was found last (is found first) within ``EDGE`` frames of the end (begin).
    """
    start, end = _found_first(before[::-1][:EDGE]), _found_first(after[:EDGE])
    t = (np.arange(1, frames + 1) / (frames + 1))[:, None, None]
    share = t**3 * (10 - 15 * t + 6 * t * t)
    return (start * (1 - share) + end * share).astype(before.dtype)


def _found_first(array: np.ndarray) -> np.ndarray:
    """``(points, dims)``: each point in the first frame in which it was found, NaN where in none."""
    first = np.isfinite(array).all(-1).argmax(0)
    return array[first, np.arange(array.shape[1])]
