"""The synthetic corpus in PHOENIX-2014's format: weather reports that a kinematic signer signs.

The owner's layout, with landmarks in place of frames::

    annotations/manual/{train,dev,test}.corpus.csv      id|folder|signer|annotation
    annotations/{train,dev,test}.frames.tsv             id, signer, frames
    annotations/truth/{train,dev,test}.ctm              id 1 begin duration gloss: when each gloss was made
    evaluation/synthetic-groundtruth-{dev,test}.stm     references
    features/fullFrame-210x260px/<split>/<id>.npz       Holistic landmarks, 25 frames a second

As there, signers of dev and test are in train; annotations of train are raw (``loc-``, ``cl-``,
``-PLUSPLUS``, signs made twice, spelled letters apart, what face and left hand do, double blanks), those of dev and test are
normalised, though the signing is no other; one train sentence is broken (fewer frames than glosses) and a few
have no landmarks. A report lies in one split as a whole, so that what its sentences point back to is known.
"""

import datetime
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.files import write_text
from asl.common.seeds import derive_seed
from asl.corpora.signer.camera import studio_camera
from asl.corpora.signer.filming import Cast, Utterance, film_all, read_bounds
from asl.corpora.signer.glosses import make_signs
from asl.corpora.signer.people import Style, draw_signers
from asl.corpora.synthetic_grammar import Place, Token, Vocabulary, make_report, make_vocabulary

SPLITS = ("train", "dev", "test")
FEATURES = "features/fullFrame-210x260px"
FPS, WIDTH, HEIGHT = 25.0, 210, 260
_HELD_OUT_SHARE = 0.12  # of the sentences, for dev and for test each
_REPORT = 6  # sentences a report has about
_MISSING_SHARE = 0.01
_BROKEN_FRAMES = 5
_MONTHS = ("January February March April May June July August September October November December").split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_AREAS = ("NORD", "SUED", "WEST", "OST")  # with RAUM at the end it is the area about them


class Written(NamedTuple):
    """One annotated gloss: as written, what it is when normalised (None: nothing), and where it is made."""

    raw: str
    normal: Optional[str]
    place: Optional[Place] = None


@dataclass(frozen=True)
class Listed:
    """A sentence before it is signed."""

    id: str
    video: str
    split: str
    signer: str
    written: Tuple[Written, ...]
    english: str
    missing: bool
    frames: Optional[int]

    @property
    def reference(self) -> List[str]:
        """Its glosses normalised: what is no gloss is dropped, and of a repeated one the first is left."""
        glosses: List[str] = []
        for written in self.written:
            if written.normal is not None and glosses[-1:] != [written.normal]:
                glosses.append(written.normal)
        return glosses


def write_phoenix2014(
    out: Path, sentences: int, glosses: int, signers: int, style: Style, seed: int, nj: int
) -> Dict[str, int]:
    """Write the corpus into ``out``, landmarks first and lists last; what is there of it is kept.

    Returns:
        how many sentences each split has.

    Raises:
        AslError: a file cannot be written.
    """
    words = make_vocabulary(glosses, derive_seed(seed, "vocabulary"))
    rows = make_listing(words, sentences, signers, seed)
    people = draw_signers(signers, style, derive_seed(seed, "signers"))
    names = signer_names(signers)
    camera_seed = derive_seed(seed, "cameras")
    cast = Cast(
        signs=make_signs([w.raw for row in rows for w in row.written] + list(words.glosses), seed),
        people=dict(zip(names, people)),
        cameras={
            name: studio_camera(np.random.default_rng(derive_seed(camera_seed, name)), FPS, WIDTH / HEIGHT)
            for name in names
        },
        fps=FPS,
        width=WIDTH,
        height=HEIGHT,
        seed=seed,
    )
    paths = {row.id: out / FEATURES / row.split / f"{row.id}.npz" for row in rows}
    film_all(cast, [(paths[row.id], _utterance(row)) for row in rows if not row.missing], nj)
    _write_lists(out, rows, paths)
    return dict(Counter(row.split for row in rows))


def signer_names(signers: int) -> List[str]:
    """Names as PHOENIX's: Signer01 and on."""
    return [f"Signer{number:02d}" for number in range(1, signers + 1)]


def _utterance(row: Listed) -> Utterance:
    # y is down
    places = tuple(w.place and (w.place.side, -w.place.up, 0.0) for w in row.written)
    return Utterance(row.id, row.video, row.signer, tuple(w.raw for w in row.written), places, row.frames)


def make_listing(words: Vocabulary, sentences: int, signers: int, seed: int) -> List[Listed]:
    """All sentences, in order of time."""
    held_out = max(round(_HELD_OUT_SHARE * sentences), signers)
    rows: List[Listed] = []
    day = datetime.date(2031, 1, 1)
    for split, count in zip(SPLITS, (sentences - 2 * held_out, held_out, held_out)):
        reports = max(round(count / _REPORT), signers)
        for number in range(reports):
            rng = np.random.default_rng(derive_seed(seed, "report", split, number))
            size = (number + 1) * count // reports - number * count // reports
            # each signs in every split; some are on the air more often
            usual = int(rng.choice(signers, p=_usual(signers)))
            signer = signer_names(signers)[number % signers if number < signers else usual]
            rows += _report_rows(words, rng, size, split, signer, _video(day, rng))
            day += datetime.timedelta(days=int(rng.integers(1, 4)))
    return _spoil(rows, seed)


def _usual(signers: int) -> np.ndarray:
    weights = 1.0 / np.arange(1, signers + 1) ** 0.5
    return weights / weights.sum()


