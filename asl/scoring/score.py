"""``asl score``: a decode folder becomes numbers, with everything that is needed to look into the errors."""

from pathlib import Path
from typing import Any, Dict, List, Literal, Sequence

import numpy as np

from asl.common.files import write_json, write_text
from asl.scoring import topk, wer
from asl.scoring.errs import errs, recogs, wer_summary
from asl.scoring.intervals import REPLICATIONS
from asl.scoring.refs import Utterance, load
from asl.scoring.result import clips_hash, describe, finite, pack

Metric = Literal["topk", "wer"]
_CONFUSIONS_SHOWN = 10


def score(
    decode: str,
    data: str = "data",
    split: str = "val",
    metric: Metric = "topk",
    costs: wer.Costs = "kaldi",
    replications: int = REPLICATIONS,
    seed: int = 0,
) -> Dict[str, Any]:
    """Score the hypotheses of a decode folder against the references of a split, and write what came out.

    Hypotheses and references are joined by id: a missing hypothesis is wrong (all its words are deleted), an
    unknown id or one that stands twice is an error. Into the decode folder go result.json, Kaldi's
    wer_<split>, icefall's recogs-, errs- and wer-summary-<split>.txt, and for isolated signs
    confusions-<split>.txt. The same hypotheses give the same bytes.

    Args:
        decode: the folder with hyp.jsonl (and decode.json, which says how it was made).
        data: the recipe's data folder; <data>/<split>/supervisions.jsonl.gz holds the references.
        split: train, val or test.
        metric: topk for isolated signs (top-1, 5, 10 per instance and per class), wer for sentences.
        costs: of aligning words: kaldi counts every error 1; sclite 4 for a substitution, 3 for the others.
        replications: how often clips are drawn for the 95 % intervals.
        seed: of those draws.

    Returns:
        what result.json holds; rates in per cent.

    Raises:
        AslError: a file is absent or cut short, an id is unknown or stands twice, or it is another split.
    """
    about = describe(decode, data, split)
    utterances = load(decode, data, split)
    alignments = wer.align_all(utterances, costs)
    counts = [wer.count(alignment) for alignment in alignments]
    missing = [u.id for u in utterances if not u.readings]
    measure = _topk if metric == "topk" else _wer
    result = {
        **about,
        "n": len(utterances),
        "n_missing": len(missing),
        **measure(utterances, counts, replications, seed),
        "counts": _counts(counts),
        "clips": clips_hash(utterances),
    }
    result["per_clip"] = result.pop("per_clip")  # last: the longest lines

    folder, kaldi = Path(decode), wer.kaldi_lines(counts, len(missing))
    total = sum(counts, wer.Counts())
    setting = about["method"] or about["system"]
    write_text(folder / f"wer_{split}", kaldi)
    write_text(folder / f"recogs-{split}.txt", recogs(utterances))
    write_text(folder / f"errs-{split}.txt", errs(utterances, alignments))
    write_text(folder / f"wer-summary-{split}.txt", wer_summary(setting, wer.rate(total.errors, total.ref)))
    if metric == "topk":
        write_text(folder / f"confusions-{split}.txt", _confusions(utterances))
    write_json(folder / "result.json", result)
    _print(result, folder, missing, kaldi, wer.sclite_line(counts))
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


def _counts(counts: Sequence[wer.Counts]) -> Dict[str, int]:
    total = sum(counts, wer.Counts())
    return {
        "sentences": len(counts),
        "sentences_wrong": sum(c.errors > 0 for c in counts),
        "ref": total.ref,
        "corr": total.corr,
        "sub": total.sub,
        "del": total.dele,
        "ins": total.ins,
        "err": total.errors,
    }


def _confusions(utterances: Sequence[Utterance]) -> str:
    rows = topk.confusions(utterances)
    lines = [f"{n}\t{ref}\t{hyp}\t{clips}" for n, ref, hyp, clips in rows]
    return "\n".join(["count\tsign\trecognised_as\tclips_of_sign", *lines]) + "\n"


def _print(result: Dict[str, Any], folder: Path, missing: Sequence[str], kaldi: str, sclite: str) -> None:
    official = "" if result["n_official"] is None else f" of {result['n_official']} official"
    label = " (synthetic)" if result["synthetic"] else ""
    print(f"{folder}: {result['system']}{label}, {result['split']}, n = {result['n']}{official}")
    if missing:
        more = ", ..." if len(missing) > 5 else ""
        print(
            f"warning: {len(missing)} without a hypothesis, counted as wrong: {', '.join(missing[:5])}{more}"
        )
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
