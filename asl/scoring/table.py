"""result.json contents -> tables: one a set of clips, one row a system, seeds put together."""

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.scoring import bleu, topk
from asl.scoring.choices import short
from asl.scoring.intervals import bootstrap, class_means, means, ratio
from asl.scoring.paired_bleu import statistics_of
from asl.scoring.result import OFFICIAL, unpack

# metric -> heading; of these the first of each kind carry an interval
HEADINGS = {
    "top1": "top-1", "top5": "top-5", "top10": "top-10",
    "top1_class": "per class top-1", "top5_class": "per class top-5", "top10_class": "per class top-10",
    "wer": "WER",
    "bleu": "BLEU-4", "bleu1": "BLEU-1", "chrf": "chrF", "rouge": "ROUGE-L", "rbleu": "rBLEU",
    "length_ratio": "length ratio", "repetition": "repetition", "coverage": "coverage",
}  # fmt: skip
_WITH_INTERVAL = ("top1", "top1_class", "wer", "bleu")
_DIGITS = {name: 2 for name in ("bleu", "bleu1", "chrf", "rouge", "rbleu", "length_ratio")}  # of the others 1
Interval = Tuple[Optional[float], Optional[float]]


@dataclass
class Row:
    """One system on one set of clips.

    Attributes:
        results: one result.json a seed, in order of the seeds.
        values: metric -> mean over the seeds, per cent; None where it is not defined.
        spreads: metric -> standard deviation over the seeds (n - 1); None with one seed.
        intervals: metric -> 95 % bootstrap interval of that mean.
    """

    results: List[Dict[str, Any]]
    values: Dict[str, Optional[float]]
    spreads: Dict[str, Optional[float]]
    intervals: Dict[str, Interval]


@dataclass
class Table:
    """All systems on one set of clips, the best first. ``title`` names the clips."""

    title: str
    note: str
    metrics: List[str]
    rows: List[Row]


def tables(results: Sequence[Tuple[str, Dict[str, Any]]]) -> List[Table]:
    """Group results: a table a set of clips, a row a system.

    A row holds the results that differ in nothing but the seed. Real corpora come first.

    Args:
        results: (where it is from, what ``read_result`` returned).

    Raises:
        AslError: two results of the same system and seed on the same clips; names both places.
    """
    groups: Dict[Tuple[Any, ...], Dict[Tuple[Any, ...], Dict[Any, Tuple[str, Dict[str, Any]]]]] = {}
    for where, result in results:
        group = tuple(
            result[k] for k in ("synthetic", "simulated", "corpus", "subset", "protocol", "split", "clips")
        )
        system = tuple(result[k] for k in ("system", "method", "lm", "checkpoint", "parameters"))
        system += (short(result["scoring"]),)
        # figures of other settings are of another measure
        group += (result["main"], setting_of(result).text() if result["main"] == "bleu" else "")
        seeds = groups.setdefault(group, {}).setdefault(system, {})
        if result["seed"] in seeds:
            raise AslError(
                f"{where} and {seeds[result['seed']][0]} are of the same system ({result['system']}), seed "
                f"({result['seed']}) and clips; remove one of them"
            )
        seeds[result["seed"]] = (where, result)
    return [
        _table(systems)
        for _, systems in sorted(groups.items(), key=lambda item: [_sortable(k) for k in item[0]])
    ]


def _sortable(value: Any) -> Tuple[bool, float, str]:
    """Numbers by size, then text, None first of all."""
    if isinstance(value, (int, float)):
        return (False, float(value), "")
    return (value is not None, 0.0, str(value or ""))


def _table(systems: Dict[Tuple[Any, ...], Dict[Any, Tuple[str, Dict[str, Any]]]]) -> Table:
    rows = [make_row([seeds[s][1] for s in sorted(seeds, key=_sortable)]) for seeds in systems.values()]
    first = rows[0].results[0]
    main, sign = first["main"], 1 if first["main"] == "wer" else -1
    rows.sort(key=lambda r: (r.values[main] is None, sign * (r.values[main] or 0), r.results[0]["system"]))
    metrics = [m for m in HEADINGS if any(m in r.values for r in rows)]
    title = title_of(first) + (f", BLEU {setting_of(first).text()}" if main == "bleu" else "")
    return Table(title, _note(first), metrics, rows)


def setting_of(result: Dict[str, Any]) -> bleu.Setting:
    """What was done to the text before BLEU counted it."""
    return bleu.Setting(result["scoring"]["case"], result["scoring"]["tokenize"])


