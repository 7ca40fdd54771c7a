"""Hands in the order of detection -> the signer's left and right hand.

MediaPipe Hands gives up to two hands a frame in an order that may change at any frame. Here each detection is
named left or right by the most likely naming of the whole clip (Viterbi over the two namings of each frame).
Three things speak for a naming:

- the shape of the hand: with depth, left and right hands are mirror images of each other and no rotation
  makes one of the other (``chirality``);
- the place: with a camera in front, of two hands the right one is on the left of the picture;
- the path: a hand does not jump; how far it may have come grows with the frames since it was last seen.

``settle_hands`` does the whole of stage 2's work on a clip: it masks a hand that the detector carried over
from the clip before (``mask_stale_start``), drops second detections of one hand (``drop_duplicates``), and
names the hands (``track_hands``).
"""

import math
from typing import Dict, List, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.reading import SLOTS_SHAPE, Clip

WRIST, THUMB_BASE, THUMB_KNUCKLE, MIDDLE_KNUCKLE = 0, 1, 2, 9
KNUCKLES, TIPS = [5, 9, 13, 17], [8, 12, 16, 20]
PALM = [0, 5, 9, 13, 17]

# Costs of a naming, in units of log odds. The chirality's weight was fitted by logistic regression on
# How2Sign's hands (it came to -5.8 and -5.9 for its two terms). A clip's frames are not independent evidence,
# so chirality gets a share of it; the rest was set by trying, on the same clips with shuffled slots.
_CHIRALITY, _MAX_ODDS, _EVIDENCE = 5.8, 4.0, 0.15
_PLACE = 0.3  # a hand size that the left hand is to the right of the right one, up to two
_PATH = 8.0  # a hand size of movement
_MAX_STEP = 3.0  # a step of so many hand sizes costs as much as any longer one, and as a first sight
_GROWTH = 0.1  # for each frame out of sight a hand may have come so much farther
_MIN_SIZE = 1e-3
_SAME_HAND = 0.3  # mean distance of two detections of one hand, in hand sizes
_STALE_RUN, _STALE_GAP = 3, 5


def _length(v: np.ndarray) -> np.ndarray:
    """Length of vectors along the last axis."""
    return np.sqrt(np.einsum("...i,...i->...", v, v))


def hand_size(hands: np.ndarray) -> np.ndarray:
    """Size of hands ``(..., 21, 3)`` in the picture, ``(...)``: palm length or half the extent if larger."""
    xy = np.ascontiguousarray(np.moveaxis(hands[..., :2], -2, 0))  # numpy is slow along short last axes
    return np.maximum(_length(xy[MIDDLE_KNUCKLE] - xy[WRIST]), (xy.max(0) - xy.min(0)).max(-1) / 2)


def chirality(hands: np.ndarray) -> np.ndarray:
    """Log odds that hands ``(..., 21, 3)`` are left ones, ``(...)``: above 0 left, below 0 right.

    Fingers bend to the palm's side and the thumb comes out on it, so the volume spanned by the palm (wrist to
    first and to last knuckle) and the fingers' or thumb's direction has one sign in left hands and the other
    in right ones, from whatever side they are seen. On How2Sign 91 % of single frames are right, and the mean
    over a clip in all of 89 clips.
    """

    def unit(v: np.ndarray) -> np.ndarray:
        return v / np.maximum(_length(v)[..., None], 1e-6)

    first, last = (unit(hands[..., k, :] - hands[..., WRIST, :]) for k in (KNUCKLES[0], KNUCKLES[-1]))
    bend = unit(hands[..., TIPS, :].mean(-2) - hands[..., KNUCKLES, :].mean(-2))
    thumb = unit(hands[..., THUMB_KNUCKLE, :] - hands[..., THUMB_BASE, :])
    volume = np.einsum("...i,...i->...", np.cross(first, last), bend + thumb)
    return -_CHIRALITY * volume


def _check(array: np.ndarray) -> None:
    if array.ndim != 4 or array.shape[1:] != SLOTS_SHAPE:
        raise AslError(f"hands of shape {array.shape} where (frames, 2, 21, 3) was expected")


def _found(array: np.ndarray) -> np.ndarray:
    """``(frames, 2)``: the slots that hold a hand."""
    return np.isfinite(array[:, :, WRIST, 0])


