"""``asl baseline sentence``: the one sentence that, given as the translation of every clip, has the highest BLEU.

English sentences have so many words in common that a network which has learnt nothing but frequent phrases scores more
than 0. This row says how much: the sentence is chosen by the scored references themselves, so none of the constants
that are tried gets more, and a system that is not clearly above it does not translate.
"""

import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.output import write_hypotheses
from asl.scoring import bleu
from asl.scoring.bleu import ORDER, Case, Setting, Tokenizer
from asl.scoring.refs import read_references
from asl.tasks.experiment import git_state

_MOST_WORDS = 60
_AT_ONCE = 4096
Gram = Tuple[str, ...]


class Constant(NamedTuple):
    """The best constant.

    Attributes:
        text: the sentence.
        bleu: its BLEU-4, per cent.
        of: where it is from: ``training sentence`` or ``most frequent words``.
    """

    text: str
    bleu: float
    of: str


def sentence(
    data: str = "data",
    train_split: str = "train",
    split: str = "val",
    out: Optional[str] = None,
    case: Case = "keep",
    tokenize: Tokenizer = "13a",
) -> None:
    """Find the sentence that has the highest BLEU-4 as the translation of every clip of a split; write a decode folder.

    Candidates are all sentences of the training split, and pseudo-sentences of its 1, 2, 3, ... most frequent words.
    The best is chosen by the references of the split that is scored: no other of them could get more. asl score
    scores the folder like any other system's.

    Args:
        data: the recipe's data folder.
        train_split: where the candidates are from.
        split: whose references choose.
        out: folder for hyp.jsonl and decode.json; default exp/constant/decode_SPLIT_constant.
        case: as for asl score.
        tokenize: as for asl score.

    Raises:
        AslError: a split is absent, or has no text at all.
    """
    began = time.perf_counter()
    setting = Setting(case, tokenize)
    references = read_references(data, split)
    training = [" ".join(words) for words in read_references(data, train_split).values() if words]
    if not training:
        raise AslError(f"{data}/{train_split} holds empty sentences alone: there is no constant to choose")
    best, tried = best_constant(training, [" ".join(words) for words in references.values()], setting)
    folder = Path(out) if out else Path("exp/constant") / f"decode_{split}_constant"
    ids, measure = sorted(references), setting.text()
    write_hypotheses(folder / "hyp.jsonl", ids, [[Hypothesis(best.text.split(), 0.0)]] * len(ids))
    about = {
        "system": "best constant sentence", "task": "baseline", "method": "constant", "split": split, "seed": None,
        "parameters": 0, "train_seconds": round(time.perf_counter() - began, 3),
        "options": {"sentence": best.text, "of": best.of, "candidates": tried, "chosen_by": f"BLEU-4, {measure}"},
        "command": shlex.join(["asl", *sys.argv[1:]]), **git_state(),
    }  # fmt: skip
    write_json(folder / "decode.json", about)
    print(f"{best.text!r} ({best.of}) for each of {len(ids)} clips of {split}: BLEU-4 {best.bleu:.2f} ({measure}), "
          f"the best of {tried} constants, chosen by {split} itself; into {folder}")  # fmt: skip


def best_constant(training: Sequence[str], references: Sequence[str], setting: Setting) -> Tuple[Constant, int]:
    """The best constant and how many were tried; of several that are alike the first of ``training``."""
    frequent = [word for word, _ in Counter(w for text in training for w in text.split()).most_common(_MOST_WORDS)]
    origin: Dict[str, str] = {text: "training sentence" for text in training}
    for count in range(1, len(frequent) + 1):
        origin.setdefault(" ".join(frequent[:count]), "most frequent words")
    candidates = list(origin)
    scores = constant_scores(candidates, references, setting)
    best = int(np.argmax(scores))
    return Constant(candidates[best], float(scores[best]), origin[candidates[best]]), len(candidates)


def constant_scores(candidates: Sequence[str], references: Sequence[str], setting: Setting) -> np.ndarray:
    """BLEU-4, per cent, of each candidate given for every reference: ``(len(candidates),)``.

    The matches of an n-gram that stands ``k`` times in the candidate are, summed over the references, those that have
    it at least once, plus those that have it at least twice, ... up to ``k``: they are counted once for all candidates.
    """
    said = setting.tokens(references)
    having = _having(said)
    ref_tokens, n = sum(map(len, said)), len(said)
    scores: List[np.ndarray] = []
    for start in range(0, len(candidates), _AT_ONCE):
        rows = []
        for tokens in setting.tokens(candidates[start : start + _AT_ONCE]):
            match = [0] * ORDER
            for gram, times in _grams(tokens).items():
                match[len(gram) - 1] += sum(having.get(gram, ())[:times])
            total = [n * max(len(tokens) - order, 0) for order in range(ORDER)]
            rows.append([n * len(tokens), ref_tokens, *match, *total])
        scores.append(bleu.bleu(np.array(rows)))
    return np.concatenate(scores)


def _grams(tokens: Sequence[str]) -> "Counter[Gram]":
    return Counter(
        tuple(tokens[i : i + order]) for order in range(1, ORDER + 1) for i in range(len(tokens) - order + 1)
    )


def _having(sentences: Sequence[Sequence[str]]) -> Dict[Gram, List[int]]:
    """n-gram -> how many of the sentences have it at least once, at least twice, ..."""
    having: Dict[Gram, List[int]] = {}
    for tokens in sentences:
        for gram, times in _grams(tokens).items():
            counts = having.setdefault(gram, [])
            counts += [0] * (times - len(counts))
            for at_least in range(times):
                counts[at_least] += 1
    return having
