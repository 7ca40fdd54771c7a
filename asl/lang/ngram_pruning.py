"""Smaller n-gram models: which n-grams are not listed, and back-off weights that are right without them."""

from typing import Any, List, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.lang.ngram_counts import Table


def cut_off(tables: Sequence[Table], cutoffs: Sequence[int]) -> List[np.ndarray]:
    """Which rows of each table occur more often than the cut-off of their order; of order 1 all are kept.

    Raises:
        AslError: cut-offs that fall from an order to the next (a kept n-gram's beginning must be kept too),
            one for order 1 (its words would have to leave the vocabulary), or more of them than orders.
    """
    given = list(cutoffs) or [0]
    shown = " ".join(map(str, given))
    if len(given) > len(tables):
        raise AslError(f"cut-offs {shown}: the model has {len(tables)} orders; give so many numbers or fewer")
    if given[0] != 0:
        raise AslError(f"cut-offs {shown}: the first is that of single words and must be 0")
    if any(a > b for a, b in zip(given, given[1:])):
        raise AslError(f"cut-offs {shown}: none may be smaller than that of the order below it")
    limits = given + [given[-1]] * (len(tables) - len(given))
    kept = [table.count > limit for table, limit in zip(tables, limits)]
    return [np.full(len(tables[0].word), True), *kept[1:]]


# prob, keep, rest of one order: see asl.lang.ngram.Level
Rows = Tuple[np.ndarray, np.ndarray, np.ndarray]


def entropy_prune(tables: Sequence[Table], levels: Sequence[Any], threshold: float) -> List[Rows]:
    """Leave out the n-grams without which perplexity would rise by less than ``threshold`` (relative).

    Stolcke, *Entropy-based pruning of backoff language models*, 1998, from the highest order down; each
    n-gram is judged with all others of its history there. The probability of a history is its relative
    frequency in the text, not the model's: Kneser-Ney's lower orders are no estimate of it (Chelba et al.
    2010). What a longer n-gram that stays begins or ends with stays too. Then the back-off weights are
    computed anew.

    Args:
        levels: the model, an object with ``prob``, ``keep`` and ``rest`` for each table.
        threshold: for example 1e-6.

    Returns:
        ``(prob, keep, rest)`` of each order.
    """
    if threshold < 0:
        raise AslError(f"the threshold of entropy pruning is {threshold}; give 0 (none) or more, as 1e-6")
    events = tables[0].count.sum()
    kept: List[Rows] = []
    needed = np.zeros(len(tables[-1].word), dtype=bool)
    for n in range(len(tables) - 1, 0, -1):
        table, (prob, keep, _) = tables[n], levels[n]
        lower, history = levels[n - 1].prob, _history(tables[n - 1], tables[n])
        loss = _loss(table, prob, lower, keep, history / events)
        keep = keep & (needed | (np.expm1(loss) >= threshold))
        kept.insert(0, (prob, keep, _weights(table, prob, lower, keep)[0]))
        needed = np.zeros(len(tables[n - 1].word), dtype=bool)
        needed[table.prefix[keep]] = True
        needed[table.suffix[keep]] = True
    return [tuple(levels[0]), *kept]


def _history(lower: Table, table: Table) -> np.ndarray:
    """How often each row of ``lower`` is followed by a word."""
    return np.bincount(table.prefix, weights=table.count, minlength=len(lower.word))


def _weights(
    table: Table, prob: np.ndarray, lower: np.ndarray, keep: np.ndarray
) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Back-off weight of each history, and what it is the quotient of: mass not listed, here and below."""
    here = np.bincount(table.prefix, weights=np.where(keep, prob, 0.0), minlength=len(lower))
    below = np.bincount(table.prefix, weights=np.where(keep, lower[table.suffix], 0.0), minlength=len(lower))
    # where all words are listed both are zero but for rounding, and the weight is never asked for
    left, left_below = np.maximum(1 - here, 0.0), np.maximum(1 - below, 1e-12)
    return left / left_below, left, left_below


def _loss(
    table: Table, prob: np.ndarray, lower: np.ndarray, keep: np.ndarray, history: np.ndarray
) -> np.ndarray:
    """Relative entropy between the model with and without each row, in nats a word."""
    weight, left, left_below = (values[table.prefix] for values in _weights(table, prob, lower, keep))
    backed = lower[table.suffix]
    without = (left + prob) / (left_below + backed)
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(left > 0, left * (np.log(without) - np.log(weight)), 0.0)
        return -history[table.prefix] * (prob * (np.log(backed) + np.log(without) - np.log(prob)) + moved)
