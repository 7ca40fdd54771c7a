"""Isolated signs: is the right one among the k best? Per instance, per class, and what is taken for what."""

from collections import Counter
from typing import Dict, List, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.scoring.intervals import Statistic, bootstrap, class_means, means
from asl.scoring.refs import Utterance

KS = (1, 5, 10)
Metrics = Dict[str, Dict[str, float]]


def ranks(utterances: Sequence[Utterance]) -> List[int]:
    """Place of the reference in each n-best list, from 1; 0 where it is not in it or nothing was recognised.

    Raises:
        AslError: a clip without a reference has no right answer.
    """
    for utterance in utterances:
        if not utterance.reference:
            raise AslError(
                f"the reference of '{utterance.id}' is empty: it has no sign to find; use --metric wer"
            )
    return [u.readings.index(u.reference) + 1 if u.reference in u.readings else 0 for u in utterances]


def class_numbers(utterances: Sequence[Utterance]) -> List[int]:
    """A number for the sign of each clip: 0, 1, ... in sorted order of the signs that the split has."""
    number = {reference: i for i, reference in enumerate(sorted({u.reference for u in utterances}))}
    return [number[u.reference] for u in utterances]


def measurable(utterances: Sequence[Utterance]) -> List[int]:
    """Those of 1, 5, 10 that the decoder's n-best lists are deep enough for.

    A decoder that gives one reading says nothing of the second to tenth best: its top-5 is unknown, not equal
    to its top-1. Fewer signs than k in all are deep enough.
    """
    depth = max(len(u.readings) for u in utterances)
    known = {u.reference for u in utterances}.union(*(u.readings for u in utterances))
    return [k for k in KS if k == 1 or depth >= min(k, len(known))]


def hits(ranks: np.ndarray, ks: Sequence[int]) -> np.ndarray:
    """``(n, len(ks))`` float64: 1 where the rank ``(n,)`` is among the first k."""
    return np.stack([(ranks > 0) & (ranks <= k) for k in ks], axis=1).astype(np.float64)


def accuracies(
    hits: np.ndarray, classes: Sequence[int], ks: Sequence[int], replications: int, seed: int
) -> Metrics:
    """Top-k per instance (``top1``) and per class (``top1_class``), per cent, with 95 % bootstrap intervals.

    Per class is the mean over the classes that have a clip in the split. Clips are drawn, for per class too.

    Args:
        hits: ``(n, len(ks))``; 0 or 1.
        classes: ``(n,)`` the class of each clip, from 0.
    """
    metrics: Metrics = {}
    for suffix, statistic in (("", means(hits)), ("_class", class_means(hits, classes))):
        metrics.update(_measure([f"top{k}{suffix}" for k in ks], len(hits), statistic, replications, seed))
    return metrics


def _measure(names: Sequence[str], n: int, statistic: Statistic, replications: int, seed: int) -> Metrics:
    values = statistic(np.ones((1, n)))[0]
    ends = bootstrap(n, statistic, replications, seed)
    return {
        name: {"value": 100 * float(value), "low": 100 * float(low), "high": 100 * float(high)}
        for name, value, (low, high) in zip(names, values, ends)
    }


def confusions(utterances: Sequence[Utterance]) -> List[Tuple[int, str, str, int]]:
    """What was taken for what, most frequent first: (times, sign, recognised as, clips of the sign).

    Nothing recognised is shown as ``*``.
    """
    clips = Counter(u.reference for u in utterances)
    pairs = Counter((u.reference, u.best) for u in utterances if u.best != u.reference)
    rows = [(n, " ".join(ref), " ".join(hyp) or "*", clips[ref]) for (ref, hyp), n in pairs.items()]
    return sorted(rows, key=lambda row: (-row[0], row[3], row[1], row[2]))
