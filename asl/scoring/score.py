"""``asl score``: a decode folder becomes numbers, with everything that is needed to look into the errors."""

from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Sequence

import numpy as np

from asl.common.errors import AslError
from asl.common.files import write_json, write_text
from asl.scoring import topk, wer
from asl.scoring.bleu import Setting, Tokenizer
from asl.scoring.choices import Case, Choices, Cleanup, CleanupOf, Missing, Repeats
from asl.scoring.errs import errs, recogs, wer_summary
from asl.scoring.intervals import REPLICATIONS
from asl.scoring.refs import Utterance, load
from asl.scoring.result import clips_hash, describe, finite, pack, task_of
from asl.scoring.score_bleu import print_bleu, score_bleu
from asl.scoring.translation import read_blacklist

Metric = Literal["topk", "wer", "bleu"]
_CONFUSIONS_SHOWN = 10


def score(
    decode: str,
    data: str = "data",
    split: str = "val",
    metric: Optional[Metric] = None,
    costs: wer.Costs = "kaldi",
    cleanup: Cleanup = "none",
    cleanup_of: CleanupOf = "hypotheses",
    repeats: Repeats = "keep",
    case: Case = "keep",
    missing: Missing = "deletions",
    tokenize: Tokenizer = "13a",
    blacklist: Optional[str] = None,
    settings: bool = False,
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> Dict[str, Any]:
    """Score the hypotheses of a decode folder against the references of a split, and write what came out.

    Hypotheses and references are joined by id: a missing hypothesis is wrong (all its words are deleted; a
    translation is empty), an unknown id or one that stands twice is an error. The choices that change a number are
    printed with it and kept in result.json. Into the decode folder go result.json, Kaldi's
    wer_<split>, icefall's recogs-, errs- and wer-summary-<split>.txt, and for isolated signs
    confusions-<split>.txt; for translations bleu-, ref- and hyp-<split>.txt, the last two as sacreBLEU's command line
    reads them. The same hypotheses give the same bytes.

    Args:
        decode: the folder with hyp.jsonl (and decode.json, which says how it was made).
        data: the recipe's data folder; <data>/<split>/supervisions.jsonl.gz holds the references.
        split: train, val or test.
        metric: topk for isolated signs (top-1, 5, 10 per instance and per class), wer for sentences of glosses, bleu
            for translations (sacreBLEU's BLEU-1 to 4 and chrF, ROUGE-L, and what shows that they are no constant).
            Default: bleu for what a TranslateTask says, as decode.json tells, else topk.
        costs: of aligning words: kaldi counts every error 1; sclite 4 for a substitution, 3 for the others.
        cleanup: none; phoenix2014, the owner's rules on each word by itself; phoenix2014-sentence, also those
            about neighbours. This and the next two are for the metric wer.
        cleanup_of: what is cleaned: hypotheses, or both.
        repeats: leave one of words that follow themselves: in the hypotheses, or in both; or keep them.
        case: keep, or fold: no difference between REGEN and Regen (wer and bleu; with bleu all in lower case).
        missing: an utterance without a hypothesis is all deletions (wer) or empty (bleu), or an error.
        tokenize: of the metric bleu, sacreBLEU's: 13a; none (what is between blanks); intl; char; zh.
        blacklist: for reduced BLEU: a file of frequent words, one a line, that are dropped from both sides.
        settings: print BLEU under each setting that papers differ in, side by side (settings-<split>.txt).
        replications: how often clips are drawn for the 95 % intervals.
        seed: of those draws.

    Returns:
        what result.json holds; rates in per cent.

    Raises:
        AslError: a file is absent or cut short, an id is unknown or stands twice, or it is another split.
    """
    translated = task_of(decode) == "TranslateTask"
    if translated and metric == "topk":
        raise AslError(f"{decode} holds translations, and --metric topk is for isolated signs; give --metric bleu")
    metric = metric or ("bleu" if translated else "topk")
    if metric == "bleu":
        return _score_bleu(
            decode, data, split, Choices(cleanup, cleanup_of, repeats, missing=missing, costs=costs),
            Setting(case, tokenize), blacklist, settings, replications, seed,
        )  # fmt: skip
    if (tokenize, blacklist, settings) != ("13a", None, False):
        raise AslError(f"--tokenize, --blacklist and --settings are for --metric bleu, not {metric}; leave them out")
    choices = Choices(cleanup, cleanup_of, repeats, case, missing, costs)
    if metric == "topk" and choices != Choices(costs=costs):
        raise AslError(f"top-k takes signs as they are, not with {choices.text()}; leave those options out")
    about = describe(decode, data, split)
    utterances = choices.apply(load(decode, data, split))
    alignments = wer.align_all(utterances, costs)
    counts = [wer.count(alignment) for alignment in alignments]
    absent = [u.id for u in utterances if not u.readings]
    measure = _topk if metric == "topk" else _wer
    result = {
        **about,
        "n": len(utterances),
        "n_missing": len(absent),
        "scoring": choices.as_dict() if metric == "wer" else {},
        **measure(utterances, counts, replications, seed),
        "counts": wer.total(counts),
        "clips": clips_hash(utterances),
    }
    result["per_clip"] = result.pop("per_clip")  # last: the longest lines

    folder, kaldi = Path(decode), wer.kaldi_lines(counts, len(absent))
    total = sum(counts, wer.Counts())
    setting = about["method"] or about["system"]
    write_text(folder / f"wer_{split}", kaldi)
    write_text(folder / f"recogs-{split}.txt", recogs(utterances))
    write_text(folder / f"errs-{split}.txt", errs(utterances, alignments))
    write_text(folder / f"wer-summary-{split}.txt", wer_summary(setting, wer.rate(total.errors, total.ref)))
    if metric == "topk":
        write_text(folder / f"confusions-{split}.txt", _confusions(utterances))
    write_json(folder / "result.json", result)
    _print(result, folder, absent, kaldi, wer.sclite_line(counts))
    if metric == "wer":
        print(f"scored with: {choices.text()}")
    return result


def _score_bleu(
    decode: str, data: str, split: str, choices: Choices, setting: Setting, blacklist: Optional[str], settings: bool,
    replications: int, seed: int,
) -> Dict[str, Any]:  # fmt: skip
    if choices != Choices(missing=choices.missing):
        raise AslError("--cleanup, --repeats and --costs are for --metric wer, not bleu; leave them out")
    words = None if blacklist is None else read_blacklist(blacklist, setting)
    about, folder = describe(decode, data, split), Path(decode)
    utterances = choices.apply(load(decode, data, split))
    result = score_bleu(
        folder, about, utterances, choices.missing, setting, words, settings, replications, seed
    )
    write_json(folder / "result.json", result)
    _print_head(result, folder, [u.id for u in utterances if not u.readings])
    print_bleu(result, folder)
    return result


def _topk(
    utterances: List[Utterance], counts: List[wer.Counts], replications: int, seed: int
) -> Dict[str, Any]:
    ranks, classes, ks = topk.ranks(utterances), topk.class_numbers(utterances), topk.measurable(utterances)
    metrics = topk.accuracies(topk.hits(np.array(ranks), ks), classes, ks, replications, seed)
    return {
        "main": "top1",
        "metrics": finite(metrics),
        "n_classes": len(set(classes)),
        "per_clip": {"ranks": pack(ranks), "classes": pack(classes)},
    }


def _wer(
    utterances: List[Utterance], counts: List[wer.Counts], replications: int, seed: int
) -> Dict[str, Any]:
    errors, lengths = [c.errors for c in counts], [c.ref for c in counts]
    metrics = wer.error_rates(np.array(errors), np.array(lengths), replications, seed)
    return {
        "main": "wer",
        "metrics": finite(metrics),
        "per_clip": {"errors": pack(errors), "lengths": pack(lengths)},
    }


def _confusions(utterances: Sequence[Utterance]) -> str:
    rows = topk.confusions(utterances)
    lines = [f"{n}\t{ref}\t{hyp}\t{clips}" for n, ref, hyp, clips in rows]
    return "\n".join(["count\tsign\trecognised_as\tclips_of_sign", *lines]) + "\n"


def _print_head(result: Dict[str, Any], folder: Path, missing: Sequence[str]) -> None:
    official = "" if result["n_official"] is None else f" of {result['n_official']} official"
    kind = "simulated" if result["simulated"] else "synthetic" if result["synthetic"] else None
    label = f" ({kind})" if kind else ""
    print(f"{folder}: {result['system']}{label}, {result['split']}, n = {result['n']}{official}")
    if missing:
        more, counted = ", ..." if len(missing) > 5 else "", "empty" if result["main"] == "bleu" else "wrong"
        print(
            f"warning: {len(missing)} without a hypothesis, counted as {counted}: {', '.join(missing[:5])}{more}"
        )


def _print(result: Dict[str, Any], folder: Path, missing: Sequence[str], kaldi: str, sclite: str) -> None:
    _print_head(result, folder, missing)
    for name, metric in result["metrics"].items():
        if name not in ("wer", "ser"):
            print(f"  {name:12} {metric['value']:6.2f} %  [{metric['low']:.2f}, {metric['high']:.2f}]")
    if result["main"] == "top1":
        confused = (folder / f"confusions-{result['split']}.txt").read_text(encoding="utf-8").splitlines()[1:]
        for line in confused[:_CONFUSIONS_SHOWN]:
            n, sign, taken_for, clips = line.split("\t")
            print(f"  {n} of {clips} clips of {sign} recognised as {taken_for}")
        return
    print(kaldi, end="")
    print(sclite)
    low, high = result["metrics"]["wer"]["low"], result["metrics"]["wer"]["high"]
    if low is not None and high is not None:
        print(f"95 % interval of the WER: {low:.2f} to {high:.2f}")