def make_row(results: List[Dict[str, Any]]) -> Row:
    """The results of one system on one set of clips, one a seed, put together."""
    names = [m for m in HEADINGS if all(m in r["metrics"] for r in results)]
    values: Dict[str, Optional[float]] = {}
    spreads: Dict[str, Optional[float]] = {}
    for name in names:
        seeds = [r["metrics"][name]["value"] for r in results]
        defined = None not in seeds
        values[name] = float(np.mean(seeds)) if defined else None
        spreads[name] = float(np.std(seeds, ddof=1)) if defined and len(seeds) > 1 else None
    return Row(results, values, spreads, _intervals(results))


def _intervals(results: List[Dict[str, Any]]) -> Dict[str, Interval]:
    """Of one seed what was scored; of several, the same clips are drawn for each and the mean is taken."""
    if len(results) == 1:
        metrics = results[0]["metrics"]
        return {m: (metrics[m]["low"], metrics[m]["high"]) for m in _WITH_INTERVAL if m in metrics}
    if results[0]["main"] == "bleu":
        rows = [statistics_of(result) for result in results]
        ((low, high),) = bootstrap(len(rows[0]), lambda w: _mean(bleu.bleu(w @ each) for each in rows)[:, None])
        return {"bleu": (float(low), float(high))}
    parts = [r["per_clip"] for r in results]
    if results[0]["main"] == "wer":
        errors, lengths = _mean(unpack(p["errors"]) for p in parts), unpack(parts[0]["lengths"])
        (ends,) = bootstrap(len(lengths), ratio(errors, lengths))
        low, high = (100 * float(end) if np.isfinite(end) else None for end in ends)
        return {"wer": (low, high)}
    hits = _mean(topk.hits(unpack(p["ranks"]), [1]) for p in parts)
    ((low, high),) = bootstrap(len(hits), means(hits))
    ((class_low, class_high),) = bootstrap(len(hits), class_means(hits, unpack(parts[0]["classes"])))
    return {
        "top1": (100 * float(low), 100 * float(high)),
        "top1_class": (100 * float(class_low), 100 * float(class_high)),
    }


def _mean(arrays: Any) -> np.ndarray:
    return np.mean(list(arrays), axis=0)


def title_of(result: Dict[str, Any]) -> str:
    """Corpus, subset, protocol and split: which clips a result is of."""
    corpus = result["corpus"] or "corpus without a name"
    subset = f" {result['subset']}" if result["subset"] is not None else ""
    kind = f" ({kind_of(result)})" if kind_of(result) else ""
    protocol = "" if result["protocol"] == OFFICIAL else f", {result['protocol']}"
    return f"{corpus}{subset}{kind}{protocol}, {result['split']}"


def kind_of(result: Dict[str, Any]) -> Optional[str]:
    """``synthetic``; ``simulated``: a real corpus's sentences, signed by the kinematic signer; or None."""
    return "simulated" if result["simulated"] else "synthetic" if result["synthetic"] else None


def _note(result: Dict[str, Any]) -> str:
    what = {"top1": "clips", "bleu": "sentences"}.get(result["main"], "utterances")
    listed = "official" if result["protocol"] == OFFICIAL else "in this split"
    official = "" if result["n_official"] is None else f" found of {result['n_official']} {listed}"
    classes = f", {result['n_classes']} signs" if "n_classes" in result else ""
    synthetic = _KINDS.get(kind_of(result), "")
    signers = _PROTOCOLS.get(result["protocol"], "")
    signature = f" BLEU {result['scoring']['signatures']['bleu']}." if result["main"] == "bleu" else ""
    clips = f"(clips {result['clips'][:6]})"
    return f"n = {result['n']} {what}{official}{classes} {clips}.{signature}{signers}{synthetic}"


_KINDS = {
    "synthetic": " Synthetic landmarks: no measure of any sign language.",
    "simulated": " Simulated: real sentences, frame counts and signers' names, landmarks made by a program: "
    "no measure of any sign language.",
}
_PROTOCOLS = {
    "signer-independent": " No signer of this split is in another one.",
    "si5": " All by one signer, who is not in train.",
}


def header(table: Table) -> List[str]:
    """Headings of the columns."""
    metrics = [HEADINGS[m] + (" [95 %]" if m in _WITH_INTERVAL else "") for m in table.metrics]
    if of_words(table):
        metrics.append("sub / del / ins")
    if of_translations(table):
        metrics.append("loss train / val")
    how = ["decoding", *(["LM", "clean-up" if of_words(table) else "text"] if _of_text(table) else [])]
    return ["system", *how, "checkpoint", "seeds", *metrics, "n", "parameters", "training"]


