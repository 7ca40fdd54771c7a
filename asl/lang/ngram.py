"""Estimating an n-gram model from sentences: modified Kneser-Ney or Witten-Bell, both interpolated.

With ``h'`` for the history ``h`` without its first word, every order is

    p(w | h) = discounted(h w) + rest(h) p(w | h')
    rest(h) = 1 - the sum of discounted(h w) over the listed w

down to the empty history, whose lower order is uniform over the vocabulary: all words, ``</s>`` and, where
there is one, ``<unk>``. So every word has a probability, those without a count too, and they sum to one for
every history. In the ARPA file ``rest(h)`` is the back-off weight of ``h``.
"""

from typing import List, Literal, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.lang.arpa import NGram, Words
from asl.lang.ngram_counts import Table, Vocabulary, count_ngrams, frequent_words
from asl.lang.ngram_pruning import cut_off, entropy_prune

Smoothing = Literal["kneser-ney", "witten-bell"]
MAX_ORDER = 5
Discounts = Tuple[float, float, float]  # of n-grams that occur once, twice, more often
FALLBACK: Discounts = (0.5, 1.0, 1.5)


class Estimate(NamedTuple):
    """What ``estimate`` returns.

    Attributes:
        lm: the model.
        discounts: with Kneser-Ney those of each order, else empty.
        fallen_back: orders of which the counts of counts give no discounts, so that they have ``FALLBACK``.
        counted: different n-grams of each order before pruning.
    """

    lm: NGram
    discounts: List[Discounts]
    fallen_back: List[int]
    counted: List[int]


class Level(NamedTuple):
    """One order of a model in the rows of its table.

    Attributes:
        prob: ``(rows,)`` p(word | prefix).
        keep: ``(rows,)`` whether the n-gram is listed in the model.
        rest: ``(rows of the order below,)`` back-off weight of each prefix.
    """

    prob: np.ndarray
    keep: np.ndarray
    rest: np.ndarray


def estimate(
    sentences: Sequence[Sequence[str]],
    order: int = 3,
    smoothing: Smoothing = "kneser-ney",
    vocabulary: Optional[Sequence[str]] = None,
    unknown: bool = True,
    cutoffs: Sequence[int] = (),
    entropy: float = 0.0,
) -> Estimate:
    """Estimate a back-off n-gram.

    Kneser-Ney is the modified one of Chen and Goodman, *An empirical study of smoothing techniques for
    language modeling*, 1998: three discounts an order from the counts of counts n1 to n4; below the highest
    order an n-gram counts by how many words it follows, unless it begins with ``<s>``. Where one of n1 to n4
    is zero, or a discount is not above 0 or exceeds its count, the order takes ``FALLBACK`` (KenLM's).

    Witten-Bell is method C of Witten and Bell, *The zero-frequency problem*, 1991, interpolated:
    ``discounted(h w) = c(h w) / (c(h) + t(h))`` with ``t(h)`` the number of different words after ``h``.

    Args:
        sentences: of words, without marks for begin and end.
        order: 1 to 5.
        vocabulary: the words; others in ``sentences`` become ``<unk>``. None: all words of ``sentences``.
        unknown: whether the model has ``<unk>``. Without a count it gets what any unseen word gets.
        cutoffs: for orders 1, 2, …: n-grams that occur so often or less are not listed (0: all are; the last
            number holds for higher orders too). Of order 1 all are.
        entropy: threshold of ``entropy_prune``; 0: none.

    Raises:
        AslError: an option out of range, no sentences, or a word that is unknown where there is no ``<unk>``.
    """
    if not 1 <= order <= MAX_ORDER:
        raise AslError(f"order {order}: n-grams of orders 1 to {MAX_ORDER} can be estimated")
    words = Vocabulary(frequent_words(sentences) if vocabulary is None else vocabulary, unknown)
    tables = count_ngrams(sentences, order, words)
    kept = cut_off(tables, cutoffs)
    discounts: List[Discounts] = []
    fallen_back: List[int] = []
    levels: List[Level] = []
    for n, (table, keep) in enumerate(zip(tables, kept), 1):
        if smoothing == "kneser-ney":
            counts = table.count if n == order else continuations(table, tables[n])
            found = discounts_of(counts)
            discounts.append(found or FALLBACK)
            if found is None:
                fallen_back.append(n)
            discounted = _kneser_ney(table, counts, discounts[-1])
        else:
            discounted = _witten_bell(table)
        levels.append(_interpolate(table, discounted, keep, levels[-1].prob if levels else _uniform(words)))
    if entropy:
        levels = [Level(*level) for level in entropy_prune(tables, levels, entropy)]
    counted = [int((table.count > 0).sum()) for table in tables]
    return Estimate(_model(words, tables, levels), discounts, fallen_back, counted)


