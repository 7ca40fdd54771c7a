"""How far a sign reaches around its CTC spikes.

CTC's best path says a token in a frame or two and blanks elsewhere, so where a sign begins and ends has to be
taken from somewhere:

- ``spikes``: from the first to the last frame of its tokens. For networks that say a token as long as the sign
  lasts (``AlignedCtcTask``), or where the place is wanted, not the extent.
- ``midpoints``: the blanks between two signs are halved between them. Before the first sign and after the last a
  sign reaches as far as it does on its other side, at most to the clip's ends.
- ``tags``: the segment head's tags (outside a sign, inside, its begin) decide: of all ways to cut the clip into as
  many signs as it says, each holding the middle of its spikes, the one with the most probable tags.
"""

from typing import List, Optional, Sequence, Tuple

import numpy as np

EXTENTS = ("spikes", "midpoints", "tags")
Span = Tuple[int, int]  # first frame, the one behind the last

_OUTSIDE, _INSIDE, _BEGIN = 0, 1, 2


def extend(spikes: Sequence[Span], frames: int, extent: str, tags: Optional[np.ndarray] = None) -> List[Span]:
    """Spans of signs from the spans of their spikes.

    Args:
        spikes: one for each sign, in order, without overlap.
        frames: output frames of the clip.
        extent: one of ``EXTENTS``.
        tags: for ``tags``: log-probabilities ``(frames, 3)`` of outside, inside, begin.
    """
    if extent == "spikes" or not spikes:
        return list(spikes)
    if extent == "midpoints":
        return _to_midpoints(spikes, frames)
    if tags is None or tags.shape != (frames, 3):
        raise ValueError(f"extent tags needs log-probs ({frames}, 3), got {None if tags is None else tags.shape}")
    return _by_tags([(first + end - 1) // 2 for first, end in spikes], tags)


def _to_midpoints(spikes: Sequence[Span], frames: int) -> List[Span]:
    cuts = [(left[1] + right[0]) // 2 for left, right in zip(spikes, spikes[1:])]
    first, last = spikes[0], spikes[-1]
    # the ends have one neighbour: as far as on the other side; a lone sign has none and takes what is there
    before = cuts[0] - first[1] if cuts else first[0]
    after = last[0] - cuts[-1] if cuts else frames - last[1]
    edges = [max(first[0] - before, 0), *cuts, min(last[1] + after, frames)]
    return list(zip(edges, edges[1:]))


def _by_tags(middles: Sequence[int], tags: np.ndarray) -> List[Span]:
    """The most probable tags with one sign over each of ``middles`` and none elsewhere (Viterbi).

    State ``2 k`` is outside before sign ``k``, state ``2 k + 1`` inside of it; a sign's first frame is scored as
    a begin. Sign ``k`` may begin up to its middle, and end behind it.
    """
    frames, states = len(tags), 2 * len(middles) + 1
    scores = np.full((frames + 1, states), -np.inf)
    came = np.zeros((frames + 1, states), dtype=np.int64)
    scores[0, 0] = 0.0  # before the first frame
    for t in range(frames):
        before, row = scores[t], scores[t + 1]
        for state in range(states):
            sign = (state - 1) // 2
            if state % 2 == 0:  # outside: from the sign just ended, or still
                allowed = [(before[state] + tags[t, _OUTSIDE], state)]
                if state and t > middles[state // 2 - 1]:
                    allowed.append((before[state - 1] + tags[t, _OUTSIDE], state - 1))
                if state // 2 < len(middles) and t >= middles[state // 2]:
                    allowed = []  # its middle is inside the next sign
            else:
                allowed = [(before[state] + tags[t, _INSIDE], state)]
                if t <= middles[sign]:
                    allowed.append((before[state - 1] + tags[t, _BEGIN], state - 1))
                    if sign and t > middles[sign - 1]:
                        allowed.append((before[state - 2] + tags[t, _BEGIN], state - 2))
            if allowed:
                row[state], came[t + 1, state] = max(allowed)
    state = states - 1 if scores[-1, -1] >= scores[-1, -2] else states - 2
    spans: List[List[int]] = [[frames, 0] for _ in middles]
    for t in reversed(range(frames)):
        if state % 2:
            span = spans[state // 2]
            span[0], span[1] = min(span[0], t), max(span[1], t + 1)
        state = int(came[t + 1, state])
    return [(first, end) for first, end in spans]
