"""Clips out of a video: one decoding for all its spans, a fresh tracker for each.

A span is [start, end) in seconds since the video's first frame. A frame belongs to it if its time lies in it, give
or take a tenth of a frame, so that adjoining spans share no frame and lose none. Spans may overlap: each has its
tracker. Decoding stops after the last span. It runs in a thread of its own, a few frames ahead: an estimator such as
MediaPipe leaves parts of the other cores free.
"""

import contextlib
import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.estimator import Estimator, Found, Tracker
from asl.landmarks.time_grid import NOT_KNOWN, Grid, Picker, constant_grid
from asl.landmarks.video import CutShort, Frame, Video, VideoInfo, open_video


class Span(NamedTuple):
    """A clip of a video: ``[start, end)`` in seconds; None: from the video's beginning, to its end."""

    id: str
    start: Optional[float] = None
    end: Optional[float] = None


@dataclass(frozen=True)
class Extracted:
    """The landmarks of one clip.

    Attributes:
        id: the span's.
        parts: each part ``(frames, points, coordinates)`` float32, NaN where not found, on a constant grid of time.
            No frames: nothing could be extracted, and ``problems`` says why.
        fps: the grid's frames per second.
        times: ``(frames,)`` float64, seconds in the video of the frame that each row was found in.
        width, height: of the upright picture in pixels.
        decoded: frames of the video that were gone through until this clip was finished; the last clip's is what
            the video cost, but for the few that were decoded ahead.
        problems: what is wrong, a sentence each that begins with its kind (``PROBLEMS``) and a colon.
    """

    id: str
    parts: Dict[str, np.ndarray]
    fps: Fraction
    times: np.ndarray
    width: int
    height: int
    decoded: int
    problems: Tuple[str, ...] = ()


# kinds of problems -> what is meant
PROBLEMS = {
    "cut short": "the video ends or breaks off inside of the clip, and its header says it goes on",
    "past the end": "the span begins or ends after the video's end",
    "no frames": "no frame of the video lies in the span",
    "missing frames": "numbers are missing among the frames of a folder; the rows are NaN",
    "no hands": "no hand found in any frame",
    "nobody": "no person found in any frame",
    "several people": "more than one face of like size in most of the pictures that were asked for it",
    "rate": "the header's frames per second are not those that the frames have, or no camera's",
    "variable rate": "the frames come at varying distances and were put on a constant grid",
    "size": "the picture is too small, or its size changes",
    "damaged": "the decoder reported errors in frames of the clip and showed what it could of them",
}
_LOOK = 2.0  # seconds between two pictures whose people are counted
_SMALLEST = 96  # pixels; MediaPipe's hand model alone sees 224
_RATES = (10, 120)  # frames per second, at which signing is filmed
_AHEAD = 4  # frames that are decoded before they are asked for; one of 1280 x 720 has 2.8 MB


class _Window:
    """Which frames of the video are a span's, and which of those are looked at. Each frame is asked for once."""

    def __init__(self, span: Span, info: VideoInfo, rate: Optional[Fraction]):
        slack = 0.1 / float(info.fps)
        self.first = -np.inf if span.start is None else span.start - slack
        self.last = np.inf if span.end is None else span.end - slack
        self._picker = Picker(rate, info.fps) if rate is not None and rate < info.fps else None

    def takes(self, time: float) -> bool:
        """Whether the picture at ``time``, after all that were asked for before, is looked at."""
        if not self.first <= time < self.last:
            return False
        if self._picker is None:
            return True
        wanted = self._picker.wants(time)
        if wanted:
            self._picker.take(time)
        return wanted


class _Clip:
    """One span while the video runs."""

    def __init__(self, span: Span, info: VideoInfo, rate: Optional[Fraction]):
        self.span = span
        self.window = _Window(span, info, rate)
        self.tracker: Optional[Tracker] = None
        self.times: List[float] = []  # of all its frames
        self.looked: List[int] = []  # which of them a tracker has seen
        self.found: List[Found] = []
        self.sizes: Set[Tuple[int, int]] = set()
        self.damaged = 0
        self.people: List[int] = []  # in the pictures where they were counted
        self.count_at = -np.inf

    def add(self, frame: Frame, info: VideoInfo, estimator: Estimator) -> bool:
        """The next frame of the clip. Returns whether its picture was looked at."""
        looks = self.window.takes(frame.time)
        if looks:
            if self.tracker is None:
                self.tracker = estimator.new_tracker()
            try:
                self.found.append(self.tracker(frame.image))
            except (RuntimeError, ValueError) as error:
                at = f"frame {frame.index} of clip {self.span.id}"
                raise AslError(f"{info.path}: the estimator failed on {at} ({error}); look at the picture") from error
            self._count_people(frame, estimator)
            self.looked.append(len(self.times))
            self.sizes.add(frame.image.shape[1::-1])
        self.times.append(frame.time)
        self.damaged += frame.damaged
        return looks

    def _count_people(self, frame: Frame, estimator: Estimator) -> None:
        count = getattr(estimator, "count_people", None)
        if count is not None and frame.time >= self.count_at:
            self.people.append(count(frame.image))
            self.count_at = frame.time + _LOOK

    def close(self) -> None:
        """No more frames for it."""
        if self.tracker is not None:
            self.tracker.close()
            self.tracker = None


