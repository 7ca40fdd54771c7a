"""PHOENIX-2014 simulated: its real sentences, frame counts and signers' names, with made landmarks.

The kinematic signer signs them. It shows what a chain of tools costs at the real size and what the real glosses'
grammar is worth, where the frames themselves cannot be had. It says nothing about how well anyone is recognised:
every gloss has a sign that is drawn, signers are drawn by their names, and ``SYNTHETIC.json`` says ``simulated``.
Every sentence is signed in exactly the frames that it has on the broadcaster's tape, so that a gloss has about 12
frames, as there.

The lists are copied from the owner's folder when this is run; nothing of them is kept here. ::

    annotations/manual/*.corpus.csv, annotations/*.frames.tsv, evaluation/*.stm      the owner's, as they are
    annotations/truth/{train,dev,test}.ctm             id 1 begin duration gloss: when each gloss was signed
    features/fullFrame-210x260px/<split>/<id>.npz      Holistic landmarks, 25 frames a second
"""

import shutil
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.arguments import check_nj
from asl.common.errors import AslError
from asl.common.files import atomic_path, hash_paths, write_json, write_text
from asl.common.glosses import clean_sentence, clean_word, get_rules
from asl.common.seeds import derive_seed
from asl.corpora.phoenix2014 import BROKEN, COLUMNS, FRAMES, INNER
from asl.corpora.signer.camera import studio_camera
from asl.corpora.signer.filming import Cast, Utterance, film_all, read_bounds
from asl.corpora.signer.glosses import make_signs
from asl.corpora.signer.people import Style, draw_signer
from asl.corpora.synthetic import MARKER, claim

SPLITS = ("train", "dev", "test")
_FPS, _WIDTH, _HEIGHT = 25.0, 210, 260
_BROKEN_FRAMES = 16  # of the one sentence that the owner's frame lists leave out
_LEFT_HANDED_SHARE = 0.12
_LISTS = ("annotations/manual/*.corpus.csv", "annotations/*.frames.tsv", "evaluation/*.stm")
_ABOUT = (
    "simulated: the real corpus's sentences, frame counts and signers' names, landmarks made by a kinematic "
    "signer (asl simulate); no recording of a person"
)


class _Row(NamedTuple):
    id: str
    split: str
    signer: str
    glosses: Tuple[str, ...]


def simulate_phoenix2014(
    corpus_dir: str, out: str, nj: int = 1, difficulty: float = 1.0, seed: int = 0
) -> None:
    """Sign the sentences of PHOENIX-2014: real transcripts, frame counts and signers, made landmarks.

    The same arguments write the same bytes, with however many processes. May be killed at any moment and
    started again: what is there is kept, and the end is the same.

    Args:
        corpus_dir: the owner's folder phoenix-2014-multisigner, with frames, or without them and with
            annotations/<split>.frames.tsv (id, signer, number of frames).
        out: the folder to write, in the owner's layout with landmarks in place of frames; it must be new,
            empty, or hold the same simulation.
        nj: processes.
        difficulty: scales how much signers and takes differ; 1 is the settled corpus.
        seed: everything random follows from it and the sentences' ids.

    Raises:
        AslError: a list is missing or malformed (names file and line), the number of frames of a sentence is
            not known, an argument is out of range, or the folder holds something else.
    """
    if not 0 <= difficulty <= 3:
        raise AslError(f"--difficulty {difficulty} is out of range; give 0 to 3")
    check_nj(nj)
    real, target = Path(corpus_dir), Path(out)
    real = real / INNER if (real / INNER).is_dir() else real
    rows = [row for split in SPLITS for row in _read_list(real, split)]
    frames = _frame_counts(real, rows)
    lists = [path for pattern in _LISTS for path in sorted(real.glob(pattern))]
    marker = {
        "synthetic": True,
        "simulated": True,
        "format": "phoenix2014",
        "seed": seed,
        "parameters": {"difficulty": difficulty, "lists": hash_paths(lists)},
        "about": _ABOUT,
    }
    if not claim(target, marker):
        write_json(target / MARKER, marker)

    paths = {row.id: target / FRAMES / row.split / f"{row.id}.npz" for row in rows}
    todo = [(paths[row.id], _utterance(row, frames[row.id])) for row in rows]
    made = film_all(_cast(rows, Style(scale=difficulty), seed), todo, nj)
    for split in SPLITS:
        _write_truth(target, split, [row for row in rows if row.split == split], paths)
    for path in reversed(lists):  # the lists last: what was cut short is not taken for a whole corpus
        with atomic_path(target / path.relative_to(real)) as unfinished:
            shutil.copyfile(path, unfinished)
    counts = ", ".join(f"{split} {sum(row.split == split for row in rows):,}" for split in SPLITS)
    print(
        f"{target}: {counts} sentences, {sum(frames.values()):,} frames; {made:,} signed now, the rest kept"
    )


