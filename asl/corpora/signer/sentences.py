"""Whole sentences: signs that run into each other, fitted to a given number of frames.

Between two strokes a hand moves so that its jerk is least for the places and the speeds at both ends (the
quintic of Flash and Hogan, 1985, with the boundary speeds kept), so that nothing stops where a sign ends; the
ends of the strokes are drawn towards their neighbours. There is no rest between signs. The other hand of a
two-handed sign stays in the air where it is needed again soon, else it goes down to where it waits.

Running signing is shorter, smaller and repeats less than a sign that is shown alone.
"""

from dataclasses import dataclass, replace
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from asl.common.errors import AslError
from asl.corpora.signer.hand import HANDSHAPES
from asl.corpora.signer.lexicon import LOCATIONS, Sign, minimal_pair
from asl.corpora.signer.motion import SMOOTHING, Performance, colour, embody, rest_posture, same_hemisphere
from asl.corpora.signer.people import Habit, Signer
from asl.corpora.signer.strokes import (
    ANGLES, PLACE, POSTURE, TURN, minimum_jerk, orientation, stroke, stroke_seconds,
)  # fmt: skip

_RUNNING = 0.38  # of the time that the sign takes when it is shown alone
_SMALLER = 0.85  # of its size
_REPEATED = 0.75  # of the time of the first, for each repetition
_REPEAT_STEP = 0.22  # shoulder widths from one repetition to the next, to the side
_UNDERSHOOT, _LAX = 0.3, 0.45  # at most so far towards the neutral place, the relaxed hand
_WEAK_DROP, _SLIP = 0.08, 0.02  # chances
_WAY = 0.20  # seconds from one stroke to the next, about
_EDGE = 0.16  # seconds at which the hands wait before the first sign and after the last, about
_REST = 0.30  # seconds of a rest that is part of the sentence
_COLOUR = 0.26
_SLOWEST = 1.6  # a sentence that has more time than this many times the natural one waits at its ends
_OVERSAMPLE = 4  # the course is made at this many times the frame rate
_WAITING = np.array([-0.20, 0.86, -0.56])  # where a hand waits, shoulder widths
_SOON = 2  # signs: the other hand stays up if it is needed again after so many


@dataclass(frozen=True)
class Act:
    """What the hands do for one gloss.

    Attributes:
        sign: the sign, or None for a rest.
        where: added to its place, in shoulder widths of the dominant hand's space (x negative: that hand's
            own side): a sign made at a place that was set up, or pointing to it.
        repeats: how often it is made, each time a step to the side.
        other_hand: the hand that is not dominant makes it.
    """

    sign: Optional[Sign]
    where: Tuple[float, float, float] = (0.0, 0.0, 0.0)
    repeats: int = 1
    other_hand: bool = False


class _Stroke(NamedTuple):
    """One stroke before it has a speed: which act it belongs to, how long it takes, what it is."""

    act: int
    seconds: float
    sign: Optional[Sign]
    where: np.ndarray
    other_hand: bool


def _strokes(acts: Sequence[Act], signer: Signer, rng: np.random.Generator) -> List[_Stroke]:
    rows = []
    for index, act in enumerate(acts):
        if act.sign is None:
            rows.append(_Stroke(index, _REST * float(np.exp(rng.normal(0, 0.3))), None, np.zeros(3), False))
            continue
        seconds = _RUNNING * stroke_seconds(signer, signer.habit(act.sign))
        for again in range(act.repeats):
            taken = seconds * float(np.exp(rng.normal(0, signer.style.pace))) * (_REPEATED if again else 1.0)
            where = np.array(act.where) + again * np.array([-_REPEAT_STEP, 0.0, 0.0])
            rows.append(_Stroke(index, taken, act.sign, where, act.other_hand))
    return rows


def _waiting_posture(signer: Signer, rng: np.random.Generator) -> np.ndarray:
    """Where the hands wait for their turn, before the belly: (2, 22)."""
    posture = np.empty((2, POSTURE))
    posture[:, PLACE] = (_WAITING + rng.normal(0, 0.04, (2, 3))) * signer.shoulder
    posture[:, TURN] = orientation("contra-in").as_quat()
    posture[:, ANGLES] = HANDSHAPES["relaxed"] + rng.normal(0, 0.1, (2, ANGLES.stop - ANGLES.start))
    return posture


