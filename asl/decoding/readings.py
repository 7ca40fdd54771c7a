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


def expected_errors(readings: Sequence[Sequence[str]], shares: np.ndarray) -> np.ndarray:
    """Return for each reading its word errors against the others, averaged with their shares, ``(readings,)``."""
    size = len(readings)
    number: Dict[str, int] = {}
    lengths = np.array([len(words) for words in readings])
    ids = np.full((size, int(lengths.max(initial=0)) + 1), -1)
    for row, words in enumerate(readings):
        ids[row, :len(words)] = [number.setdefault(word, len(number)) for word in words]
    # edit distances of all pairs at once, one word of the first ones after the other
    place = np.arange(ids.shape[1])
    errors = np.broadcast_to(place, (size, size, len(place))).astype(np.int32)
    distance = np.where(lengths[:, None] == 0, lengths[None, :], 0)
    for step in range(int(lengths.max(initial=0))):
        said = errors + 1
        wrong = ids[:, None, None, step] != ids[None, :, :-1]
        said[:, :, 1:] = np.minimum(said[:, :, 1:], errors[:, :, :-1] + wrong)
        errors = np.minimum.accumulate(said - place, axis=2) + place
        ended = lengths == step + 1
        distance[ended] = errors[ended][:, np.arange(size), lengths]
    return distance @ shares


def least_risk(readings: Sequence[Sequence[str]], shares: np.ndarray) -> int:
    """Return which of the readings has the fewest expected word errors (minimum Bayes risk); of equal ones the first.

    Stolcke, König and Weintraub, *Explicit word error minimization in N-best list rescoring*, 1997.
    """
    risks = expected_errors(readings, shares)
    return int(np.flatnonzero(risks <= risks.min() + 1e-9)[0])


def word_confidences(words: Sequence[str], readings: Sequence[Reading], shares: np.ndarray) -> List[float]:
    """Return for each word the share of the readings that have it at its place, after aligning them with ``words``."""
    sure = np.zeros(len(words))
    number: Dict[str, int] = {}
    mine = [number.setdefault(word, len(number)) for word in words]
    for reading, share in zip(readings, shares):
        theirs = [number.setdefault(word, len(number)) for word in reading.words]
        place = 0
        for word, other in kaldialign.align(mine, theirs, -1):
            if word >= 0:
                sure[place] += share * (word == other)
                place += 1
    return [min(1.0, float(share)) for share in sure]
