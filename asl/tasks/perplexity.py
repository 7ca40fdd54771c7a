"""``asl lm perplexity``: a language model measured on sentences, and what a cache of previous ones gives."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.lang.arpa import UNKNOWN
from asl.lang.cache import CacheLM, group_videos
from asl.lang.cache_tune import read_cache
from asl.lang.ngram_text import Text, read_text
from asl.lang.perplexity import Perplexity, measure
from asl.scoring.intervals import bootstrap
from asl.tasks.word_lm import load_lm

_SHOWN = 10  # unknown words that are printed


def perplexity(
    lm: str = "data/lang/G.arpa",
    data: str = "data",
    split: str = "val",
    text: Optional[str] = None,
    cache: Optional[str] = None,
    context_split: Optional[str] = None,
    context_text: Optional[str] = None,
    replications: int = 10_000,
    out: Optional[str] = None,
) -> Dict[str, Any]:
    """Measure a language model: perplexity without and with unknown words, and which words are unknown.

    With --cache also what the previous sentences of the same video give: the difference, with a 95 % interval
    by paired bootstrap over videos.

    Args:
        lm: an n-gram (.arpa), the folder of a neural language model, or a cache's .json (then its n-gram is
            what it is compared with).
        data: the recipe's data folder.
        split: whose sentences.
        text: a file instead: one sentence a line, or an .stm file.
        cache: the file that asl lm cache wrote.
        context_split: sentences of this split are looked back at as well, where they are of the same videos.
        context_text: an .stm file instead of that split.
        replications: how often videos are drawn.
        out: a JSON file to write all of it to, each unknown word with its count.

    Returns:
        What OUT holds.

    Raises:
        AslError: no such model, split or file; a cache for sentences without ids, or of another n-gram.
    """
    read = read_text(data, split, text)
    if Path(lm).suffix == ".json" and cache is None:
        cache = lm
    caching = read_cache(cache) if cache else None
    model = caching.lm if caching and cache == lm else load_lm(lm)
    found = measure(model, read.sentences)
    result: Dict[str, Any] = {"lm": lm, "source": read.source, **found.as_dict()}
    _print(found, lm, read.source)
    if caching:
        if caching.lm.counts != getattr(model, "counts", None):
            raise AslError(f"{cache} is for another n-gram than {lm}; run 'asl lm cache --lm {lm}'")
        before = read_text(data, context_split or "", context_text) if context_split or context_text else None
        result["cache"] = compare(caching, found, read, before, replications)
        _print_cache(result["cache"], cache or lm)
    if out:
        write_json(out, result)
    return result


def compare(
    lm: CacheLM,
    plain: Perplexity,
    read: Text,
    before: Optional[Text] = None,
    replications: int = 10_000,
) -> Dict[str, Any]:
    """What the cache gives over its n-gram on sentences of videos.

    Args:
        lm: the n-gram with its cache.
        plain: the n-gram measured on them.
        read: the sentences, with ids.
        before: further sentences that are looked back at, not measured.

    Returns:
        ``perplexity``, ``difference`` (with minus without), ``low`` and ``high`` of its 95 % interval,
        ``videos``, ``looked_back`` (sentences that have something before them).
    """
    texts = [read] if before is None else [read, before]
    for each in texts:
        if each.ids is None:
            raise AslError(f"{each.source} has no ids to tell videos by; give --data, or an .stm file")
    ids = [key for each in texts for key in each.ids or ()]
    twice = sorted(set(read.ids or ()) & set(before.ids or ())) if before else []
    if twice:
        raise AslError(f"sentence {twice[0]!r} is in {read.source} and in the context; give other sentences")
    sentences = [words for each in texts for words in each.sentences]
    n = len(read.sentences)
    videos = [v for v in group_videos(ids, lm.video) if any(place < n for place in v)]
    log_probs = lm.video_log_probs(sentences, videos, range(n, len(sentences)))[:n]
    cached = measure(lm, read.sentences, log_probs)
    measured = [[place for place in v if place < n] for v in videos]
    low, high = _interval(plain, cached, measured, replications)
    return {
        "weight": lm.config.weight,
        "perplexity": cached.perplexity,
        "difference": cached.perplexity - plain.perplexity,
        "low": low,
        "high": high,
        "videos": len(videos),
        "looked_back": sum(place < n for v in videos for place in v[1:]),
    }


def _interval(
    plain: Perplexity, cached: Perplexity, videos: Sequence[Sequence[int]], replications: int
) -> List[float]:
    """95 % interval of the difference of two perplexities; whole videos are drawn, the same for both."""
    values = (plain.log_prob, cached.log_prob, plain.events)
    sums = np.array([[x[list(v)].sum() for v in videos] for x in values])

    def statistic(weights: np.ndarray) -> np.ndarray:
        before, after, events = (weights @ row for row in sums)
        return (np.exp(-after / events) - np.exp(-before / events))[:, None]

    ((low, high),) = bootstrap(len(videos), statistic, replications)
    return [float(low), float(high)]


def _print(found: Perplexity, lm: str, source: str) -> None:
    print(f"{lm} on {found.sentences} sentences, {found.words} words of {source}")
    print(f"perplexity {found.perplexity:.2f} over {int(found.events.sum())} events: known words and ends of "
          "sentences")  # fmt: skip
    if found.oov:
        shown = ", ".join(f"{word} {count}" for word, count in list(found.oov.items())[:_SHOWN])
        more = f", and {len(found.oov) - _SHOWN} more" if len(found.oov) > _SHOWN else ""
        whole = found.perplexity_with_oov
        print(f"{found.oov_count} unknown words (OOV), {100 * found.oov_rate:.2f} %: {shown}{more}")
        print(f"perplexity {whole:.2f} with them" if whole else f"no {UNKNOWN}, so no perplexity with them")
    else:
        print("no unknown words (OOV)")


def _print_cache(found: Dict[str, Any], cache: str) -> None:
    print(f"{cache}: perplexity {found['perplexity']:.2f} with the cache (weight {found['weight']:g}); "
          f"{found['looked_back']} sentences have one before them in their video")  # fmt: skip
    interval = f"95 % interval {found['low']:+.2f} to {found['high']:+.2f} over {found['videos']} videos"
    verdict = "it helps" if found["high"] < 0 else "it harms" if found["low"] > 0 else "no gain that is sure"
    print(f"difference {found['difference']:+.2f}, {interval}, paired: {verdict}")