def cells(table: Table, row: Row) -> List[str]:
    """One row as text, in the order of ``header``."""
    first = row.results[0]
    missing = max(r["n_missing"] for r in row.results)
    return [
        first["system"] + (f" ({kind_of(first)})" if kind_of(first) else ""),
        first["method"] or "-",
        *([first["lm"] or "-", short(first["scoring"])] if _of_text(table) else []),
        checkpoint(row.results),
        str(len(row.results)),
        *[measure(row, metric) for metric in table.metrics],
        *([errors(row.results)] if of_words(table) else []),
        *([losses(row.results)] if of_translations(table) else []),
        str(first["n"]) + (f" ({missing} not decoded)" if missing else ""),
        size(first["parameters"]),
        time_taken([r["train_seconds"] for r in row.results]),
    ]


def of_words(table: Table) -> bool:
    """Whether a table is of word error rates."""
    return table.rows[0].results[0]["main"] == "wer"


def of_translations(table: Table) -> bool:
    """Whether a table is of BLEU."""
    return table.rows[0].results[0]["main"] == "bleu"


def _of_text(table: Table) -> bool:
    return of_words(table) or of_translations(table)


def losses(results: List[Dict[str, Any]]) -> str:
    """The networks' losses at the end of training, train / val, and their gap; means over the seeds that tell."""
    pairs = [(r["train_loss"], r["val_loss"]) for r in results if None not in (r["train_loss"], r["val_loss"])]
    if not pairs:
        return "-"
    train, val = np.mean(pairs, axis=0)
    return f"{train:.2f} / {val:.2f} ({val - train:+.2f})"


def errors(results: List[Dict[str, Any]]) -> str:
    """Substitutions, deletions and insertions in per cent of the references' words, means over the seeds."""
    words = sum(result["counts"]["ref"] for result in results)
    totals = [sum(result["counts"][kind] for result in results) for kind in ("sub", "del", "ins")]
    return " / ".join(f"{100 * total / words:.1f}" for total in totals) if words else "-"


def checkpoint(results: List[Dict[str, Any]]) -> str:
    """The rule that chose the weights; of test also by how many different decodings it was looked at."""
    looks = max((result["test_decodings"] or 0 for result in results), default=0)
    return (results[0]["checkpoint"] or "-") + (f" (test decoded in {looks} ways)" if looks > 1 else "")


def measure(row: Row, metric: str) -> str:
    """A metric as text: mean ± standard deviation over the seeds [interval over clips]."""
    value, spread = row.values.get(metric), row.spreads.get(metric)
    if value is None:
        return "-"
    digits = _DIGITS.get(metric, 1)
    text = f"{value:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")
    low, high = row.intervals.get(metric, (None, None))
    if low is not None and high is not None:
        text += f" [{low:.{digits}f}, {high:.{digits}f}]"
    return text


def size(parameters: Optional[int]) -> str:
    """A number of parameters as text."""
    if parameters is None:
        return "-"
    return f"{parameters / 1e6:.2f} M" if parameters >= 10_000 else str(parameters)


def time_taken(seconds: List[Optional[float]]) -> str:
    """The mean of those that are known, as text."""
    known = [s for s in seconds if s is not None]
    if not known:
        return "-"
    mean = sum(known) / len(known)
    return f"{mean:.0f} s" if mean < 90 else f"{mean / 60:.1f} min" if mean < 5400 else f"{mean / 3600:.1f} h"


def provenance(table: Table) -> List[str]:
    """For each result of each row: the system, its seed, the commit and the command."""
    lines = []
    for result in (r for row in table.rows for r in row.results):
        seed = "" if result["seed"] is None else f", seed {result['seed']}"
        commit = "no commit recorded" if not result["commit"] else "commit " + short_commit(result["commit"])
        command = f": `{result['command']}`" if result["command"] else ""
        how = ", ".join(part for part in (result["method"], result["lm"]) if part)
        method = f" ({how})" if how else ""
        lines.append(f"{result['system']}{method}{seed}, {commit}{command}")
    return lines


def short_commit(commit: str) -> str:
    """The first ten digits of a commit, and whether there were changes besides."""
    name, _, dirty = commit.partition("-")
    return name[:10] + (" with uncommitted changes" if dirty else "")
