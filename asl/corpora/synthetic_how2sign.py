"""The synthetic corpus in How2Sign's format: weather reports that a kinematic signer signs, with their English.

The owner's layout, with landmarks in place of videos, and what a synthetic corpus knows besides::

    how2sign_realigned_{train,val,test}.csv   the owner's columns, tab separated
    landmarks/<SENTENCE_NAME>.npz             Holistic landmarks, 24 frames a second
    truth/{train,val,test}.ctm                SENTENCE_NAME 1 begin duration gloss: when each gloss was made
    truth/{train,val,test}.glosses.tsv        SENTENCE_NAME, glosses: what was signed, in order

The English is no word-by-word rendering: glosses are in the order topic, place, comment, negation, English is not,
and the wording of three sentences in five is the translator's habit for what is spoken of, of the others one of two
or three at random. So who reads every gloss and knows every habit still has a BLEU of about 88, not of 100.

Nobody who signs in val or test signs in train, and val's signers are not test's: harder than the real corpus, whose
val and test signers (but one) are in train. As there, some videos are signed twice, so that their SENTENCE_IDs repeat;
some clips last otherwise than their times say, a few sentences have no landmarks, and some hold double blanks.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from asl.common.files import write_text
from asl.common.seeds import derive_seed
from asl.corpora.how2sign_lists import TIMES
from asl.corpora.manifests import SPLITS
from asl.corpora.signer.camera import studio_camera
from asl.corpora.signer.filming import Cast, Utterance, film_all, read_bounds
from asl.corpora.signer.glosses import make_signs
from asl.corpora.signer.people import Style, draw_signers
from asl.corpora.synthetic_grammar import Sentence, make_report, make_vocabulary

COLUMNS = ("VIDEO_ID", "VIDEO_NAME", "SENTENCE_ID", "SENTENCE_NAME", *TIMES["realigned"], "SENTENCE")
FPS, WIDTH, HEIGHT = 24.0, 1280, 720
HABIT = 0.6  # see make_report
_HELD_OUT_SHARE = 0.1  # of the sentences, for val and for test each
_HELD_OUT_SIGNERS = 6  # of so many signers one is in val and one in test
_REPORT = 8  # sentences a video has about
_TWICE_SHARE = 0.08  # of the videos, signed by a second signer too
_MISSING_SHARE, _BLANKS_SHARE, _OTHERWISE_SHARE = 0.01, 0.01, 0.02
_ID = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Row(NamedTuple):
    """A sentence before it is signed: where it stands in its video, who signs it, what."""

    split: str
    video: str
    number: int
    signer: int
    sentence: Sentence
    missing: bool

    @property
    def video_name(self) -> str:
        return f"{self.video}-{self.signer}-rgb_front"

    @property
    def name(self) -> str:
        return f"{self.video}_{self.number}-{self.signer}-rgb_front"


@dataclass(frozen=True)
class _Timed:
    """A sentence's times in its video, seconds."""

    start: float
    end: float


def signer_splits(signers: int) -> List[str]:
    """The split of each signer: a sixth of them in val, a sixth in test, at least one each."""
    held_out = max(round(signers / _HELD_OUT_SIGNERS), 1)
    return ["train"] * (signers - 2 * held_out) + ["val"] * held_out + ["test"] * held_out


def write_how2sign(
    out: Path, sentences: int, glosses: int, signers: int, style: Style, seed: int, nj: int
) -> Dict[str, int]:
    """Write the corpus into ``out``, landmarks first and lists last; what is there of it is kept.

    Returns:
        how many sentences each split has.

    Raises:
        AslError: a file cannot be written.
    """
    rows = make_listing(sentences, glosses, signers, seed)
    cast = make_cast(rows, signers, style, seed)
    paths = {row.name: out / "landmarks" / f"{row.name}.npz" for row in rows}
    film_all(cast, [(paths[row.name], utterance(row)) for row in rows if not row.missing], nj)
    seen = {row.name: read_bounds(paths[row.name]) for row in rows if not row.missing}
    times = _times(rows, {name: frames for name, (frames, _) in seen.items()}, seed)
    for split in reversed(SPLITS):  # the one that is read first is written last
        here = [row for row in rows if row.split == split]
        _write_truth(out, split, here, seen)
        write_list(out, split, [_fields(row, times[row.name], seed) for row in here])
    return dict(Counter(row.split for row in rows))


def make_cast(rows: Sequence[Row], signers: int, style: Style, seed: int) -> Cast:
    """Signs for all that is signed in ``rows``, and so many signers, each with a camera of their own."""
    people = draw_signers(signers, style, derive_seed(seed, "signers"))
    camera_seed = derive_seed(seed, "cameras")
    return Cast(
        signs=make_signs((gloss for row in rows for gloss in row.sentence.glosses), seed),
        people={str(number): person for number, person in enumerate(people, 1)},
        cameras={
            str(number): studio_camera(
                np.random.default_rng(derive_seed(camera_seed, number)), FPS, WIDTH / HEIGHT
            )
            for number in range(1, signers + 1)
        },
        fps=FPS,
        width=WIDTH,
        height=HEIGHT,
        seed=seed,
    )


