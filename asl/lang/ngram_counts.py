"""How often which n-grams occur: tables in numpy, each n-gram known by its prefix's row and its last word."""

from collections import Counter
from typing import Iterable, List, NamedTuple, Optional, Sequence

import numpy as np

from asl.common.errors import AslError
from asl.lang.arpa import END, START, UNKNOWN


class Vocabulary:
    """Words and their ids: ``<s>`` is 0, ``</s>`` 1, ``<unk>`` (where there is one) 2, then the words.

    Args:
        words: the words; the three marks among them, and repeated ones, are passed over.
        unknown: whether there is ``<unk>``, which every other word becomes.
    """

    def __init__(self, words: Iterable[str], unknown: bool = True) -> None:
        special = [START, END, UNKNOWN] if unknown else [START, END]
        proper = dict.fromkeys(word for word in words if word not in (START, END, UNKNOWN))
        self.symbols: List[str] = [*special, *proper]
        self.unknown = unknown
        self.ids = {symbol: index for index, symbol in enumerate(self.symbols)}

    def __len__(self) -> int:
        return len(self.symbols)

    def encode(self, words: Sequence[str]) -> List[int]:
        """Return the id of each word.

        Raises:
            AslError: a word that is not there, and no ``<unk>``; or ``<s>`` or ``</s>`` within a sentence.
        """
        for mark in (START, END):
            if mark in words:
                raise AslError(f"{mark!r} stands in the sentence {' '.join(words)!r}; remove it there")
        if self.unknown:
            return [self.ids.get(word, 2) for word in words]
        missing = next((word for word in words if word not in self.ids), None)
        if missing is not None:
            raise AslError(f"word {missing!r} is not in the vocabulary; add it, or allow <unk>")
        return [self.ids[word] for word in words]


class Table(NamedTuple):
    """The different n-grams of one order, sorted; of order 1 row ``i`` is the word with id ``i``.

    Attributes:
        prefix: ``(rows,)`` row, one order lower, of the n-gram without its last word; 0 for order 1.
        word: ``(rows,)`` id of the last word.
        suffix: ``(rows,)`` row, one order lower, of the n-gram without its first word; for order 1 the word's
            id (below the unigrams is the uniform distribution over the words).
        count: ``(rows,)`` how often it occurs.
        initial: ``(rows,)`` whether its first word is ``<s>``.
    """

    prefix: np.ndarray
    word: np.ndarray
    suffix: np.ndarray
    count: np.ndarray
    initial: np.ndarray


def count_ngrams(sentences: Sequence[Sequence[str]], order: int, vocabulary: Vocabulary) -> List[Table]:
    """Count the n-grams of orders 1 to ``order`` in ``<s> sentence </s>``; ``<s>`` counts as context alone.

    Raises:
        AslError: as ``Vocabulary.encode``, or there is no sentence.
    """
    if not sentences:
        raise AslError("there is no sentence to count n-grams of; is the text empty?")
    coded = [[0, *vocabulary.encode(words), 1] for words in sentences]
    ids = np.fromiter((i for sentence in coded for i in sentence), dtype=np.int64)
    of_sentence = np.repeat(np.arange(len(coded)), [len(sentence) for sentence in coded])
    size = len(vocabulary)
    count = np.bincount(ids, minlength=size)
    count[0] = 0
    nothing = np.zeros(size, dtype=np.int64)
    tables = [Table(nothing, np.arange(size), np.arange(size), count, np.arange(size) == 0)]
    row_at = ids  # for each place the row of the n-gram that begins there
    for n in range(2, order + 1):
        places = np.flatnonzero(of_sentence[: 1 - n] == of_sentence[n - 1 :])
        keys = row_at[places] * size + ids[places + n - 1]
        keys, first, rows, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        prefix = keys // size
        suffix = row_at[places[first] + 1]
        tables.append(Table(prefix, keys % size, suffix, count, tables[-1].initial[prefix]))
        row_at = np.full(len(ids), -1)
        row_at[places] = rows
    return tables


def unseen(vocabulary: Vocabulary, tables: Sequence[Table]) -> int:
    """Number of words of the vocabulary that do not occur in the text."""
    special = 3 if vocabulary.unknown else 2
    return int((tables[0].count[special:] == 0).sum())


def frequent_words(sentences: Sequence[Sequence[str]], limit: Optional[int] = None) -> List[str]:
    """The words of the text, the most frequent first (equally frequent ones in alphabetical order)."""
    counts = Counter(word for sentence in sentences for word in sentence)
    return sorted(counts, key=lambda word: (-counts[word], word))[:limit]
