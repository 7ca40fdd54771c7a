"""NIST's files of transcripts: STM (references) and CTM (hypotheses, a word a line).

They stand here because ``corpora`` reads the STM files that come with a corpus, and ``scoring`` both.
"""

import math
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from asl.common.errors import AslError
from asl.common.files import PathLike

Words = Tuple[str, ...]


def read_stm(path: PathLike) -> Dict[str, Words]:
    """Words of each utterance of an STM: ``id channel speaker begin end [<label>] word word …`` a line.

    Raises:
        AslError: the file is absent, holds no utterance, a line has too few fields or begin and end are no
            numbers, or an id stands twice (an utterance is one segment here); names the line.
    """
    utterances: Dict[str, Words] = {}
    lines: Dict[str, int] = {}
    for number, fields in transcript_lines(path):
        if len(fields) < 5 or _time(fields[3]) is None or _time(fields[4]) is None:
            wanted = "'id channel speaker begin end words'"
            raise AslError(f"{path} line {number}: expected {wanted}, found {' '.join(fields)[:60]!r}")
        key, words = fields[0], fields[5:]
        if key in lines:
            raise AslError(f"{path} line {number}: id '{key}' stands in line {lines[key]} already; keep one")
        if words and words[0].startswith("<") and words[0].endswith(">"):
            words = words[1:]
        lines[key], utterances[key] = number, tuple(words)
    if not utterances:
        raise AslError(f"{path} holds no utterance; an STM has 'id channel speaker begin end words' a line")
    return utterances


class CtmLine(NamedTuple):
    """A line of a CTM: times in seconds; the confidence as it is written, None where there is none."""

    number: int
    id: str
    begin: float
    duration: float
    word: str
    confidence: Optional[str]


def read_ctm(path: PathLike) -> Dict[str, Words]:
    """Words of each utterance of a CTM: ``id channel begin duration word [confidence]`` a line.

    The words of an utterance are put in order of their begin; those that begin together stay as they stand.

    Raises:
        AslError: as ``ctm_utterances``. What stands as a confidence is not looked at: it has no part in the score.
    """
    utterances = ctm_utterances(path)
    return {key: tuple(line.word for line in lines) for key, lines in utterances.items()}


def ctm_utterances(path: PathLike) -> Dict[str, List[CtmLine]]:
    """Lines of each utterance of a CTM in order of their begin: what every reader of CTMs holds to.

    Raises:
        AslError: the file is absent, is not UTF-8 text or holds no word, or a line has other fields, a begin or a
            duration that is no number of 0 or more, or alternatives; names the line.
    """
    found: Dict[str, List[CtmLine]] = {}
    for number, fields in transcript_lines(path):
        if len(fields) >= 5 and fields[4].upper() in ("<ALT_BEGIN>", "<ALT>", "<ALT_END>"):
            raise AslError(f"{path} line {number}: alternatives ({fields[4]}) are not read; keep one of them")
        times = [_time(field) for field in fields[2:4]] if len(fields) in (5, 6) else [None]
        if None in times or min(times) < 0 or math.inf in times:
            wanted = "'id channel begin duration word [confidence]', times of 0 or more"
            raise AslError(f"{path} line {number}: expected {wanted}, found {' '.join(fields)[:60]!r}")
        line = CtmLine(number, fields[0], *times, fields[4], fields[5] if len(fields) == 6 else None)
        found.setdefault(line.id, []).append(line)
    if not found:
        raise AslError(f"{path} holds no word; give a CTM with 'id channel begin duration word' a line")
    return {key: sorted(lines, key=lambda line: line.begin) for key, lines in found.items()}


def transcript_lines(path: PathLike) -> Iterator[Tuple[int, List[str]]]:
    """Number and fields of each line of a CTM or STM that is neither empty nor a comment.

    Raises:
        AslError: the file is absent or is not UTF-8 text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AslError(f"{path} does not exist; check the path") from None
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"cannot read {path}: {e}; it must be UTF-8 text") from e
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith(";;"):
            yield number, line.split()


def _time(text: str) -> Optional[float]:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value
