"""Pictures in a row -> a GIF (Pillow) or an MP4 (OpenCV), under their names when they are whole."""

from fractions import Fraction
from typing import Iterable, List, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike, atomic_path
from asl.landmarks.containers import has_index, missing_bytes
from asl.landmarks.drawing import Image

_TICK = 10  # milliseconds: a GIF counts time in hundredths of a second
_SHORTEST = 20  # what is shorter, browsers show for 100 ms


def gif_times(frames: int, fps: Fraction) -> List[Tuple[int, int]]:
    """Which frames a GIF shows, and how long (milliseconds), so that the whole is as long as the clip.

    Times are whole hundredths of a second, whose rounding does not add up; above 50 frames a second some are left out.
    """
    shown, clock = [], 0
    for k in range(frames):
        end = _TICK * round(1000 * (k + 1) / (fps * _TICK))
        if end - clock >= _SHORTEST or k == frames - 1:
            shown.append((k, max(end - clock, _SHORTEST)))
            clock = end
    return shown


def write_gif(path: PathLike, pictures: Iterable[Image], fps: Fraction, frames: int) -> None:
    """Write RGB pictures of one size, of which there are ``frames``, as a GIF that repeats for ever.

    Raises:
        AslError: the folder cannot be written, or the disk is full.
    """
    times = dict(gif_times(frames, fps))
    # 128 colours a frame: a signer over a video is clean, lines on white even with all their shades
    flat = [p.quantize(128, dither=0) for k, p in enumerate(pictures) if k in times]
    with atomic_path(path) as tmp:
        flat[0].save(tmp, format="GIF", save_all=True, append_images=flat[1:], duration=list(times.values()), loop=0)


def write_mp4(path: PathLike, pictures: Iterable[Image], fps: Fraction) -> None:
    """Write RGB pictures of one size with even sides as an MP4 (MPEG-4 part 2, which OpenCV has everywhere).

    Raises:
        AslError: OpenCV is not installed or cannot write such a file, the folder cannot be written, or the disk
            is full.
    """
    try:
        import cv2
    except ImportError as e:
        mend = "pip install 'asl[video]', or --to gif"
        raise AslError(f"an MP4 is written by OpenCV, which is not there ({e}); {mend}") from e

    with atomic_path(path) as tmp:
        pictures, writer = iter(pictures), None
        try:
            for picture in pictures:
                if writer is None:
                    code = cv2.VideoWriter_fourcc(*"mp4v")
                    writer = cv2.VideoWriter(str(tmp), cv2.CAP_FFMPEG, code, float(fps), picture.size)
                    if not writer.isOpened():
                        raise AslError(f"{path}: OpenCV cannot write an MP4 there; check the folder and its space, or --to gif")
                writer.write(cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR))
        finally:
            if writer is not None:
                writer.release()
        # OpenCV does not say that the disk became full: the file is looked at
        if missing_bytes(tmp) != 0 or not has_index(tmp):
            raise AslError(f"cannot write {path}: it came out cut short; free space or choose another folder")
