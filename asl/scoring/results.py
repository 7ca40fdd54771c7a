"""``asl results``: result.json files -> one table, in RESULTS.md and on the terminal."""

import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import write_json, write_text
from asl.scoring import ablation
from asl.scoring.choices import short
from asl.scoring.result import OFFICIAL, read_result
from asl.scoring.table import HEADINGS, Table, cells, header, kind_of, of_translations, of_words, provenance, tables
from asl.scoring.translation import DEFINITIONS

# a kept copy's name has parts; those of an experiment's own files (train.json) have none
_PATTERNS = ("result.json", "decode_*/result.json", "*/decode_*/result.json", "*_*.json")


def results(
    dirs: List[str], out: str = "RESULTS.md", keep: str = "results", print_only: bool = False
) -> List[Path]:
    """Put the result.json files of decode folders into one table, and ablations into sections below it.

    Each is copied into the folder for kept copies under a name made of what it is (corpus, split, system,
    method, seed): a result of the same name is replaced. The table is made from the kept copies alone, so
    that it can be made again without the experiments. So are the sections, from <keep>/ablation_*/, which
    'asl ablate' fills.

    Args:
        dirs: where to look: decode folders, experiments, the folder of experiments, or kept copies.
        out: the table to write.
        keep: the folder for copies.
        print_only: write and copy nothing, only print the table of what is found in dirs.

    Returns:
        the files that the table was made from.

    Raises:
        AslError: no result.json in one of dirs, a broken one, or two of the same system, seed and clips.
    """
    found = [path for folder in dirs for path in find(folder)]
    files = list(dict.fromkeys(found))
    if not print_only:
        _copy(files, keep)
        files = find(keep)
    made = tables([(str(path), read_result(path)) for path in files])
    print("\n\n".join(text_table(table) for table in made))
    if not print_only:
        ablations = [ablation.read_ablation(plan.parent) for plan in _plans(keep)]
        print("".join(f"\n{ablation.text(each)}\n" for each in ablations), end="")
        write_text(out, markdown(made, keep, [ablation.markdown(each) for each in ablations]))
        more = f" and {len(ablations)} ablations" if ablations else ""
        print(f"\nwritten to {out} from {len(files)} files{more} in {keep}")
    return files


def _plans(folder: str) -> List[Path]:
    return sorted(Path(folder).glob(f"*/{ablation.PLAN}"))


def find(folder: str) -> List[Path]:
    """The result.json files of a decode folder, an experiment, a folder of them, or the kept copies in it."""
    if Path(folder).is_file():
        return [Path(folder)]
    for pattern in _PATTERNS:
        files = sorted(Path(folder).glob(pattern))
        if files:
            return files
    if _plans(folder):  # nothing but ablations, which have sections of their own
        return []
    raise AslError(
        f"there is no result.json in {folder} nor in its decode folders; decode and score first (stage 6)"
    )


def _copy(files: Sequence[Path], keep: str) -> None:
    """Copy each result into ``keep``; nothing is written unless all of them are whole and differ in name."""
    copies: Dict[str, Tuple[Path, Dict[str, Any]]] = {}
    for path in files:
        result = read_result(path)
        if path.resolve().parent == Path(keep).resolve():
            continue
        name = stable_name(result)
        if name in copies:
            raise AslError(
                f"{path} and {copies[name][0]} would both be kept as {keep}/{name}: the same "
                "system and seed; remove one of them"
            )
        copies[name] = (path, result)
    for name, (_, result) in copies.items():
        write_json(Path(keep) / name, result)


def stable_name(result: Dict[str, Any]) -> str:
    """File name of a kept copy: what the result is of, with ``_`` between the parts."""
    parts = [
        result["corpus"] or "corpus", kind_of(result), result["subset"],
        None if result["protocol"] == OFFICIAL else result["protocol"], result["split"], result["system"],
        result["method"], result["lm"] if result["lm"] != "graph" else None,
        _scored(result), result["checkpoint"], None if result["seed"] is None else f"seed{result['seed']}",
    ]  # fmt: skip
    slugs = [re.sub(r"[^\w.]+|_", "-", str(part)).strip("-.") for part in parts if part is not None]
    return "_".join(slug for slug in slugs if slug) + ".json"


def _scored(result: Dict[str, Any]) -> Optional[str]:
    """The choices of its scoring, where they are others than a plain word error rate's."""
    text = short(result["scoring"])
    return None if text == "none" else text


def markdown(made: Sequence[Table], keep: str, sections: Sequence[str] = ()) -> str:
    """The contents of RESULTS.md: the tables, then a section for each ablation."""
    blocks = [
        "# Results",
        f"Generated by `asl results` from the files in `{keep}/`; do not edit: run it again (stage 7).",
        "In per cent. In brackets the 95 % bootstrap interval over clips; with several seeds the mean ± "
        "standard deviation over the seeds, and the interval of that mean over clips (the same seeds, other "
        "clips). Per class is the mean over the signs that have a clip in the split. `-`: not known, or the "
        "n-best list is too short for it. A clip that was not decoded counts as wrong. All intervals and "
        "counts stand in the files.",
    ]
    if any(of_words(table) for table in made):
        blocks.append(
            "Of tables with WER: sub / del / ins are per cent of the references' words; LM is what the "
            "search knew of sequences of words (`lexicon`: the words alone, `-`: not even those); clean-up "
            "is what was done to the words before they were compared (`asl score --help`)."
        )
    if any(of_translations(table) for table in made):
        blocks.append(
            "Of tables with BLEU: sacreBLEU's counts, higher is better; text is the tokeniser and whether case counts. "
            + "; ".join(f"{HEADINGS[name]}: {what}" for name, what in DEFINITIONS.items() if name in HEADINGS)
            + ". Loss: the network's own at the end of its training, and val's minus train's. The best constant "
            "sentence, where there is such a row, was chosen by the scored sentences themselves: what is not clearly "
            "above it is no translation."
        )
    for table in made:
        blocks += [f"## {table.title}", table.note, _markdown_table(table)]
        blocks += _settings(table)
        blocks += ["Made by:", "\n".join(f"- {line}" for line in provenance(table))]
    return "\n\n".join([*blocks, *sections]) + "\n"


def _settings(table: Table) -> List[str]:
    """BLEU-4 of the same hypotheses under other settings, where they were scored with ``--settings``."""
    known = [result for row in table.rows for result in row.results if result.get("settings")]
    if not known:
        return []
    names = [row["setting"] for row in known[0]["settings"]]
    mean = f"mean sentence BLEU, {names[0]}"
    lines = []
    for result in known:
        by_name = {row["setting"]: row for row in result["settings"]}
        seed = "" if result["seed"] is None else f", seed {result['seed']}"
        figures = [f"{by_name[name]['bleu']:.2f}" if name in by_name else "-" for name in names]
        figures.append(f"{result['settings'][0]['sentence_bleu']:.2f}")
        lines.append([result["system"] + seed, result["method"] or "-", *figures])
    head = ["system", "decoding", *names, mean]
    return ["BLEU-4 of the same hypotheses under other settings:", _rows_markdown(head, lines)]


def _markdown_table(table: Table) -> str:
    return _rows_markdown(header(table), [cells(table, row) for row in table.rows])


def _rows_markdown(head: List[str], body: Sequence[List[str]]) -> str:
    rows = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def text_table(table: Table) -> str:
    """The same table for the terminal, in columns."""
    rows = [header(table), *(cells(table, row) for row in table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return "\n".join([table.title, table.note, *lines])
