"""Frames per second that no file tells: assumed, or estimated from a span counted at 25 fps."""

from fractions import Fraction
from typing import Optional, Tuple

ASSUMED_RATE = Fraction(25)

# What an estimate can tell apart. A span is a rounded number of frames: over 200 frames 24 and 23.976 differ
# by a fifth of a frame. Of each such pair the commoner one is taken (the error is one in a thousand).
_ESTIMATES = tuple(Fraction(*r) for r in ((24, 1), (25, 1), (30000, 1001), (50, 1), (60000, 1001)))

# How far (in frames at 25 fps) a span may be from what a rate explains; see ``estimate_rate``.
_EXPLAINED = 3.0


def estimate_rate(num_frames: int, span: int) -> Tuple[Optional[Fraction], float]:
    """Return the rate at which ``num_frames`` last as long as ``span`` frames do at 25 fps, and the misfit.

    A span at 25 fps is about ``25 * num_frames / fps``. How far it is from that (in frames) depends on how
    the 25 fps were made. In WLASL's 6,291 clips of the 1,000-sign train and val splits there are two laws:
    up to 25 fps the span is that number, rounded; above 25 fps it is 1.3 to 2.3 frames longer (the
    converter's filled-up end: the two raw videos there are say 29.97, with 60 and 63 frames for spans of 52
    and 54). So the rate is not the standard one nearest to ``25 * num_frames / span``, which would take
    short 29.97-fps clips for 25, but the one that leaves the smallest misfit in frames after 1.83 is taken
    off above 25 fps. That explains 6,281 of the 6,291 clips to within 1.0 frame, 6,286 to within
    ``_EXPLAINED`` = 3.0 (4,356 as 29.97, 1,372 as 24, 526 as 25, 31 as 50, 1 as 59.94 fps). In the others
    the array and the span are not of the same cut of the video, and no rate can be read off.

    Args:
        num_frames: frames of the array.
        span: frames of the owner's span, counted at 25 fps.

    Returns:
        The rate, one of 24, 25, 30000/1001, 50, 60000/1001 (None where none explains the span to within
        ``_EXPLAINED`` frames), and the smallest misfit in frames at 25 fps.
    """

    def misfit(rate: Fraction) -> float:
        expected = 25 * num_frames / float(rate) + (1.83 if rate > 25 else 0.0)
        return abs(span - expected)

    best = min(_ESTIMATES, key=misfit)
    return (best if misfit(best) <= _EXPLAINED else None), misfit(best)