def _read_list(real: Path, split: str) -> Iterator[_Row]:
    path = real / "annotations" / "manual" / f"{split}.corpus.csv"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"cannot read {path}: {e}; give the owner's folder {INNER} as --corpus-dir") from None
    if lines[:1] != ["|".join(COLUMNS)]:
        raise AslError(f"{path} line 1: expected '{'|'.join(COLUMNS)}', found {lines[:1]}; mend the list")
    for number, line in enumerate(lines[1:], 2):
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != len(COLUMNS) or not all(fields) or Path(fields[0]).name != fields[0]:
            raise AslError(
                f"{path} line {number}: expected '{'|'.join(COLUMNS)}', found {line[:60]!r}; mend it"
            )
        yield _Row(fields[0], split, fields[2], tuple(fields[3].split()))


def _frame_counts(real: Path, rows: Sequence[_Row]) -> Dict[str, int]:
    """Frames of every sentence: from the frame lists, or by counting the owner's pictures."""
    counts: Dict[str, int] = {BROKEN: _BROKEN_FRAMES}
    for split in SPLITS:
        path = real / "annotations" / f"{split}.frames.tsv"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for number, line in enumerate(lines, 1):
            fields = line.split("\t")
            if len(fields) != 3 or not fields[2].isdigit() or int(fields[2]) < 2:
                raise AslError(
                    f"{path} line {number}: expected id, signer, frames (2 or more), found {line[:60]!r}"
                )
            counts[fields[0]] = int(fields[2])
    for row in rows:
        if row.id not in counts:
            folder = real / FRAMES / row.split / row.id / "1"
            counts[row.id] = sum(1 for _ in folder.glob("*.png"))
            if counts[row.id] < 2:
                raise AslError(
                    f"{row.id}: its number of frames is not known: it is neither in {real}/annotations/"
                    f"{row.split}.frames.tsv nor are its frames in {folder}; add either"
                )
    return {row.id: counts[row.id] for row in rows}


def _utterance(row: _Row, frames: int) -> Utterance:
    places = (None,) * len(row.glosses)
    return Utterance(row.id, row.id.rpartition("-")[0], row.signer, row.glosses, places, frames)


def _cast(rows: Sequence[_Row], style: Style, seed: int) -> Cast:
    people, cameras = {}, {}
    for number, name in enumerate(sorted({row.signer for row in rows})):
        own = derive_seed(seed, "signer", name)
        rng = np.random.default_rng(derive_seed(own, "camera"))
        left_handed = bool(rng.random() < _LEFT_HANDED_SHARE)
        people[name] = draw_signer(number, left_handed, style, own)
        cameras[name] = studio_camera(rng, _FPS, _WIDTH / _HEIGHT)
    signs = make_signs((gloss for row in rows for gloss in row.glosses), seed)
    return Cast(signs, people, cameras, _FPS, _WIDTH, _HEIGHT, seed)


def _write_truth(target: Path, split: str, rows: Sequence[_Row], paths: Mapping[str, Path]) -> None:
    """Write when each gloss was signed: the glosses of train normalised as its references would be."""
    lines = []
    for row in sorted(rows, key=lambda row: row.id):
        bounds = read_bounds(paths[row.id])[1].tolist()
        words: List[Tuple[str, int, int]] = []
        owners, names = normalised(row.glosses) if split == "train" else _as_they_stand(row.glosses)
        for owner, (start, end) in zip(owners, bounds):
            if owner is None:
                continue
            if owner < len(words):
                words[owner] = (names[owner], words[owner][1], end)
            else:
                words.append((names[owner], start, end))
        lines += [f"{row.id} 1 {a / _FPS:.2f} {(b - a) / _FPS:.2f} {word}\n" for word, a, b in words]
    write_text(target / "annotations" / "truth" / f"{split}.ctm", "".join(lines))


def _as_they_stand(glosses: Sequence[str]) -> Tuple[List[Optional[int]], List[str]]:
    return list(range(len(glosses))), list(glosses)


def normalised(glosses: Sequence[str]) -> Tuple[List[Optional[int]], List[str]]:
    """Clean a raw annotation up and keep track of what becomes of its glosses.

    Returns:
        for each raw gloss the index of the clean one that it is or has become a part of (None: dropped), and
        the clean glosses.
    """
    rules = get_rules("phoenix2014")
    owners: List[Optional[int]] = []
    for end in range(1, len(glosses) + 1):
        dropped = not clean_word(glosses[end - 1], rules)
        owners.append(None if dropped else len(clean_sentence(glosses[:end], rules)) - 1)
    return owners, clean_sentence(glosses, rules)