def _video(day: datetime.date, rng: np.random.Generator) -> str:
    """A broadcast's name as PHOENIX's; strftime's would be in the user's language."""
    channel = "heute" if rng.random() < 0.5 else "tagesschau"
    return f"{day.day:02d}{_MONTHS[day.month - 1]}_{day.year}_{_DAYS[day.weekday()]}_{channel}_default"


def _report_rows(
    words: Vocabulary, rng: np.random.Generator, size: int, split: str, signer: str, video: str
) -> List[Listed]:
    return [
        Listed(
            f"{video}-{i}",
            video,
            split,
            signer,
            _written(sentence.tokens, rng),
            sentence.english,
            False,
            None,
        )
        for i, sentence in enumerate(make_report(rng, words, size))
    ]


def _spoil(rows: List[Listed], seed: int) -> List[Listed]:
    """Take the landmarks from a few sentences and break one of train, as in every real corpus."""
    rng = np.random.default_rng(derive_seed(seed, "spoilt"))
    train = [i for i, row in enumerate(rows) if row.split == "train"]
    test = [i for i, row in enumerate(rows) if row.split == "test"]
    missing = rng.choice(train, size=max(round(_MISSING_SHARE * len(train)), 2), replace=False).tolist()
    missing.append(int(rng.choice(test)))
    long = [i for i in train if i not in missing and len(rows[i].reference) > _BROKEN_FRAMES]
    broken = int(rng.choice(long or [i for i in train if i not in missing]))
    return [
        replace(row, missing=i in missing, frames=_BROKEN_FRAMES if i == broken else None)
        for i, row in enumerate(rows)
    ]


def _written(tokens: Sequence[Token], rng: np.random.Generator) -> Tuple[Written, ...]:
    """A sentence as an annotator would have written it, with what face and hands do besides."""
    written: List[Written] = []
    if rng.random() < 0.45:
        written.append(Written("__ON__", "__ON__"))
    for token in tokens:
        if rng.random() < 0.03:
            aside = str(rng.choice(["__EMOTION__", "__PU__", "__LEFTHAND__"]))
            written.append(Written(aside, None))
        written += _with_marks(token, rng)
    if rng.random() < 0.45:
        written.append(Written("__OFF__", "__OFF__"))
    return tuple(written)


def _with_marks(token: Token, rng: np.random.Generator) -> List[Written]:
    gloss, place = token
    chance = float(rng.random())
    raw = [gloss]
    if "+" in gloss:
        raw = gloss.split("+")
        return [Written(raw[0], gloss, place)] + [Written(letter, gloss, place) for letter in raw[1:]]
    if gloss == "WIE-AUSSEHEN" and chance < 0.3:
        return [Written("WIE", gloss, place), Written("AUSSEHEN", gloss, place)]
    if gloss == "IX" or chance > 0.6:
        pass
    elif gloss == "KOMMEN":
        raw = [f"cl-{gloss}"]
    elif gloss == "EUCH":
        raw = [f"poss-{gloss}"]
    elif place is not None:
        raw = [f"loc-{gloss}"]
    elif gloss in _AREAS and chance < 0.15:
        raw = [f"{gloss}RAUM"]
    elif chance < 0.05:
        raw = [f"{gloss}-PLUSPLUS"]
    elif chance < 0.09 and gloss.isalpha():  # the official rules merge no others
        raw = [gloss, gloss]
    elif chance < 0.10:
        raw = [f"lh-{gloss}"]
    elif gloss == "SONNE" and chance < 0.13:
        raw = ["S0NNE"]
    return [Written(word, gloss, place) for word in raw]


def _annotation(row: Listed, seed: object) -> str:
    """The annotation as its list has it; double blanks are where the owner's fingers slipped."""
    glosses = [w.raw for w in row.written] if row.split == "train" else row.reference
    rng = np.random.default_rng(derive_seed("blanks", row.id, seed))
    return "".join(
        ("  " if rng.random() < 0.02 else " ") * bool(i) + gloss for i, gloss in enumerate(glosses)
    )


def _write_lists(out: Path, rows: Sequence[Listed], paths: Dict[str, Path]) -> None:
    seen = {row.id: read_bounds(paths[row.id]) for row in rows if not row.missing}
    for split in reversed(SPLITS):  # the one that is read first is written last
        here = sorted((row for row in rows if row.split == split), key=lambda row: row.id)
        frames = [f"{row.id}\t{row.signer}\t{seen[row.id][0]}\n" for row in here if row.id in seen]
        write_text(out / "annotations" / f"{split}.frames.tsv", "".join(frames))
        timed = [line for row in here if row.id in seen for line in _ctm_lines(row, seen[row.id][1])]
        write_text(out / "annotations" / "truth" / f"{split}.ctm", "".join(timed))
        if split != "train":
            stm = [f"{r.id} 1 {r.signer.lower()} 0.0 1.79769e+308 {' '.join(r.reference)}\n" for r in here]
            write_text(out / "evaluation" / f"synthetic-groundtruth-{split}.stm", "".join(stm))
        listed = [f"{r.id}|{r.id}/1/*.png|{r.signer}|{_annotation(r, split)}\n" for r in here]
        write_text(
            out / "annotations" / "manual" / f"{split}.corpus.csv",
            "id|folder|signer|annotation\n" + "".join(listed),
        )


def _ctm_lines(row: Listed, bounds: np.ndarray) -> List[str]:
    """When each gloss of the normalised annotation was made."""
    spans: List[Tuple[str, int, int]] = []
    for written, (start, end) in zip(row.written, bounds.tolist()):
        if written.normal is None:
            continue
        if spans and spans[-1][0] == written.normal:
            start = spans.pop()[1]
        spans.append((written.normal, start, end))
    return [
        f"{row.id} 1 {start / FPS:.2f} {(end - start) / FPS:.2f} {gloss}\n" for gloss, start, end in spans
    ]
