"""``asl stitch``: new sentences from the words of aligned ones, for corpora of minutes.

Words are cut out of the training clips at their boundaries and put together in an order drawn from an n-gram, so that
every word is seen beside others than in the few sentences that it was recorded in. (Published for How2Sign: BLEU 4.56
with sentences stitched from isolated signs against 1.2 to 2.4 without.) Each sentence is of one signer where that
signer has the word; the hands travel from the end of one word to the begin of the next on a smooth path of a few
frames; begin and end of the clip are a recorded clip's. Only the given split is read.
"""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.ctm import TimedWord, write_timed
from asl.common.errors import AslError
from asl.common.seeds import derive_seed
from asl.data.alignments import Alignments, frame_span
from asl.data.segments import ALIGNMENT
from asl.data.stitching_frames import at_speed, travel
from asl.data.storage import (
    ArchiveReader, check_new_split, cut_fps, cut_layout, make_cut, open_cuts, write_archive, write_cuts,
)  # fmt: skip
from asl.data.text import speaker_of
from asl.lang.arpa import NGram, read_arpa
from asl.landmarks.layouts import get_layout

_LONGEST = 12  # words; where the grammar does not end a sentence by itself
_TRIES = 1000


class Piece(NamedTuple):
    """A stretch of a clip: ``(frames, points, dims)`` of a signer."""

    speaker: Optional[str]
    array: np.ndarray


class Pieces(NamedTuple):
    """What sentences are made of: words, and what is before the first and after the last word of clips."""

    words: Dict[str, List[Piece]]
    before: List[Piece]
    after: List[Piece]

    @property
    def speakers(self) -> List[Optional[str]]:
        return sorted({p.speaker for pieces in self.words.values() for p in pieces}, key=str)


def stitch(
    alignments: str,
    lm: str,
    data: str = "data",
    split: str = "train",
    out: str = "train_stitched",
    count: int = 1000,
    uniform: float = 0.2,
    other_signers: float = 0.2,
    speed: float = 0.15,
    max_gap: int = 5,
    seed: int = 0,
) -> None:
    """Stitch new sentences out of the words of a split; write them and the split's own clips as another split.

    DATA/OUT gets cuts.jsonl.gz, landmarks.h5 and align.ctm (data.train_split: OUT, data.alignments: OUT/align.ctm).

    Args:
        alignments: CTM with the words' times in the split (the owner's, or of asl align).
        lm: n-gram (ARPA) of the same split, from which the sentences are drawn.
        data: the recipe's data folder.
        split: whose clips are cut up.
        out: name of the new split.
        count: sentences to make.
        uniform: share of the words that are drawn with equal chances instead, so that rare ones are seen.
        other_signers: share of the words that are taken from any signer.
        speed: standard deviation of the logarithm of each word's speed.
        max_gap: frames between two words at most.
        seed: of everything that is drawn.

    Raises:
        AslError: no aligned clip in the split, one whose transcript differs, or a grammar without the split's words.
    """
    _check(count, uniform, other_signers, speed, max_gap)
    if out == split:
        raise AslError(f"--out {out}: the split that is cut up would be overwritten; give another name")
    check_new_split(data, out)
    times = Alignments(alignments)
    cuts = [times.attach(cut) for cut in open_cuts(data, split)]
    reader = ArchiveReader()
    layouts = {cut_layout(cut) for cut in cuts}
    if len(layouts) != 1:
        names = ", ".join(sorted(layouts))
        raise AslError(f"{data}/{split} holds clips of {len(layouts)} layouts ({names}); one is needed")
    layout = get_layout(layouts.pop())
    arrays = [reader.read(cut).reshape(-1, layout.num_points, layout.num_dims) for cut in cuts]
    reader.close()
    pieces = cut_up(cuts, arrays)
    grammar, words = read_arpa(lm), sorted(pieces.words)
    if not any(grammar.knows(word) for word in words):
        raise AslError(f"{lm} knows none of the words of {data}/{split}; estimate it on that split (asl lm train)")
    rng, fps = np.random.default_rng(derive_seed(seed, "stitch")), cut_fps(cuts[0])
    folder, rate = Path(data) / out, float(fps)
    rows, clips, timed = [], [], {}
    for cut, array in zip(cuts, arrays):
        rows.append(_row(cut.id, cut.supervisions[0].text, speaker_of(cut), array, cut_fps(cut), layout.name))
        clips.append((cut.id, array))
        timed[cut.id] = [TimedWord(i.symbol, i.start, i.duration) for i in _items(cut)]
    drawn = Sentences(grammar, words, uniform)
    for number in range(count):
        speaker = pieces.speakers[rng.integers(len(pieces.speakers))]
        text = drawn.draw(rng)
        array, spans = join(text, pieces, speaker, rng, other_signers, speed, max_gap)
        key = f"stitched-{number:05d}"
        rows.append(_row(key, " ".join(text), speaker, array, fps, layout.name))
        clips.append((key, array))
        timed[key] = [TimedWord(w, a / rate, (b - a) / rate) for w, (a, b) in zip(text, spans)]
    write_archive(folder / "landmarks.h5", clips)
    write_timed(folder / "align.ctm", {key: words for key, words in timed.items() if words})
    write_cuts(folder / "cuts.jsonl.gz", rows)
    lost = [cut.id for cut in cuts if not _items(cut)]
    print(f"{folder}: {count} sentences stitched from {sum(map(len, pieces.words.values()))} words ({len(words)} "
          f"different) of {len(cuts) - len(lost)} clips, beside {len(cuts)} recorded ones")  # fmt: skip
    if lost:
        print(f"without times, so not cut up: {', '.join(lost[:5])}{', ...' if lost[5:] else ''} ({len(lost)})")


