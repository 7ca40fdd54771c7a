"""The clips that have only a video: where their landmarks go, what these were made of, and whether that is so still.

The landmarks of a clip are one file, ``<data>/landmarks/clips/<id>.npz``. It says itself what it was made of: the
video's size and time of change, the span and the options. A file that says what would be made now is done.
"""

import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from asl.common.errors import AslError
from asl.data.recorded import Row, has_video, list_splits, read_pairs, source_file
from asl.landmarks.npz_files import read_about

# What was extracted by an older version of this is extracted again: raised where other landmarks come out.
VERSION = 1


@dataclass(frozen=True)
class Settings:
    """What decides, besides the video, which landmarks come out.

    Attributes:
        rate: frames per second (a fraction as text) to bring every clip to; None: the video's own.
        face: points of the face, 468 or 478.
        world: landmarks in metres besides.
        version: ``VERSION``.
    """

    rate: Optional[str] = None
    face: int = 468
    world: bool = False
    version: int = VERSION


@dataclass(frozen=True)
class VideoClip:
    """A clip that has only a video.

    Attributes:
        id, split: as in the manifests.
        source: its video, or folder of frames.
        listed: the same as it stands in the manifest.
        start, end: where in the video, in seconds; None: its beginning, its end.
        rate, samples: of the recording in the manifest.
        out: where its landmarks go.
    """

    id: str
    split: str
    source: Path
    listed: str
    start: Optional[float]
    end: Optional[float]
    rate: int
    samples: int
    out: Path


def landmark_file(clips: Path, clip_id: str) -> Path:
    """Return the landmark file of a clip in the folder ``clips``; an id may hold ``/`` or begin with a dot."""
    name = clip_id.replace("%", "%25").replace("/", "%2F")
    return clips / f"{'%2E' + name[1:] if name.startswith('.') else name}.npz"


def video_clip(recording: Row, supervision: Row, folder: Path, clips: Path) -> VideoClip:
    """Return the clip of two rows of the manifests in ``folder``; its landmarks are in ``clips``."""
    start, end = (supervision.get("custom") or {}).get("source_times") or (None, None)
    return VideoClip(
        recording["id"], folder.name, source_file(recording, folder), recording["sources"][0]["source"],
        start, end, recording["sampling_rate"], recording["num_samples"],
        landmark_file(clips, recording["id"]),
    )  # fmt: skip


def list_video_clips(root: Path) -> List[VideoClip]:
    """All clips of the data folder ``root`` that have only a video.

    Raises:
        AslError: no manifests, damaged ones, or an id that two splits have.
    """
    found: Dict[str, VideoClip] = {}
    for split in list_splits(root):
        for recording, supervision in read_pairs(root / split):
            if has_video(recording, supervision, root / split):
                clip = video_clip(recording, supervision, root / split, root / "landmarks" / "clips")
                other = found.setdefault(clip.id, clip)
                if other is not clip:
                    raise AslError(f"{root}: {clip.split} and {other.split} both list {clip.id!r}; run stage 1 again")
    return list(found.values())


def source_state(path: Path) -> Dict[str, int]:
    """What changes when a video does: files (of a folder; else 1), bytes, and when it was last written to.

    Raises:
        OSError: it is not there or cannot be looked at.
    """
    status = os.stat(path)
    files = [status]
    if stat.S_ISDIR(status.st_mode):
        with os.scandir(path) as entries:
            files = [entry.stat() for entry in entries]
    return {
        "files": len(files),
        "size": sum(s.st_size for s in files),
        "mtime_ns": max((s.st_mtime_ns for s in files), default=status.st_mtime_ns),
    }


def identity(clip: VideoClip, settings: Settings, state: Dict[str, int]) -> Dict[str, Any]:
    """What the landmarks of a clip are made of, as it stands in their file."""
    recorded = [clip.rate, clip.samples] if clip.source.is_dir() else None  # a folder has no rate of its own
    return {"video": state, "span": [clip.start, clip.end], "recorded": recorded, "settings": asdict(settings)}


def read_done(clip: VideoClip, settings: Optional[Settings] = None) -> Optional[Dict[str, Any]]:
    """What the clip's landmark file says of itself, where it is whole and made of what would be taken now, else None.

    Landmarks of a video that is gone by now, or cannot be looked at (a disk that is not there for a moment), are good.
    ``settings`` None: those that it was made with are right.
    """
    about = read_about(clip.out)
    made_of = (about or {}).get("made_of")
    if not isinstance(made_of, dict):
        return None
    try:
        state = source_state(clip.source)
        wanted = identity(clip, settings or Settings(), state)
    except OSError:
        wanted = identity(clip, settings or Settings(), made_of.get("video", {}))
        wanted["recorded"] = made_of.get("recorded")
    if settings is None:
        wanted["settings"] = made_of.get("settings")
    return about if made_of == wanted else None


def by_video(clips: List[VideoClip]) -> Iterator[List[VideoClip]]:
    """Yield the clips of each video together, the longest in sum first (so that none is left to the end)."""
    groups: Dict[Path, List[VideoClip]] = {}
    for clip in clips:
        groups.setdefault(clip.source, []).append(clip)
    yield from sorted(groups.values(), key=lambda group: -max(_end(clip) for clip in group))


def _end(clip: VideoClip) -> float:
    """Seconds of the video up to the clip's end, as far as the manifest knows: what decoding costs."""
    return clip.end if clip.end is not None else (clip.start or 0.0) + clip.samples / clip.rate
