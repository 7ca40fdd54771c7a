"""``asl score --metric bleu``: what is measured of translations, printed with every choice behind it."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from asl.common.files import write_text
from asl.scoring import bleu
from asl.scoring.bleu import Setting
from asl.scoring.errs import recogs
from asl.scoring.refs import Utterance
from asl.scoring.result import clips_hash, finite, pack
from asl.scoring.translation import DEFINITIONS, ROUGE_BETA, Blacklist, measure, texts

# those that papers differ in; what each moves on identical hypotheses can be several points
SETTINGS = (Setting(), Setting("fold"), Setting("keep", "none"), Setting("fold", "none"), Setting("keep", "intl"),
            Setting("fold", "intl"), Setting("keep", "char"))  # fmt: skip
NAMES = {
    "bleu": "BLEU-4", "bleu3": "BLEU-3", "bleu2": "BLEU-2", "bleu1": "BLEU-1", "sentence_bleu": "sentence BLEU",
    "chrf": "chrF", "rouge": "ROUGE-L", "rbleu": "reduced BLEU", "length_ratio": "length ratio",
    "brevity_penalty": "brevity penalty", "repetition": "repetition", "coverage": "coverage",
}  # fmt: skip
RATIOS = ("length_ratio", "brevity_penalty")


def score_bleu(
    folder: Path, about: Dict[str, Any], utterances: List[Utterance], missing: str, setting: Setting,
    blacklist: Optional[Blacklist], side_by_side: bool, replications: int, seed: int,
) -> Dict[str, Any]:  # fmt: skip
    """Measure the best readings, write what is to be read of them into ``folder``, and return ``result.json``.

    ref-<split>.txt and hyp-<split>.txt have a sentence a line, in order of id, as sacreBLEU's command line reads
    them; recogs-<split>.txt has them with their ids, bleu-<split>.txt what is printed, settings-<split>.txt the
    settings side by side.
    """
    split, absent = about["split"], [u.id for u in utterances if not u.readings]
    measured = measure(utterances, setting, blacklist, replications, seed)
    result = {
        **about,
        "n": len(utterances),
        "n_missing": len(absent),
        "scoring": _choices(setting, missing, blacklist),
        "main": "bleu",
        "metrics": finite(measured.metrics),
        "counts": measured.counts,
        "clips": clips_hash(utterances),
        **({"settings": compare_settings(utterances)} if side_by_side else {}),
        "per_clip": {name: pack(column) for name, column in bleu.per_clip(measured.rows).items()},
    }
    references, hypotheses = texts(utterances)
    write_text(folder / f"ref-{split}.txt", "".join(f"{text}\n" for text in references))
    write_text(folder / f"hyp-{split}.txt", "".join(f"{text}\n" for text in hypotheses))
    write_text(folder / f"recogs-{split}.txt", recogs(utterances))
    if side_by_side:
        write_text(folder / f"settings-{split}.txt", settings_text(result["settings"], split))
    lines = [*_lines(result), _command(setting, split), *(f"without a hypothesis: {key}" for key in absent)]
    write_text(folder / f"bleu-{split}.txt", "\n".join(lines) + "\n")
    return result


def _choices(setting: Setting, missing: str, blacklist: Optional[Blacklist]) -> Dict[str, Any]:
    signatures = bleu.signatures(setting)
    case = "lc" if setting.lowercase else "mixed"
    signatures["rouge"] = f"nrefs:1|case:{case}|beta:{ROUGE_BETA}|tok:{setting.tokenize}|mean:sentences"
    return {
        "case": setting.case, "tokenize": setting.tokenize, "missing": missing,
        "blacklist": None if blacklist is None else f"{blacklist.name} ({len(blacklist.words)} words)",
        "signatures": signatures,
    }  # fmt: skip


def compare_settings(utterances: Sequence[Utterance]) -> List[Dict[str, Any]]:
    """BLEU of the same hypotheses under each of the settings that papers differ in."""
    references, hypotheses = texts(utterances)
    rows = []
    for setting in SETTINGS:
        counted = bleu.statistics(hypotheses, references, setting)
        rows.append({
            "setting": setting.text(), "options": setting.options(),
            "bleu": round(float(bleu.bleu(counted.sum(0))), 4), "bleu1": round(float(bleu.bleu(counted.sum(0), 1)), 4),
            "sentence_bleu": round(float(bleu.bleu(counted, effective_order=True).mean()), 4),
            "signature": bleu.signatures(setting)["bleu"],
        })  # fmt: skip
    return rows


def settings_text(rows: Sequence[Dict[str, Any]], split: str) -> str:
    """The settings side by side, and how sacreBLEU's command line is asked for each."""
    head = ["setting", "BLEU-4", "BLEU-1", "mean sentence BLEU", "signature"]
    cells = [[r["setting"], *(f"{r[k]:.2f}" for k in ("bleu", "bleu1", "sentence_bleu")), r["signature"]] for r in rows]
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *cells]]
    lines += ["", f"BLEU-4 by sacreBLEU's command line: sacrebleu ref-{split}.txt -i hyp-{split}.txt -w 2, with"]
    lines += [f"  {row['setting']}: {row['options']}" for row in rows]
    lines.append("mean sentence BLEU: the mean of what it prints with -sl -w 10")
    return "\n".join(lines) + "\n"


