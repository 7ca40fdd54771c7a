"""Where the words of clips are, from a CTM: attached to cuts as lhotse alignments, read as a token for each frame.

``asl align`` makes such a CTM, or a corpus's owner gives word boundaries. What rests on it: the tags of frames
(``asl.data.segments``), framewise targets (``AlignedCtcTask``), stitched sentences (``asl stitch``) and the
boundaries that an alignment is measured against (``asl score boundaries``).
"""

from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Sequence, Tuple

import numpy as np
from lhotse.supervision import AlignmentItem

from asl.common.ctm import read_timed
from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.data.segments import ALIGNMENT, UNKNOWN
from asl.data.text import text_of


class Alignments:
    """The words' times of a CTM, put onto cuts.

    Args:
        path: the CTM; ids are those of the cuts.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        self.words = read_timed(path)

    def attach(self, cut: Any) -> Any:
        """Give the first supervision of ``cut`` its alignment ``sign``; a cut that the CTM lacks stays as it is.

        Raises:
            AslError: the words of the CTM are not those of the cut, or lie outside of it; names both.
        """
        words = self.words.get(cut.id)
        if words is None or not cut.supervisions:
            return cut
        said = [word.word for word in words]
        if said != text_of(cut).split():
            raise AslError(
                f"{self.path}: clip {cut.id} says {' '.join(said)!r}, its transcript is {text_of(cut)!r}; align the "
                "split again"
            )
        last, frame = words[-1], cut.features.frame_shift
        if last.end > cut.duration + frame:
            raise AslError(
                f"{self.path}: {last.word} of clip {cut.id} ends at {last.end:.2f} s, the clip at {cut.duration:.2f} s; "
                "align the split again"
            )
        items = [AlignmentItem(w.word, w.start, w.duration, w.confidence) for w in words]
        first = cut.supervisions[0]
        first.alignment = {**(first.alignment or {}), ALIGNMENT: items}
        return cut

    def missing(self, cuts: Iterable[Any]) -> List[str]:
        """Ids of the cuts that the CTM has no words of."""
        return [cut.id for cut in cuts if cut.id not in self.words]


class AlignedCuts:
    """Cuts with their alignments attached, read lazily at each iteration."""

    def __init__(self, cuts: Iterable[Any], alignments: Alignments) -> None:
        self.cuts, self.alignments = cuts, alignments

    def __iter__(self) -> Iterator[Any]:
        return map(self.alignments.attach, self.cuts)


def frame_span(start: float, duration: float, rate: float, frames: int) -> Tuple[int, int]:
    """First frame and the one behind the last of a stretch of time; one frame at least, inside the clip."""
    first = min(max(round(start * rate), 0), frames - 1)
    return first, min(max(round((start + duration) * rate), first + 1), frames)


def frame_tokens(cut: Any, spelling: Dict[str, Sequence[int]]) -> np.ndarray:
    """The token of each frame of ``cut`` by its alignment: 0 outside of words, -1 everywhere without one.

    A word of several units shares its frames out among them equally: where they meet is not known.

    Args:
        spelling: word -> token ids.

    Returns:
        ``(frames,)`` int64; frames of a word that cannot be spelt are -1.
    """
    items = [item for s in cut.supervisions for item in (s.alignment or {}).get(ALIGNMENT, [])]
    if not items:
        return np.full(cut.num_frames, UNKNOWN, dtype=np.int64)
    out, rate = np.zeros(cut.num_frames, dtype=np.int64), 1 / cut.features.frame_shift
    for item in items:
        first, end = frame_span(item.start, item.duration, rate, cut.num_frames)
        units = np.asarray(spelling.get(item.symbol, [UNKNOWN]))
        out[first:end] = units[np.arange(end - first) * len(units) // (end - first)]
    return out