def _in_passing(habit: Habit, signer: Signer, pace: float, rng: np.random.Generator) -> Habit:
    """A sign as it comes out this time, within a sentence.

    It is smaller, on the way to where hands move anyway, with fingers half relaxed, no two times the same; of
    two hands that do the same the second may be left out; now and then it slips into a sign beside it.
    """
    sign, style = habit.sign, signer.style
    slips, drops = rng.random(2) < np.array([_SLIP, _WEAK_DROP]) * style.scale
    if slips:
        sign = minimal_pair(rng, sign, sign.gloss)
    if drops and sign.hands == "symmetric":
        sign = replace(sign, hands="one")
    low, lax = rng.uniform(0, 1, 2) * np.array([_UNDERSHOOT, _LAX]) * style.scale
    place = habit.place + rng.normal(0, style.place * style.scale, 3)
    if sign.location in LOCATIONS:
        place += low * (np.array(LOCATIONS["neutral"]) - np.array(LOCATIONS[sign.location]))
    angles = habit.angles + rng.normal(0, style.angle * style.scale, habit.angles.shape)
    angles += lax * (HANDSHAPES["relaxed"] - HANDSHAPES[sign.shape])
    return replace(
        habit,
        sign=sign,
        place=place,
        angles=angles,
        turn=habit.turn + rng.normal(0, style.turn * style.scale, 3),
        size=habit.size * _SMALLER * float(np.clip(pace, 0.5, 1.0)) ** 0.5,  # who hurries moves less
        more_turns=habit.more_turns - 1,
        least_turns=1.5,  # there and back and there again
    )


def _make(
    row: _Stroke,
    samples: int,
    pace: float,
    signer: Signer,
    rng: np.random.Generator,
    idle: np.ndarray,
    rest: np.ndarray,
) -> Tuple[np.ndarray, np.ndarray]:
    """One stroke's postures (samples, 2, 22) and which hands act (2,)."""
    if row.sign is None:
        return np.repeat(rest[None], samples, axis=0), np.array([True, True])
    habit = _in_passing(signer.habit(row.sign), signer, pace, rng)
    track, acting = stroke(signer, habit, samples, idle)
    track[:, acting, PLACE] += row.where * signer.shoulder
    if row.other_hand:
        track, acting = track[:, ::-1].copy(), acting[::-1]
        track[:, ~acting] = idle[~acting]
    return track, acting


def _keep_up(tracks: List[np.ndarray], acting: np.ndarray) -> None:
    """Leave a hand in the air, in place, between two strokes that need it with few between them."""
    for hand in range(2):
        used = np.flatnonzero(acting[:, hand])
        for before, after in zip(used, used[1:]):
            gap = after - before - 1
            if not 0 < gap <= _SOON:
                continue
            start, end = tracks[before][-1, hand], tracks[after][0, hand].copy()
            end[TURN] *= -1.0 if start[TURN] @ end[TURN] < 0 else 1.0
            for step in range(1, gap + 1):
                tracks[before + step][:, hand] = start + float(minimum_jerk(step / (gap + 1))) * (end - start)


def _align_turns(tracks: List[np.ndarray]) -> None:
    """Flip quaternions in place so that each is near the one before it, within tracks and across them."""
    for i, track in enumerate(tracks):
        same_hemisphere(track[..., TURN])
        if i:
            dots = (tracks[i - 1][-1, :, TURN] * track[0, :, TURN]).sum(-1)
            track[..., TURN] *= np.where(dots < 0, -1.0, 1.0)[:, None]


def _between(before: np.ndarray, after: np.ndarray, samples: int, lead: float) -> np.ndarray:
    """Postures (samples, 2, 22) from the end of one track to the start of the next, with the speeds of both.

    The fingers are ahead of the arm by ``lead``.
    """
    u = (np.arange(1, samples + 1) / (samples + 1))[:, None, None]
    start, end = before[-1], after[0]
    leaving = (before[-1] - before[-2]) * (samples + 1)
    coming = (after[1] - after[0]) * (samples + 1)
    u3 = u * u * u
    share = u3 * (10 + u * (6 * u - 15))
    course = start + share * (end - start)
    course += (u + u3 * (-6 + u * (8 - 3 * u))) * leaving + u3 * (-4 + u * (7 - 3 * u)) * coming
    early = minimum_jerk(u * (1 + lead))
    course[..., ANGLES] = start[:, ANGLES] + early * (end - start)[:, ANGLES]
    return course


class _Timing(NamedTuple):
    """When what is made: ``samples`` of wait, way, stroke, way, stroke, ..., way, wait at ``rate`` a second.

    ``pace`` is how much longer than natural everything takes but the waits, ``seconds`` how long all takes.
    """

    samples: np.ndarray
    rate: float
    pace: float
    seconds: float


