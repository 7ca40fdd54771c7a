"""What was signed before in the same video: an n-gram to which words of the previous sentences are likelier.

Signers set up referents and come back to them, and a broadcast has its subjects. The words of the previous
sentences are the cache (Kuhn and De Mori, *A cache-based natural language model for speech recognition*,
1990; older sentences fading away: Clarkson and Robinson, *Language model adaptation using mixtures and an
exponentially decaying cache*, 1997):

    p(w | h, cache) = (1 - weight) p(w | h) + weight (1 - p(</s> | h)) p_cache(w | last word)
    p_cache(w | v) = bigram c(v w) / c(v) + (1 - bigram) c(w) / c

with the counts ``c`` in the cache; the unigram alone where ``v`` is not in it, and the n-gram alone where it
is empty. That a sentence ends is left to the n-gram, so that the probabilities sum to one.
"""

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import DefaultDict, List, NamedTuple, Sequence

from asl.common.errors import AslError
from asl.lang.arpa import START, NGram

# video, and number in it: 01April_2010_Thursday_heute_default-0
VIDEO = r"(.+)[-_](\d+)"


@dataclass(frozen=True)
class CacheConfig:
    """How a cache is mixed in.

    Args:
        weight: of the cache against the n-gram, 0 (none) up to below 1.
        half_life: sentences after which a word of the cache counts half; inf: it does not fade.
        bigram: share of the cache's bigrams against its unigrams.
    """

    weight: float = 0.1
    half_life: float = math.inf
    bigram: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight < 1:
            raise AslError(f"the cache's weight is {self.weight}; give 0 (none) or a number below 1")
        if not self.half_life > 0:
            raise AslError(f"the cache's half-life is {self.half_life} sentences; give more than 0, or inf")
        if not 0 <= self.bigram <= 1:
            raise AslError(f"the cache's share of bigrams is {self.bigram}; give 0 to 1")


class Cache:
    """The words of the previous sentences of a video.

    Args:
        lm: words that it does not know are passed over.
        half_life, bigram: see ``CacheConfig``.
    """

    def __init__(self, lm: NGram, half_life: float = math.inf, bigram: float = 0.0) -> None:
        self.lm, self.half_life, self.bigram = lm, half_life, bigram
        self.fade = 0.5 ** (1 / half_life)
        self.total = 0.0
        self.unigrams: DefaultDict[str, float] = defaultdict(float)
        self.after: DefaultDict[str, Counter] = defaultdict(Counter)

    def add(self, sentence: Sequence[str]) -> None:
        """Add the sentence that has just been signed; what is there fades."""
        if self.fade < 1:
            self.total *= self.fade
            for counts in (self.unigrams, *self.after.values()):
                for word in counts:
                    counts[word] *= self.fade
        for before, word in zip((START, *sentence), sentence):
            if self.lm.knows(word):
                self.total += 1
                self.unigrams[word] += 1
                self.after[before][word] += 1

    def prob(self, before: str, word: str) -> float:
        """p_cache(word | before); only where the cache is not empty (``total`` above 0)."""
        unigram = self.unigrams.get(word, 0.0) / self.total
        after = self.after.get(before) if self.bigram else None
        if not after:
            return unigram
        return self.bigram * after.get(word, 0.0) / sum(after.values()) + (1 - self.bigram) * unigram


