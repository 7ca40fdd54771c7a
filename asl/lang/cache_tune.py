"""``asl lm cache``: how much the previous sentences of the same video should count, chosen on train."""

import math
import os
import random
from pathlib import Path
from typing import Any, Dict, Iterator, List, Literal, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike, read_json, write_json
from asl.common.seeds import derive_seed
from asl.lang.arpa import NGram, read_arpa
from asl.lang.cache import VIDEO, Cache, CacheConfig, CacheLM, cache_probs, group_videos, ngram_probs
from asl.lang.ngram import Smoothing, estimate
from asl.lang.ngram_text import read_text

WEIGHTS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
HALF_LIVES = (2.0, 8.0, math.inf)
BIGRAMS = (0.0, 0.3, 0.6)
HeldOut = Literal["videos", "sentences"]


class Tuned(NamedTuple):
    """What ``tune`` returns.

    Attributes:
        config: the best configuration.
        perplexity: on the held-out sentences, of each configuration tried.
    """

    config: CacheConfig
    perplexity: Dict[CacheConfig, float]

    @property
    def plain(self) -> float:
        """Perplexity without a cache."""
        return next(value for config, value in self.perplexity.items() if not config.weight)

    @property
    def best(self) -> float:
        return self.perplexity[self.config]


def cache(
    lm: str = "data/lang/G.arpa",
    data: str = "data",
    split: str = "train",
    text: Optional[str] = None,
    smoothing: Smoothing = "kneser-ney",
    held_out: HeldOut = "videos",
    folds: int = 10,
    video: str = VIDEO,
    seed: int = 0,
    out: str = "data/lang/cache.json",
) -> None:
    """Choose on train how an n-gram's cache of the previous sentences of a video is mixed in.

    In each of the folds of a cross-validation an n-gram of the same order and words is estimated from the
    rest, and all caches of a grid are measured on the held-out sentences. The best is written.

    Args:
        lm: the n-gram that the cache is for.
        data: the recipe's data folder.
        split: whose sentences.
        text: an .stm file instead.
        smoothing: as the n-gram was made: kneser-ney or witten-bell.
        held_out: videos: whole ones; sentences: single ones, where (as in PHOENIX-2014) the videos of val and
            test have other sentences in train. What was signed before is looked back at in either case.
        folds: of the cross-validation.
        video: regular expression for ids, two groups: the video, and the sentence's number in it.
        seed: of the folds.
        out: the cache's file, which asl lm perplexity --cache and asl decode --rescore take.

    Raises:
        AslError: no such file or split, ids that do not fit, or fewer videos than folds.
    """
    model, read = read_arpa(lm), read_text(data, split, text)
    if read.ids is None:
        raise AslError(f"{read.source} has no ids to tell videos by; give --data, or an .stm file")
    videos = group_videos(read.ids, video)
    found = tune(read.sentences, videos, model, smoothing, held_out, folds, seed)
    write_cache(out, lm, found.config, video)
    config, n = found.config, len(read.sentences)
    half = "no fading" if config.half_life == math.inf else f"half-life {config.half_life:g} sentences"
    print(f"{out}: weight {config.weight:g}, {half}, bigram share {config.bigram:g}")
    gain = 100 * (found.best / found.plain - 1)
    print(f"perplexity of {n} held-out sentences of {len(videos)} videos ({folds} folds of {held_out}): "
          f"{found.plain:.2f} without, {found.best:.2f} with the cache ({gain:+.1f} %)")  # fmt: skip


def tune(
    sentences: Sequence[Sequence[str]],
    videos: Sequence[Sequence[int]],
    lm: NGram,
    smoothing: Smoothing = "kneser-ney",
    held_out: HeldOut = "videos",
    folds: int = 10,
    seed: int = 0,
) -> Tuned:
    """Cross-validate the grid; see ``cache``. Of equally good configurations the one with less cache is best.

    Args:
        videos: places in ``sentences`` of each video in order.
        lm: whose order and words the n-grams of the folds have.
    """
    units = list(videos) if held_out == "videos" else [[place] for places in videos for place in places]
    if not 2 <= folds <= len(units):
        raise AslError(f"{folds} folds of {len(units)} {held_out}: give 2 or more, and not more than these")
    random.Random(derive_seed(seed, "folds")).shuffle(units)
    shapes = [(half_life, bigram) for half_life in HALF_LIVES for bigram in BIGRAMS]
    totals, events = np.zeros((len(shapes), len(WEIGHTS))), 0
    for fold in range(folds):
        out = {place for unit in units[fold::folds] for place in unit}
        kept = [words for place, words in enumerate(sentences) if place not in out]
        part = estimate(kept, lm.order, smoothing, lm.words, lm.has_unknown).lm
        plain = {place: ngram_probs(part, sentences[place]) for place in out}
        for row, (half_life, bigram) in enumerate(shapes):
            ngram, other = [], []
            for place, looked_back in _caches(sentences, videos, out, Cache(part, half_life, bigram)):
                words = sentences[place]
                mixed = cache_probs(part, words, looked_back, plain[place])
                known = [part.knows(word) for word in words] + [True]
                ngram += [p.word for p, is_known in zip(plain[place], known) if is_known]
                other += [p for p, is_known in zip(mixed, known) if is_known]
            a, b = np.array(ngram), np.array(other)
            totals[row] += [np.log((1 - w) * a + w * b).sum() for w in WEIGHTS]
        events += len(ngram)
    perplexity = {
        CacheConfig(weight, *shape): math.exp(-totals[row, column] / events)
        for column, weight in enumerate(WEIGHTS)
        for row, shape in enumerate(shapes)
    }
    return Tuned(min(perplexity, key=lambda config: round(perplexity[config], 6)), perplexity)


def _caches(
    sentences: Sequence[Sequence[str]], videos: Sequence[Sequence[int]], out: Any, empty: Cache
) -> Iterator[Tuple[int, Cache]]:
    """Each held-out sentence, and the cache of all that was signed before it in its video."""
    for places in videos:
        looked_back = Cache(empty.lm, empty.half_life, empty.bigram)
        last = max((i for i, place in enumerate(places) if place in out), default=-1)
        for place in places[: last + 1]:
            if place in out:
                yield place, looked_back
            looked_back.add(sentences[place])


def write_cache(path: PathLike, lm: PathLike, config: CacheConfig, video: str = VIDEO) -> None:
    """Write a cache's file: JSON, the n-gram's path relative to it."""
    value = {
        "lm": os.path.relpath(lm, Path(path).parent),
        "weight": config.weight,
        "half_life": None if config.half_life == math.inf else config.half_life,
        "bigram": config.bigram,
        "video": video,
    }
    write_json(path, value)


def read_cache(path: PathLike) -> CacheLM:
    """Read a cache's file and its n-gram.

    Raises:
        AslError: absent or malformed file (what is missing is named), or n-gram.
    """
    value = read_json(path)
    keys: List[str] = ["lm", "weight", "half_life", "bigram", "video"]
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing:
        raise AslError(f"{path}: {missing[0]!r} is missing; 'asl lm cache' makes this file")
    half_life = math.inf if value["half_life"] is None else value["half_life"]
    try:
        config = CacheConfig(float(value["weight"]), float(half_life), float(value["bigram"]))
    except (TypeError, ValueError) as e:
        raise AslError(f"{path}: {e}; 'asl lm cache' makes this file") from None
    return CacheLM(read_arpa(Path(path).parent / value["lm"]), config, str(value["video"]))
