"""Videos -> landmarks: ``asl landmarks extract``, for any number of clips on any number of processors."""

import contextlib
import functools
import os
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from asl.common.errors import AslError, did_you_mean
from asl.common.files import remove, remove_leftovers, write_json
from asl.common.rates import parse_rate
from asl.data.executors import Dask, Died, Executor, Pool, check_options, run_tasks
from asl.data.extract_report import Work, check_failures, list_unusable, make_report, print_report
from asl.data.extract_video import VideoTask, extract_video, load_estimator
from asl.data.videos import Settings, VideoClip, by_video, list_video_clips, read_done
from asl.landmarks.estimator import Estimator, make_estimator

EXECUTORS = ("pool", "dask")


def extract_landmarks(
    data: str = "data",
    nj: int = 1,
    executor: str = "pool",
    scheduler: Optional[str] = None,
    rate: Optional[str] = None,
    face: int = 468,
    world: bool = False,
    max_failures: float = 0.0,
    force: bool = False,
) -> Dict[str, Any]:
    """Extract landmarks from the videos of a corpus (stage 2, before landmarks import).

    Takes the clips of ``<data>/<split>/{recordings,supervisions}.jsonl.gz`` whose source is a video file or a
    folder of numbered frames. A video is decoded once for all its clips. Writes
    ``<data>/landmarks/clips/<id>.npz``, a line a clip into ``<data>/landmarks/extract.log``, and
    ``<data>/landmarks/extract.json`` with every clip of which something is to be said.

    May be killed at any moment and started again: clips that are done are kept. They are extracted again where
    their video, their place in it or the options have changed.

    Args:
        data: the recipe's data folder.
        nj: processes, for the executor pool.
        executor: pool (processes of this machine) or dask (the workers of a Dask cluster, which have to see the
            data folder and the corpus under the same paths).
        scheduler: address of Dask's scheduler, such as tcp://host:8786, or its scheduler file.
        rate: frames per second to bring all clips to, such as 25 or 30000/1001; by default each has its video's.
        face: points of the face, 468, or 478 with the irises.
        world: landmarks in metres besides.
        max_failures: share of a split's clips (0 to 1) that may fail and are then left out by landmarks import:
            their video is absent, empty, cut short, cannot be decoded or changes while it is read, or ends before
            them, or no hand is found in any frame. Clips that stage 1 found to be bad count as well. All are listed
            in extract.json either way.
        force: extract all again.

    Returns:
        What extract.json holds.

    Raises:
        AslError: a manifest is missing or damaged, too many clips failed, a file cannot be written, or the
            executor or MediaPipe is not to be had.
    """
    _check_options(nj, executor, scheduler, face, max_failures)
    root = Path(data)
    clips = list_video_clips(root)
    if not clips:
        print(f"{root}: no clip has a video for its source; there is nothing to extract")
        report = make_report([], {}, {}, Work(0, 0, 0, 0, 1.0), [])
        write_json(root / "landmarks" / "extract.json", report)  # what says that this was done: import comes after it
        return report
    settings = Settings(str(parse_rate(rate)) if rate is not None else None, face, world)
    out = Path(os.path.realpath(root)) / "landmarks"
    with contextlib.suppress(FileNotFoundError):
        remove_leftovers(out / "clips")
    at = functools.partial(_executor, nj, executor, scheduler)
    abouts = {} if force else _done(clips, settings)
    stale = [clip for clip in clips if clip.id not in abouts and clip.out.exists()]
    if stale:
        _remove(stale, at, settings)
    kept, began = len(abouts), time.monotonic()
    todo = [clip for clip in clips if clip.id not in abouts]
    tasks = _tasks(todo, settings, out / "extract.log")
    failed, frames, decoded = _work(tasks, at(len(tasks)), len(todo)) if tasks else ({}, 0, 0)

    remove_leftovers(out / "clips")
    abouts.update(_made([clip for clip in todo if clip.id not in failed], settings, failed))
    work = Work(kept, len(abouts) - kept, frames, decoded, max(time.monotonic() - began, 1e-3))
    report = make_report(clips, abouts, failed, work, list_unusable(root))
    write_json(out / "extract.json", report)
    print_report(report)
    check_failures(report, max_failures, out / "extract.json")
    return report


