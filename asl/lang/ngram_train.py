"""``asl lm train``: sentences in, an n-gram in ARPA format out."""

import time
from collections import Counter
from typing import List, Optional

from asl.lang.arpa import UNKNOWN, write_arpa
from asl.lang.ngram import Estimate, Smoothing, estimate
from asl.lang.ngram_text import Text, read_text, read_words


def train(
    data: str = "data",
    split: str = "train",
    text: Optional[str] = None,
    order: int = 3,
    smoothing: Smoothing = "kneser-ney",
    words: Optional[str] = None,
    unk: bool = True,
    prune: Optional[List[int]] = None,
    entropy: float = 0.0,
    out: str = "data/lang/G.arpa",
) -> None:
    """Estimate an n-gram language model from the sentences of a split, or of a file.

    Args:
        data: the recipe's data folder.
        split: whose sentences.
        text: a file instead: one sentence a line, or an .stm file.
        order: 1 to 5.
        smoothing: kneser-ney (modified, interpolated) or witten-bell (interpolated).
        words: a words.txt: the model has these words and no others; default: all words of the text.
        unk: the model has <unk>, which every word outside of its vocabulary goes by; false: such a word is
            refused in the text, and has no probability afterwards.
        prune: cut-offs of the orders 1, 2, ...: n-grams that occur so often or less are left out; the first
            is 0, the last holds for higher orders too. 0 0 1 leaves out trigrams that occur once.
        entropy: leave out n-grams without which perplexity rises by less than this (relative), as 1e-6.
        out: the ARPA file.

    Raises:
        AslError: no such split or file, an option out of range, a word that is not allowed.
    """
    read = read_text(data, split, text)
    vocabulary = read_words(words) if words else None
    began = time.perf_counter()
    found = estimate(read.sentences, order, smoothing, vocabulary, unk, prune or (), entropy)
    seconds = time.perf_counter() - began
    write_arpa(out, found.lm)
    _print(found, read, smoothing, seconds, out)


def _print(found: Estimate, read: Text, smoothing: str, seconds: float, out: str) -> None:
    lm, counts = found.lm, Counter(word for sentence in read.sentences for word in sentence)
    also = f" and {UNKNOWN}" if lm.has_unknown else ""
    print(f"{out}: {lm.order}-gram, {smoothing}, {len(lm.words)} words{also}, in {seconds:.1f} s")
    print(f"from {len(read.sentences)} sentences, {sum(counts.values())} words of {read.source}")
    pruned = ", ".join(
        f"{n}-grams {listed}" + (f" of {seen}" if seen > listed else "")
        for n, (listed, seen) in enumerate(zip(lm.counts, found.counted), 1)
    )
    print(f"listed: {pruned}")
    for n, discounts in enumerate(found.discounts, 1):
        note = ""
        if n in found.fallen_back:
            note = ": not from the text, whose counts of counts give none"
        print(f"discounts of order {n}: {' '.join(f'{d:.3f}' for d in discounts)}{note}")
    unheard = sum(word not in counts for word in lm.words)
    if unheard:
        print(f"{unheard} words of the vocabulary are not in the text; they share what is kept for the unseen")
    strange = {word: count for word, count in counts.items() if not lm.knows(word)}
    if strange:
        first = max(strange, key=lambda word: strange[word])
        total = sum(strange.values())
        print(f"{total} words of the text ({len(strange)} different) are not in the vocabulary and count as "
              f"{UNKNOWN}, {first!r} most often")  # fmt: skip
