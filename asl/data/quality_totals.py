"""Measures of clips summed up over a split, in memory that does not grow with their landmarks."""

from collections import Counter
from typing import Any, Dict, List, Optional

import numpy as np

from asl.data.quality_rows import Row, rounded
from asl.landmarks.quality import Quality

BINS = 20  # of a clip's time
SHORT = 3  # frames: gaps that are filled by default (asl.landmarks.gaps)


class Totals:
    """What was measured of many clips.

    Attributes:
        clips, frames, seconds, unreliable: how many; the last are frames.
        found: part -> frames in which it was found.
        gaps: part -> length -> how many gaps of that length.
        implausible: kind -> [how many, of how many, clips with any].
        shares: part (and ``unreliable``) -> each clip's share of its frames; jitter: part -> each clip's.
        profile: part -> ``(2, BINS)``: frames with it, and frames, over the clip's time.
    """

    def __init__(self) -> None:
        self.clips, self.frames, self.seconds, self.unreliable = 0, 0, 0.0, 0
        self.without_hands = 0
        self.found: "Counter[str]" = Counter()
        self.gaps: Dict[str, "Counter[int]"] = {}
        self.implausible: Dict[str, List[int]] = {}
        self.shares: Dict[str, List[float]] = {}
        self.jitter: Dict[str, List[float]] = {}
        self.profile: Dict[str, np.ndarray] = {}

    def add(self, row: Row, quality: Quality) -> None:
        """Add one clip."""
        frames = row["frames"]
        self.clips, self.frames = self.clips + 1, self.frames + frames
        self.seconds += frames / row["fps"]
        self.unreliable += int(quality.unreliable.sum())
        self.shares.setdefault("unreliable", []).append(row["unreliable"])
        place = np.arange(frames) * BINS // frames
        for part, there in quality.present.items():
            self.found[part] += int(there.sum())
            self.shares.setdefault(part, []).append(row["found"][part])
            profile = self.profile.setdefault(part, np.zeros((2, BINS), dtype=np.int64))
            profile += np.stack([np.bincount(place, w, BINS).astype(np.int64) for w in (there, np.ones(frames))])
        for part, gaps in quality.gaps.items():
            self.gaps.setdefault(part, Counter()).update(gaps.tolist())
        for part, value in quality.jitter.items():
            values = self.jitter.setdefault(part, [])
            if np.isfinite(value):
                values.append(value)
        for kind, (n, of) in quality.implausible.items():
            sums = self.implausible.setdefault(kind, [0, 0, 0])
            self.implausible[kind] = [sums[0] + n, sums[1] + of, sums[2] + (n > 0)]
        self.without_hands += "any_hand" in quality.present and not quality.present["any_hand"].any()

    def summary(self) -> Dict[str, Any]:
        """All that as JSON, shares for counts.

        Returns:
            ``clips``, ``frames``, ``seconds``; ``unreliable``: share of the frames; ``clips_without_hands``; ``found``:
            part -> share of the frames; ``gaps``: part -> ``count``, ``median`` and ``longest`` in frames, and
            the share of ``short`` ones; ``jitter``: part -> median and 95th percentile over the clips;
            ``implausible``: kind -> ``count``, ``of``, ``share`` and how many ``clips`` have any.
        """
        return {
            "clips": self.clips,
            "frames": self.frames,
            "seconds": round(self.seconds, 1),
            "unreliable": _share(self.unreliable, self.frames),
            "clips_without_hands": self.without_hands,
            "found": {part: _share(n, self.frames) for part, n in self.found.items()},
            "gaps": {part: _gaps(lengths) for part, lengths in self.gaps.items()},
            "jitter": {
                part: {"median": _percentile(values, 50), "high": _percentile(values, 95)}
                for part, values in self.jitter.items()
            },
            "implausible": {
                kind: {"count": n, "of": of, "share": _share(n, of), "clips": clips}
                for kind, (n, of, clips) in self.implausible.items()
            },
        }


def _share(n: int, of: int) -> Optional[float]:
    return round(n / of, 6) if of else None


def _percentile(values: List[float], percent: float) -> Optional[float]:
    return rounded(float(np.percentile(values, percent))) if values else None


def _gaps(lengths: "Counter[int]") -> Dict[str, Any]:
    count = sum(lengths.values())
    if not count:
        return {"count": 0, "median": None, "longest": 0, "short": None}
    order = sorted(lengths)
    middle = order[int(np.searchsorted(np.cumsum([lengths[k] for k in order]), (count + 1) // 2))]
    short = sum(n for length, n in lengths.items() if length <= SHORT)
    return {"count": count, "median": middle, "longest": order[-1], "short": _share(short, count)}
