"""NIST's files of transcripts: STM (references) and CTM (hypotheses, a word a line).

They stand here because ``corpora`` reads the STM files that come with a corpus, and ``scoring`` both.
"""

import math
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple

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


def read_ctm(path: PathLike) -> Dict[str, Words]:
    """Words of each utterance of a CTM: ``id channel begin duration word [confidence]`` a line.

    The words of an utterance are put in order of their begin; those that begin together stay as they stand.

    Raises:
        AslError: the file is absent, holds no word, or a line has other fields or alternatives;
            names the line.
    """
    timed: Dict[str, List[Tuple[float, str]]] = {}
    for number, fields in transcript_lines(path):
        begin = _time(fields[2]) if len(fields) in (5, 6) else None
        if begin is None or _time(fields[3]) is None:
            wanted = "'id channel begin duration word [confidence]'"
            raise AslError(f"{path} line {number}: expected {wanted}, found {' '.join(fields)[:60]!r}")
        if fields[4].upper() in ("<ALT_BEGIN>", "<ALT>", "<ALT_END>"):
            raise AslError(f"{path} line {number}: alternatives ({fields[4]}) are not scored; keep one")
        timed.setdefault(fields[0], []).append((begin, fields[4]))
    if not timed:
        raise AslError(f"{path} holds no word; give a CTM with 'id channel begin duration word' a line")
    return {key: tuple(word for _, word in sorted(words, key=lambda w: w[0])) for key, words in timed.items()}


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
