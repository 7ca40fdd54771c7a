"""Words with their times: a CTM read with begins and durations (``asl.common.transcripts`` reads its words alone)."""

from typing import Dict, List, NamedTuple, Optional, Sequence

from asl.common.errors import AslError
from asl.common.files import PathLike, write_text
from asl.common.transcripts import ctm_utterances


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
        AslError: as ``ctm_utterances``, or a confidence that is no number from 0 to 1; names the line.
    """
    out: Dict[str, List[TimedWord]] = {}
    for key, lines in ctm_utterances(path).items():
        for line in lines:
            sure = None if line.confidence is None else _share(line.confidence)
            if line.confidence is not None and sure is None:
                raise AslError(f"{path} line {line.number}: expected a confidence from 0 to 1 behind {line.word!r}, "
                               f"found {line.confidence!r}")  # fmt: skip
            out.setdefault(key, []).append(TimedWord(line.word, line.begin, line.duration, sure))
    return out


def write_timed(path: PathLike, utterances: Dict[str, Sequence[TimedWord]]) -> None:
    """Write a CTM atomically; times with four decimals, so that they fall on frames of any rate."""
    lines = []
    for key, words in utterances.items():
        for word in words:
            confidence = "" if word.confidence is None else f" {word.confidence:.3f}"
            lines.append(f"{key} 1 {word.start:.4f} {word.duration:.4f} {word.word}{confidence}\n")
    write_text(path, "".join(lines))


def _share(text: str) -> Optional[float]:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