def continuations(table: Table, higher: Table) -> np.ndarray:
    """Kneser-Ney's counts below the highest order: how many different words stand before an n-gram.

    Before an n-gram that begins with ``<s>`` stands nothing: it keeps its count.
    """
    before = np.bincount(higher.suffix, minlength=len(table.word))
    return np.where(table.initial, table.count, before)


def discounts_of(counts: np.ndarray) -> Optional[Discounts]:
    """The three discounts from the counts of counts; None where these give none that can be used."""
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if not n1 * n2 * n3 * n4:
        return None
    y = n1 / (n1 + 2 * n2)
    found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    return found if all(0 < d <= c for c, d in enumerate(found, 1)) else None


def _kneser_ney(table: Table, counts: np.ndarray, discounts: Discounts) -> np.ndarray:
    less = np.array([0.0, *discounts])[np.minimum(counts, 3)]
    total = np.bincount(table.prefix, weights=counts)[table.prefix]
    return (counts - less) / np.maximum(total, 1)


def _witten_bell(table: Table) -> np.ndarray:
    total = np.bincount(table.prefix, weights=table.count)
    kinds = np.bincount(table.prefix, weights=table.count > 0)
    return table.count / np.maximum(total + kinds, 1)[table.prefix]


def _uniform(vocabulary: Vocabulary) -> np.ndarray:
    """The order below the unigrams: each word alike, ``<s>`` (id 0) never."""
    prob = np.full(len(vocabulary), 1 / (len(vocabulary) - 1))
    prob[0] = 0.0
    return prob


def _interpolate(table: Table, discounted: np.ndarray, keep: np.ndarray, lower: np.ndarray) -> Level:
    """One order from the order below it; ``lower`` holds p of its rows."""
    discounted = np.where(keep, discounted, 0.0)
    rest = 1 - np.bincount(table.prefix, weights=discounted, minlength=len(lower))
    return Level(discounted + rest[table.prefix] * lower[table.suffix], keep, rest)


def _model(vocabulary: Vocabulary, tables: Sequence[Table], levels: Sequence[Level]) -> NGram:
    """The rows that are kept, as words and natural logarithms."""
    names: List[Words] = [()]
    ngrams, backoffs = [], {}
    with np.errstate(divide="ignore"):
        for table, level in zip(tables, levels):
            words = [vocabulary.symbols[i] for i in table.word.tolist()]
            below, names = names, []
            names = [(*below[prefix], word) for prefix, word in zip(table.prefix.tolist(), words)]
            log_prob = np.log(level.prob).tolist()
            kept = np.flatnonzero(level.keep).tolist()
            ngrams.append({names[row]: log_prob[row] for row in kept})
            if len(ngrams) > 1:
                rest = np.log(np.maximum(level.rest, 0.0)).tolist()
                contexts = np.unique(table.prefix[level.keep]).tolist()
                backoffs.update({below[row]: rest[row] for row in contexts})
    return NGram(ngrams, backoffs)
