"""One archive of stage 2: a run of clips -> ``<split>-00000.h5``, and an index that says what of.

The index is written after the archive. An archive whose index is there and agrees with its inputs is done and
is not made again; one without is made from the start. So an import can be killed at any moment.
"""

import contextlib
import functools
import hashlib
import json
import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import hash_paths
from asl.common.jsonl import read_jsonl, write_jsonl
from asl.data.recorded import ManifestMismatch, Row, has_video, read_pairs, recorded_rate, source_file
from asl.data.storage import make_cut, write_archive
from asl.data.videos import landmark_file, read_done, video_clip
from asl.landmarks.reading import files_of

# An archive is built in memory: so many clips, or frames (of Holistic's 543 points: 87 MB), at most.
MAX_CLIPS = 256
MAX_FRAMES = 20_000


@dataclass
class ArchiveJob:
    """What one archive is made of.

    Attributes:
        split: its split.
        path: where it goes.
        index: where its index goes.
        folder: the folder of the manifests, which their paths are relative to.
        rows: ``(recording, supervision)`` of each clip, as they stand in the manifests.
        layout: layout to cut out of every clip; None: what each file holds.
        tracking: see ``asl.landmarks.tracking.settle_hands``.
        key: hash of all that decides what comes out.
    """

    split: str
    path: Path
    index: Path
    folder: Path
    rows: List[Tuple[Row, Row]]
    layout: Optional[str]
    tracking: bool = True
    key: str = ""

    @property
    def clips(self) -> Path:
        """Where the landmarks are that were extracted from videos."""
        return self.path.parent / "clips"


def plan_archives(
    data_dir: Path, split: str, layout: Optional[str], tracking: bool = True
) -> List[ArchiveJob]:
    """Divide the clips of a split, in the manifests' order, into archives.

    Raises:
        AslError: a manifest is absent or damaged, or the two do not list the same clips in the same order.
    """
    folder, out = data_dir / split, data_dir / "landmarks"
    runs: List[List[Tuple[Row, Row]]] = []
    frames = MAX_FRAMES
    code = _code_hash()
    for recording, supervision in read_pairs(folder):
        length = recording["num_samples"] // (1001 if recording["sampling_rate"] > 10_000 else 1)
        if frames + length > MAX_FRAMES or len(runs[-1]) == MAX_CLIPS:
            runs.append([])
            frames = 0
        runs[-1].append((recording, supervision))
        frames += length
    jobs = []
    for number, rows in enumerate(runs):
        name = f"{split}-{number:05d}"
        index = out / ".index" / f"{name}.jsonl.gz"
        job = ArchiveJob(split, out / f"{name}.h5", index, folder, rows, layout, tracking)
        job.key = _key(job, code)
        jobs.append(job)
    return jobs


def _code_hash() -> str:
    """Archives made by other code than this are made again."""
    package = Path(__file__).parent.parent
    rooms = {
        "common": ("rates",),
        "data": ("archives", "recorded", "storage", "videos"),
        "landmarks": (
            "array_files", "face_mesh", "frame_folders", "layouts", "npz_files", "openpose_files", "pose_files",
            "reading", "tracking",
        ),
    }
    return hash_paths(package / room / f"{name}.py" for room, names in rooms.items() for name in names)


