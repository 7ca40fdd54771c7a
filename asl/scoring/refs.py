"""References and hypotheses of one split, joined by id."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike
from asl.common.jsonl import read_jsonl

Words = Tuple[str, ...]


@dataclass(frozen=True)
class Utterance:
    """What was signed and what was recognised.

    Attributes:
        id: of the supervision.
        reference: its words; may be empty.
        readings: the n-best list, best first, each reading once; empty where no hypothesis was given at all
            (an empty recognition result is one reading of no words).
    """

    id: str
    reference: Words
    readings: Tuple[Words, ...] = ()

    @property
    def best(self) -> Words:
        """The best reading; no words where there is no hypothesis, so that all is deleted."""
        return self.readings[0] if self.readings else ()


def load(decode: PathLike, data: PathLike, split: str) -> List[Utterance]:
    """Join ``<decode>/hyp.jsonl`` with ``<data>/<split>/supervisions.jsonl.gz``; sorted by id.

    Raises:
        AslError: a file is absent or cut short, an id stands twice or is not one of the split.
    """
    return join(read_references(data, split), read_hypotheses(decode), Path(decode) / "hyp.jsonl", split)


def join(
    references: Dict[str, Words], hypotheses: Dict[str, Tuple[Words, ...]], where: PathLike, split: str
) -> List[Utterance]:
    """Join by id: a missing hypothesis stays missing, an unknown id (it would count nowhere) is an error.

    ``split`` names the references: a split, or an STM file.
    """
    of = split if split.endswith(".stm") else f"the {split} split"
    unknown = sorted(set(hypotheses) - set(references))
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        hint = did_you_mean(unknown[0], references)
        raise AslError(
            f"{where}: id '{unknown[0]}'{more} is not in {of}{hint}; "
            "score it against the references of what it was decoded from"
        )
    return [Utterance(key, references[key], hypotheses.get(key, ())) for key in sorted(references)]


def read_references(data: PathLike, split: str) -> Dict[str, Words]:
    """Words of each supervision of a split, by id.

    Raises:
        AslError: no such split (those that are there are named), no supervision, an id twice, or no text.
    """
    path = Path(data) / split / "supervisions.jsonl.gz"
    if not path.exists():
        there = sorted(p.parent.name for p in Path(data).glob("*/supervisions.jsonl.gz"))
        found = f"there are {', '.join(there)}" if there else "there are none; run stage 1 of the recipe"
        raise AslError(f"{path} does not exist: no split '{split}' in {data}; {found}")
    references: Dict[str, Words] = {}
    for row in read_jsonl(path):
        key = _new_id(row, references, path)
        if not isinstance(row.get("text"), str):
            raise AslError(
                f"{path}: supervision '{key}' has no text to score against; prepare the corpus again"
            )
        references[key] = tuple(row["text"].split())
    if not references:
        raise AslError(f"{path} holds no supervision: nothing to score against; prepare the corpus again")
    return references


def read_hypotheses(decode: PathLike) -> Dict[str, Tuple[Words, ...]]:
    """The n-best readings of ``<decode>/hyp.jsonl``, by id.

    Raises:
        AslError: the file is absent, empty or cut short, an id stands twice, a row is not of the format.
    """
    path = Path(decode) / "hyp.jsonl"
    if not path.exists():
        raise AslError(
            f"{path} does not exist: {decode} is not a finished decode folder; run 'asl decode' first"
        )
    hypotheses: Dict[str, Tuple[Words, ...]] = {}
    for row in read_jsonl(path):
        key = _new_id(row, hypotheses, path)
        hypotheses[key] = _readings(row, path, key)
    if not hypotheses:
        raise AslError(f"{path} holds no hypothesis; run 'asl decode' again")
    return hypotheses


def _new_id(row: Dict[str, Any], seen: Dict[str, Any], path: Path) -> str:
    key = row.get("id")
    if not isinstance(key, str) or not key:
        raise AslError(f"{path}: row {len(seen) + 1} has no id; make the file again")
    if key in seen:
        raise AslError(f"{path}: id '{key}' stands twice; make the file again")
    return key


def _readings(row: Dict[str, Any], path: Path, key: str) -> Tuple[Words, ...]:
    entries: Sequence[Any] = [row, *(row.get("nbest") or [])]
    try:
        readings = [tuple(entry["text"].split()) for entry in entries]
    except (TypeError, KeyError, AttributeError):
        raise AslError(
            f"{path}: the hypothesis of '{key}' or its n-best list has no text; decode again"
        ) from None
    return tuple(dict.fromkeys(readings))
