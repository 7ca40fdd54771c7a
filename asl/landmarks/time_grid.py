"""Frames at the times they have -> rows on a constant grid of time, as everything after it expects.

Where the frames keep to a constant rate within half a frame, each is one row: nothing is moved. Else, or where
another rate is asked for, a row is the frame that is nearest to it in time (as FFmpeg's ``-r`` does, up to who wins
a tie): no landmarks are made up between two frames. A picture of a video that stays long is shown long, so it is
repeated; frames that are missing in a folder are not known, so their rows are.
"""

import math
from fractions import Fraction
from typing import NamedTuple, Optional, Tuple

import numpy as np

from asl.common.rates import snap_rate

_NTSC = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 60))
_COMMON = tuple(map(Fraction, (24, 25, 30, 50, 60))) + _NTSC
_NEAR = 0.01  # a rate this near to a common one is that: container times are rounded to milliseconds
NOT_KNOWN = -1


class Grid(NamedTuple):
    """Rows of a clip.

    Attributes:
        fps: rows per second.
        rows: ``(frames,)`` int: of each row the frame it shows, or ``NOT_KNOWN``.
        times: ``(frames,)`` float64: the frame's own time; that of the row where no frame is known.
        constant: the frames keep to a constant rate.
        own: the rate they keep to, or, where it varies, that of most of them.
    """

    fps: Fraction
    rows: np.ndarray
    times: np.ndarray
    constant: bool
    own: Fraction


class Picker:
    """Which frames are worth looking at when only ``rate`` rows a second are made of them.

    Args:
        rate: rows per second.
        fps: the video's frames per second.
    """

    def __init__(self, rate: Fraction, fps: Fraction):
        self._step = float(1 / rate)
        self._slack = (0.5 - 1e-6) * float(min(1 / fps, 1 / rate))
        self._origin: Optional[float] = None
        self._next = -math.inf

    def wants(self, time: float) -> bool:
        """Whether the frame at ``time`` is nearest to a row that has none yet."""
        return time >= self._next - self._slack

    def take(self, time: float) -> None:
        """The frame at ``time`` was looked at."""
        if self._origin is None:
            self._origin = time
        row = math.floor((time - self._origin + self._slack) / self._step) + 1
        self._next = self._origin + row * self._step


def own_rate(times: np.ndarray, fps: Fraction) -> Fraction:
    """The rate that most of the frames keep to: from the mean distance of those that are near the median one.

    Args:
        times: ``(frames,)`` seconds, rising.
        fps: what the header says; taken where it is near enough.
    """
    steps = np.diff(times)
    if len(steps) == 0:
        return fps
    usual = np.median(steps)
    rate = 1 / float(steps[np.abs(steps - usual) <= 0.25 * usual].mean())
    if abs(float(fps) - rate) <= _NEAR * rate:
        return fps
    nearest = min(_COMMON, key=lambda known: abs(float(known) - rate))
    return nearest if abs(float(nearest) - rate) <= _NEAR * rate else snap_rate(rate) or fps


def keeps_to(times: np.ndarray, fps: Fraction) -> bool:
    """Whether frame i comes within half a frame of i / fps after the first."""
    expected = times[0] + np.arange(len(times)) / float(fps)
    return bool((np.abs(times - expected) <= 0.5 / float(fps)).all())


def constant_grid(
    times: np.ndarray,
    fps: Fraction,
    rate: Optional[Fraction] = None,
    held: bool = True,
    looked: Optional[np.ndarray] = None,
    edges: Optional[Tuple[float, float]] = None,
) -> Grid:
    """Put frames on a grid.

    Args:
        times: ``(all frames,)`` seconds of a clip's frames, rising; at least one.
        fps: what the header says.
        rate: rows per second; None: the frames' own.
        held: a frame is shown until the next one comes; False: a row without a frame within half a row is not known.
        looked: ``(frames,)`` the frames of ``times`` that were looked at and may be taken; None: all.
        edges: times of the clip's first and last frame, where some may be missing there; None: those of ``times``.
    """
    constant, own = True, fps
    if held and not keeps_to(times, fps):
        own = own_rate(times, fps)
        constant = keeps_to(times, own)
        if not constant:  # a rate of its own, such as 14.7 frames a second
            mean = snap_rate((len(times) - 1) / (times[-1] - times[0]))
            if mean is not None and keeps_to(times, mean):
                constant, own = True, mean
    elif not held:
        constant = keeps_to(times, fps)
    looked = np.arange(len(times)) if looked is None else looked
    target = rate or own
    first, last = edges or (times[0], times[-1])
    whole = len(looked) == len(times) and max(times[0] - first, last - times[-1]) < 0.5 / float(own)
    if constant and target == own and whole:
        return Grid(target, np.arange(len(times)), times, constant, own)
    length = last - first + float(1 / own)
    count = max(1, round(length * float(target)))
    wanted = first + np.arange(count) / float(target)
    seen = times[looked]
    rows = np.searchsorted((seen[1:] + seen[:-1]) / 2, wanted, side="left")
    at = seen[rows].copy()
    if not held:
        lost = np.abs(at - wanted) > 0.5 * float(max(1 / target, 1 / own)) + 1e-6
        rows[lost], at[lost] = NOT_KNOWN, wanted[lost]
    return Grid(target, rows, at, constant, own)
