"""``asl score compare``: is the difference between two decode folders more than chance?"""

from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.scoring import bleu, topk, wer
from asl.scoring.choices import Case, Choices, Cleanup, CleanupOf, Repeats, short
from asl.scoring.intervals import REPLICATIONS, bootstrap, means, ratio, sign_flip_p
from asl.scoring.paired_bleu import compare_statistics
from asl.scoring.refs import Utterance, join, read_hypotheses, read_references
from asl.scoring.result import describe
from asl.scoring.score import Metric
from asl.scoring.translation import texts


def compare(
    a: str,
    b: str,
    data: str = "data",
    split: str = "val",
    metric: Optional[Metric] = None,
    cleanup: Optional[Cleanup] = None,
    cleanup_of: Optional[CleanupOf] = None,
    repeats: Optional[Repeats] = None,
    case: Optional[Case] = None,
    costs: Optional[wer.Costs] = None,
    tokenize: Optional[bleu.Tokenizer] = None,
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> Dict[str, Any]:
    """Compare two decode folders on the same clips: the difference, its 95 % interval and an exact p.

    The interval is a paired bootstrap: the same clips are drawn for both. p is of the exact paired
    permutation test, two-sided; for top-1 that is McNemar's exact test on the clips that only one of the two
    gets right. BLEU has no exact test: p is of the paired bootstrap (Koehn 2004) as sacreBLEU counts it, and p_swaps
    of random swaps of the two systems' sentences.

    Args:
        a: a decode folder.
        b: another one, with hypotheses for the same ids.
        data: the recipe's data folder, for the references.
        split: train, val or test.
        metric: topk compares top-1 accuracy, wer the word error rate, bleu BLEU-4; default: what ``asl score``
            measured in A, topk where it has not been scored.
        cleanup: as for ``asl score``; default: as A was scored. So are the next five.
        cleanup_of: hypotheses, or both.
        repeats: keep, or leave one in the hypotheses, or in both.
        case: keep or fold.
        costs: of aligning words: kaldi or sclite.
        tokenize: of the metric bleu: 13a, none, intl, char or zh.
        replications: how often clips are drawn.
        seed: of those draws.

    Returns:
        ``n``, ``metric``, ``a`` and ``b`` (per cent), ``difference`` (b minus a), ``low``, ``high``, ``p``,
        ``only_a`` and ``only_b`` (clips on which only that one is better). For BLEU these are the sentences on which
        its sentence BLEU is higher, and there are ``p_swaps`` and ``b_ahead`` (share of the draws).

    Raises:
        AslError: the two have hypotheses for different ids, or as ``asl score``.
    """
    scored = _scored(a)
    metric = metric or {"wer": "wer", "bleu": "bleu"}.get(scored.get("main", ""), "topk")
    given = {"cleanup": cleanup, "cleanup_of": cleanup_of, "repeats": repeats, "costs": costs}
    if metric == "bleu":
        if any(given.values()):
            raise AslError("--cleanup, --repeats and --costs are for the metric wer, not bleu; leave them out")
        return _compare_bleu(a, b, data, split, scored, case, tokenize, replications, seed)
    if tokenize:
        raise AslError(f"--tokenize {tokenize} is for the metric bleu, not {metric}; leave it out")
    given["case"] = case
    kept = (scored.get("scoring") or {}) if metric == "wer" else {}
    choices = Choices(**{k: v or kept.get(k, getattr(Choices, k)) for k, v in given.items()})
    first, second = (choices.apply(side) for side in _load_pair(a, b, data, split))
    if metric == "topk":
        hits_a, hits_b = _top1(first), _top1(second)
        gain, lengths = hits_b - hits_a, None
        rates = [100 * float(hits_a.mean()), 100 * float(hits_b.mean())]
        statistic = means(gain[:, None].astype(np.float64))
    else:
        errors_a, errors_b = (_errors(side, choices.costs) for side in (first, second))
        gain, lengths = errors_a - errors_b, np.array([len(u.reference) for u in first])
        rates = [wer.rate(float(e.sum()), float(lengths.sum())) for e in (errors_a, errors_b)]
        statistic = ratio(errors_b - errors_a, lengths)
    if lengths is not None and not lengths.sum():
        raise AslError(
            f"the references of {data}/{split} hold no words: there is no word error rate to compare"
        )
    ((low, high),) = bootstrap(len(first), statistic, replications, seed)
    result = {
        "metric": "top1" if metric == "topk" else "wer",
        "n": len(first),
        "a": rates[0],
        "b": rates[1],
        "difference": rates[1] - rates[0],
        "low": 100 * float(low),
        "high": 100 * float(high),
        "p": sign_flip_p(gain.tolist()),
        "only_a": int((gain < 0).sum()),
        "only_b": int((gain > 0).sum()),
    }
    _print(result, a, b)
    if metric == "wer":
        print(f"clean-up {short(choices.as_dict())}, costs {choices.costs}")
    return result


def _compare_bleu(
    a: str, b: str, data: str, split: str, scored: Dict[str, Any], case: Optional[Case],
    tokenize: Optional[bleu.Tokenizer], replications: int, seed: int,
) -> Dict[str, Any]:  # fmt: skip
    kept = scored.get("scoring") or {} if scored.get("main") == "bleu" else {}
    setting = bleu.Setting(case or kept.get("case", "keep"), tokenize or kept.get("tokenize", "13a"))
    sides = []
    for utterances in _load_pair(a, b, data, split):
        references, hypotheses = texts(utterances)
        sides.append(bleu.statistics(hypotheses, references, setting))
    tested = compare_statistics([(sides[0], sides[1])], replications, seed)
    rates = [float(bleu.bleu(side.sum(0))) for side in sides]
    gain = bleu.bleu(sides[1], effective_order=True) - bleu.bleu(sides[0], effective_order=True)
    result = {
        "metric": "bleu", "n": len(sides[0]), "a": rates[0], "b": rates[1], **tested._asdict(),
        "only_a": int((gain < 0).sum()), "only_b": int((gain > 0).sum()), "signature": bleu.signatures(setting)["bleu"],
    }  # fmt: skip
    _print_bleu(result, a, b, replications)
    return result


def _scored(folder: str) -> Dict[str, Any]:
    path = Path(folder) / "result.json"
    return read_json(path) if path.is_file() else {}


def _load_pair(a: str, b: str, data: str, split: str) -> List[List[Utterance]]:
    references = read_references(data, split)
    pair = []
    for folder in (a, b):
        describe(folder, data, split)  # refuses a folder of another split
        pair.append(read_hypotheses(folder))
    for one, other, here, there in ((pair[0], pair[1], a, b), (pair[1], pair[0], b, a)):
        only = sorted(set(one) - set(other))
        if only:
            raise AslError(
                f"{len(only)} ids have a hypothesis in {here} and none in {there}, '{only[0]}' first: a "
                "paired test needs the same clips; decode both from the same split"
            )
    return [join(references, h, Path(f) / "hyp.jsonl", split) for h, f in zip(pair, (a, b))]


def _top1(utterances: List[Utterance]) -> np.ndarray:
    return np.array([rank == 1 for rank in topk.ranks(utterances)], dtype=np.int64)


def _errors(utterances: List[Utterance], costs: wer.Costs) -> np.ndarray:
    return np.array([wer.count(alignment).errors for alignment in wer.align_all(utterances, costs)], dtype=np.int64)


def _print_rates(result: Dict[str, Any], a: str, b: str) -> None:
    name = {"top1": "top-1", "wer": "WER", "bleu": "BLEU-4"}[result["metric"]]
    print(f"{name} of {result['n']} clips: A {result['a']:.2f} % ({a}), B {result['b']:.2f} % ({b})")
    print(f"B - A = {result['difference']:+.2f}, 95 % interval {result['low']:+.2f} to {result['high']:+.2f}")


def _print_bleu(result: Dict[str, Any], a: str, b: str, replications: int) -> None:
    _print_rates(result, a, b)
    print(f"paired bootstrap, {replications} draws (as sacreBLEU): p = {result['p']:.3g}, B ahead in "
          f"{100 * result['b_ahead']:.1f} % of them; random swaps, two-sided: p = {result['p_swaps']:.3g}")  # fmt: skip
    print(f"sentence BLEU: A higher on {result['only_a']} sentences, B on {result['only_b']}; {result['signature']}")


def _print(result: Dict[str, Any], a: str, b: str) -> None:
    _print_rates(result, a, b)
    print(f"A better on {result['only_a']} clips, B on {result['only_b']}; exact paired test, two-sided: "
          f"p = {result['p']:.3g}")  # fmt: skip
