"""The one task of extraction: a video, decoded once for all its clips -> a landmark file a clip.

It may be done again at any time, by any process: clips that are done are passed over, files appear under their
names when they are whole, and each says what it was made of.
"""

import os
import pickle
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from asl.common.errors import AslError
from asl.common.files import remove
from asl.data.recorded import ManifestMismatch, recorded_rate
from asl.data.videos import Settings, VideoClip, identity, read_done, source_state
from asl.landmarks.estimator import Estimator
from asl.landmarks.npz_files import write_npz
from asl.landmarks.spans import Extracted, Span, extract_spans
from asl.landmarks.video import probe_video

# Problems of which no landmarks are kept; with others (``asl.landmarks.spans.PROBLEMS``) the clip can be used.
FATAL = ("cut short", "no frames", "no hands", "nobody")
# What libraries print on standard error is taken (``asl.landmarks.native_messages``): a process does one at a time.
_ONE_AT_A_TIME = threading.Lock()
_ESTIMATORS: Dict[bytes, Estimator] = {}  # at most one: the last that was asked for
TRIES = 2  # a video that changes while it is read is read so often


class Stopped(AslError):
    """What would befall every other video, too: the disk is full, or there is no estimator."""


class _Changed(AslError):
    """The video is not the one any more that was begun with."""


@dataclass(frozen=True)
class VideoTask:
    """One video and what is wanted of it.

    Attributes:
        clips: of one source.
        settings: what decides what comes out.
        make: makes the estimator, in the process that does the task.
        log: gets a line a clip.
    """

    clips: Tuple[VideoClip, ...]
    settings: Settings
    make: Callable[[], Estimator]
    log: Path

    @property
    def source(self) -> Path:
        return self.clips[0].source


@dataclass
class Outcome:
    """What became of a task.

    Attributes:
        made: ids of the clips that have landmarks now.
        failed: ``(clip, kind, reason)`` of each that has none.
        decoded: frames of the video that were decoded.
        frames: rows of landmarks that were written.
    """

    made: List[str] = field(default_factory=list)
    failed: List[Tuple[VideoClip, str, str]] = field(default_factory=list)
    decoded: int = 0
    frames: int = 0


def extract_video(task: VideoTask) -> Outcome:
    """Extract the clips of a video that are not done.

    Raises:
        Stopped: a file cannot be written, or the estimator cannot be made.
    """
    outcome = Outcome()
    for left in reversed(range(TRIES)):
        outcome.made, outcome.failed, outcome.frames = [], [], 0
        try:
            with _ONE_AT_A_TIME:
                _extract(task, outcome)
            return outcome
        except _Changed as e:
            if not left:
                outcome.made, outcome.frames = [], 0
                _fail(task, outcome, task.clips, "changed", str(e))
    return outcome


def _extract(task: VideoTask, outcome: Outcome) -> None:
    """Go through the video once."""
    todo = {clip.id: clip for clip in task.clips if read_done(clip, task.settings) is None}
    outcome.made += [clip.id for clip in task.clips if clip.id not in todo]
    kind, state = _look(task.source)
    if kind:
        _fail(task, outcome, todo.values(), kind, f"{task.source}: {_WORDS[kind]}")
        return
    for clip in [clip for clip in todo.values() if not 0 <= (clip.start or 0) < _end(clip)]:
        _fail(task, outcome, [todo.pop(clip.id)], "no frames", f"it goes from {clip.start} s to {clip.end} s")
    if not todo:
        return
    estimator = _estimator(task.make)
    try:
        for extracted in _spans(task, list(todo.values()), estimator, outcome):
            clip = todo.pop(extracted.id)
            _keep(task, clip, extracted, state, estimator, outcome)
    except (Stopped, _Changed):
        raise
    except AslError as e:
        _forget_estimator()
        _check_same(task.source, state)
        _fail(task, outcome, todo.values(), _kind(e), str(e))
    except Exception as e:  # native libraries raise what they like; one video must not cost the others
        traceback.print_exc()
        _forget_estimator()
        _check_same(task.source, state)
        _fail(task, outcome, todo.values(), "error", f"{task.source}: {type(e).__name__}: {' '.join(str(e).split())}")
    _check_same(task.source, state)


def load_estimator(make: Callable[[], Estimator]) -> None:
    """Have this process's estimator ready. Raises Stopped where there is none."""
    with _ONE_AT_A_TIME:
        _estimator(make)


def _estimator(make: Callable[[], Estimator]) -> Estimator:
    """This process's estimator; its models are loaded once, not for every video."""
    key = pickle.dumps(make)
    if key not in _ESTIMATORS:
        _forget_estimator()
        try:
            _ESTIMATORS[key] = make()
        except AslError as e:
            raise Stopped(str(e)) from None
    return _ESTIMATORS[key]


