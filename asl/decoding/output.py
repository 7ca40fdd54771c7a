"""Hypotheses on disk: ``hyp.jsonl`` with n-best lists, and a CTM with the time of each word."""

import math
from typing import Any, Dict, List, Optional, Sequence

from asl.common.errors import AslError
from asl.common.files import PathLike, write_text
from asl.common.jsonl import write_jsonl
from asl.decoding.hypothesis import Hypothesis


def write_hypotheses(path: PathLike, ids: Sequence[str], nbests: Sequence[Sequence[Hypothesis]]) -> int:
    """Write ``hyp.jsonl`` atomically, one utterance a line in the given order; return how many.

    A line holds ``id``, the best hypothesis (``text``, ``words``, ``score``, ``confidence``, ``times`` in
    seconds, the last two null where not known; ``word_confidences`` where they are) and ``nbest`` (``text`` and ``score`` of each, best first).
    An utterance without any hypothesis is written as an empty text with score null.

    Raises:
        AslError: an id stands twice, or a score is NaN.
    """
    _check(path, ids, nbests)
    return write_jsonl(path, (_row(i, nbest) for i, nbest in zip(ids, nbests)))


def write_ctm(path: PathLike, ids: Sequence[str], nbests: Sequence[Sequence[Hypothesis]]) -> None:
    """Write the best hypotheses as a CTM: ``id 1 start duration word [confidence]``, seconds, two decimals.

    The confidence is the word's own where it is known, else the whole hypothesis'.

    Raises:
        AslError: an id stands twice or holds whitespace, or an utterance's words have no times.
    """
    _check(path, ids, nbests)
    lines: List[str] = []
    for utterance, nbest in zip(ids, nbests):
        if utterance.split() != [utterance]:
            raise AslError(f"{path}: id {utterance!r} is empty or holds whitespace, which a CTM cannot hold")
        best = nbest[0] if nbest else Hypothesis([], -math.inf, [])
        if best.words and (best.times is None or len(best.times) != len(best.words)):
            raise AslError(f"{path}: the words of {utterance} have no times; this decoder makes no CTM")
        sure = best.word_confidences or [best.confidence] * len(best.words)
        for word, (start, end), confidence in zip(best.words, best.times or [], sure):
            last = "" if confidence is None else f" {confidence:.3f}"
            lines.append(f"{utterance} 1 {start:.2f} {end - start:.2f} {word}{last}\n")
    write_text(path, "".join(lines))


def _check(path: PathLike, ids: Sequence[str], nbests: Sequence[Sequence[Hypothesis]]) -> None:
    if len(ids) != len(nbests):
        raise ValueError(f"{len(ids)} ids but {len(nbests)} n-best lists")
    seen = set()
    for utterance, nbest in zip(ids, nbests):
        if utterance in seen:
            raise AslError(f"{path}: utterance {utterance} was decoded twice; the manifest repeats its id")
        if any(math.isnan(hypothesis.score) for hypothesis in nbest):
            raise AslError(f"{path}: a score of utterance {utterance} is NaN; has the training diverged?")
        seen.add(utterance)


def _row(utterance: str, nbest: Sequence[Hypothesis]) -> Dict[str, Any]:
    best = nbest[0] if nbest else Hypothesis([], -math.inf)
    times = None if best.times is None else [[round(start, 4), round(end, 4)] for start, end in best.times]
    sure = best.word_confidences
    more = {} if sure is None else {"word_confidences": [round(share, 6) for share in sure]}
    return {
        "id": utterance,
        "text": " ".join(best.words),
        "words": list(best.words),
        "score": _finite(best.score),
        "confidence": None if best.confidence is None else round(best.confidence, 6),
        "times": times,
        **more,
        "nbest": [{"text": " ".join(h.words), "score": _finite(h.score)} for h in nbest],
    }


def _finite(score: float) -> Optional[float]:
    # JSON has no infinity; a reading of probability zero has no score to print
    return round(score, 6) if math.isfinite(score) else None