class CacheLM:
    """An n-gram with a cache of the previous sentences.

    Args:
        lm: the n-gram.
        config: how the cache is mixed in.
        video: which sentences are of one video, see ``group_videos``.

    Example:
        >>> from asl.lang.ngram import estimate
        >>> lm = CacheLM(estimate([["rain", "snow"], ["wind"]], 2).lm, CacheConfig(0.2))
        >>> plain, after_wind = (lm.score_all([["wind"]], context)[0] for context in ([], [["wind", "wind"]]))
        >>> plain < after_wind
        True
    """

    def __init__(self, lm: NGram, config: CacheConfig, video: str = VIDEO) -> None:
        self.lm, self.config, self.video = lm, config, video

    def knows(self, word: str) -> bool:
        """Whether ``word`` is one of the n-gram's words."""
        return self.lm.knows(word)

    def score_all(
        self, sentences: Sequence[Sequence[str]], context: Sequence[Sequence[str]] = ()
    ) -> List[float]:
        """Log-probabilities of readings of one sentence (an n-best list), after the sentences ``context``.

        Args:
            sentences: the readings, each scored by itself.
            context: what was signed before in the same video, oldest first; none at its begin.
        """
        return [sum(values) for values in self.word_log_probs(sentences, context)]

    def word_log_probs(
        self, sentences: Sequence[Sequence[str]], context: Sequence[Sequence[str]] = ()
    ) -> List[List[float]]:
        """As ``score_all``: of each word and, last, of the end."""
        cache = Cache(self.lm, self.config.half_life, self.config.bigram)
        for sentence in context:
            cache.add(sentence)
        return [self._of_sentence(sentence, cache) for sentence in sentences]

    def video_log_probs(
        self, sentences: Sequence[Sequence[str]], videos: Sequence[Sequence[int]], context: Sequence[int] = ()
    ) -> List[List[float]]:
        """As ``word_log_probs`` of sentences that each have the ones before in their video as context.

        Args:
            sentences: of any videos.
            videos: places in ``sentences`` of each video, in the order in which they were signed.
            context: places of sentences that are only looked back at; their values are empty lists.
        """
        silent = set(context)
        found: List[List[float]] = [[] for _ in sentences]
        for places in videos:
            cache = Cache(self.lm, self.config.half_life, self.config.bigram)
            for place in places:
                if place not in silent:
                    found[place] = self._of_sentence(sentences[place], cache)
                cache.add(sentences[place])
        return found

    def _of_sentence(self, sentence: Sequence[str], cache: Cache) -> List[float]:
        ngram = ngram_probs(self.lm, sentence)
        mixed = cache_probs(self.lm, sentence, cache, ngram)
        weight = self.config.weight
        return [_log((1 - weight) * p.word + weight * other) for p, other in zip(ngram, mixed)]


class Probs(NamedTuple):
    """The n-gram's probability of a word (or of the end), and that the sentence ends instead."""

    word: float
    end: float


def ngram_probs(lm: NGram, sentence: Sequence[str]) -> List[Probs]:
    """Of each word, and last of the end."""
    state, found = lm.start(), []
    for word in sentence:
        end = math.exp(lm.finish(state))
        log_prob, state = lm.step(state, word)
        found.append(Probs(math.exp(log_prob), end))
    end = math.exp(lm.finish(state))
    return [*found, Probs(end, end)]


def cache_probs(lm: NGram, sentence: Sequence[str], cache: Cache, ngram: Sequence[Probs]) -> List[float]:
    """What is mixed with ``ngram``: the same at the end and where the cache is empty.

    A word that the n-gram does not know is not in the cache either: it goes by ``<unk>``, weighted down.
    """
    if not cache.total:
        return [p.word for p in ngram]
    found = [
        (1 - p.end) * cache.prob(before, word) if lm.knows(word) else 0.0
        for before, word, p in zip((START, *sentence), sentence, ngram)
    ]
    return [*found, ngram[-1].word]


def _log(p: float) -> float:
    return math.log(p) if p > 0 else -math.inf


def group_videos(ids: Sequence[str], pattern: str = VIDEO) -> List[List[int]]:
    """Places of the sentences of each video, in the order in which they were signed.

    Args:
        ids: of the sentences.
        pattern: a regular expression with two groups, the video and the sentence's number in it.

    Raises:
        AslError: an id that the pattern does not fit, or a pattern that is none.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as e:
        raise AslError(f"the pattern of videos {pattern!r} is no regular expression: {e}") from None
    if compiled.groups != 2:
        raise AslError(f"the pattern of videos {pattern!r} needs two groups, video and number, as {VIDEO!r}")
    videos: DefaultDict[str, List[tuple]] = defaultdict(list)
    for place, key in enumerate(ids):
        found = compiled.fullmatch(key)
        if not found or not found[2].isdigit():
            raise AslError(f"id {key!r} does not fit the pattern of videos {pattern!r}; give another --video")
        videos[found[1]].append((int(found[2]), place))
    return [[place for _, place in sorted(sentences)] for _, sentences in sorted(videos.items())]
