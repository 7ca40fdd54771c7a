"""The table of an ablation: every row beside its base, from the result files in one folder alone.

The folder (``results/ablation_<name>``) holds ``ablation.json``, which says what was to be run, and for each
run that came to its end a copy of its ``result.json`` under ``result_name``. Runs that are not there yet are
left out and counted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import PathLike, read_json
from asl.scoring.paired import Comparison, compare_seeds, correct
from asl.scoring.result import read_result
from asl.scoring.table import (
    HEADINGS, Row, checkpoint, make_row, measure, setting_of, short_commit, size, time_taken, title_of,
)  # fmt: skip

PLAN = "ablation.json"
_KEYS = ("name", "title", "command", "groups")
_SAME = ("clips", "main", "corpus", "split", "protocol")  # what a comparison takes for granted


@dataclass
class AblationRow:
    """What was changed, the results as in every table, and the comparison with the base (or why none)."""

    name: str
    about: str
    wanted: List[int]
    row: Optional[Row]
    against: Optional[Comparison]
    why_not: str = ""


@dataclass
class Group:
    """Rows on one set of clips with their base, which stands first."""

    name: str
    rows: List[AblationRow]


@dataclass
class Ablation:
    """All groups of an ablation file."""

    name: str
    title: str
    command: str
    groups: List[Group]


def result_name(group: str, row: str, seed: int) -> str:
    """File name of the result of one run in the folder of an ablation."""
    return ".".join([*([group] if group else []), row, f"seed{seed}"]) + ".json"


def read_ablation(folder: PathLike) -> Ablation:
    """Read a folder of results and compare every row with its base.

    Raises:
        AslError: no ``ablation.json``, a damaged one, or a broken result.
    """
    plan = read_json(Path(folder) / PLAN)
    if not isinstance(plan, dict) or any(key not in plan for key in _KEYS):
        raise AslError(
            f"{Path(folder) / PLAN} is none of 'asl ablate'; run it again, it writes the file anew"
        )
    groups = [_group(Path(folder), group) for group in plan["groups"]]
    return Ablation(plan["name"], plan["title"], plan["command"], groups)


def _group(folder: Path, plan: Dict[str, Any]) -> Group:
    rows: List[AblationRow] = []
    for planned in plan["rows"]:
        paths = [folder / result_name(plan["name"], planned["name"], seed) for seed in planned["seeds"]]
        results = [read_result(path) for path in paths if path.is_file()]
        _check_alike(results, folder, planned["name"])
        row = make_row(results) if results else None
        rows.append(AblationRow(planned["name"], planned["about"], planned["seeds"], row, None))
    base = rows[0]
    for row in rows[1:]:
        if row.row is not None:
            row.against, row.why_not = _against(base.row, row.row)
    correct([row.against for row in rows if row.against is not None])
    return Group(plan["name"], rows)


def _check_alike(results: Sequence[Dict[str, Any]], folder: Path, name: str) -> None:
    """Seeds of one row must be of the same clips, network and decoding."""
    for key in ("clips", "main", "method", "checkpoint", "parameters"):
        if len({result[key] for result in results}) > 1:
            values = " and ".join(sorted({str(result[key]) for result in results}))
            raise AslError(
                f"{folder}: the results of {name} differ in '{key}' ({values}): they are of different runs; "
                "run asl ablate again"
            )


def _against(base: Optional[Row], row: Row) -> Tuple[Optional[Comparison], str]:
    if base is None:
        return None, "no base yet"
    one, other = base.results[0], row.results[0]
    if any(one[key] != other[key] for key in _SAME):
        return None, "other clips"
    if one["main"] == "bleu" and setting_of(one) != setting_of(other):
        return None, f"scored otherwise ({setting_of(other).text()})"
    pairs = [(b, r) for b in base.results for r in row.results if b["seed"] == r["seed"]]
    return (compare_seeds(pairs), "") if pairs else (None, "no common seed")


EXPLAINED = (
    "Difference: row minus base over the same clips, mean over the seeds that both have (± standard "
    "deviation of the seeds' differences), with the 95 % paired bootstrap interval over clips; p: exact "
    "paired permutation test over clips of the correctness summed over those seeds, two-sided (for one seed "
    "McNemar's exact test; for BLEU, which is no sum over clips, 10,000 random swaps); * where p is below 0.05 "
    "after Holm's correction for the rows of the table. "
    "Interval and p take the trained networks as given: how much another seed moves the figure, ± says."
)


def header(group: Group) -> List[str]:
    """Headings of the columns."""
    metrics = [HEADINGS[metric] for metric in _metrics(group)]
    measured = [metrics[0] + " [95 %]", *metrics[1:], "difference [95 %]", "p"]
    made = ["checkpoint", "decoding", "parameters", "training"]
    return ["row", "what is different", "seeds", *measured, *made]


def _metrics(group: Group) -> List[str]:
    first = next((row.row.results[0] for row in group.rows if row.row), None)
    main = first["main"] if first is not None else "top1"
    return {"wer": ["wer"], "bleu": ["bleu", "chrf", "length_ratio"]}.get(main, ["top1", "top5"])


def cells(group: Group, row: AblationRow) -> List[str]:
    """One row as text, in the order of ``header``."""
    seeds = len(row.row.results) if row.row else 0
    done = str(seeds) + ("" if seeds == len(row.wanted) else f" of {len(row.wanted)}")
    if row.row is None:
        return [row.name, row.about, done, *["-"] * (len(header(group)) - 3)]
    first = row.row.results[0]
    return [
        row.name,
        row.about,
        done,
        *[measure(row.row, metric) for metric in _metrics(group)],
        *_difference(row),
        checkpoint(row.row.results),
        first["method"] or "-",
        size(first["parameters"]),
        time_taken([result["train_seconds"] for result in row.row.results]),
    ]


def _difference(row: AblationRow) -> List[str]:
    c = row.against
    if c is None:
        return [row.why_not or "-", "-"]
    spread = "" if c.spread is None else f" ± {c.spread:.1f}"
    interval = "" if c.low is None or c.high is None else f" [{c.low:+.1f}, {c.high:+.1f}]"
    return [f"{c.difference:+.1f}{spread}{interval}", f"{c.p:.2g}" + (" *" if c.adjusted < 0.05 else "")]


def group_title(group: Group) -> str:
    """The group's name and what its clips are."""
    first = next((row.row.results[0] for row in group.rows if row.row), None)
    about = "no result yet" if first is None else f"{title_of(first)}, n = {first['n']}"
    return f"{group.name}: {about}" if group.name else about


