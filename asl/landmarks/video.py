"""Videos: files of any container that OpenCV's FFmpeg reads, and folders of numbered frames.

``probe_video`` reads the header, ``read_frames`` the frames, in order and once. Frames come upright (what a phone
notes of how it was held is followed), in RGB, with their own times: those of the container, so that variable frame
rate is seen. What the header says of the number of frames is not believed: a file that was cut short is told by the
bytes that its container misses, or by frames that do not come.
"""

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Callable, Iterator, Optional, Protocol, Union

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.frame_folders import is_frame_folder, list_frames, read_picture
from asl.landmarks.time_grid import keeps_to, own_rate
from asl.landmarks.video_files import CutShort, Frame, VideoFile, VideoInfo

VIDEO_SUFFIXES = (
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .vob .ts .mts .m2ts .wmv .asf .flv .f4v .3gp .3g2 .ogv .mxf .dv".split()
)
PathLike = Union[str, Path]


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
            times = np.array([frame.time for frame in video.frames(lambda time: False)])
            rate = info.fps if keeps_to(times, info.fps) else own_rate(times, info.fps)
            info = info._replace(frames=len(times), fps=rate, duration=float(times[-1] + 1 / rate))
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
    video = _Folder(Path(path), fps) if Path(path).is_dir() else VideoFile(Path(path), fps)
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