def mask_stale_start(array: np.ndarray) -> Tuple[np.ndarray, int]:
    """Mask a hand in the first frames that was left over from the clip that was processed before.

    A detector that was not reset looks in a clip's first frame where the last clip's hand was. What it makes
    up there dies at once, before any real hand is seen. Masked are therefore hands in at most the first 3
    frames that are followed by a long time without any hand (at least 5 frames and 3 times as many as held
    the leftover) and then by hands elsewhere (more than a hand size away). A leftover that the detector pulls
    onto a real hand needs no mask. The rule is careful: hands at the picture's edge come and go in one place.

    Measured: it masks one frame in 2 of the 1,253 clips of WLASL that start with a hand. That these two are
    leftovers is not proven: no clip there ends with such a hand (the clip before need not be there), and the
    rule would fire as often (16 of 5,038) where a hand is first seen later in a clip, so they may as well be
    false detections or hands seen for a moment. MediaPipe run over 112 joints of real videos without a reset
    left a wrong hand at 1 of them, for one frame beside a real hand; the rule does not see such a one.

    Args:
        array: ``(frames, 2, 21, 3)``, NaN where no hand was found. It is not changed.

    Returns:
        The array, with NaN in the masked frames, and how many frames were masked.
    """
    _check(array)
    found = _found(array)
    times = np.flatnonzero(found.any(axis=1))
    run = next((t for t in range(len(array)) if not found[t].any()), len(array))
    if not 1 <= run <= _STALE_RUN or len(times) == run or times[run] - run < max(_STALE_GAP, 3 * run):
        return array, 0
    last, first = array[run - 1].astype(np.float32), array[times[run]].astype(np.float32)
    last, first = last[found[run - 1]], first[found[times[run]]]
    step = last[:, None, PALM, :2].mean(-2) - first[None, :, PALM, :2].mean(-2)
    if _length(step).min() <= hand_size(last).max():
        return array, 0
    array = array.copy()
    array[:run] = np.nan
    return array, run


def drop_duplicates(array: np.ndarray) -> Tuple[np.ndarray, int]:
    """Mask the second of two detections of one hand.

    Of 152,215 frames of WLASL with two hands 3,690 hold two whose points lie less than 0.3 hand sizes from
    each other on average, about 9 in 10 with the same chirality; farther apart most have opposite ones.

    Args:
        array: ``(frames, 2, 21, 3)``, NaN where no hand was found. It is not changed.

    Returns:
        The array, and how many hands were masked.
    """
    hands = array.astype(np.float32)
    apart = _length(hands[:, 0, :, :2] - hands[:, 1, :, :2]).mean(-1)
    twice = apart < _SAME_HAND * hand_size(hands).mean(-1)  # False where either is NaN
    if not twice.any():
        return array, 0
    array = array.copy()
    array[twice, 1] = np.nan
    return array, int(twice.sum())


# Where a hand was seen last: x, y, frame. None: not yet.
_Seen = Optional[Tuple[float, float, int]]


def _path_cost(place: List[float], frame: int, size: float, seen: _Seen) -> float:
    if seen is None:
        return _PATH * _MAX_STEP
    x, y, before = seen
    step = math.hypot(place[0] - x, place[1] - y) / (size * (1.0 + _GROWTH * (frame - before - 1)))
    return _PATH * step if step < _MAX_STEP else _PATH * _MAX_STEP