def _forget_estimator() -> None:
    """The next video gets a new one: this one may have been stopped in the middle of a picture."""
    while _ESTIMATORS:
        _ESTIMATORS.popitem()[1].close()


def _end(clip: VideoClip) -> float:
    return float("inf") if clip.end is None else clip.end


def _kind(error: AslError) -> str:
    """What an error that ended the decoding of a video is listed as."""
    if isinstance(error, ManifestMismatch):
        return "changed"
    if "estimator" in str(error):
        return "error"
    return "cut short" if "cut short" in str(error) else "undecodable"


_WORDS = {
    "absent": "no such video; check the corpus folder, or download it again",
    "empty": "empty; copy or download it again",
    "unreadable": "cannot be read; check its permissions and the disk",
}


def _look(source: Path) -> Tuple[Optional[str], Dict[str, int]]:
    """What is wrong with a source before anything of it is decoded (None: nothing), and its state."""
    try:
        state = source_state(source)
        if source.is_dir():
            return (None if state["files"] else "empty"), state
        with open(source, "rb") as file:
            return (None if file.read(1) else "empty"), state
    except FileNotFoundError:
        return "absent", {}
    except OSError:
        return "unreadable", {}


def _check_same(source: Path, state: Dict[str, int]) -> None:
    if _look(source)[1] != state:
        raise _Changed(f"{source}: changes while it is read; run asl landmarks extract again when it is whole")


def _spans(task: VideoTask, clips: List[VideoClip], estimator: Estimator, outcome: Outcome) -> Iterator[Extracted]:
    """The landmarks of each clip as soon as it is over; ``outcome.decoded`` counts on."""
    fps, before = _folder_rate(clips[0]), outcome.decoded
    rate = Fraction(task.settings.rate) if task.settings.rate else None
    spans = [Span(clip.id, clip.start, clip.end) for clip in clips]
    for extracted in extract_spans(task.source, spans, estimator, fps=fps, rate=rate):
        outcome.decoded = before + extracted.decoded
        yield extracted


def _folder_rate(clip: VideoClip) -> Optional[Fraction]:
    """Frames per second of a folder of frames, as stage 1 wrote them down; None of a video: it says them itself."""
    if not clip.source.is_dir():
        return None
    if clip.start is None and clip.end is None:
        frames = probe_video(clip.source, Fraction(25)).frames
        return recorded_rate(clip.rate, clip.samples, frames, clip.source)
    return Fraction(clip.rate, 1001 if clip.rate > 10_000 else 1)


def _keep(
    task: VideoTask, clip: VideoClip, extracted: Extracted, state: Dict[str, int], estimator: Estimator,
    outcome: Outcome,
) -> None:  # fmt: skip
    """Write a clip's landmarks, unless they are of no use."""
    _check_same(task.source, state)
    frames = len(extracted.times)
    fatal = [problem for problem in extracted.problems if problem.partition(":")[0] in FATAL]
    if fatal or not frames:
        text = (fatal or extracted.problems or ["no frames: nothing was extracted"])[0]
        _fail(task, outcome, [clip], text.partition(":")[0], f"{task.source}: {text.partition(': ')[2]}")
        return
    about = {
        "id": clip.id, "source": clip.listed, "made_of": identity(clip, task.settings, state),
        "estimator": estimator.about, "frames": frames, "fps": str(extracted.fps),
        "size": [extracted.width, extracted.height], "problems": list(extracted.problems),
    }  # fmt: skip
    try:
        write_npz(clip.out, extracted, about)
    except AslError as e:
        raise Stopped(str(e)) from None
    outcome.made.append(clip.id)
    outcome.frames += frames
    _log(task, clip, frames, "; ".join(extracted.problems) or "ok")


def _fail(task: VideoTask, outcome: Outcome, clips: Any, kind: str, reason: str) -> None:
    """List clips as failed. Landmarks that they had are of another video, span or options: they go."""
    for clip in clips:
        try:
            remove(clip.out)
        except AslError as e:
            raise Stopped(str(e)) from None
        outcome.failed.append((clip, kind, reason))
        _log(task, clip, 0, f"FAILED: {kind}: {reason}")


def _log(task: VideoTask, clip: VideoClip, frames: int, text: str) -> None:
    """Append a clip's line: time, id, frames, what is to be said; in one write, as others append beside."""
    line = "\t".join((time.strftime("%Y-%m-%d %H:%M:%S"), clip.id, str(frames), " ".join(text.split()))) + "\n"
    try:
        handle = os.open(task.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, line.encode())
        finally:
            os.close(handle)
    except OSError as e:
        raise Stopped(f"cannot write {task.log}: {e.strerror or e}; free space or choose another folder") from None
