"""Measures of translations beside BLEU: ROUGE-L, reduced BLEU, vocabulary coverage, repetition; all with intervals.

Every measure takes the text as it is written and the tokens that BLEU counts (``asl.scoring.bleu.Setting``). A
missing hypothesis is an empty one. A sentence that is empty on both sides adds nothing to what is summed over the
sentences and counts 0 in means over them, as in sacreBLEU.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.scoring import bleu
from asl.scoring.intervals import bootstrap
from asl.scoring.refs import Utterance

ROUGE_BETA = 1.2
REPEATED = 4
DEFINITIONS = {
    "rouge": "mean over the sentences of F with beta 1.2 of the longest common subsequence of tokens",
    "rbleu": "BLEU-4 of the tokens that are left when those of the blacklist are dropped from both sides",
    "coverage": "share of the references' different words (tokens with a letter or digit) that any hypothesis has",
    "repetition": "share of the hypotheses' 4-grams that stood in the same hypothesis before",
    "length_ratio": "tokens of the hypotheses over those of the references",
    "brevity_penalty": "factor of BLEU for hypotheses that are shorter than the references together",
    "sentence_bleu": "mean over the sentences of each one's BLEU-4, orders that it is too short for left out",
}


@dataclass(frozen=True)
class Blacklist:
    """Words that say little, dropped for reduced BLEU (Tarrés et al., *Sign language translation from instructional
    videos*, 2023). Compared in lower case, token by token.

    Attributes:
        name: of the file.
        words: in lower case.
    """

    name: str
    words: FrozenSet[str] = field(repr=False)

    def reduce(self, tokens: Sequence[List[str]]) -> List[List[str]]:
        """The tokens that are left of each sentence."""
        return [[t for t in sentence if t.lower() not in self.words] for sentence in tokens]


def read_blacklist(path: PathLike, setting: bleu.Setting) -> Blacklist:
    """Read a file of one word a line; each is cut into the tokens that BLEU will meet (``don't``; ``n't``).

    Raises:
        AslError: the file is absent, not UTF-8 or holds no word, or the tokeniser makes no words.
    """
    if setting.tokenize in ("char", "zh"):
        raise AslError(f"--blacklist {path}: --tokenize {setting.tokenize} makes characters, not words; leave one out")
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise AslError(f"--blacklist {path} does not exist; give a file of one word a line") from None
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"--blacklist {path}: {e}; give a UTF-8 file of one word a line") from e
    words = [line.strip() for line in lines if line.strip()]
    if not words:
        raise AslError(f"--blacklist {path} holds no word; give one a line")
    tokens = setting.tokens(words)
    return Blacklist(Path(path).name, frozenset(token.lower() for word in tokens for token in word))


@dataclass
class Measured:
    """What was measured of the hypotheses of a split.

    Attributes:
        metrics: name -> value, low, high (95 % interval; None where there is none): per cent, but ``length_ratio``
            and ``brevity_penalty``.
        counts: whole numbers behind them.
        sentence_bleu: of each sentence, per cent.
        rows: ``(n, 10)`` sacreBLEU's statistics.
    """

    metrics: Dict[str, Dict[str, Optional[float]]]
    counts: Dict[str, Any]
    sentence_bleu: np.ndarray
    rows: np.ndarray


def measure(
    utterances: Sequence[Utterance],
    setting: bleu.Setting,
    blacklist: Optional[Blacklist] = None,
    replications: int = 1000,
    seed: int = 0,
) -> Measured:
    """Measure the best readings. The intervals are of draws of the sentences, the same for every measure."""
    references, hypotheses = texts(utterances)
    ref, hyp = setting.tokens(references), setting.tokens(hypotheses)
    rows = bleu.statistics(hypotheses, references, setting)
    sentence = bleu.bleu(rows, effective_order=True)
    repeats = np.array([repeated(tokens) for tokens in hyp], dtype=np.int64)
    parts: Dict[str, np.ndarray] = {
        "bleu": rows, "chrf": bleu.chrf_statistics(hypotheses, references, setting), "repeats": repeats,
        "rouge": 100 * np.array([rouge_l(h, r) for h, r in zip(hyp, ref)])[:, None], "sentence": sentence[:, None],
    }  # fmt: skip
    counts = _counts(utterances, hyp, ref, rows, repeats)
    if blacklist is not None:
        short_ref, short_hyp = blacklist.reduce(ref), blacklist.reduce(hyp)
        joined = [[" ".join(tokens) for tokens in side] for side in (short_hyp, short_ref)]
        parts["reduced"] = bleu.statistics(*joined, bleu.Setting("keep", "none"))
        counts["blacklist"] = _dropped(ref, short_ref, "ref") | _dropped(hyp, short_hyp, "hyp")
    metrics = _with_intervals(parts, replications, seed)
    covered = 100 * counts["ref_types_found"] / counts["ref_types"] if counts["ref_types"] else 0.0
    metrics["coverage"] = {"value": covered, "low": None, "high": None}  # no sum over sentences, so no bootstrap
    return Measured(metrics, counts, sentence, rows)


def texts(utterances: Sequence[Utterance]) -> Tuple[List[str], List[str]]:
    """References and best hypotheses as text, words with one blank between."""
    return [" ".join(u.reference) for u in utterances], [" ".join(u.best) for u in utterances]


def _with_intervals(
    parts: Dict[str, np.ndarray], replications: int, seed: int
) -> Dict[str, Dict[str, Optional[float]]]:
    """Each measure of the sentences as they are, and its interval."""
    ends = np.cumsum([0, *(part.shape[1] for part in parts.values())])
    columns = np.concatenate([part.astype(np.float64) for part in parts.values()], axis=1)
    n = len(columns)

    def values(sums: np.ndarray) -> Dict[str, np.ndarray]:
        of = {name: sums[:, a:b] for name, a, b in zip(parts, ends, ends[1:])}
        made = {"bleu": bleu.bleu(of["bleu"])}
        made.update({f"bleu{order}": bleu.bleu(of["bleu"], order) for order in range(bleu.ORDER - 1, 0, -1)})
        made["sentence_bleu"], made["chrf"] = of["sentence"][:, 0] / n, bleu.chrf(of["chrf"])
        made["rouge"] = of["rouge"][:, 0] / n
        if "reduced" in of:
            made["rbleu"] = bleu.bleu(of["reduced"])
        made["length_ratio"], made["brevity_penalty"] = bleu.length_ratio(of["bleu"]), bleu.brevity(of["bleu"])
        made["repetition"] = 100 * of["repeats"][:, 0] / np.maximum(of["repeats"][:, 1], 1)
        return made

    whole = values(columns.sum(0, keepdims=True))
    drawn = bootstrap(n, lambda weights: np.stack(list(values(weights @ columns).values()), 1), replications, seed)
    return {
        name: {"value": float(value[0]), "low": float(low), "high": float(high)}
        for (name, value), (low, high) in zip(whole.items(), drawn)
    }


def rouge_l(hypothesis: Sequence[str], reference: Sequence[str]) -> float:
    """ROUGE-L of one sentence (Lin 2004), 0 to 1, as code bases of sign translation count it since Camgöz et al. 2018.

    F of precision and recall of the longest common subsequence with beta 1.2; 0 where a side is empty.
    """
    common = longest_common(hypothesis, reference)
    if not common:
        return 0.0
    precision, recall = common / len(hypothesis), common / len(reference)
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence; a row of the table is in the bits of one number (Hyyrö 2004)."""
    places: Dict[str, int] = {}
    for i, token in enumerate(a):
        places[token] = places.get(token, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full  # a bit that is 0: the subsequence grows there
    for token in b:
        matching = row & places.get(token, 0)
        row = (row + matching | row & ~matching) & full
    return len(a) - bin(row).count("1")


def repeated(tokens: Sequence[str]) -> Tuple[int, int]:
    """How many 4-grams of a sentence stood in it before, and how many it has (Welleck et al. 2020: seq-rep-4)."""
    grams = [tuple(tokens[i : i + REPEATED]) for i in range(len(tokens) - REPEATED + 1)]
    return len(grams) - len(set(grams)), len(grams)


def word_types(sentences: Sequence[Sequence[str]]) -> FrozenSet[str]:
    """The different tokens that hold a letter or a digit."""
    return frozenset(t for sentence in sentences for t in sentence if any(c.isalnum() for c in t))


def _counts(
    utterances: Sequence[Utterance], hyp: List[List[str]], ref: List[List[str]], rows: np.ndarray, repeats: np.ndarray
) -> Dict[str, Any]:
    said = Counter(u.best for u in utterances)
    of_ref, of_hyp = word_types(ref), word_types(hyp)
    sums = rows.sum(0).tolist()
    return {
        "sentences": len(utterances),
        "empty_references": sum(not tokens for tokens in ref),
        "empty_hypotheses": sum(not tokens for tokens in hyp),
        "different_hypotheses": len(said),
        "most_frequent_hypothesis": max(said.values()),
        "hyp_tokens": sums[0], "ref_tokens": sums[1], "match": sums[2:6], "total": sums[6:],
        "ref_types": len(of_ref), "hyp_types": len(of_hyp), "ref_types_found": len(of_ref & of_hyp),
        "repeated_4grams": int(repeats[:, 0].sum()),
    }  # fmt: skip


def _dropped(before: List[List[str]], after: List[List[str]], side: str) -> Dict[str, int]:
    gone = sum(map(len, before)) - sum(map(len, after))
    return {f"{side}_tokens_dropped": gone,
            f"{side}_sentences_emptied": sum(bool(b) and not a for b, a in zip(before, after))}  # fmt: skip
