"""What a sign is made of: a table of phonological features of glosses, ``data/lang/phonology.tsv``.

    gloss   rule    candidates  entry   Handshape   ...   UlnarRotation
    drink   entry   1           drink   c           ...   1
    allow   none    0           NA      NA          ...   NA

One line a gloss. ``rule``, ``candidates`` and ``entry`` say where its values were found; ``NA`` is a value
that is not known, which no loss sees.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike, write_text

# the features of ASL-LEX 2.0 (Sehyr et al. 2021) for the first morpheme of a sign, in its own order and names
FEATURES = (
    "Handshape",
    "SelectedFingers",
    "Flexion",
    "FlexionChange",
    "Spread",
    "SpreadChange",
    "ThumbPosition",
    "ThumbContact",
    "SignType",
    "Movement",
    "RepeatedMovement",
    "MajorLocation",
    "MinorLocation",
    "SecondMinorLocation",
    "Contact",
    "NonDominantHandshape",
    "UlnarRotation",
)
UNKNOWN = "NA"
_HEAD = ["gloss", "rule", "candidates", "entry"]


@dataclass(frozen=True)
class Coded:
    """The phonology of one gloss.

    Args:
        values: feature -> value; features that are not known are absent.
        rule: how the gloss was found; ``none``: it was not.
        candidates: how many entries the rule found.
        entry: the entry whose values these are.
    """

    values: Dict[str, str]
    rule: str = "given"
    candidates: int = 1
    entry: Optional[str] = None


@dataclass(frozen=True)
class PhonologyTable:
    """Glosses and their phonology.

    Args:
        features: the columns.
        rows: gloss -> its phonology.
    """

    features: List[str]
    rows: Dict[str, Coded]

    def classes(self, feature: str) -> List[str]:
        """The values that ``feature`` takes in the table, sorted; a value's class is its position.

        Raises:
            AslError: no such column (the nearest is named), or no gloss has a value.
        """
        if feature not in self.features:
            near = did_you_mean(feature, self.features)
            raise AslError(f"the phonology table has no feature {feature!r}{near}")
        found = sorted({row.values[feature] for row in self.rows.values() if feature in row.values})
        if not found:
            raise AslError(f"no gloss of the phonology table has a value for {feature!r}; leave it out")
        return found

    def targets(self, glosses: Sequence[str], features: Sequence[str]) -> List[List[int]]:
        """The class of each gloss in each feature; -1 where it is not known or the gloss is absent."""
        index = {feature: {v: i for i, v in enumerate(self.classes(feature))} for feature in features}
        nothing = Coded({})
        return [
            [index[f].get(self.rows.get(gloss, nothing).values.get(f, UNKNOWN), -1) for f in features]
            for gloss in glosses
        ]

    def write(self, path: PathLike) -> None:
        """Write the table atomically."""
        lines = [[*_HEAD, *self.features]]
        for gloss, row in self.rows.items():
            values = [row.values.get(feature, UNKNOWN) for feature in self.features]
            lines.append([gloss, row.rule, str(row.candidates), row.entry or UNKNOWN, *values])
        write_text(path, "".join("\t".join(line) + "\n" for line in lines))


def read_phonology(path: PathLike) -> PhonologyTable:
    """Read a ``phonology.tsv``.

    Raises:
        AslError: the file is absent (the command that makes it is named), or a line is malformed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AslError(
            f"there is no phonology table {path}; make it with 'asl phonology --asl-lex CSV --lang "
            f"{Path(path).parent}' (CSV is ASL-LEX's signdata file), or set task.init_args.phonology to null"
        ) from None
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"cannot read {path}: {e}; it must be UTF-8 text") from e
    lines = [line.split("\t") for line in text.split("\n") if line]
    width = len(_HEAD)
    if not lines or lines[0][:width] != _HEAD or len(lines[0]) == width:
        raise AslError(f"{path} line 1: expected the columns {' '.join(_HEAD)} and features; make it again")
    features, rows = lines[0][width:], {}
    for number, fields in enumerate(lines[1:], 2):
        if len(fields) != len(lines[0]) or not fields[2].isdigit():
            count = len(lines[0])
            raise AslError(f"{path} line {number}: expected {count} columns as line 1 has; make it again")
        if fields[0] in rows:
            raise AslError(f"{path} line {number}: gloss {fields[0]!r} stands twice; remove one")
        values = {f: v for f, v in zip(features, fields[width:]) if v != UNKNOWN}
        entry = None if fields[3] == UNKNOWN else fields[3]
        rows[fields[0]] = Coded(values, fields[1], int(fields[2]), entry)
    return PhonologyTable(features, rows)
