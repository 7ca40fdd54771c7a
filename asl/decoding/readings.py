"""From the readings of a lattice to hypotheses: their shares of the probability, the one that is chosen, and how
sure each of its words is."""

import math
from typing import Callable, Dict, List, Optional, Sequence, Tuple

import kaldialign
import numpy as np

from asl.decoding.hypothesis import Hypothesis
from asl.graph.engine import Reading

# the start and end in seconds of each word of a reading
Times = Callable[[Sequence[str]], Optional[List[Tuple[float, float]]]]
# the readings that share the probability out
FOR_CONFIDENCE = 100


def hypotheses_of(
    readings: Sequence[Reading], nbest: int, mbr: bool = False, times: Optional[Times] = None
) -> List[Hypothesis]:
    """Return the ``nbest`` best readings as hypotheses; the first one has the confidence of each word.

    Args:
        readings: each word sequence once, best first; none gives the empty hypothesis.
        nbest: how many to return.
        mbr: put the reading of least expected word errors first, not the most probable one.
        times: gives the times of the first one's words, where they mean something.

    Returns:
        Hypotheses; ``confidence`` is the share of a reading among all that were given.
    """
    if not readings:
        return [Hypothesis([], -math.inf, None if times is None else [], 0.0, [])]
    shares = posteriors(readings)
    order = list(range(len(readings)))
    if mbr:
        order.insert(0, order.pop(least_risk([reading.words for reading in readings], shares)))
    out = [
        Hypothesis(readings[index].words, readings[index].score, None, float(shares[index]))
        for index in order[:nbest]
    ]
    out[0].word_confidences = word_confidences(out[0].words, readings, shares)
    if times is not None:
        out[0].times = times(out[0].words)
    return out


def posteriors(readings: Sequence[Reading]) -> np.ndarray:
    """Share the probability out by the readings' scores, natural logarithms."""
    scores = np.array([reading.score for reading in readings], np.float64)
    return np.exp(scores - np.logaddexp.reduce(scores))


def edit_distances(readings: Sequence[Sequence[str]], rows: Sequence[int]) -> np.ndarray:
    """Return the word errors of the readings ``rows`` against every reading, ``(rows, readings)``."""
    number = {word: index for index, word in enumerate({word for words in readings for word in words})}
    lengths = np.array([len(words) for words in readings])
    ids = np.full((len(readings), int(lengths.max(initial=0))), -1, np.int32)
    for row, words in enumerate(readings):
        ids[row, :len(words)] = [number[word] for word in words]
    # all pairs at once, one word of the rows after the other; small numbers are added many at a time
    first, longest = lengths[rows], ids.shape[1]
    errors = np.empty((longest + 1, len(rows), len(readings)), np.int16)
    errors[:] = np.arange(longest + 1)[:, None, None]
    out = np.broadcast_to(lengths, errors.shape[1:]).copy()
    words, every = np.ascontiguousarray(ids.T)[:, None, :], np.arange(len(readings))
    for step in range(int(first.max(initial=0))):
        said = errors + np.int16(1)
        np.minimum(said[1:], errors[:-1] + (words != ids[rows, step][:, None]), out=said[1:])
        for place in range(1, longest + 1):
            np.minimum(said[place], said[place - 1] + np.int16(1), out=said[place])
        ended, errors = np.flatnonzero(first == step + 1), said
        out[ended] = errors[lengths, ended[:, None], every]
    return out


def least_risk(readings: Sequence[Sequence[str]], shares: np.ndarray) -> int:
    """Return which of the readings has the fewest expected word errors (minimum Bayes risk); of equal ones the first.

    Stolcke, König and Weintraub, *Explicit word error minimization in N-best list rescoring*, 1997. Only those are
    compared with all others that may have fewer than the first one: edit distance is a metric, so two readings are
    at least as far apart as their distances to the first one differ, and no two are the same.
    """
    (to_first,) = edit_distances(readings, [0])
    apart = np.maximum(np.abs(to_first[:, None] - to_first[None]), ~np.eye(len(readings), dtype=bool))
    able = np.flatnonzero(apart @ shares <= to_first @ shares + 1e-9)
    if len(able) == 1:
        return 0
    risks = edit_distances(readings, able) @ shares
    return int(able[risks <= risks.min() + 1e-9][0])


def word_confidences(words: Sequence[str], readings: Sequence[Reading], shares: np.ndarray) -> List[float]:
    """Return for each word the share of the readings that have it at its place, after aligning them with ``words``."""
    sure = np.zeros(len(words))
    number = {word: index for index, word in enumerate({*words, *(word for reading in readings for word in reading.words)})}
    mine = [number[word] for word in words]
    for reading, share in zip(readings, shares):
        theirs = [number[word] for word in reading.words]
        same = [word == other for word, other in kaldialign.align(mine, theirs, -1) if word >= 0]
        sure[np.flatnonzero(same)] += share
    return [min(1.0, float(share)) for share in sure]
