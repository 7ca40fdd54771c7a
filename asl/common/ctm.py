"""Words with their times: a CTM read with begins and durations (``asl.common.transcripts`` reads its words alone)."""

import math
from typing import Dict, List, NamedTuple, Optional, Sequence

from asl.common.errors import AslError
from asl.common.files import PathLike, write_text
from asl.common.transcripts import transcript_lines


class TimedWord(NamedTuple):
    """A word of an utterance.

    Attributes:
        word: as it is written.
        start, duration: seconds from the start of the clip.
        confidence: 0 to 1; None where the file has none.
    """

    word: str
    start: float
    duration: float
    confidence: Optional[float] = None

    @property
    def end(self) -> float:
        return self.start + self.duration


def read_timed(path: PathLike) -> Dict[str, List[TimedWord]]:
    """Read ``id channel begin duration word [confidence]`` lines; the words of an id in order of their begin.

    Raises:
        AslError: the file is absent or holds no word, or a line has other fields, a begin or a duration below 0,
            or a confidence outside 0 to 1; names the line.
    """
    out: Dict[str, List[TimedWord]] = {}
    for number, fields in transcript_lines(path):
        numbers = [_number(field) for field in (*fields[2:4], *fields[5:])]
        if len(fields) not in (5, 6) or None in numbers or numbers[-1] > 1 and len(fields) == 6:
            wanted = "'id channel begin duration word [confidence]', times of 0 or more"
            raise AslError(f"{path} line {number}: expected {wanted}, found {' '.join(fields)[:60]!r}")
        out.setdefault(fields[0], []).append(TimedWord(fields[4], *numbers))
    if not out:
        raise AslError(f"{path} holds no word; give a CTM with 'id channel begin duration word' a line")
    return {key: sorted(words, key=lambda word: word.start) for key, words in out.items()}


def write_timed(path: PathLike, utterances: Dict[str, Sequence[TimedWord]]) -> None:
    """Write a CTM atomically; times with four decimals, so that they fall on frames of any rate."""
    lines = []
    for key, words in utterances.items():
        for word in words:
            confidence = "" if word.confidence is None else f" {word.confidence:.3f}"
            lines.append(f"{key} 1 {word.start:.4f} {word.duration:.4f} {word.word}{confidence}\n")
    write_text(path, "".join(lines))


def _number(text: str) -> Optional[float]:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
