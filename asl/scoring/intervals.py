"""How sure a number is: bootstrap intervals over clips, and an exact paired test."""

from typing import Callable, Iterator, Sequence

import numpy as np

from asl.common.errors import AslError

REPLICATIONS = 10_000
LEVEL = 0.95
_ELEMENTS_AT_ONCE = 1 << 20

# (replications, n) how often each clip was drawn -> (replications, statistics)
Statistic = Callable[[np.ndarray], np.ndarray]


def bootstrap(n: int, statistic: Statistic, replications: int = REPLICATIONS, seed: int = 0) -> np.ndarray:
    """Percentile bootstrap: draw ``n`` clips with replacement, many times, and see how far the numbers move.

    Efron, *Bootstrap methods: another look at the jackknife*, 1979; for word error rates Bisani and Ney,
    *Bootstrap estimates for confidence intervals in ASR performance evaluation*, 2004.

    Args:
        n: number of clips, at least 1.
        statistic: maps weights ``(r, n)``, each row summing to ``n``, to values ``(r, m)``.

    Returns:
        ``(m, 2)``: the lower and the upper end of the 95 % interval of each statistic. Quantiles are values
        that were drawn, without interpolation, so that an infinite value stays infinite.

    Raises:
        AslError: fewer than one replication.
    """
    if replications < 1:
        raise AslError(f"{replications} replications make no interval; give 1 or more, as {REPLICATIONS}")
    values = np.concatenate([statistic(weights) for weights in resamples(n, replications, seed)])
    tail = (1 - LEVEL) / 2
    return np.quantile(values, [tail, 1 - tail], axis=0, method="inverted_cdf").T


def resamples(n: int, replications: int, seed: int) -> Iterator[np.ndarray]:
    """Yield ``(r, n)`` float64: how often each of ``n`` clips is drawn; ``r`` sums to ``replications``.

    The draws are a function of ``(n, seed)``: two systems on the same clips are drawn alike, which pairs
    them.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, _ELEMENTS_AT_ONCE // n)
    for start in range(0, replications, at_once):
        rows = min(at_once, replications - start)
        drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def means(values: np.ndarray) -> Statistic:
    """The statistic: mean of each column of ``values`` ``(n, m)``."""
    return lambda weights: weights @ values / len(values)


def class_means(values: np.ndarray, classes: Sequence[int]) -> Statistic:
    """The statistic: mean over classes of each class's mean, for each column of ``values`` ``(n, m)``.

    A class of which no clip is drawn is left out of that replication's mean, as a class without a clip in the
    split is left out of the value itself.
    """
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(np.asarray(classes)[order], prepend=-1))

    def statistic(weights: np.ndarray) -> np.ndarray:
        weights = weights[:, order]
        counts = np.add.reduceat(weights, starts, axis=1)
        present = np.maximum((counts > 0).sum(axis=1), 1)
        columns = []
        for column in values[order].T:
            sums = np.add.reduceat(weights * column, starts, axis=1)
            columns.append((sums / np.maximum(counts, 1)).sum(axis=1) / present)
        return np.stack(columns, axis=1)

    return statistic


def ratio(errors: np.ndarray, lengths: np.ndarray) -> Statistic:
    """The statistic: summed ``errors`` over summed ``lengths`` (both ``(n,)``); 0/0 is 0, x/0 infinite."""

    def statistic(weights: np.ndarray) -> np.ndarray:
        top, bottom = weights @ errors, weights @ lengths
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(top == 0, 0.0, top / bottom)[:, None]

    return statistic


def sign_flip_p(differences: Sequence[int]) -> float:
    """Two-sided p of the exact paired permutation test: swap the two systems on each clip or not.

    The chance that, were the two systems alike, the summed difference would be at least as far from 0 as it
    is. All 2^n swaps are counted, by adding one clip after the other to the distribution of the sum. Where
    the differences are -1, 0, 1 this is McNemar's exact test (McNemar 1947; Fisher 1935 for the permutation
    test).

    Args:
        differences: per clip, a whole number each: hits or errors of one system minus those of the other.
    """
    steps = np.abs(np.asarray([d for d in differences if d], dtype=np.int64))
    total, observed = int(steps.sum()), abs(int(np.sum(differences)))
    chances = np.zeros(2 * total + 1)  # of each sum from -total to total
    chances[total] = 1.0
    for step in steps:
        # never wraps: sums stay within total
        chances = (np.roll(chances, step) + np.roll(chances, -step)) / 2
    far = np.abs(np.arange(-total, total + 1)) >= observed
    return min(1.0, float(chances[far].sum()))
