"""How2Sign simulated at its real size: 31,165 train sentences as long as the real ones, with made landmarks.

It shows what an epoch, a search and a disk cost at the real size where the videos cannot be had, and nothing else: a
translation learnt from it is worth nothing, and no BLEU of it belongs into a table. ``SYNTHETIC.json`` says
``simulated``.

- val and test are the owner's sentences, times and signers: the two lists are copied from the owner's folder when
  this is run, nothing of them is kept here.
- The owner's train list is not needed. Each train sentence is as long as one of val or test, drawn with its English,
  so that frames, words and both together are spread as they are there; of 31,165 every English sentence stands there
  about 7.6 times.
- Signing 5 million frames would take the kinematic signer most of an hour. So it signs a few hundred sentences of the
  synthetic corpus (``motion/``), and every clip is cut out of those of one signer: joined where it is longer, slower
  or faster by up to a fifth, moved and scaled a little in the picture. What is signed has nothing to do with the
  English.

::

    how2sign_realigned_{train,val,test}.csv    the owner's columns; val and test are the owner's to the byte
    landmarks/<SENTENCE_NAME>.npz              Holistic landmarks, 24 frames a second
    motion/<SENTENCE_NAME>.npz                 what was signed
"""

import shutil
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import atomic_path, hash_paths, remove_leftovers, write_json
from asl.common.seeds import derive_seed
from asl.corpora.how2sign_lists import HOME, OWNER_COUNTS, find_lists, read_list
from asl.corpora.manifests import BAD, Clip
from asl.corpora.signer.filming import film_all
from asl.corpora.signer.holistic import write_holistic
from asl.corpora.signer.people import Style
from asl.corpora.synthetic import MARKER, claim
from asl.corpora.synthetic_how2sign import (
    FPS, HEIGHT, WIDTH, draw_video_id, make_cast, make_listing, utterance, write_list,
)  # fmt: skip

SIGNERS = 11  # the paper's
_SIGNS = 60
_VIDEO = 13  # sentences a video
_PARTS = ("pose", "left_hand", "right_hand")
_ABOUT = (
    "simulated: real sentences and times, landmarks of other sentences made by a kinematic signer (asl simulate); no "
    "recording of a person, and nothing that a translation can be learnt from"
)

Motion = Dict[str, np.ndarray]


class _Sentence(NamedTuple):
    name: str
    signer: int
    frames: int


def simulate_how2sign(
    corpus_dir: str,
    out: str,
    train_sentences: int = OWNER_COUNTS["train"],
    motions: int = 440,
    nj: int = 1,
    seed: int = 0,
) -> None:
    """Write a corpus of How2Sign's size: real times and English, made landmarks that say nothing.

    For measuring what training and decoding cost, not how well they do. The same arguments write the same bytes.
    May be killed at any moment and started again: what is there is kept, and the end is the same.

    Args:
        corpus_dir: the folder with the owner's how2sign_realigned_val.csv and how2sign_realigned_test.csv.
        out: the folder to write, in the owner's layout with landmarks; it must be new, empty, or hold the same
            simulation.
        train_sentences: how many train sentences, 31,165 as the owner has; val and test are always whole.
        motions: how many sentences are signed, of which all clips are cut.
        nj: processes that sign.
        seed: everything random follows from it.

    Raises:
        AslError: a list is missing or malformed (names file and line), an argument is out of range, or the folder
            holds something else.
    """
    if not 1 <= train_sentences <= 1_000_000:
        raise AslError(f"--train-sentences {train_sentences} is out of range; give 1 to 1,000,000")
    if not 10 * SIGNERS <= motions <= 100_000:
        raise AslError(f"--motions {motions} is out of range; give {10 * SIGNERS} to 100,000")
    lists = find_lists(Path(corpus_dir))
    lacking = [split for split in ("val", "test") if split not in lists]
    if lacking:
        raise AslError(f"{corpus_dir} has no how2sign_realigned_{lacking[0]}.csv; get it from {HOME}")
    owners = [lists[split][0] for split in ("val", "test")]
    held_out = [clip for split in ("val", "test") for clip in read_list(lists[split][0], split) if clip.status != BAD]
    target = Path(out)
    marker = {
        "synthetic": True,
        "simulated": True,
        "format": "how2sign",
        "seed": seed,
        "parameters": {"train_sentences": train_sentences, "motions": motions, "lists": hash_paths(owners)},
        "about": _ABOUT,
    }
    if not claim(target, marker):
        write_json(target / MARKER, marker)
    train, rows = _draw_train(held_out, train_sentences, seed)
    sentences = [*train, *(_Sentence(c.id, _signer(c), _frames(c)) for c in held_out)]
    made = _write_landmarks(target, sentences, _sign(target, motions, nj, seed), seed)
    for path in reversed(owners):  # the lists last: what was cut short is not taken for a whole corpus
        with atomic_path(target / path.name) as unfinished:
            shutil.copyfile(path, unfinished)
    write_list(target, "train", rows)
    frames = sum(sentence.frames for sentence in sentences)
    print(
        f"{target}: {train_sentences:,} train sentences, {len(held_out):,} of val and test, {frames:,} frames cut out "
        f"of {motions} signed sentences; {made:,} written now, the rest kept"
    )


