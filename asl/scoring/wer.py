"""Word error rate: alignments as Kaldi's (by kaldialign) and as sclite's, counts, and the forms of both."""

from dataclasses import dataclass
from typing import Dict, List, Literal, Optional, Sequence, Tuple

import kaldialign
import numpy as np

from asl.scoring.intervals import bootstrap, means, ratio
from asl.scoring.refs import Utterance

Costs = Literal["kaldi", "sclite"]
# (reference word, hypothesis word); None on the left is an insertion, on the right a deletion
Alignment = List[Tuple[Optional[str], Optional[str]]]
_SUBSTITUTION, _GAP = 4, 3  # sclite's costs


@dataclass
class Counts:
    """Errors of one utterance or of many.

    Attributes:
        ref: reference words. sub, dele, ins: errors. corr: words recognised rightly.
    """

    ref: int = 0
    corr: int = 0
    sub: int = 0
    dele: int = 0
    ins: int = 0

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.sub + self.dele + self.ins

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.ref + other.ref, self.corr + other.corr, self.sub + other.sub, self.dele + other.dele,
            self.ins + other.ins,
        )  # fmt: skip


def align(reference: Sequence[str], hypothesis: Sequence[str], costs: Costs = "kaldi") -> Alignment:
    """Align two word sequences with the least cost.

    Args:
        costs: ``kaldi`` counts every error 1, as Kaldi's compute-wer and icefall do; ``sclite`` counts 4 for
            a substitution and 3 for an insertion or deletion, as NIST's sclite does. Of alignments that cost
            the same (3 substitutions, or 2 insertions and 2 deletions) it is the one that sclite takes.
    """
    if costs == "sclite":
        return _align_as_sclite(reference, hypothesis)
    # by numbers, so that no word can be mistaken for the sign of a gap
    words = sorted({*reference, *hypothesis})
    number = {word: i for i, word in enumerate(words)}
    pairs = kaldialign.align([number[w] for w in reference], [number[w] for w in hypothesis], -1)
    return [(words[r] if r >= 0 else None, words[h] if h >= 0 else None) for r, h in pairs]


def _align_as_sclite(reference: Sequence[str], hypothesis: Sequence[str]) -> Alignment:
    """Least cost, and where several paths have it, from the end backwards two words before a gap.

    kaldialign's ``sclite_mode`` has sclite's costs, but resolves such ties otherwise: on published hypotheses
    its errors differ from sclite's by 1 in 1,400.
    """
    cost = [[_GAP * j for j in range(len(hypothesis) + 1)]]
    for i, ref in enumerate(reference, 1):
        above, row = cost[-1], [_GAP * i]
        for j, hyp in enumerate(hypothesis, 1):
            pair = above[j - 1] + (0 if ref == hyp else _SUBSTITUTION)
            row.append(min(pair, above[j] + _GAP, row[-1] + _GAP))
        cost.append(row)
    i, j = len(reference), len(hypothesis)
    pairs: Alignment = []
    while i or j:
        left = cost[i][j] - (cost[i - 1][j - 1] if i and j else 0)
        if i and j and left == (0 if reference[i - 1] == hypothesis[j - 1] else _SUBSTITUTION):
            i, j = i - 1, j - 1
            pairs.append((reference[i], hypothesis[j]))
        elif i and cost[i][j] == cost[i - 1][j] + _GAP:
            i -= 1
            pairs.append((reference[i], None))
        else:
            j -= 1
            pairs.append((None, hypothesis[j]))
    return pairs[::-1]


def count(alignment: Alignment) -> Counts:
    """Counts of one alignment."""
    counts = Counts()
    for ref, hyp in alignment:
        counts.ref += ref is not None
        counts.corr += ref == hyp
        counts.ins += ref is None
        counts.dele += hyp is None
        counts.sub += ref is not None and hyp is not None and ref != hyp
    return counts


def align_all(utterances: Sequence[Utterance], costs: Costs = "kaldi") -> List[Alignment]:
    """The best reading of each utterance aligned with its reference; one that is missing is all deletions."""
    return [align(u.reference, u.best, costs) for u in utterances]


def total(per_utterance: Sequence[Counts]) -> Dict[str, int]:
    """The counts of all utterances together, as ``result.json`` keeps them."""
    summed = sum(per_utterance, Counts())
    return {
        "sentences": len(per_utterance),
        "sentences_wrong": sum(c.errors > 0 for c in per_utterance),
        "ref": summed.ref,
        "corr": summed.corr,
        "sub": summed.sub,
        "del": summed.dele,
        "ins": summed.ins,
        "err": summed.errors,
    }


def rate(errors: float, length: float) -> float:
    """``errors`` in per cent of ``length`` words; without words 0 where there is no error, else infinite."""
    return 100 * errors / length if length else (float("inf") if errors else 0.0)


def error_rates(
    errors: np.ndarray, lengths: np.ndarray, replications: int, seed: int
) -> Dict[str, Dict[str, float]]:
    """``wer``, and ``ser`` (utterances with an error), in per cent, with 95 % bootstrap intervals.

    Args:
        errors: ``(n,)`` errors of each utterance.
        lengths: ``(n,)`` reference words. An empty reference adds its insertions and no word.
    """
    wrong = (errors > 0).astype(np.float64)[:, None]
    (wer_ends,) = bootstrap(len(errors), ratio(errors, lengths), replications, seed)
    (ser_ends,) = bootstrap(len(errors), means(wrong), replications, seed)
    wer, ser = rate(float(errors.sum()), float(lengths.sum())), 100 * float(wrong.mean())
    return {
        "wer": {"value": wer, "low": 100 * float(wer_ends[0]), "high": 100 * float(wer_ends[1])},
        "ser": {"value": ser, "low": 100 * float(ser_ends[0]), "high": 100 * float(ser_ends[1])},
    }


def kaldi_lines(per_utterance: Sequence[Counts], n_missing: int) -> str:
    """What Kaldi's compute-wer prints: %WER, %SER and how many were scored."""
    total = sum(per_utterance, Counts())
    wrong, n = sum(c.errors > 0 for c in per_utterance), len(per_utterance)
    return (
        f"%WER {rate(total.errors, total.ref):.2f} [ {total.errors} / {total.ref}, {total.ins} ins, "
        f"{total.dele} del, {total.sub} sub ]\n"
        f"%SER {rate(wrong, n):.2f} [ {wrong} / {n} ]\n"
        f"Scored {n} sentences, {n_missing} not present in hyp.\n"
    )


def sclite_line(per_utterance: Sequence[Counts]) -> str:
    """sclite's summary: utterances, words, and per cent of words (of utterances for S.Err)."""
    total, n = sum(per_utterance, Counts()), len(per_utterance)
    parts = (total.corr, total.sub, total.dele, total.ins, total.errors)
    shares = "  ".join(f"{rate(part, total.ref):5.1f}" for part in parts)
    wrong = rate(sum(c.errors > 0 for c in per_utterance), n)
    return (
        "| # Snt  # Wrd |  Corr    Sub    Del    Ins    Err  S.Err |\n"
        f"| {n:5d}  {total.ref:5d} | {shares}  {wrong:5.1f} |"
    )