def utterance(row: Row) -> Utterance:
    """A sentence as the signer takes it."""
    tokens = row.sentence.tokens
    places = tuple(token.place and (token.place.side, -token.place.up, 0.0) for token in tokens)  # y is down
    return Utterance(row.name, row.video_name, str(row.signer), row.sentence.glosses, places)


def make_listing(sentences: int, glosses: int, signers: int, seed: int) -> List[Row]:
    """All sentences, video by video, split by split."""
    words = make_vocabulary(glosses, derive_seed(seed, "vocabulary"))
    splits = np.array(signer_splits(signers))
    # so that neither a left-hander nor any one build is always in the same split
    order = np.random.default_rng(derive_seed(seed, "splits")).permutation(signers) + 1
    held_out = max(round(_HELD_OUT_SHARE * sentences), 1)
    counts = {"train": sentences - 2 * held_out, "val": held_out, "test": held_out}
    rows: List[Row] = []
    for split, count in counts.items():
        own, here = order[splits == split], 0
        number = 0
        while here < count:
            rng = np.random.default_rng(derive_seed(seed, "video", split, number))
            size = min(int(rng.integers(_REPORT - 3, _REPORT + 4)), count - here)
            report = make_report(rng, words, size, HABIT)
            video = draw_video_id(rng)
            again = rng.random() < _TWICE_SHARE and len(own) > 1 and here + 2 * size <= count
            by = [own[number % len(own)]] + [own[(number + 1) % len(own)]] * bool(again)
            rows += [Row(split, video, i, int(s), sentence, False) for s in by for i, sentence in enumerate(report)]
            here, number = here + size * len(by), number + 1
    return _without_some(rows, seed)


def draw_video_id(rng: np.random.Generator) -> str:
    """A video's name, as those of the real ones are."""
    return "".join(rng.choice(list(_ID), 11))


def _without_some(rows: List[Row], seed: int) -> List[Row]:
    """Take the landmarks from a few sentences of train and one of test, as in every real corpus."""
    rng = np.random.default_rng(derive_seed(seed, "missing"))
    train = [i for i, row in enumerate(rows) if row.split == "train"]
    test = [i for i, row in enumerate(rows) if row.split == "test"]
    missing = set(rng.choice(train, size=max(round(_MISSING_SHARE * len(train)), 1), replace=False).tolist())
    missing.add(int(rng.choice(test)))
    return [row._replace(missing=i in missing) for i, row in enumerate(rows)]


def _times(rows: Sequence[Row], frames: Mapping[str, int], seed: int) -> Dict[str, _Timed]:
    """Where each sentence lies in its video: one after the other, with pauses; a few are wrong."""
    times: Dict[str, _Timed] = {}
    clocks: Dict[str, float] = {}
    for row in rows:
        rng = np.random.default_rng(derive_seed(seed, "times", row.name))
        start = clocks.get(row.video_name, 0.0) + float(rng.exponential(0.6))
        seconds = frames.get(row.name, 4 * FPS) / FPS
        otherwise = float(rng.uniform(0.6, 2.5)) if rng.random() < _OTHERWISE_SHARE else 0.0
        clocks[row.video_name] = start + seconds
        times[row.name] = _Timed(round(start, 2), round(start + seconds + otherwise, 2))
    return times


def _fields(row: Row, timed: _Timed, seed: int) -> Tuple[str, ...]:
    text = row.sentence.english
    if np.random.default_rng(derive_seed(seed, "blanks", row.name)).random() < _BLANKS_SHARE:
        text = text.replace(" ", "  ", 1)
    video, number = row.video, f"{row.video}_{row.number}"
    return video, row.video_name, number, row.name, f"{timed.start:g}", f"{timed.end:g}", text


def write_list(out: Path, split: str, rows: Sequence[Sequence[str]]) -> None:
    """Write a sentence file as the owner does: tab separated, quotes only where they are needed."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write_text(out / f"how2sign_realigned_{split}.csv", text.getvalue())


def _write_truth(
    out: Path, split: str, rows: Sequence[Row], seen: Mapping[str, Tuple[int, np.ndarray]]
) -> None:
    glosses = [f"{row.name}\t{' '.join(row.sentence.glosses)}\n" for row in rows]
    timed = [
        f"{row.name} 1 {start / FPS:.2f} {(end - start) / FPS:.2f} {gloss}\n"
        for row in rows
        if row.name in seen
        for gloss, (start, end) in zip(row.sentence.glosses, seen[row.name][1].tolist())
    ]
    write_text(out / "truth" / f"{split}.ctm", "".join(timed))
    write_text(out / "truth" / f"{split}.glosses.tsv", "SENTENCE_NAME\tGLOSSES\n" + "".join(glosses))
