"""A video file of any container that OpenCV's FFmpeg reads: its header, and its frames with their own times.

Frames come upright: OpenCV turns them as phones note it, and nobody else does. What FFmpeg complains of on standard
error is taken and counted to the frame. What the header says of the number of frames is not believed: a file that was
cut short is told by the bytes that its container misses, or by seconds that do not come.
"""

import re
from fractions import Fraction
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional

import numpy as np

from asl.common.errors import AslError
from asl.common.rates import snap_rate
from asl.landmarks.containers import has_index, missing_bytes
from asl.landmarks.native_messages import NativeMessages

_AGAIN = "copy or download it again"
_CONVERT = "copy it again, or convert it to MP4 (H.264)"
_FFMPEG = re.compile(r"\[[\w,.]+ @ 0x[0-9a-f]+\] |OpenCV: FFMPEG|\[ ?(WARN|ERROR|INFO):|Last message repeated")
_HURT = re.compile(r"error|damaged|invalid|illegal|corrupt|overread|premature|partial|no jpeg|missing|fail", re.I)


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
        time: seconds since the beginning of the pictures, at which the first frame usually is.
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


class VideoFile:
    """An open video file.

    Args:
        path: the file.
        fps: its frames per second; None: what the header says.

    Attributes:
        info: its header.

    Raises:
        AslError: absent, empty, cut short before its index, or nothing that can be decoded.
    """

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
        """Let the file go."""
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
        frames = max(0, int(get(cv2.CAP_PROP_FRAME_COUNT)))
        rotation = int(get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        return VideoInfo(path, width, height, rate, frames, float(frames / (said or rate)), rotation)

    def frames(self, wanted: Optional[Callable[[float], bool]] = None) -> Iterator[Frame]:
        """As ``asl.landmarks.video.read_frames``."""
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