def extract_spans(
    path: Union[str, Path],
    spans: Sequence[Span],
    estimator: Estimator,
    fps: Optional[Fraction] = None,
    rate: Optional[Fraction] = None,
    new_frame: Optional[Callable[[], None]] = None,
) -> Iterator[Extracted]:
    """Extract the landmarks of clips of one video, in one decoding.

    Args:
        path: a video file or a folder of numbered frames.
        spans: the clips, in any order; they may overlap.
        estimator: what finds landmarks.
        fps: frames per second of a folder of frames.
        rate: rows per second of the result; frames that are not needed for it are not looked at. None: the
            video's own rate, put on a constant grid where it varies (``asl.landmarks.time_grid``).
        new_frame: called, with nothing, after every picture that was looked at, for a progress bar.

    Yields:
        The clips, each as soon as its last frame was seen. One that has no frames is yielded too, with the reason.

    Raises:
        AslError: a span without length; the video is absent, empty, or nothing of it can be decoded; the estimator
            failed on a picture.
    """
    for span in spans:
        begin, end = span.start or 0.0, np.inf if span.end is None else span.end
        if not 0 <= begin < end:
            raise AslError(f"{path}: clip {span.id} goes from {begin} s to {end} s; its end has to be after its start")
    with open_video(path, fps) as video:
        clips = [_Clip(span, video.info, rate) for span in spans]
        windows = [_Window(span, video.info, rate) for span in spans]
        with _decoding(video, sorted(windows, key=lambda window: window.last)) as frames:
            yield from _run(frames, video.info, clips, estimator, rate, new_frame)


@contextlib.contextmanager
def _decoding(video: Video, windows: List[_Window]) -> Iterator[Iterator[Frame]]:
    """The frames of a video, decoded by a thread that has ended when the block does.

    By ``windows``, which are the thread's own and in the order of their ends, it knows which pictures are needed.
    """

    def needed(time: float) -> bool:
        while windows and windows[0].last <= time:  # a long video has hundreds: those that are over are not asked
            windows.pop(0)
        return any([window.takes(time) for window in windows])  # a list: each of the others has to be

    frames = video.frames(needed)
    with ThreadPoolExecutor(1, "decoding") as decoder:
        coming: Deque["Future[Optional[Frame]]"] = deque()

        def decoded() -> Iterator[Frame]:
            coming.extend(decoder.submit(next, frames, None) for _ in range(_AHEAD))
            while True:
                frame = coming.popleft().result()
                if frame is None:
                    return
                coming.append(decoder.submit(next, frames, None))
                yield frame

        try:
            yield decoded()
        finally:
            for future in coming:
                future.cancel()


def _run(
    frames: Iterator[Frame],
    info: VideoInfo,
    clips: List[_Clip],
    estimator: Estimator,
    rate: Optional[Fraction],
    new_frame: Optional[Callable[[], None]],
) -> Iterator[Extracted]:
    """Run the video once for ``clips``."""
    clips.sort(key=lambda clip: (clip.window.last, clip.window.first))
    decoded, time, cut = 0, None, None
    try:
        try:
            for frame in frames:
                while clips and clips[0].window.last <= frame.time:
                    yield _finish(clips.pop(0), info, rate, decoded, None, None)
                if not clips:
                    return
                decoded, time = frame.index + 1, frame.time
                for clip in clips:
                    if clip.window.first <= time and clip.add(frame, info, estimator) and new_frame is not None:
                        new_frame()
        except CutShort as error:
            cut = error.lost
        while clips:
            yield _finish(clips.pop(0), info, rate, decoded, time, cut)
    finally:
        for clip in clips:
            clip.close()