def _check_options(nj: int, executor: str, scheduler: Optional[str], face: int, max_failures: float) -> None:
    check_options(nj, max_failures)
    if executor not in EXECUTORS:
        raise AslError(f"--executor {executor} is not {' or '.join(EXECUTORS)}{did_you_mean(executor, EXECUTORS)}")
    if executor == "dask" and scheduler is None:
        raise AslError("--executor dask needs the address of a running cluster: --scheduler tcp://host:8786")
    if executor == "pool" and scheduler is not None:
        raise AslError(f"--scheduler {scheduler} is of --executor dask; give both or neither")
    if face not in (468, 478):
        raise AslError(f"--face {face}: a face has 468 points, or 478 with the irises")


def estimator_maker(settings: Settings) -> Callable[[], Estimator]:
    """What makes the estimator in another process."""
    return functools.partial(make_estimator, "holistic", face=settings.face, world=settings.world)


def _done(clips: List[VideoClip], settings: Settings) -> Dict[str, Any]:
    """By id, what the landmark files that are right say of themselves."""
    found = ((clip.id, read_done(clip, settings)) for clip in clips)
    return {clip_id: about for clip_id, about in found if about is not None}


def _remove(stale: List[VideoClip], at: Callable[[int], Executor], settings: Settings) -> None:
    """Remove landmarks that are not right any more, all at once: else clips of two kinds would stand side by side
    where this run is killed. Before that, what makes the new ones has to be there.
    """
    for _, outcome in run_tasks(at(1), load_estimator, [estimator_maker(settings)], lambda: None):
        if isinstance(outcome, Died):
            raise AslError("the process that was to load the estimator died; nothing was changed (is memory short?)")
    print(f"{len(stale):,} clips that have landmarks are extracted again: by --force, or their videos, spans or options "
          "were others")  # fmt: skip
    for clip in stale:
        remove(clip.out)


def _executor(nj: int, executor: str, scheduler: Optional[str], tasks: int) -> Executor:
    return Dask(scheduler) if executor == "dask" and scheduler else Pool(min(nj, tasks))


def _tasks(todo: List[VideoClip], settings: Settings, log: Path) -> List[VideoTask]:
    make = estimator_maker(settings)
    return [VideoTask(tuple(group), settings, make, log) for group in by_video(todo)]


def _work(tasks: List[VideoTask], at: Executor, clips: int) -> Tuple[Dict[str, Tuple[str, str]], int, int]:
    """Do the tasks; return what failed (kind and reason by clip), rows of landmarks and frames decoded."""
    failed: Dict[str, Tuple[str, str]] = {}
    frames = decoded = 0
    log = tasks[0].log
    _touch(log)
    with _progress(log, clips) as tick:
        for task, outcome in run_tasks(at, extract_video, tasks, tick):
            if isinstance(outcome, Died):
                lost = [clip for clip in task.clips if read_done(clip, task.settings) is None]
                failed.update({clip.id: ("crash", f"{clip.source}: {outcome}") for clip in lost})
                continue
            failed.update({clip.id: (kind, reason) for clip, kind, reason in outcome.failed})
            frames, decoded = frames + outcome.frames, decoded + outcome.decoded
    return failed, frames, decoded


def _touch(log: Path) -> None:
    try:
        (log.parent / "clips").mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as e:
        raise AslError(f"cannot write {log}: {e.strerror or e}; free space or choose another folder") from e


@contextlib.contextmanager
def _progress(log: Path, clips: int) -> Iterator[Callable[[], None]]:
    """A bar that goes on with the lines that the workers write to the log; yields what makes it look again."""
    from tqdm import tqdm

    frames, began = 0, time.monotonic()
    # disable=None: a bar only on a terminal
    with open(log, encoding="utf-8") as lines, tqdm(total=clips, unit="clip", desc="videos", disable=None) as bar:
        lines.seek(0, os.SEEK_END)

        def tick() -> None:
            nonlocal frames
            for line in lines:
                fields = line.split("\t")
                if len(fields) == 4 and fields[2].isdigit():
                    frames += int(fields[2])
                    bar.update(min(1, clips - bar.n))  # a clip may stand there twice: its process was killed
            bar.set_postfix_str(f"{frames / (time.monotonic() - began):.1f} frames/s")

        yield tick
        tick()


def _made(
    clips: List[VideoClip], settings: Settings, failed: Dict[str, Tuple[str, str]]
) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Yield id and what its file says of every clip that was made; one that is not there as it should be fails."""
    for clip in clips:
        about = read_done(clip, settings)
        if about is not None:
            yield clip.id, about
        else:
            remove(clip.out)
            failed[clip.id] = (
                "changed", f"{clip.source}: changed since it was read, or {clip.out} was written where it is not "
                "seen from here; run asl landmarks extract again",
            )  # fmt: skip
