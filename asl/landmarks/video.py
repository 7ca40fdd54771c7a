"""Videos: files of any container that OpenCV's FFmpeg reads, and folders of numbered frames.

``probe_video`` reads the header, ``read_frames`` the frames, in order and once. Frames come upright (what a phone
notes of how it was held is followed), in RGB, with their own times: those of the container, so that variable frame
rate is seen. What the header says of the number of frames is not believed: a file that was cut short is told by the
bytes that its container misses, or by frames that do not come.
"""

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple, Optional, Union

import numpy as np

from asl.common.errors import AslError
from asl.common.rates import snap_rate
from asl.landmarks.containers import has_index, missing_bytes
from asl.landmarks.frame_folders import is_frame_folder, list_frames

VIDEO_SUFFIXES = (
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .vob .ts .mts .m2ts .wmv .asf .flv .f4v .3gp .3g2 .ogv .mxf .dv".split()
)
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
    """

    index: int
    time: float
    image: Optional[np.ndarray]


class CutShort(AslError):
    """The video ends before its header says so; the frames before that were read."""


def is_video(path: PathLike) -> bool:
    """Whether ``path`` is named as a video (it need not be there), or is a folder of numbered .png or .jpg."""
    path = Path(path)
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir() or is_frame_folder(path)


def probe_video(path: PathLike, fps: Optional[Fraction] = None) -> VideoInfo:
    """Read the header of a video.

    Args:
        path: a video file or a folder of numbered frames.
        fps: its frames per second; needed for a folder, and believed more than a file's header.

    Raises:
        AslError: absent, empty, no video, no frame in it, or a folder without ``fps``.
    """
    path = Path(path)
    if path.is_dir():
        return _probe_folder(path, fps)
    with _opened(path) as capture:
        return _file_info(path, capture, fps)


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
        AslError: as ``probe_video``; no frame, or none any more, can be decoded.
        CutShort: after the last frame, where the video should go on.
    """
    path = Path(path)
    return _read_folder(path, fps, wanted) if path.is_dir() else _read_file(path, fps, wanted)


# --- files ---


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An open capture that turns pictures upright."""
    import cv2

    if not path.exists():
        raise AslError(f"{path}: no such video; check the corpus folder")
    if path.stat().st_size == 0:
        raise AslError(f"{path}: empty file; copy or download it again")
    with _quiet(cv2):
        # FFmpeg by name: other backends take a file name with digits for a series of pictures
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # so that nobody has to turn them a second time
    try:
        if not capture.isOpened():
            lost = missing_bytes(path)
            if lost or (lost is not None and not has_index(path) and path.suffix.lower() in (".mp4", ".m4v", ".mov")):
                raise AslError(f"{path}: cut short, {lost or 'its index is'} bytes missing; copy or download it again")
            raise AslError(f"{path}: not a video that can be decoded here; copy it again, or convert it to MP4 (H.264)")
        yield capture
    finally:
        capture.release()


@contextlib.contextmanager
def _quiet(cv2: Any) -> Iterator[None]:
    """OpenCV's own warnings are left out: what is wrong is said by an error of ours."""
    level = cv2.getLogLevel()
    cv2.setLogLevel(0)
    try:
        yield
    finally:
        cv2.setLogLevel(level)


def _file_info(path: Path, capture: Any, fps: Optional[Fraction]) -> VideoInfo:
    import cv2

    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    said = snap_rate(capture.get(cv2.CAP_PROP_FPS))
    rate = fps or said
    if rate is None or width <= 0 or height <= 0:
        raise AslError(f"{path}: its header has no picture of any rate and size; convert it to MP4 (H.264)")
    frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if frames <= 0:  # a live recording says neither its frames nor its length: they are counted
        frames = 0
        while capture.grab():
            frames += 1
    if frames == 0:
        raise AslError(f"{path}: no frame of it can be decoded; copy it again, or convert it to MP4 (H.264)")
    rotation = int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
    return VideoInfo(path, width, height, rate, frames, float(frames / (said or rate)), rotation)


def _read_file(path: Path, fps: Optional[Fraction], wanted: Optional[Callable[[float], bool]]) -> Iterator[Frame]:
    import cv2

    with _opened(path) as capture:
        info = _file_info(path, capture, fps)
        index, time = -1, 0.0
        while capture.grab():
            index += 1
            said = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # raw streams carry no times, and broken ones go back: such a frame comes one step after the last
            time = said if said > time or index == 0 else time + float(1 / info.fps)
            image = None
            if wanted is None or wanted(time):
                _, picture = capture.retrieve()
                image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
            yield Frame(index, time, image)
    _check_end(info, index + 1, time)


def _check_end(info: VideoInfo, frames: int, time: float) -> None:
    """Raise where the frames that were decoded are not all that there should be."""
    path, again = info.path, "copy or download it again"
    if frames == 0:
        raise AslError(f"{path}: no frame of it can be decoded; copy it again, or convert it to MP4 (H.264)")
    lost = missing_bytes(path)
    if lost:
        raise CutShort(f"{path}: cut short, {lost} bytes missing: {frames} of {info.frames} frames are there; {again}")
    # A header that counts may count frames that an edit list hides; one that estimates goes by the length, which may
    # be that of a longer sound: so what is a little short is whole.
    short = info.duration - time - float(1 / info.fps)
    if short > max(1.0, 0.05 * info.duration):
        said = f"{frames} frames, {time:.2f} s, of {info.frames} and {info.duration:.2f} s can be decoded"
        raise CutShort(f"{path}: cut short or damaged: {said}; {again}")


# --- folders ---


def _folder_rate(path: Path, fps: Optional[Fraction]) -> Fraction:
    if fps is None:
        raise AslError(f"{path}: a folder of frames does not say its rate; give its frames per second")
    return fps


def _picture(path: Path) -> np.ndarray:
    import cv2

    if path.stat().st_size == 0:
        raise AslError(f"{path}: empty file; copy it again")
    with _quiet(cv2):
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise AslError(f"{path}: cut short or not a picture; copy it again")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _probe_folder(path: Path, fps: Optional[Fraction]) -> VideoInfo:
    frames, rate = list_frames(path), _folder_rate(path, fps)
    height, width = _picture(frames.paths[0]).shape[:2]
    count = frames.steps[-1] + 1
    return VideoInfo(path, width, height, rate, count, float(count / rate), 0)


def _read_folder(path: Path, fps: Optional[Fraction], wanted: Optional[Callable[[float], bool]]) -> Iterator[Frame]:
    rate = _folder_rate(path, fps)
    files = list_frames(path)
    for index, (file, step) in enumerate(zip(files.paths, files.steps)):
        time = float(step / rate)
        yield Frame(index, time, _picture(file) if wanted is None or wanted(time) else None)