def summary(ablation: Ablation) -> List[str]:
    """One line for each row that is in several groups: its difference from the base in each of them."""
    names = list(dict.fromkeys(row.name for group in ablation.groups for row in group.rows[1:]))
    lines = []
    for name in names:
        parts = []
        for group in ablation.groups:
            row = next((r for r in group.rows[1:] if r.name == name and r.against is not None), None)
            if row is not None and row.against is not None:
                difference, p = _difference(row)
                parts.append(f"{group.name} {difference} (p = {p}, {_seeds(row.against)})")
        if len(parts) > 1:
            lines.append(f"{name}: " + "; ".join(parts))
    return lines


def _seeds(comparison: Comparison) -> str:
    return "1 seed" if len(comparison.seeds) == 1 else f"{len(comparison.seeds)} seeds"


def markdown(ablation: Ablation, level: int = 2) -> str:
    """The section of RESULTS.md."""
    blocks = [f"{'#' * level} Ablation: {ablation.title}", f"Made by `{ablation.command}`. {EXPLAINED}"]
    short = summary(ablation)
    if short:
        blocks.append("\n".join(f"- {line}" for line in short))
    for group in ablation.groups:
        rows = [header(group), ["---"] * len(header(group)), *(cells(group, row) for row in group.rows)]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        blocks += [f"{'#' * (level + 1)} {group_title(group)}", "\n".join(lines)]
        commits = sorted(
            {r["commit"] or "none recorded" for row in group.rows if row.row for r in row.row.results}
        )
        blocks.append("Commits: " + ", ".join(short_commit(c) for c in commits) + ".")
    return "\n\n".join(blocks)


def text(ablation: Ablation) -> str:
    """The same for the terminal."""
    blocks = [ablation.title, *summary(ablation)]
    for group in ablation.groups:
        rows = [header(group), *(cells(group, row) for row in group.rows)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        blocks += ["", group_title(group), *lines]
    return "\n".join(blocks)


def as_json(ablation: Ablation) -> Dict[str, Any]:
    """The numbers of the table."""
    return {
        "name": ablation.name,
        "title": ablation.title,
        "command": ablation.command,
        "groups": [
            {"name": group.name, "rows": [_row_json(row) for row in group.rows]} for group in ablation.groups
        ],
    }


def _row_json(row: AblationRow) -> Dict[str, Any]:
    about: Dict[str, Any] = {"name": row.name, "about": row.about, "seeds_wanted": row.wanted}
    if row.row is not None:
        results = row.row.results
        about.update(
            seeds=[result["seed"] for result in results],
            n=results[0]["n"],
            values=row.row.values,
            spreads=row.row.spreads,
            intervals={name: list(ends) for name, ends in row.row.intervals.items()},
            checkpoint=results[0]["checkpoint"],
            parameters=results[0]["parameters"],
            train_seconds=[result["train_seconds"] for result in results],
            against_base=None if row.against is None else vars(row.against),
        )
    return about
