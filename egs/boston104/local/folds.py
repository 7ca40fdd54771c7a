"""What is between the folds of a cross-validation: scales chosen on the other folds, and all hypotheses as one set.

    python local/folds.py scales --tune ../fold*/exp/ctc_seed0/tune_2-gram --own exp/ctc_seed0/tune_2-gram \\
        --out exp/ctc_seed0/scales_2-gram
    python local/folds.py join --folds ../fold*/exp/ctc_seed0/decode_val_2-gram --out exp/ctc_seed0/decode_val_2-gram
    python local/folds.py ctm --folds ../fold*/exp/ctc_seed0/align/align.ctm --out exp/ctc_seed0/align.ctm

``scales`` adds up the errors of each combination that asl tune tried (points.tsv) over all folds but the own one and
writes the best as best.json for asl decode --tuned: no sentence that is evaluated has a say in how it is decoded.
"""

import argparse
import csv
import os
import sys
from pathlib import Path

from asl.common.ctm import read_timed, write_timed
from asl.common.errors import AslError
from asl.common.files import read_json, write_json
from asl.common.jsonl import read_jsonl, write_jsonl


def others(folders, own):
    """Those of the folders that are not ``own``."""
    rest = [folder for folder in folders if os.path.realpath(folder) != os.path.realpath(own)]
    if not rest or len(rest) == len(folders):
        raise AslError(f"--own {own} is to be one of {len(folders)} folders of --tune, with others beside it")
    return rest


def errors_of(folders):
    """What asl tune varied (the columns before wer), and combination -> errors, added up over the folders."""
    axes, total = [], {}
    for number, folder in enumerate(folders):
        with open(Path(folder) / "points.tsv", encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t")
            axes = reader.fieldnames[: reader.fieldnames.index("wer")]
            found = {tuple(float(row[axis]) for axis in axes): int(row["errors"]) for row in reader}
        if number and set(found) != set(total):
            raise AslError(f"{folder}/points.tsv has other combinations than {folders[0]}/points.tsv; tune them alike")
        total = {place: total.get(place, 0) + errors for place, errors in found.items()}
    return axes, total


def scales(tune, own, out):
    """Write ``<out>/best.json`` for the fold whose ``asl tune`` folder is ``own``."""
    rest = others(tune, own)
    axes, total = errors_of(rest)
    place = min(total, key=lambda p: (total[p], [abs(x) for x in p]))
    beam = max(read_json(Path(folder) / "best.json")["beam"] for folder in rest)
    about = read_json(Path(own) / "best.json")
    write_json(Path(out) / "best.json", {
        **dict(zip(axes, place)), "beam": beam, "errors_in_other_folds": total[place], "grammar": about["grammar"],
        "graph": about["graph"], "chosen_on": [os.path.relpath(folder) for folder in rest],
    })  # fmt: skip
    print(f"{out}: " + ", ".join(f"{axis} {value:g}" for axis, value in zip(axes, place)))


def join(folds, out, corpus):
    """One decode folder from those of all folds; they must be of the same system, each id in one of them.

    The command that is kept is the first fold's.
    """
    rows, abouts = {}, [read_json(Path(folder) / "decode.json") for folder in folds]
    for folder in folds:
        for row in read_jsonl(Path(folder) / "hyp.jsonl"):
            if row["id"] in rows:
                raise AslError(f"{folder}/hyp.jsonl: id '{row['id']}' is in another fold, too")
            rows[row["id"]] = row
    if len({about["system"] for about in abouts}) > 1:
        raise AslError(f"{', '.join(map(str, folds))} are of different systems: {sorted({a['system'] for a in abouts})}")
    added = {key: sum(about[key] for about in abouts) for key in ("train_seconds",)
             if all(about.get(key) is not None for about in abouts)}  # fmt: skip
    write_jsonl(Path(out) / "hyp.jsonl", [rows[key] for key in sorted(rows)])
    write_json(Path(out) / "decode.json", {
        **abouts[0], **added, "corpus": corpus, "subset": f"{len(folds)}-fold",
        "options_of_folds": [about.get("options") for about in abouts],
    })  # fmt: skip
    print(f"{out}: {len(rows)} sentences of {len(folds)} folds")


def join_ctm(folds, out):
    """One CTM from those of all folds."""
    words = {}
    for path in folds:
        found = read_timed(path)
        if set(found) & set(words):
            raise AslError(f"{path}: clip '{min(set(found) & set(words))}' is in another fold, too")
        words.update(found)
    write_timed(out, {key: words[key] for key in sorted(words)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], allow_abbrev=False)
    parser.add_argument("what", choices=["scales", "join", "ctm"])
    parser.add_argument("--tune", nargs="+", default=[], help="asl tune's folder of every fold")
    parser.add_argument("--own", help="that of the fold that is decoded")
    parser.add_argument("--folds", nargs="+", default=[], help="decode folder (or CTM) of every fold")
    parser.add_argument("--corpus", default="boston104", help="name of the corpus in tables")
    parser.add_argument("--out", required=True)
    given = parser.parse_args()
    try:
        if given.what == "scales":
            scales(given.tune, given.own, given.out)
        elif given.what == "join":
            join(given.folds, given.out, given.corpus)
        else:
            join_ctm(given.folds, given.out)
    except AslError as e:
        print(f"{parser.prog}: error: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