def _signer(clip: Clip) -> int:
    """The signer's number; those whose name tells none are signed by one of the eleven, by their name."""
    number = int(clip.speaker or 0)
    return number if 1 <= number <= SIGNERS else derive_seed("signer", clip.id) % SIGNERS + 1


def _frames(clip: Clip) -> int:
    start, end = clip.custom["times"]
    return max(round((end - start) * FPS), 1)


def _draw_train(
    held_out: Sequence[Clip], count: int, seed: int
) -> Tuple[List[_Sentence], List[Tuple[str, ...]]]:
    """Draw the train sentences: name, signer and frames of each, and its row of the list."""
    rng = np.random.default_rng(derive_seed(seed, "train"))
    sentences, rows = [], []
    video, signer, clock = "", 0, 0.0
    for i in range(count):
        if i % _VIDEO == 0:
            video, signer, clock = draw_video_id(rng), int(rng.integers(SIGNERS)) + 1, 0.0
        like = held_out[int(rng.integers(len(held_out)))]
        frames, number = _frames(like), i % _VIDEO
        start = clock + float(rng.exponential(0.6))
        clock = start + frames / FPS
        name = f"{video}_{number}-{signer}-rgb_front"
        sentences.append(_Sentence(name, signer, frames))
        times = (f"{start:.2f}", f"{clock:.2f}") if clock - start > 0.02 else (f"{start:.3f}", f"{clock:.3f}")
        rows.append((video, f"{video}-{signer}-rgb_front", f"{video}_{number}", name, *times, like.text))
    return sentences, rows


def _sign(target: Path, motions: int, nj: int, seed: int) -> Dict[int, List[Motion]]:
    """Sign ``motions`` sentences of the synthetic corpus; what was seen of each signer."""
    rows = make_listing(motions, _SIGNS, SIGNERS, derive_seed(seed, "motions"))
    cast = make_cast(rows, SIGNERS, Style(), seed)
    paths = {row.name: target / "motion" / f"{row.name}.npz" for row in rows}
    film_all(cast, [(paths[row.name], utterance(row)) for row in rows], nj)
    seen: Dict[int, List[Motion]] = defaultdict(list)
    for row in rows:
        try:
            with np.load(paths[row.name], allow_pickle=False) as data:
                seen[row.signer].append({part: data[part] for part in _PARTS})
        except Exception as e:  # zipfile and numpy raise half a dozen kinds
            raise AslError(f"{paths[row.name]} is damaged ({e}); remove it and run the command again") from e
    return seen


def _write_landmarks(
    target: Path, sentences: Sequence[_Sentence], seen: Dict[int, List[Motion]], seed: int
) -> int:
    """Write the landmarks that are not there yet; return how many that were."""
    from tqdm import tqdm

    folder = target / "landmarks"
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    todo = [sentence for sentence in sentences if not (folder / f"{sentence.name}.npz").is_file()]
    for sentence in tqdm(todo, unit="sentence", desc="cutting", disable=None):  # a bar only on a terminal
        rng = np.random.default_rng(derive_seed(seed, "clip", sentence.name))
        parts = cut_motion(seen[sentence.signer], sentence.frames, rng)
        write_holistic(folder / f"{sentence.name}.npz", parts, FPS, WIDTH, HEIGHT)
    return len(todo)


def cut_motion(motions: Sequence[Motion], frames: int, rng: np.random.Generator) -> Motion:
    """Cut exactly ``frames`` frames out of motions that are joined in a random order, at another pace.

    Returns:
        ``pose`` (frames, 33, 4), ``left_hand`` and ``right_hand`` (frames, 21, 3), float16, moved and scaled a little.
    """
    pace = float(rng.uniform(0.8, 1.2))
    needed = int(np.ceil(frames * pace)) + 1
    chosen: List[Motion] = []
    while sum(len(motion["pose"]) for motion in chosen) < needed:
        chosen.append(motions[int(rng.integers(len(motions)))])
    have = sum(len(motion["pose"]) for motion in chosen)
    index = int(rng.integers(have - needed + 1)) + (np.arange(frames) * pace).astype(int)
    scale, shift = float(np.exp(rng.normal(0, 0.03))), rng.normal(0, 0.015, 2)
    parts = {}
    for part in _PARTS:
        array = np.concatenate([motion[part] for motion in chosen])[index].astype(np.float32)
        array[..., :3] *= scale
        array[..., :2] += 0.5 * (1 - scale) + shift
        parts[part] = array.astype(np.float16)
    return parts