def _key(job: ArchiveJob, code: str) -> str:
    digest = hashlib.sha256(f"{code} {job.path.name} {job.layout} {job.tracking}\n".encode())
    for recording, supervision in job.rows:
        digest.update(json.dumps([recording, supervision], sort_keys=True).encode())
        source = source_file(recording, job.folder)
        if has_video(recording, supervision, job.folder):
            files = [source, landmark_file(job.clips, recording["id"])]
        else:
            files = files_of(source)
        for file in files:
            with contextlib.suppress(OSError):
                stat = os.stat(file)
                digest.update(f" {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def read_index(job: ArchiveJob) -> Optional[Row]:
    """Return the index's head (key, bytes, failed, notes, stats, layouts) where the archive is done, else None."""
    try:
        head = next(read_jsonl(job.index))
        done = head["key"] == job.key and head["bytes"] == job.path.stat().st_size
    except (AslError, OSError, KeyError, StopIteration):
        return None
    return head if done else None


def read_index_cuts(job: ArchiveJob) -> Iterator[Row]:
    """Yield the cut rows of a done archive."""
    rows = read_jsonl(job.index)
    next(rows)
    return rows


def make_archive(job: ArchiveJob) -> Row:
    """Read the clips of ``job``, write its archive, then its index; return the index's head.

    A clip that cannot be used is left out and listed under ``failed`` with what is wrong with it; what is odd about
    one that is used, under ``notes``.

    Raises:
        AslError: the archive or its index cannot be written.
    """
    arrays: List[Tuple[str, np.ndarray]] = []
    cuts: List[Row] = []
    failed: List[Row] = []
    notes: List[Row] = []
    layouts: Dict[str, str] = {}
    stats: Dict[str, float] = {}
    for recording, supervision in job.rows:
        clip_id = recording["id"]
        try:
            array, layout, fps, counts, odd = _read_clip(recording, supervision, job)
        except AslError as e:
            kind = _kind(e, source_file(recording, job.folder))
            failed.append({"id": clip_id, "split": job.split, "kind": kind, "reason": str(e)})
            continue
        arrays.append((clip_id, array))
        timed = {**supervision, "duration": len(array) * fps.denominator / fps.numerator}  # headers of videos lie
        cuts.append(make_cut(recording, timed, array, fps, layout, f"../landmarks/{job.path.name}"))
        layouts.setdefault(layout, clip_id)
        add_counts(stats, {**counts, "clips": 1, "frames": len(array)})
        notes += [{"id": clip_id, "split": job.split, "note": note} for note in odd]
    write_archive(job.path, arrays)
    size = job.path.stat().st_size
    head = {"key": job.key, "bytes": size, "failed": failed, "notes": notes, "stats": stats, "layouts": layouts}
    write_jsonl(job.index, [head, *cuts])
    return head


def add_counts(total: Dict[str, float], counts: Dict[str, Any]) -> None:
    """Add ``counts`` to ``total`` by name."""
    for name, value in counts.items():
        total[name] = total.get(name, 0) + value


class NotExtracted(AslError):
    """A clip has a video, and no landmarks were extracted from it."""


def _kind(error: AslError, path: Path) -> str:
    if isinstance(error, NotExtracted):
        return "not_extracted"
    if isinstance(error, ManifestMismatch):
        return "changed"
    return "unusable" if path.exists() else "missing"


@functools.lru_cache(maxsize=2)  # the clips of a video come one after the other
def _read_whole(path: Path, layout: Optional[str], changed: int) -> Any:
    """A whole file; ``changed`` is when it was written, so that another one under its name is read."""
    from asl.landmarks.reading import read_landmarks

    return read_landmarks(path, layout)


def _read_clip(
    recording: Row, supervision: Row, job: ArchiveJob
) -> Tuple[np.ndarray, str, Fraction, Dict[str, Any], Tuple[str, ...]]:
    """Return array ``(frames, points, dims)``, layout, fps, what tracking counted and what is odd about the file.

    ``source_frames`` in the supervision's ``custom`` says which frames of the file are the clip; without it all are.
    The landmarks of a video have their own length and rate: its header, which stage 1 read, is often wrong.
    """
    from asl.landmarks.tracking import settle_hands

    path, clip = _read_source(recording, supervision, job)
    rate, samples = recording["sampling_rate"], recording["num_samples"]
    if has_video(recording, supervision, job.folder):
        assert clip.fps is not None  # asl.landmarks.npz_files writes it
        fps = clip.fps
    else:
        fps = recorded_rate(rate, samples, len(clip.array), path)
    array, counts = settle_hands(clip, job.tracking)
    if counts:
        counts = {**counts, "stale_clips": int(counts["stale"] > 0)}
    if not np.isfinite(array[..., 0]).any():
        raise AslError(f"{path}: nothing is left once hands of the clip before are masked; leave it out")
    return array, clip.layout, fps, counts, clip.notes


def _read_source(recording: Row, supervision: Row, job: ArchiveJob) -> Tuple[Path, Any]:
    """The landmark file of a clip, and what is the clip's of it."""
    from asl.landmarks.reading import read_landmarks

    path = source_file(recording, job.folder)
    if has_video(recording, supervision, job.folder):
        video = video_clip(recording, supervision, job.folder, job.clips)
        if not video.out.is_file():
            raise NotExtracted(f"{path}: no landmarks were extracted from it; asl landmarks extract does, and its "
                               "report, landmarks/extract.json, says what is wrong with the clip")
        if read_done(video) is None:
            raise ManifestMismatch(f"{video.out} was not extracted from {path} as it is now; extract it again")
        return video.out, read_landmarks(video.out, job.layout)
    span = (supervision.get("custom") or {}).get("source_frames")
    if span is None:
        return path, read_landmarks(path, job.layout)
    clip = _read_whole(path, job.layout, path.stat().st_mtime_ns if path.exists() else 0)
    return path, replace(clip, array=clip.array[slice(*span)].copy())
