"""How well a language model tells what comes next: perplexity, unknown words told apart."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Protocol, Sequence

import numpy as np

from asl.common.errors import AslError


class LanguageModel(Protocol):
    """What every language model here has: n-gram, cache, neural."""

    def knows(self, word: str) -> bool:
        """Whether ``word`` is one of its words."""

    def word_log_probs(self, sentences: Sequence[Sequence[str]]) -> List[List[float]]:
        """For each sentence the natural log-probability of each word and, last, of its end."""

    def score_all(self, sentences: Sequence[Sequence[str]]) -> List[float]:
        """The log-probability of each sentence."""


@dataclass
class Perplexity:
    """What ``measure`` returns.

    Attributes:
        sentences, words: how many; ends of sentences are no words.
        oov: words that the model does not know, with their counts, the most frequent first.
        log_prob: ``(sentences,)`` of the known words and the ends, natural logarithm.
        events: ``(sentences,)`` how many these are.
        oov_log_prob: sum over the unknown words, as ``<unk>``; -inf where the model has none.
    """

    sentences: int
    words: int
    oov: Dict[str, int]
    log_prob: np.ndarray
    events: np.ndarray
    oov_log_prob: float

    @property
    def oov_count(self) -> int:
        return sum(self.oov.values())

    @property
    def oov_rate(self) -> float:
        """Share of the words."""
        return self.oov_count / max(1, self.words)

    @property
    def perplexity(self) -> float:
        """Of the known words and the ends of sentences; unknown words stand in histories but do not count."""
        return math.exp(-self.log_prob.sum() / self.events.sum())

    @property
    def perplexity_with_oov(self) -> Optional[float]:
        """Of all words and ends, unknown words by ``<unk>``; None where the model has no ``<unk>``."""
        if self.oov_log_prob == -math.inf:
            return None
        return math.exp(-(self.log_prob.sum() + self.oov_log_prob) / (self.words + self.sentences))

    def as_dict(self) -> Dict[str, Any]:
        """All of it as plain values."""
        return {
            "sentences": self.sentences,
            "words": self.words,
            "perplexity": self.perplexity,
            "perplexity_with_oov": self.perplexity_with_oov,
            "oov_count": self.oov_count,
            "oov_rate": self.oov_rate,
            "oov": self.oov,
        }


def measure(
    lm: LanguageModel,
    sentences: Sequence[Sequence[str]],
    log_probs: Optional[Sequence[Sequence[float]]] = None,
) -> Perplexity:
    """Measure ``lm`` on ``sentences``.

    Args:
        log_probs: its ``word_log_probs`` where they are known already (of a model that looks at context).

    Raises:
        AslError: no sentences, or a known word of probability zero (the sentence is shown).
    """
    if not sentences:
        raise AslError("there are no sentences to measure perplexity on")
    found = lm.word_log_probs(sentences) if log_probs is None else log_probs
    oov: Counter = Counter()
    totals, events, unknown = [], [], 0.0
    for words, values in zip(sentences, found):
        known = [lm.knows(word) for word in words] + [True]
        total = sum(value for value, is_known in zip(values, known) if is_known)
        if total == -math.inf:
            raise AslError(f"the model gives the sentence {' '.join(words)!r} no probability; is it whole?")
        oov.update(word for word, is_known in zip(words, known) if not is_known)
        unknown += sum(value for value, is_known in zip(values, known) if not is_known)
        totals.append(total)
        events.append(sum(known))
    ordered = dict(sorted(oov.items(), key=lambda item: (-item[1], item[0])))
    return Perplexity(
        len(sentences), sum(map(len, sentences)), ordered, np.array(totals), np.array(events), unknown
    )