def _name_slots(found: np.ndarray, places: np.ndarray, sizes: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Viterbi over the naming of each frame; ``(frames,)`` True where slot 0 is the right hand.

    Args:
        found ``(frames, 2)``; places ``(frames, 2, 2)``: middle of the palm; sizes and odds ``(frames, 2)``:
        ``hand_size`` and log odds of a left hand. Only entries that are found are read.
    """
    is_found, place, size, odd = found.tolist(), places.tolist(), sizes.tolist(), odds.tolist()
    frames = np.flatnonzero(found.any(axis=1)).tolist()
    tokens: List[Tuple[float, _Seen, _Seen]] = [(0.0, None, None)]  # cost, left and right hand seen last
    came_from = []
    for t in frames:
        new_tokens, origins = [], []
        for left, right in ((0, 1), (1, 0)):
            has_left, has_right = is_found[t][left], is_found[t][right]
            cost = -odd[t][left] * has_left + odd[t][right] * has_right
            if has_left and has_right:
                apart = 2 * (place[t][left][0] - place[t][right][0]) / (size[t][left] + size[t][right])
                cost -= _PLACE * max(-2.0, min(2.0, apart))
            totals = [
                token[0]
                + (_path_cost(place[t][left], t, size[t][left], token[1]) if has_left else 0.0)
                + (_path_cost(place[t][right], t, size[t][right], token[2]) if has_right else 0.0)
                for token in tokens
            ]
            best = totals.index(min(totals))
            _, seen_left, seen_right = tokens[best]
            new_tokens.append(
                (
                    cost + totals[best],
                    (*place[t][left], t) if has_left else seen_left,
                    (*place[t][right], t) if has_right else seen_right,
                )
            )
            origins.append(best)
        tokens = new_tokens
        came_from.append(origins)

    swapped = np.zeros(len(found), dtype=bool)
    state = min(range(len(tokens)), key=lambda s: tokens[s][0])
    for t, origins in zip(reversed(frames), reversed(came_from)):
        swapped[t] = state == 1
        state = origins[state]
    return swapped


def track_hands(array: np.ndarray) -> Tuple[np.ndarray, Dict[str, int]]:
    """Name the hands of a clip left and right.

    Measured against following the wrists greedily and naming the two paths by their mean places. How2Sign's
    89 clips, whose hands are known, with shuffled slots and hands taken out (the costs were set on these
    clips too): 98.6 % of the hands come out under their name, greedily 95.2 %, but fewer clips without any
    error (102 of 178 against 121; for this function dropped duplicates count as errors). On WLASL's 6,291
    clips 90 % of the tracks have their name's chirality, greedily 83 %; steps of more than a hand size
    between neighbouring frames fall from 50 to 14 in 1,000, as they do greedily.

    Args:
        array: ``(frames, 2, 21, 3)`` two hands in any order, NaN where none was found. It is not changed.

    Returns:
        ``(frames, 42, 3)`` in layout ``hands42`` and of the same type, and counts: ``frames``, ``two_hands``,
        ``one_hand``, ``no_hand`` (frames with so many), ``left``, ``right`` (frames with that hand),
        ``duplicates`` (second detections of one hand that were masked) and ``switches`` (how often the
        hands changed slots).

    Raises:
        AslError: another shape.
    """
    _check(array)
    array, duplicates = drop_duplicates(array)
    hands, found = array.astype(np.float32), _found(array)
    places = hands[:, :, PALM, :2].mean(2)
    odds = _EVIDENCE * np.clip(chirality(hands), -_MAX_ODDS, _MAX_ODDS)
    swapped = _name_slots(found, places, np.maximum(hand_size(hands), _MIN_SIZE), np.where(found, odds, 0.0))
    tracked = np.where(swapped[:, None, None, None], array[:, ::-1], array)

    num_hands, sides = found.sum(axis=1), _found(tracked).sum(axis=0)
    seen = swapped[num_hands > 0]
    counts = {
        "frames": len(array),
        "two_hands": int((num_hands == 2).sum()),
        "one_hand": int((num_hands == 1).sum()),
        "no_hand": int((num_hands == 0).sum()),
        "left": int(sides[0]),
        "right": int(sides[1]),
        "duplicates": duplicates,
        "switches": int((seen[1:] != seen[:-1]).sum()),
    }
    return tracked.reshape(len(array), 42, 3), counts


def settle_hands(clip: Clip, tracking: bool = True) -> Tuple[np.ndarray, Dict[str, int]]:
    """What stage 2 stores of a clip that was read.

    Args:
        clip: from ``asl.landmarks.reading.read_landmarks``.
        tracking: False leaves the hands of each frame in the order of detection, the first as the left one,
            to see what tracking brings.

    Returns:
        ``(frames, points, dims)`` in ``clip.layout``, and what was done: the counts of ``track_hands`` with
        ``stale`` (frames that ``mask_stale_start`` masked) besides. A clip whose hands are known already is
        returned as it is, with no counts.
    """
    if not clip.slots:
        return clip.array, {}
    if not tracking:
        _check(clip.array)
        return clip.array.reshape(len(clip.array), 42, 3), {}
    array, stale = mask_stale_start(clip.array)
    array, counts = track_hands(array)
    return array, {**counts, "stale": stale}
