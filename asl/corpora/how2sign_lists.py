"""How2Sign's written side: the owner's sentence files, as they come, and the transcripts of a part of the corpus."""

import csv
import math
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from asl.common.errors import AslError
from asl.corpora.manifests import BAD, SPLITS, Clip

HOME = "https://how2sign.github.io"
OWNER_COUNTS = {"train": 31_165, "val": 1_741, "test": 2_357}  # sentences of the realigned files
TRANSCRIPTS = "transcripts.tsv"
#: kind of times -> the columns of the sentence files that hold them
TIMES = {"realigned": ("START_REALIGNED", "END_REALIGNED"), "older": ("START", "END")}
_TEXTS = "sentence_level/{0}/text/en/raw_text/"
_NAMES = {  # kind of times -> where its file of a split may lie, below the corpus folder
    "realigned": ("how2sign_realigned_{0}.csv", _TEXTS + "re_aligned/how2sign_realigned_{0}.csv"),
    "older": ("how2sign_{0}.csv", _TEXTS + "how2sign_{0}.csv"),
}
_NAME = re.compile(r"(?P<video>.+)_\d+-(?P<signer>\d+)-rgb_(?:front|side)")


def find_lists(root: Path) -> Dict[str, Tuple[Path, str]]:
    """The sentence file of each split that has one, and which times it holds: realigned ones, else the older."""
    lists: Dict[str, Tuple[Path, str]] = {}
    for split in SPLITS:
        for kind, names in _NAMES.items():
            for name in names:
                path = root / name.format(split)
                if split not in lists and path.is_file():
                    lists[split] = (path, kind)
    return lists


def read_list(path: Path, split: str) -> List[Clip]:
    """Read a sentence file.

    A sentence that is empty or ends before it starts is ``bad``. ``custom`` gets ``video`` (its recording) and
    ``times`` (start and end in it, seconds).

    Raises:
        AslError: a column is missing, a line has too few or too many fields, no SENTENCE_NAME, or no times.
    """
    rows = _rows(path)
    names = next(rows)[1]
    columns = next((pair for pair in TIMES.values() if set(pair) <= set(names)), TIMES["realigned"])
    wanted = ("VIDEO_NAME", "SENTENCE_NAME", *columns, "SENTENCE")
    lacking = [name for name in wanted if name not in names]
    if lacking:
        raise AslError(
            f"{path} line 1: no column {', '.join(lacking)} among {', '.join(names) or 'nothing'}; the owner's "
            f"columns, with tabs or commas between them, are VIDEO_ID VIDEO_NAME SENTENCE_ID {' '.join(wanted[1:])}; "
            f"get the file from {HOME}"
        )
    clips = [_clip(dict(zip(names, fields)), columns, split, f"{path} line {line}") for line, fields in rows]
    if not clips:
        raise AslError(f"{path} lists no sentence; get it from {HOME}")
    return clips


def read_transcripts(path: Path) -> List[Clip]:
    """Read the transcripts of a part of train (SENTENCE_NAME, SENTENCE); there are no times in it.

    Raises:
        AslError: as ``read_list``, or a name is not as How2Sign names its sentences (it tells the video).
    """
    rows = _rows(path)
    names = next(rows)[1]
    lacking = [name for name in ("SENTENCE_NAME", "SENTENCE") if name not in names]
    if lacking:
        raise AslError(f"{path} line 1: no column {', '.join(lacking)} among {', '.join(names) or 'nothing'}; add it")
    clips = []
    for line, fields in rows:
        clip = _clip(dict(zip(names, fields)), None, "train", f"{path} line {line}")
        named = _NAME.fullmatch(clip.id)
        if named is None:
            raise AslError(
                f"{clip.where}: SENTENCE_NAME '{clip.id}' is not <video>_<number>-<signer>-rgb_front, which tells the "
                "video; mend the name"
            )
        clip.custom["video"] = named["video"]
        clips.append(clip)
    if not clips:
        raise AslError(f"{path} lists no sentence; add a line for each clip")
    return clips


def signer_of(name: str) -> Optional[str]:
    """The signer's number out of a SENTENCE_NAME, ``<video>_<number>-<signer>-rgb_front``; None where it has none."""
    named = _NAME.fullmatch(name)
    return named["signer"] if named else None


def _clip(row: Dict[str, str], columns: Optional[Tuple[str, str]], split: str, where: str) -> Clip:
    name, text = row["SENTENCE_NAME"].strip(), " ".join(row["SENTENCE"].split())
    if not name or len(name.split()) > 1 or Path(name).name != name:
        raise AslError(f"{where}: SENTENCE_NAME '{name}' is no name of a file; mend the line")
    clip = Clip(id=name, split=split, text=text, where=where, speaker=signer_of(name))
    if columns is not None:
        start, end = (_seconds(row[column], column, where) for column in columns)
        clip.custom.update(video=row["VIDEO_NAME"].strip(), times=[start, end])
        if end <= start:
            _spoil(clip, f"it ends at {end:g} s, before it starts at {start:g} s")
    if not text:
        _spoil(clip, "the sentence is empty")
    return clip


def _spoil(clip: Clip, reason: str) -> None:
    clip.status, clip.reason = BAD, f"{reason} ({clip.where})"


def _seconds(value: str, column: str, where: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise AslError(f"{where}: {column} is '{value.strip()}', not a time in seconds from 0 on; mend the line")
    return seconds


def _rows(path: Path) -> Iterator[Tuple[int, List[str]]]:
    """Yield line number and fields of the header and of every line that is not empty.

    Tabs where the header has one, else commas. A sentence of a file with tabs may hold a quote that nothing closes:
    such a file is read line by line, and quotes are taken off only where they enclose a field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"cannot read {path}: {e}; get it from {HOME}") from e
    lines = text.split("\n")  # not splitlines, which breaks a sentence at a few rare blanks too
    tabs = "\t" in lines[0]
    try:
        # with its line ends, or the words on both sides of one inside a quoted sentence would become one
        rows = _by_tabs(lines) if tabs else csv.reader((f"{line}\n" for line in lines), strict=True)
        number, width = 1, 0
        for row in rows:
            number = getattr(rows, "line_num", number)
            width = width or len(row)
            if any(field.strip() for field in row):
                if len(row) != width:
                    raise AslError(f"{path} line {number}: {len(row)} fields where line 1 has {width}; mend the line")
                yield number, [field.strip() for field in row] if number == 1 else row
            number += 1
    except csv.Error as e:
        raise AslError(f"{path} line {number}: {e}; mend the quotes, or get the file from {HOME}") from None
    if not text.strip():
        yield 1, []


def _by_tabs(lines: List[str]) -> Iterator[List[str]]:
    for line in lines:
        yield [_unquoted(field) for field in line.split("\t")]


def _unquoted(field: str) -> str:
    inner = field[1:-1]
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field


def as_facts(lists: Dict[str, Tuple[Path, str]]) -> Dict[str, Any]:
    """What the report says of the lists: file and kind of times by split."""
    return {split: {"file": str(path), "times": kind} for split, (path, kind) in lists.items()}
