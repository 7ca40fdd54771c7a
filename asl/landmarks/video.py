"""Videos: files of any container that OpenCV's FFmpeg reads, and folders of numbered frames.

``probe_video`` reads the header, ``read_frames`` the frames, in order and once. Frames come upright (what a phone
notes of how it was held is followed), in RGB, with their own times: those of the container, so that variable frame
rate is seen. What the header says of the number of frames is not believed: a file that was cut short is told by the
bytes that its container misses, or by frames that do not come.
"""

import contextlib
import re
from fractions import Fraction
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional, Protocol, Union

import numpy as np

from asl.common.errors import AslError
from asl.common.rates import snap_rate
from asl.landmarks.containers import has_index, missing_bytes
from asl.landmarks.frame_folders import is_frame_folder, list_frames, read_picture
from asl.landmarks.native_messages import NativeMessages

VIDEO_SUFFIXES = (
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .vob .ts .mts .m2ts .wmv .asf .flv .f4v .3gp .3g2 .ogv .mxf .dv".split()
)
_AGAIN = "copy or download it again"
_CONVERT = "copy it again, or convert it to MP4 (H.264)"

PathLike = Union[str, Path]


class VideoInfo(NamedTuple):
    """What the header of a video says.

    Attributes:
        path: the file or folder.
        width, height: of the upright picture, in pixels.
        fps: frames per second, the mean where the rate varies.
        frames: how many; an estimate for Matroska, WebM and whatever else counts time only.
        duration: seconds.
        rotation: degrees, clockwise, by which the stored pictures are turned to stand upright: 0, 90, 180, 270.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    frames: int
    duration: float
    rotation: int


class Frame(NamedTuple):
    """One frame.

    Attributes:
        index: 0 for the video's first.
        time: seconds since the first frame.
        image: ``(height, width, 3)`` uint8 RGB, upright; None where ``wanted`` said no.
        damaged: the decoder reported an error with this frame or one near to it, and showed what it could.
    """

    index: int
    time: float
    image: Optional[np.ndarray]
    damaged: bool = False


class CutShort(AslError):
    """The video ends before its header says so; the frames before that were read.

    Args:
        path: the video.
        lost: what is missing.
    """

    def __init__(self, path: Path, lost: str):
        super().__init__(f"{path}: cut short, {lost}; {_AGAIN}")
        self.lost = lost


def is_video(path: PathLike) -> bool:
    """Whether ``path`` is named as a video (it need not be there), or is a folder of numbered .png or .jpg."""
    path = Path(path)
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir() or is_frame_folder(path)


def probe_video(path: PathLike, fps: Optional[Fraction] = None) -> VideoInfo:
    """Read the header of a video. A live recording, whose header says neither frames nor length, is counted.

    Args:
        path: a video file or a folder of numbered frames.
        fps: its frames per second; needed for a folder, and believed more than a file's header.

    Raises:
        AslError: absent, empty, no video, no frame in it, or a folder without ``fps``.
    """
    with open_video(path, fps) as video:
        info = video.info
        if info.frames == 0:
            for frame in video.frames(lambda time: False):
                info = info._replace(frames=frame.index + 1, duration=frame.time + float(1 / info.fps))
        return info


def read_frames(
    path: PathLike, fps: Optional[Fraction] = None, wanted: Optional[Callable[[float], bool]] = None
) -> Iterator[Frame]:
    """Decode a video from its first frame on, each frame once.

    Args:
        path: a video file or a folder of numbered frames.
        fps: frames per second; needed for a folder. A file's frames have the times that its container gives.
        wanted: ``wanted(time)`` says whether a frame's picture is wanted; the others are decoded (the following
            ones are made from them) but not converted, which is cheaper. None: all.

    Raises:
        AslError: as ``probe_video``; no frame can be decoded.
        CutShort: after the last frame, where the video should go on.
    """
    with open_video(path, fps) as video:
        yield from video.frames(wanted)


@contextlib.contextmanager
def open_video(path: PathLike, fps: Optional[Fraction] = None) -> Iterator["Video"]:
    """Open a video: ``info`` is its header, ``frames(wanted)`` its frames, as ``read_frames`` gives them, once.

    Of a live recording ``frames`` and ``duration`` are 0 here.

    Raises:
        AslError: as ``probe_video``.
    """
    video = _Folder(Path(path), fps) if Path(path).is_dir() else _File(Path(path), fps)
    try:
        yield video
    finally:
        video.close()


class Video(Protocol):
    """An open video."""

    info: VideoInfo

    def frames(self, wanted: Optional[Callable[[float], bool]] = None) -> Iterator[Frame]:
        """As ``read_frames``."""

    def close(self) -> None:
        """Let the file go."""


# --- files ---

_FFMPEG = re.compile(r"\[[\w,.]+ @ 0x[0-9a-f]+\] |OpenCV: FFMPEG|\[ ?(WARN|ERROR|INFO):|Last message repeated")
_HURT = re.compile(r"error|damaged|invalid|illegal|corrupt|overread|premature|partial|no jpeg|missing|fail", re.I)


class _File:
    """A video file, open."""

    def __init__(self, path: Path, fps: Optional[Fraction]):
        import cv2

        if not path.exists():
            raise AslError(f"{path}: no such video; check the corpus folder")
        if path.stat().st_size == 0:
            raise AslError(f"{path}: empty file; {_AGAIN}")
        self._cv2 = cv2
        self._messages = NativeMessages(_FFMPEG)
        try:
            with self._messages.kept():
                # FFmpeg by name: other backends take a file name with digits for a series of pictures. One thread:
                # clips run beside each other, and what FFmpeg complains of belongs to the frame that was asked for.
                self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
                self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # nobody has to turn the frames a second time
            if not self._capture.isOpened():
                raise AslError(f"{path}: {_why_not(path)}")
            self.info = self._header(path, fps)
        except AslError:
            self.close()
            raise

    def close(self) -> None:
        if hasattr(self, "_capture"):
            self._capture.release()
        self._messages.close()

    def _header(self, path: Path, fps: Optional[Fraction]) -> VideoInfo:
        cv2, get = self._cv2, self._capture.get
        width, height = int(get(cv2.CAP_PROP_FRAME_WIDTH)), int(get(cv2.CAP_PROP_FRAME_HEIGHT))
        said = snap_rate(get(cv2.CAP_PROP_FPS))
        rate = fps or said
        if rate is None or width <= 0 or height <= 0:
            raise AslError(f"{path}: its header has no picture of any rate and size; {_CONVERT}")
        frames = int(get(cv2.CAP_PROP_FRAME_COUNT))
        rotation = int(get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        frames = max(0, frames)
        return VideoInfo(path, width, height, rate, frames, float(frames / (said or rate)), rotation)

    def frames(self, wanted: Optional[Callable[[float], bool]] = None) -> Iterator[Frame]:
        """As ``read_frames``."""

    def close(self) -> None:
        """Let the file go."""


# --- files ---

_FFMPEG = re.compile(r"\[[\w,.]+ @ 0x[0-9a-f]+\] |OpenCV: FFMPEG|\[ ?(WARN|ERROR|INFO):|Last message repeated")
_HURT = re.compile(r"error|damaged|invalid|illegal|corrupt|overread|premature|partial|no jpeg|missing|fail", re.I)


class _File:
    """A video file, open."""

    def __init__(self, path: Path, fps: Optional[Fraction]):
        import cv2

        if not path.exists():
            raise AslError(f"{path}: no such video; check the corpus folder")
        if path.stat().st_size == 0:
            raise AslError(f"{path}: empty file; {_AGAIN}")
        self._cv2 = cv2
        self._messages = NativeMessages(_FFMPEG)
        try:
            with self._messages.kept():
                # FFmpeg by name: other backends take a file name with digits for a series of pictures. One thread:
                # clips run beside each other, and what FFmpeg complains of belongs to the frame that was asked for.
                self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
                self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # nobody has to turn the frames a second time
            if not self._capture.isOpened():
                raise AslError(f"{path}: {_why_not(path)}")
            self.info = self._header(path, fps)
        except AslError:
            self.close()
            raise

    def close(self) -> None:
        if hasattr(self, "_capture"):
            self._capture.release()
        self._messages.close()

    def _header(self, path: Path, fps: Optional[Fraction]) -> VideoInfo:
        cv2, get = self._cv2, self._capture.get
        width, height = int(get(cv2.CAP_PROP_FRAME_WIDTH)), int(get(cv2.CAP_PROP_FRAME_HEIGHT))
        said = snap_rate(get(cv2.CAP_PROP_FPS))
        rate = fps or said
        if rate is None or width <= 0 or height <= 0:
            raise AslError(f"{path}: its header has no picture of any rate and size; {_CONVERT}")
        frames = int(get(cv2.CAP_PROP_FRAME_COUNT))
        rotation = int(get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        if frames > 0:
            return VideoInfo(path, width, height, rate, frames, float(frames / (said or rate)), rotation)
        # A live recording says neither its frames nor its length: they are counted.
        with self._messages.kept():
            capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
            frames, time = 0, 0.0
            while capture.grab():
                frames, time = frames + 1, max(time, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            capture.release()
        if frames == 0:
            raise AslError(f"{path}: no frame of it can be decoded; {_CONVERT}")
        return VideoInfo(path, width, height, rate, frames, time + float(1 / rate), rotation)

    def frames(self, wanted: Optional[Callable[[float], bool]] = None) -> Iterator[Frame]:
        cv2, capture, messages = self._cv2, self._capture, self._messages
        step = float(1 / self.info.fps)
        index, time, picture = -1, -step, None
        while True:
            messages.lines.clear()
            with messages.kept():
                more = capture.grab()
            if not more:
                break
            index += 1
            said = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # raw streams carry no times, and broken ones go back: such a frame comes one step after the last
            time = said if said > time else time + step
            image = None
            if wanted is None or wanted(time):
                got, picture = capture.retrieve(picture)  # one buffer for all: a new one costs half as much again
                if not got:
                    raise AslError(f"{self.info.path}: frame {index} cannot be converted; {_CONVERT}")
                image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            yield Frame(index, time, image, any(map(_HURT.search, messages.lines)))
        _check_end(self.info, index + 1, time)


def _why_not(path: Path) -> str:
    """Why a file could not be opened."""
    lost = missing_bytes(path)
    if lost:
        return f"cut short, {lost} bytes are missing; {_AGAIN}"
    if lost == 0 and not has_index(path):
        return f"cut short, its index (moov) is missing; {_AGAIN}"
    return f"not a video that can be decoded here; {_CONVERT}"


def _check_end(info: VideoInfo, frames: int, time: float) -> None:
    """Raise where the frames that were decoded are not all that there should be."""
    path = info.path
    lost = missing_bytes(path)
    if frames == 0:
        raise AslError(f"{path}: {_why_not(path) if lost else f'no frame of it can be decoded; {_CONVERT}'}")
    if lost:
        raise CutShort(path, f"{lost} bytes are missing: {frames} of {info.frames} frames are there")
    # A header that counts may count frames that an edit list hides; one that estimates goes by the length, which may
    # be that of a longer sound: so what is a little short is whole.
    short = info.duration - time - float(1 / info.fps)
    if short > max(1.0, 0.05 * info.duration):
        there = f"{frames} frames, {info.duration - short:.2f} s, of {info.frames} and {info.duration:.2f} s"
        raise CutShort(path, f"or damaged: only {there} can be decoded")


# --- folders ---


class _Folder:
    """A folder of numbered frames."""

    def __init__(self, path: Path, fps: Optional[Fraction]):
        if fps is None:
            raise AslError(f"{path}: a folder of frames does not say its rate; give its frames per second")
        self._files = list_frames(path)
        height, width = read_picture(self._files.paths[0]).shape[:2]
        count = self._files.steps[-1] + 1
        self.info = VideoInfo(path, width, height, fps, count, float(count / fps), 0)

    def close(self) -> None:
        pass

    def frames(self, wanted: Optional[Callable[[float], bool]] = None) -> Iterator[Frame]:
        for index, (file, step) in enumerate(zip(self._files.paths, self._files.steps)):
            time = float(step / self.info.fps)
            yield Frame(index, time, read_picture(file) if wanted is None or wanted(time) else None)
