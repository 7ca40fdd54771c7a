"""The video of a cut: where it is, when its landmarks' frames are in it, and the pictures at those times."""

from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.common.jsonl import read_jsonl
from asl.data.recorded import Row, source_file
from asl.data.storage import cut_fps
from asl.data.videos import landmark_file
from asl.landmarks.video import is_video, read_frames

_NTSC = (24_000, 30_000, 60_000, 120_000)  # rates whose frames last 1001 samples
_LATE = 0.25  # seconds that a clip's last frame may come after the video's


class ClipVideo(NamedTuple):
    """Where the pictures of a cut are.

    Attributes:
        path: a video, or a folder of numbered frames.
        fps: frames per second of a folder (None: a file knows its own).
        times: ``(frames,)`` seconds in the video of each frame of the cut's landmarks.
    """

    path: Path
    fps: Optional[Fraction]
    times: np.ndarray


def find_recordings(data: PathLike, split: str, ids: Iterable[str]) -> Dict[str, Row]:
    """The rows of ``<data>/<split>/recordings.jsonl.gz`` of those recordings that it has; none without the file."""
    path, wanted = Path(data) / split / "recordings.jsonl.gz", set(ids)
    found: Dict[str, Row] = {}
    for row in read_jsonl(path) if path.is_file() else ():
        if row.get("id") in wanted:
            found[row["id"]] = row
            if len(found) == len(wanted):
                break
    return found


def find_video(
    cut: Any, frames: int, recording: Optional[Row], data: PathLike, split: str, video: str = ""
) -> ClipVideo:
    """Where the video of a cut is.

    Args:
        cut: a lhotse cut.
        frames: how many its landmarks have.
        recording: its row of the recordings, or None.
        data, split: the data folder and its split.
        video: a video or folder of frames to take; by default the one that the landmarks were extracted from.

    Raises:
        AslError: the landmarks were not extracted from a video, and none is given; or it is not there.
    """
    source = source_file(recording, Path(data) / split) if recording else None
    if video:
        source = Path(video)
    elif source is None or not is_video(source):
        why = f"come from {source}, which is no video, or gone" if source else "are of no recording that is known"
        raise AslError(f"cut {cut.id}: its landmarks {why}; give its video by --video FILE")
    if not source.exists():
        raise AslError(f"cut {cut.id}: its video {source} is not there; give it by --video FILE, or leave it out")
    fps = None
    if source.is_dir():
        rate = recording["sampling_rate"] if recording else 0
        fps = Fraction(rate, 1001 if rate in _NTSC else 1) if rate else cut_fps(cut)
    return ClipVideo(source, fps, frame_times(cut, frames, data))


def frame_times(cut: Any, frames: int, data: PathLike) -> np.ndarray:
    """``(frames,)`` seconds in its video of each frame of a cut.

    What was extracted says them itself; otherwise they are counted from the cut's beginning in its recording.
    """
    extracted = landmark_file(Path(data) / "landmarks" / "clips", cut.features.recording_id)
    if extracted.is_file():
        with np.load(extracted, allow_pickle=False) as arrays:
            times = arrays["times"] if "times" in arrays else ()
        if len(times) == frames:
            return np.asarray(times, dtype=np.float64)
    custom = (cut.supervisions[0].custom or {}) if cut.supervisions else {}
    fps, start = cut_fps(cut), cut.start
    if custom.get("source_times"):
        start += custom["source_times"][0]
    elif custom.get("source_frames"):
        start += custom["source_frames"][0] / float(fps)
    return start + np.arange(frames) / float(fps)


def pictures_at(video: ClipVideo, times: Sequence[float]) -> Iterator[np.ndarray]:
    """Yield the picture ``(height, width, 3)`` uint8 RGB that is nearest to each of ``times``, which ascend.

    The video is decoded once, from its beginning up to the last of them.

    Raises:
        AslError: the video cannot be read, or ends before.
    """
    last, todo = None, list(times)
    for frame in read_frames(video.path, video.fps):
        while todo and last is not None and todo[0] - last.time <= frame.time - todo[0]:
            yield last.image
            todo.pop(0)
        if not todo:
            return
        last = frame
    for time in todo:
        if last is None or time - last.time > _LATE:
            end = f"ends at {last.time:.2f} s" if last else "has no frame"
            raise AslError(f"{video.path} {end}, but the clip goes on to {times[-1]:.2f} s: is it the clip's video?")
        yield last.image


def picture_size(recording_id: str, recording: Optional[Row], data: PathLike, split: str) -> Optional[Tuple[int, int]]:
    """Width and height of the picture that landmarks are fractions of; None where no file tells."""
    from asl.landmarks import reading
    from asl.landmarks.video import probe_video

    files = [landmark_file(Path(data) / "landmarks" / "clips", recording_id)]
    files += [source_file(recording, Path(data) / split)] if recording else []
    for path in files:
        try:
            if is_video(path) and path.exists():
                info = probe_video(path, Fraction(25))
                return info.width, info.height
            size = reading.picture_size(path) if path.exists() else None
            if size is not None:
                return size
        except (AslError, OSError, ValueError):  # the landmarks are there: what made them need not be whole
            continue
    return None
