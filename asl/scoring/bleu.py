"""BLEU and chrF of sentences, from sacreBLEU's own statistics of each sentence.

sacreBLEU (Post, *A call for clarity in reporting BLEU scores*, 2018) tokenises and counts; what is made of the
counts is written here a second time, for thousands of draws of the sentences at once, since bootstrap intervals and
paired tests need that. BLEU is that of Papineni et al. 2002 with exponential smoothing, chrF that of Popović 2015
(characters up to 6, beta 2), both as sacreBLEU's command line counts them without options.
"""

from dataclasses import dataclass
from typing import Any, Dict, List, Literal, Sequence, Tuple

import numpy as np

Case = Literal["keep", "fold"]
Tokenizer = Literal["13a", "none", "intl", "char", "zh"]
ORDER = 4
CHRF_ORDER, CHRF_BETA = 6, 2
_TINY = -9999999999.0  # what sacreBLEU takes for the logarithm of 0


@dataclass(frozen=True)
class Setting:
    """What is done to text before BLEU counts it.

    Attributes:
        case: keep; or fold: all in lower case (sacreBLEU's ``-lc``).
        tokenize: sacreBLEU's tokeniser. ``13a`` is its default; ``none`` takes what is between blanks.
    """

    case: Case = "keep"
    tokenize: Tokenizer = "13a"

    @property
    def lowercase(self) -> bool:
        return self.case == "fold"

    def text(self) -> str:
        """In words, for a table."""
        return f"{self.tokenize}, {'lower-cased' if self.lowercase else 'cased'}"

    def options(self) -> str:
        """sacreBLEU's options for it."""
        return f"-tok {self.tokenize}" + (" -lc" if self.lowercase else "")

    def tokens(self, texts: Sequence[str]) -> List[List[str]]:
        """The tokens that BLEU counts."""
        tokenize = self.metric().tokenizer
        return [tokenize((t.lower() if self.lowercase else t).rstrip()).split() for t in texts]

    def metric(self, effective_order: bool = False) -> Any:
        """sacreBLEU's metric."""
        from sacrebleu.metrics import BLEU

        # force: detokenised or not is said by the tokeniser that was chosen; no warning on the terminal
        return BLEU(lowercase=self.lowercase, tokenize=self.tokenize, force=True, effective_order=effective_order)


def statistics(hypotheses: Sequence[str], references: Sequence[str], setting: Setting) -> np.ndarray:
    """``(n, 10)`` int64 of each sentence: tokens of hypothesis and reference, matching and all n-grams (1 to 4)."""
    rows = setting.metric()._extract_corpus_statistics(list(hypotheses), [list(references)])
    return np.array(rows, dtype=np.int64).reshape(-1, 2 + 2 * ORDER)


def chrf_statistics(hypotheses: Sequence[str], references: Sequence[str], setting: Setting) -> np.ndarray:
    """``(n, 18)`` int64 of each sentence: n-grams of hypothesis, of reference, matching; of 1 to 6 characters."""
    rows = _chrf(setting)._extract_corpus_statistics(list(hypotheses), [list(references)])
    return np.array(rows, dtype=np.int64).reshape(-1, 3 * CHRF_ORDER)


def _chrf(setting: Setting) -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF(lowercase=setting.lowercase)


def signatures(setting: Setting) -> Dict[str, str]:
    """sacreBLEU's signatures of ``bleu``, ``sentence_bleu`` and ``chrf``."""
    metrics = {"bleu": setting.metric(), "sentence_bleu": setting.metric(True), "chrf": _chrf(setting)}
    for metric in metrics.values():
        metric.corpus_score(["a"], [["a"]])  # it knows the number of references only after it has seen some
    return {name: metric.get_signature().format() for name, metric in metrics.items()}


def bleu(sums: np.ndarray, order: int = ORDER, effective_order: bool = False) -> np.ndarray:
    """BLEU, per cent, of summed statistics.

    Args:
        sums: ``(..., 10)``: of a set of sentences each.
        order: of the longest n-grams; BLEU-1 takes words alone.
        effective_order: count only the orders that the hypothesis is long enough for, as for single sentences.

    Returns:
        ``(...)`` float64.
    """
    sums = np.asarray(sums, dtype=np.float64)
    match, total = sums[..., 2 : 2 + order], sums[..., 2 + ORDER : 2 + ORDER + order]
    halvings = np.cumsum((match == 0) & (total > 0), axis=-1)  # of the precision of orders without a match
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(match == 0, 100 / (2.0**halvings * total), 100 * match / total)
        logs = np.where(total > 0, np.log(precisions), 0.0 if effective_order else _TINY)
    orders = (total > 0).sum(-1) if effective_order else order
    score = brevity(sums) * np.exp(logs.sum(-1) / np.maximum(orders, 1))
    return np.where(match.any(-1), score, 0.0)


def brevity(sums: np.ndarray) -> np.ndarray:
    """The brevity penalty ``(...)`` of summed statistics ``(..., 10)``; 0 where there is no hypothesis at all."""
    hyp, ref = np.asarray(sums, dtype=np.float64)[..., 0], np.asarray(sums, dtype=np.float64)[..., 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(hyp >= ref, 1.0, np.where(hyp > 0, np.exp(1 - ref / hyp), 0.0))


def length_ratio(sums: np.ndarray) -> np.ndarray:
    """Tokens of the hypotheses over those of the references; 0 where these have none, as sacreBLEU."""
    hyp, ref = np.asarray(sums, dtype=np.float64)[..., 0], np.asarray(sums, dtype=np.float64)[..., 1]
    return np.where(ref > 0, hyp / np.maximum(ref, 1), 0.0)


def chrf(sums: np.ndarray) -> np.ndarray:
    """chrF, per cent, of summed statistics ``(..., 18)``: precision and recall are means over orders that both have."""
    triples = np.asarray(sums, dtype=np.float64).reshape(*np.shape(sums)[:-1], CHRF_ORDER, 3)
    hyp, ref, match = np.moveaxis(triples, -1, 0)
    both = (hyp > 0) & (ref > 0)
    orders = np.maximum(both.sum(-1), 1)
    precision = np.where(both, match / np.maximum(hyp, 1), 0.0).sum(-1) / orders
    recall = np.where(both, match / np.maximum(ref, 1), 0.0).sum(-1) / orders
    factor = CHRF_BETA**2
    bottom = factor * precision + recall
    return np.where(bottom > 0, 100 * (1 + factor) * precision * recall / np.where(bottom > 0, bottom, 1.0), 0.0)


PER_CLIP = ("hyp_len", "ref_len", "match1", "match2", "match3", "match4")


def per_clip(rows: np.ndarray) -> Dict[str, Tuple[int, ...]]:
    """The statistics ``(n, 10)`` as ``result.json`` keeps them; all n-grams follow from the length."""
    return {name: tuple(map(int, column)) for name, column in zip(PER_CLIP, rows.T)}


def from_per_clip(lists: Dict[str, np.ndarray]) -> np.ndarray:
    """The reverse of ``per_clip``."""
    length = lists["hyp_len"]
    totals = [np.maximum(length - n, 0) for n in range(ORDER)]
    return np.stack([*(lists[name] for name in PER_CLIP), *totals], axis=1)