def _check(count: int, uniform: float, other_signers: float, speed: float, max_gap: int) -> None:
    if count < 1 or max_gap < 0 or speed < 0:
        raise AslError(f"--count {count} --max-gap {max_gap} --speed {speed}: give 1 or more, 0 or more for the others")
    for name, value in (("uniform", uniform), ("other-signers", other_signers)):
        if not 0 <= value < 1:
            raise AslError(f"--{name} {value}: give a share from 0 to below 1")


def _items(cut: Any) -> List[Any]:
    return (cut.supervisions[0].alignment or {}).get(ALIGNMENT, [])


def _row(key: str, text: str, speaker: Optional[str], array: np.ndarray, fps: Any, layout: str) -> Dict[str, Any]:
    duration = len(array) * fps.denominator / fps.numerator
    supervision = {"id": key, "recording_id": key, "start": 0.0, "duration": duration, "channel": 0, "text": text,
                   "speaker": speaker}  # fmt: skip
    return make_cut({"id": key}, supervision, array, fps, layout, "landmarks.h5")


def cut_up(cuts: Sequence[Any], arrays: Sequence[np.ndarray]) -> Pieces:
    """Cut aligned clips into words; AslError where none is aligned."""
    pieces = Pieces({}, [], [])
    for cut, array in zip(cuts, arrays):
        items, speaker = _items(cut), speaker_of(cut)
        spans = [frame_span(i.start, i.duration, 1 / cut.features.frame_shift, len(array)) for i in items]
        for item, (first, end) in zip(items, spans):
            pieces.words.setdefault(item.symbol, []).append(Piece(speaker, array[first:end]))
        if items:
            pieces.before.append(Piece(speaker, array[: spans[0][0]]))
            pieces.after.append(Piece(speaker, array[spans[-1][1] :]))
    if not pieces.words:
        raise AslError("none of the clips has its words' times in the CTM; align this split (asl align)")
    return pieces


class Sentences:
    """Draws sentences from an n-gram over the words that there are pieces of."""

    def __init__(self, grammar: NGram, words: Sequence[str], uniform: float) -> None:
        self.grammar, self.words, self.uniform = grammar, list(words), uniform
        self._chances: Dict[Any, np.ndarray] = {}

    def draw(self, rng: np.random.Generator) -> List[str]:
        """One sentence of one word or more."""
        for _ in range(_TRIES):
            sentence: List[str] = []
            state = self.grammar.start()
            while len(sentence) < _LONGEST:
                chances = self._of(state)
                chosen = int(np.searchsorted(chances, rng.random() * chances[-1], side="right"))
                if chosen == len(self.words):
                    break
                if rng.random() < self.uniform:
                    chosen = int(rng.integers(len(self.words)))
                sentence.append(self.words[chosen])
                state = self.grammar.step(state, self.words[chosen])[1]
            if sentence:
                return sentence
        raise AslError("the n-gram draws nothing but empty sentences; estimate it on sentences")

    def _of(self, state: Any) -> np.ndarray:
        """Cumulated probabilities of the words and, last, of the sentence's end."""
        if state not in self._chances:
            logs = [self.grammar.step(state, w)[0] if self.grammar.knows(w) else -np.inf for w in self.words]
            self._chances[state] = np.cumsum(np.exp([*logs, self.grammar.finish(state)]))
        return self._chances[state]


def join(
    text: Sequence[str], pieces: Pieces, speaker: Optional[str], rng: np.random.Generator,
    other_signers: float = 0.0, speed: float = 0.0, max_gap: int = 5,
) -> Tuple[np.ndarray, List[Tuple[int, int]]]:  # fmt: skip
    """Landmarks ``(frames, points, dims)`` of a sentence, and first and behind-last frame of each word."""
    out = [_choose(pieces.before, speaker, rng)]
    spans: List[Tuple[int, int]] = []
    for word in text:
        anyone = rng.random() < other_signers
        array = _choose(pieces.words[word], None if anyone else speaker, rng, anyone)
        array = at_speed(array, float(np.exp(rng.normal(0.0, speed))))
        if len(out[-1]):
            out.append(travel(out[-1], array, int(rng.integers(max_gap + 1))))
        begin = sum(map(len, out))
        spans.append((begin, begin + len(array)))
        out.append(array)
    rest = _choose(pieces.after, speaker, rng)
    if len(rest):
        out += [travel(out[-1], rest, int(rng.integers(max_gap + 1))), rest]
    return np.concatenate(out).astype(out[0].dtype), spans


def _choose(
    pieces: Sequence[Piece], speaker: Optional[str], rng: np.random.Generator, anyone: bool = False
) -> np.ndarray:
    """A piece of the signer where there is one, else (or for ``anyone``) of all."""
    own = [] if anyone else [piece for piece in pieces if piece.speaker == speaker]
    chosen = own or pieces
    return chosen[int(rng.integers(len(chosen)))].array