def _finish(
    clip: _Clip, info: VideoInfo, rate: Optional[Fraction], decoded: int, end: Optional[float], cut: Optional[str]
) -> Extracted:
    """The clip as it is now; ``end``: the time of the video's last frame, where that came before the clip's end."""
    clip.close()
    problems: List[str] = []
    if cut is not None:
        problems.append(f"cut short: {cut}")
    elif end is not None:
        problems += _past_the_end(clip, info, end)
    if not clip.found:
        if not problems:
            problems.append(f"no frames: none between {clip.span.start} s and {clip.span.end} s")
        nothing: Tuple[Dict[str, np.ndarray], Fraction, np.ndarray] = ({}, rate or info.fps, np.zeros(0))
        return Extracted(clip.span.id, *nothing, info.width, info.height, decoded, tuple(problems))
    held = not info.path.is_dir()
    edges = None if held else _edges(clip, info)
    grid = constant_grid(np.array(clip.times), info.fps, rate, held, np.array(clip.looked), edges)
    parts = {name: np.stack([found[name] for found in clip.found])[grid.rows] for name in clip.found[0]}
    for part in parts.values():
        part[grid.rows == NOT_KNOWN] = np.nan
    problems += _rate_problems(grid, info, held) + _picture_problems(clip, info) + _found_problems(parts)
    return Extracted(clip.span.id, parts, grid.fps, grid.times, info.width, info.height, decoded, tuple(problems))


def _edges(clip: _Clip, info: VideoInfo) -> Tuple[float, float]:
    """Times of the first and the last number of a folder of frames that lie in the clip, whether they are there or not."""
    first = max(0, math.ceil(clip.window.first * info.fps)) if np.isfinite(clip.window.first) else 0
    last = info.frames - 1
    if np.isfinite(clip.window.last):
        last = min(last, math.ceil(clip.window.last * info.fps) - 1)
    return float(first / info.fps), float(last / info.fps)


def _past_the_end(clip: _Clip, info: VideoInfo, end: float) -> List[str]:
    step = float(1 / info.fps)
    length = f"the video has {end + step:.2f} s"
    if clip.window.first > end:
        return [f"past the end: begins at {clip.span.start:.2f} s, {length}, its last frame at {end:.2f} s"]
    if np.isfinite(clip.window.last) and clip.window.last - end > 2.5 * step:
        return [f"past the end: ends at {clip.span.end:.2f} s, {length}"]
    return []


def _rate_problems(grid: Grid, info: VideoInfo, held: bool) -> List[str]:
    said, problems = f"{float(info.fps):.6g} frames a second", []
    if not held:
        lost = int((grid.rows == NOT_KNOWN).sum())
        if lost:
            problems.append(f"missing frames: {lost} of {len(grid.rows)} numbers have no picture")
    elif not grid.constant:
        problems.append(f"variable rate: put on a grid of {float(grid.fps):.6g} frames a second")
    elif grid.own != info.fps:
        problems.append(f"rate: the header says {said}, the frames come at {float(grid.own):.6g}")
    if not _RATES[0] <= grid.own <= _RATES[1]:
        problems.append(f"rate: {float(grid.own):.6g} frames a second is not between {_RATES[0]} and {_RATES[1]}")
    return problems


def _picture_problems(clip: _Clip, info: VideoInfo) -> List[str]:
    problems = []
    if clip.damaged:
        problems.append(f"damaged: the decoder reports errors in {clip.damaged} of {len(clip.times)} frames")
    several = [count for count in clip.people if count > 1]
    if 2 * len(several) > len(clip.people):
        where = f"{max(several)} faces in {len(several)} of {len(clip.people)} pictures that were asked for it"
        problems.append(f"several people: {where}; one of them was followed")
    if len(clip.sizes) > 1:
        problems.append("size: it changes: " + ", ".join(f"{w} x {h}" for w, h in sorted(clip.sizes)) + " pixels")
    if min(info.width, info.height) < _SMALLEST:
        problems.append(f"size: a picture of {info.width} x {info.height} pixels is too small to see fingers")
    return problems


def _found_problems(parts: Dict[str, np.ndarray]) -> List[str]:
    found = {name: bool(np.isfinite(part[..., 0]).any()) for name, part in parts.items()}
    if not any(found.values()):
        return ["nobody: no person found in any frame"]
    if not (found["left_hand"] or found["right_hand"]):
        return ["no hands: no hand found in any frame"]
    return []
