"""Filming: a cast signs utterances before cameras, and what a tracker saw of each goes into a file.

Each file follows from the cast and its utterance alone, so it does not matter in which order, by how many
processes or after how many interruptions they are made.
"""

import concurrent.futures
import os
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.arguments import check_nj
from asl.common.errors import AslError
from asl.common.files import PathLike, remove_leftovers
from asl.common.seeds import derive_seed
from asl.corpora.signer.camera import Camera
from asl.corpora.signer.glosses import Where, acts_of
from asl.corpora.signer.holistic import draw_detector, see, write_holistic
from asl.corpora.signer.lexicon import Sign
from asl.corpora.signer.people import Signer
from asl.corpora.signer.sentences import Act, perform_sentence

_BATCH = 8  # utterances that a process takes at a time


class Utterance(NamedTuple):
    """What is to be signed.

    Attributes:
        id: unique; all that is random follows from it and the cast's seed.
        video: the recording that it is cut from: one camera, hung once.
        signer: the name of who signs it.
        glosses: as annotated, with marks.
        places: for each gloss where it is set up in space, or None.
        frames: how many frames it takes; None: as many as the signer needs.
    """

    id: str
    video: str
    signer: str
    glosses: Tuple[str, ...]
    places: Tuple[Optional[Where], ...]
    frames: Optional[int] = None


@dataclass(frozen=True)
class Cast:
    """Who signs what how, and who films it.

    Attributes:
        signs: word -> its sign, see ``asl.corpora.signer.glosses.make_signs``.
        people, cameras: of each signer, by name.
        fps: frames a second.
        width, height: of the picture, pixels.
        seed: everything random follows from it and the utterances' ids.
    """

    signs: Dict[str, Sign]
    people: Dict[str, Signer]
    cameras: Dict[str, Camera]
    fps: float
    width: int
    height: int
    seed: int


def film(cast: Cast, utterance: Utterance) -> Dict[str, np.ndarray]:
    """Let an utterance be signed and look at it.

    Returns:
        the arrays of ``asl.corpora.signer.holistic.see``, and ``bounds`` (glosses, 2): first frame of each gloss
        and the frame after its last; two times the same frame for a gloss for which hands do nothing.
    """
    rng = np.random.default_rng(derive_seed(cast.seed, "utterance", utterance.id))
    acts: List[Act] = []
    counts: List[int] = []
    for gloss, where in zip(utterance.glosses, utterance.places):
        more = acts_of(gloss, cast.signs, cast.seed, rng, where)
        acts += more
        counts.append(len(more))
    done = perform_sentence(
        acts or [Act(None)], cast.people[utterance.signer], rng, cast.fps, utterance.frames
    )
    hung = np.random.default_rng(derive_seed(cast.seed, "video", utterance.video))
    camera = cast.cameras[utterance.signer].moved(hung)
    parts = see(done, camera, draw_detector(rng), rng)
    ends = np.cumsum(counts)
    bounds = np.zeros((len(counts), 2), dtype=np.int32)
    for i, (end, count) in enumerate(zip(ends, counts)):
        if count:
            bounds[i] = done.bounds[end - count, 0], done.bounds[end - 1, 1]
        else:
            bounds[i] = bounds[i - 1, 1] if i else 0
    return {**parts, "bounds": bounds}


def read_bounds(path: PathLike) -> Tuple[int, np.ndarray]:
    """Number of frames and the glosses' bounds (glosses, 2) of a file that ``film_all`` made.

    Raises:
        AslError: it is not whole.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return len(data["left_hand"]), data["bounds"]
    except Exception as e:  # zipfile and numpy raise half a dozen kinds
        raise AslError(f"{path} is damaged ({e}); remove it and run the command again") from e


def film_all(cast: Cast, files: Sequence[Tuple[Path, Utterance]], nj: int) -> int:
    """Film every utterance whose file is not there; return how many that were.

    Raises:
        AslError: ``nj`` is no number of processes, a file cannot be written, or a process was killed.
    """
    check_nj(nj)
    for folder in {path.parent for path, _ in files}:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
    todo = [(path, utterance) for path, utterance in files if not path.is_file()]
    batches = [todo[i : i + _BATCH] for i in range(0, len(todo), _BATCH)]
    from tqdm import tqdm

    # disable=None: a bar only on a terminal
    with tqdm(total=len(todo), unit="sentence", desc="signing", disable=None) as bar:
        for count in _filmed(cast, batches, min(nj, len(batches))):
            bar.update(count)
    return len(todo)


def _film_batch(cast: Cast, batch: Sequence[Tuple[Path, Utterance]]) -> int:
    for path, utterance in batch:
        write_holistic(path, film(cast, utterance), cast.fps, cast.width, cast.height)
    return len(batch)


_CAST: List[Cast] = []  # of a worker process


def _start_worker(cast: Cast, parent: int) -> None:
    """Keep the cast, and end this worker when its parent is gone: one that was killed cannot tell it."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    _CAST[:] = [cast]
    threading.Thread(target=watch, daemon=True).start()


def _film_in_worker(batch: Sequence[Tuple[Path, Utterance]]) -> int:
    return _film_batch(_CAST[0], batch)


def _filmed(cast: Cast, batches: Sequence[Sequence[Tuple[Path, Utterance]]], nj: int) -> Iterator[int]:
    if nj <= 1:
        yield from (_film_batch(cast, batch) for batch in batches)
        return
    with concurrent.futures.ProcessPoolExecutor(
        nj, initializer=_start_worker, initargs=(cast, os.getpid())
    ) as pool:
        try:
            yield from pool.map(_film_in_worker, batches)
        except BrokenProcessPool:
            raise AslError(
                "a process that films was killed (is memory short?); what it finished is kept: run the command "
                "again, with a smaller --nj"
            ) from None
