"""A system against a base over the same clips and seeds: difference, interval, paired test (exact, but for BLEU)."""

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from asl.scoring import bleu, topk
from asl.scoring.intervals import bootstrap, means, ratio, sign_flip_p
from asl.scoring.paired_bleu import compare_statistics, statistics_of
from asl.scoring.result import unpack


@dataclass
class Comparison:
    """A row against its base, over the clips, with the seeds that both have.

    Attributes:
        seeds: those seeds.
        difference: row minus base, per cent points; of the mean over the seeds.
        spread: standard deviation of the seeds' differences (n - 1); None with one seed.
        low, high: 95 % paired bootstrap interval over clips.
        p: two-sided; exact paired permutation test over clips, of the seeds' summed correctness (errors); of BLEU,
            which is no sum over clips, that test by random swaps.
        adjusted: ``p`` times Holm's factor for the rows of the group (Holm 1979).
    """

    seeds: List[int]
    difference: float
    spread: Optional[float]
    low: Optional[float]
    high: Optional[float]
    p: float
    adjusted: float = 1.0


def compare_seeds(pairs: Sequence[Tuple[Dict[str, Any], Dict[str, Any]]]) -> Comparison:
    """Compare the results ``(base, row)`` of each seed, which are of the same clips."""
    if pairs[0][0]["main"] == "bleu":
        return _compare_bleu(pairs)
    if pairs[0][0]["main"] == "wer":
        errors = [[unpack(result["per_clip"]["errors"]) for result in pair] for pair in pairs]
        # positive where the row is better
        gains = np.array([base - row for base, row in errors])
        lengths = unpack(pairs[0][0]["per_clip"]["lengths"])
        seeds, total = -gains.sum(1) / max(1, lengths.sum()), -gains.mean(0)
        statistic = ratio(total, lengths)
    else:
        hits = [[topk.hits(unpack(r["per_clip"]["ranks"]), [1])[:, 0] for r in pair] for pair in pairs]
        gains = np.array([row - base for base, row in hits]).astype(np.int64)
        seeds = gains.mean(1)
        statistic = means(gains.mean(0)[:, None])
    ((low, high),) = bootstrap(gains.shape[1], statistic)
    return Comparison(
        seeds=[base["seed"] for base, _ in pairs],
        difference=100 * float(seeds.mean()),
        spread=100 * float(seeds.std(ddof=1)) if len(seeds) > 1 else None,
        low=100 * float(low) if np.isfinite(low) else None,
        high=100 * float(high) if np.isfinite(high) else None,
        p=sign_flip_p(gains.sum(0).tolist()),
    )


def _compare_bleu(pairs: Sequence[Tuple[Dict[str, Any], Dict[str, Any]]]) -> Comparison:
    rows = [tuple(statistics_of(result) for result in pair) for pair in pairs]
    tested = compare_statistics(rows)
    seeds = np.array([bleu.bleu(row.sum(0)) - bleu.bleu(base.sum(0)) for base, row in rows])
    return Comparison(
        seeds=[base["seed"] for base, _ in pairs],
        difference=tested.difference,
        spread=float(seeds.std(ddof=1)) if len(seeds) > 1 else None,
        low=tested.low,
        high=tested.high,
        p=tested.p_swaps,
    )


def correct(comparisons: Sequence[Comparison]) -> None:
    """Set ``adjusted`` of comparisons that are looked at together (Holm 1979)."""
    largest = 0.0
    for place, comparison in enumerate(sorted(comparisons, key=lambda c: c.p)):
        largest = max(largest, min(1.0, comparison.p * (len(comparisons) - place)))
        comparison.adjusted = largest