def print_bleu(result: Dict[str, Any], folder: Path) -> None:
    """Print the measures, the choices behind them, and what else a reader must know to believe them."""
    print("\n".join(_lines(result)))
    if "settings" in result:
        print()
        print((folder / f"settings-{result['split']}.txt").read_text(encoding="utf-8"), end="")


def _lines(result: Dict[str, Any]) -> List[str]:
    counts, scoring = result["counts"], result["scoring"]
    lines = [_measure(name, result["metrics"][name]) for name in NAMES if name in result["metrics"]]
    lines += [f"  {name}: {signature}" for name, signature in scoring["signatures"].items()]
    lines += [f"  {NAMES[name]}: {what}" for name, what in DEFINITIONS.items() if name in result["metrics"]]
    lines.append(
        f"  {counts['different_hypotheses']} different hypotheses for {counts['sentences']} sentences, the most "
        f"frequent {counts['most_frequent_hypothesis']} times; empty: {counts['empty_hypotheses']} hypotheses, "
        f"{counts['empty_references']} references; {counts['hyp_types']} different words, {counts['ref_types']} in "
        "the references"
    )
    if "blacklist" in counts:
        gone = counts["blacklist"]
        lines.append(
            f"  blacklist {scoring['blacklist']}: {gone['ref_tokens_dropped']} tokens of the references and "
            f"{gone['hyp_tokens_dropped']} of the hypotheses dropped, {gone['ref_sentences_emptied']} references and "
            f"{gone['hyp_sentences_emptied']} hypotheses emptied by it"
        )
    if result["train_loss"] is not None and result["val_loss"] is not None:
        train, val = result["train_loss"], result["val_loss"]
        lines.append(f"  loss of the network: {train:.3f} train, {val:.3f} val, gap {val - train:+.3f}")
    missing = "counted as empty" if scoring["missing"] == "deletions" else "refused"
    setting = Setting(scoring["case"], scoring["tokenize"])
    lines.append(f"scored with: {setting.text()}, missing ids {missing}, n = {result['n']}, intervals of 95 %")
    return lines


def _measure(name: str, metric: Dict[str, Optional[float]]) -> str:
    digits, unit = (3, "") if name in RATIOS else (2, " %")
    value, low, high = metric["value"], metric["low"], metric["high"]
    between = "" if low is None or high is None else f"  [{low:.{digits}f}, {high:.{digits}f}]"
    return f"  {NAMES[name]:15} {value:7.{digits}f}{unit}{between}"


def _command(setting: Setting, split: str) -> str:
    files = f"ref-{split}.txt -i hyp-{split}.txt"
    return f"the same by sacreBLEU's command line: sacrebleu {files} {setting.options()} -w 2"