def _timing(
    rows: Sequence[_Stroke], signer: Signer, rng: np.random.Generator, fps: float, total: Optional[float]
) -> _Timing:
    """Spread ``total`` seconds (None: as long as it takes) over strokes, ways between them and waits."""
    strokes = np.array([row.seconds for row in rows])
    # how far apart signs are is not known before they are made: the ways' shares of the time are drawn
    ways = _WAY * np.exp(rng.normal(0, 0.25, len(rows) + 1)) / signer.speed
    waits = _EDGE * np.exp(rng.normal(0, 0.5, 2))
    for end in (0, -1):
        if rows[end].sign is None:  # it begins or ends where hands rest
            ways[end] *= 0.2
    moving, waiting = strokes.sum() + ways.sum(), waits.sum()
    total = moving + waiting if total is None else total
    pace = min((total - min(waiting, 0.15 * total)) / moving, _SLOWEST)
    durations = np.empty(2 * len(rows) + 3)
    durations[[0, -1]] = waits * (total - pace * moving) / waiting
    durations[1:-1:2], durations[2:-2:2] = pace * ways, pace * strokes
    rate = max(_OVERSAMPLE * fps, 6.0 / (pace * strokes.min()), 3.0 / (pace * ways.min()))
    samples = np.diff(np.round(np.cumsum(durations) * rate), prepend=0).astype(int)
    return _Timing(samples, rate, pace, float(durations.sum()))


def _course(
    rows: Sequence[_Stroke],
    timing: _Timing,
    signer: Signer,
    rng: np.random.Generator,
    idle: np.ndarray,
    rest: np.ndarray,
) -> np.ndarray:
    """Postures (samples, 2, 22) of a whole sentence, from wait to wait."""
    samples = timing.samples.tolist()
    made = [
        _make(row, count, timing.pace, signer, rng, idle, rest) for row, count in zip(rows, samples[2:-2:2])
    ]
    tracks = [track for track, _ in made]
    _keep_up(tracks, np.array([acting for _, acting in made]))
    waiting = [
        np.repeat((rest if rows[end].sign is None else idle)[None], max(samples[end], 2), axis=0)
        for end in (0, -1)
    ]
    tracks = [waiting[0], *tracks, waiting[1]]
    _align_turns(tracks)
    bent = [
        colour(track, before[-1], after[0], _COLOUR)
        for before, track, after in zip(tracks, tracks[1:], tracks[2:])
    ]
    tracks[1:-1] = bent

    pieces = [tracks[0][: samples[0]]]
    for before, way, after in zip(tracks, samples[1::2], tracks[1:]):
        pieces += [_between(before, after, way, rng.uniform(0.0, 0.6)), after]
    pieces[-1] = tracks[-1][: samples[-1]]
    return np.concatenate(pieces)


def perform_sentence(
    acts: Sequence[Act],
    signer: Signer,
    rng: np.random.Generator,
    fps: float,
    frames: Optional[int] = None,
) -> Performance:
    """Let a signer sign a sentence.

    Args:
        acts: what to sign, in order, at least one.
        fps: frames a second.
        frames: how many frames it takes in all, at least 2; None: as many as the signer needs.

    Returns:
        a Performance of exactly so many frames; ``bounds`` (acts, 2) are the first frame of each and the
        frame after its last, at least one frame each.

    Raises:
        AslError: no acts, or fewer than 2 frames.
    """
    if not acts or (frames is not None and frames < 2):
        raise AslError(f"a sentence needs a sign and 2 frames, not {len(acts)} signs in {frames} frames")
    rows = _strokes(acts, signer, rng)
    idle, rest = _waiting_posture(signer, rng), rest_posture(signer, rng)
    timing = _timing(rows, signer, rng, fps, None if frames is None else frames / fps)
    course = _course(rows, timing, signer, rng, idle, rest)
    count = frames if frames is not None else max(int(round(timing.seconds * fps)), 2)
    track = _sampled(course, timing.rate, fps, count)
    return embody(track, _bounds(rows, timing, fps, count), signer, rng, fps)


def _sampled(course: np.ndarray, rate: float, fps: float, frames: int) -> np.ndarray:
    """The postures (frames, 2, 22) of a course made at ``rate`` at the middles of the frames, smoothed."""
    course = gaussian_filter1d(course, SMOOTHING * rate, axis=0, mode="nearest")
    at = np.clip((np.arange(frames) + 0.5) / fps * rate - 0.5, 0, len(course) - 1)
    first = np.minimum(at.astype(int), len(course) - 2)
    share = (at - first)[:, None, None]
    return (1 - share) * course[first] + share * course[first + 1]


def _bounds(rows: Sequence[_Stroke], timing: _Timing, fps: float, frames: int) -> np.ndarray:
    """First frame of each act and the frame after its last: (acts, 2)."""
    ends = np.cumsum(timing.samples)[2:-2:2]
    starts = ends - timing.samples[2:-2:2]
    index = np.array([row.act for row in rows])
    acts = index[-1] + 1
    first = np.array([starts[index == act].min() for act in range(acts)])
    last = np.array([ends[index == act].max() for act in range(acts)])
    first = np.clip(np.round(first / timing.rate * fps).astype(int), 0, frames - 1)
    return np.stack(
        [first, np.clip(np.round(last / timing.rate * fps).astype(int), first + 1, frames)], axis=1
    )
