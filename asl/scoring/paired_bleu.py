"""Is one system's BLEU better than another's by more than chance? Paired bootstrap and random swaps.

BLEU is no mean over sentences, so its differences have no exact test here: both tests draw. Koehn, *Statistical
significance tests for machine translation evaluation*, 2004, draws sentences with replacement, the same for both
systems; Riezler and Maxwell, *On some pitfalls in automatic evaluation and significance testing for MT*, 2005, swap
the two systems' outputs of a sentence or not (approximate randomisation), as the permutation tests of other measures
do here.
"""

from typing import Any, Dict, Iterator, NamedTuple, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.seeds import derive_seed
from asl.scoring import bleu
from asl.scoring.intervals import LEVEL, REPLICATIONS, resamples
from asl.scoring.result import unpack

Pair = Tuple[np.ndarray, np.ndarray]  # statistics (n, 10) of the base (A) and of the other (B)
_ROUNDING = 1e-9  # differences of BLEU that are nearer than this are the same
_ELEMENTS_AT_ONCE = 1 << 20


class Tested(NamedTuple):
    """B against A, per cent points of BLEU-4, mean over the pairs (seeds).

    Attributes:
        difference: B minus A.
        low, high: 95 % interval of the paired bootstrap.
        p: of the paired bootstrap as Moses and sacreBLEU count it: how often a draw's difference, either way, is
            further above the draws' mean than the observed one is above 0.
        p_swaps: of random swaps, two-sided.
        b_ahead: share of the draws in which B has the higher BLEU (Koehn's measure).
    """

    difference: float
    low: float
    high: float
    p: float
    p_swaps: float
    b_ahead: float


def statistics_of(result: Dict[str, Any]) -> np.ndarray:
    """sacreBLEU's statistics ``(n, 10)`` of the sentences of a result."""
    return bleu.from_per_clip({name: unpack(result["per_clip"][name]) for name in bleu.PER_CLIP})


def compare_statistics(pairs: Sequence[Pair], replications: int = REPLICATIONS, seed: int = 0) -> Tested:
    """Test the statistics of the same sentences, a pair a seed of training.

    Raises:
        AslError: fewer than one replication.
    """
    if replications < 1:
        raise AslError(f"{replications} replications make no test; give 1 or more, as {REPLICATIONS}")
    n = len(pairs[0][0])
    observed = float(_difference([(a.sum(0), b.sum(0)) for a, b in pairs]))
    drawn = np.concatenate([
        _difference([(weights @ a, weights @ b) for a, b in pairs]) for weights in resamples(n, replications, seed)
    ])  # fmt: skip
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    return Tested(observed, float(low), float(high), bootstrap_p(drawn, observed),
                  _swap_p(pairs, observed, replications, seed), float((drawn > _ROUNDING).mean()))  # fmt: skip


def bootstrap_p(drawn: np.ndarray, observed: float) -> float:
    """p of the differences ``(r,)`` of the draws; systems that are alike in every draw have 1."""
    sizes = np.abs(drawn)
    far = sizes - sizes.mean() >= abs(observed) - _ROUNDING
    return float((far.sum() + 1) / (len(drawn) + 1))


def _difference(sums: Sequence[Pair]) -> np.ndarray:
    return np.mean([bleu.bleu(b) - bleu.bleu(a) for a, b in sums], axis=0)


def _swap_p(pairs: Sequence[Pair], observed: float, trials: int, seed: int) -> float:
    far = 0
    for swapped in _coins(len(pairs[0][0]), trials, derive_seed(seed, "swaps")):
        # what goes from one side to the other; the sums of both sides together stay
        moved = [swapped @ (b - a) for a, b in pairs]
        sums = [(a.sum(0) + m, b.sum(0) - m) for (a, b), m in zip(pairs, moved)]
        far += int((np.abs(_difference(sums)) >= abs(observed) - _ROUNDING).sum())
    return (far + 1) / (trials + 1)


def _coins(n: int, trials: int, seed: int) -> Iterator[np.ndarray]:
    """``(r, n)`` float64 of 0 and 1; ``r`` sums to ``trials``."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _ELEMENTS_AT_ONCE // n)
    for start in range(0, trials, at_once):
        yield rng.integers(0, 2, (min(at_once, trials - start), n)).astype(np.float64)
