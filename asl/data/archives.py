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
from asl.data.storage import make_cut, write_archive

# An archive is built in memory: so many clips, or frames (of Holistic's 543 points: 87 MB), at most.
MAX_CLIPS = 256
MAX_FRAMES = 20_000

Row = Dict[str, Any]


class ManifestMismatch(AslError):
    """A landmark file is not the one that stage 1 wrote down."""


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
    for recording, supervision in _pairs(folder):
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


def _pairs(folder: Path) -> Iterator[Tuple[Row, Row]]:
    names = [folder / f"{kind}.jsonl.gz" for kind in ("recordings", "supervisions")]
    recordings, supervisions = (read_jsonl(name) for name in names)
    seen = set()
    for number, recording in enumerate(recordings, 1):
        supervision = next(supervisions, {})
        clip_id = recording.get("id")
        if clip_id is None or supervision.get("recording_id") != clip_id:
            raise AslError(
                f"{names[1]} line {number}: of recording {supervision.get('recording_id')!r}, but {names[0]} "
                f"has {clip_id!r} there; they must list the same clips in the same order: run stage 1 again"
            )
        if clip_id in seen:
            raise AslError(f"{names[0]} line {number}: {clip_id!r} is listed twice; run stage 1 again")
        seen.add(clip_id)
        yield recording, supervision
    extra = next(supervisions, None)
    if extra is not None:
        raise AslError(f"{names[1]}: {extra.get('id')!r} has no recording in {names[0]}; run stage 1 again")


def _code_hash() -> str:
    """Archives made by other code than this are made again."""
    package = Path(__file__).parent.parent
    rooms = {
        "common": ("rates",),
        "data": ("archives", "storage"),
        "landmarks": ("face_mesh", "layouts", "pose_files", "reading", "tracking"),
    }
    return hash_paths(package / room / f"{name}.py" for room, names in rooms.items() for name in names)


def _key(job: ArchiveJob, code: str) -> str:
    digest = hashlib.sha256(f"{code} {job.path.name} {job.layout} {job.tracking}\n".encode())
    for recording, supervision in job.rows:
        digest.update(json.dumps([recording, supervision], sort_keys=True).encode())
        with contextlib.suppress(OSError):
            stat = os.stat(source_file(recording, job.folder))
            digest.update(f" {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def source_file(recording: Row, folder: Path) -> Path:
    """Return the landmark file of a recording; its path stands in the manifest relative to ``folder``."""
    return Path(os.path.normpath(os.path.join(os.path.realpath(folder), recording["sources"][0]["source"])))


def read_index(job: ArchiveJob) -> Optional[Row]:
    """Return the index's head (key, bytes, failed, stats, layouts) where the archive is done, else None."""
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

    A clip that cannot be used is left out and listed under ``failed`` with what is wrong with it.

    Raises:
        AslError: the archive or its index cannot be written.
    """
    arrays: List[Tuple[str, np.ndarray]] = []
    cuts: List[Row] = []
    failed: List[Row] = []
    layouts: Dict[str, str] = {}
    stats: Dict[str, float] = {}
    for recording, supervision in job.rows:
        clip_id = recording["id"]
        try:
            array, layout, fps, counts = _read_clip(recording, supervision, job)
        except AslError as e:
            kind = _kind(e, recording, job)
            failed.append({"id": clip_id, "split": job.split, "kind": kind, "reason": str(e)})
            continue
        arrays.append((clip_id, array))
        cuts.append(make_cut(recording, supervision, array, fps, layout, f"../landmarks/{job.path.name}"))
        layouts.setdefault(layout, clip_id)
        add_counts(stats, {**counts, "clips": 1, "frames": len(array)})
    write_archive(job.path, arrays)
    size = job.path.stat().st_size
    head = {"key": job.key, "bytes": size, "failed": failed, "stats": stats, "layouts": layouts}
    write_jsonl(job.index, [head, *cuts])
    return head


def add_counts(total: Dict[str, float], counts: Dict[str, Any]) -> None:
    """Add ``counts`` to ``total`` by name."""
    for name, value in counts.items():
        total[name] = total.get(name, 0) + value


def _kind(error: AslError, recording: Row, job: ArchiveJob) -> str:
    if isinstance(error, ManifestMismatch):
        return "changed"
    return "unusable" if source_file(recording, job.folder).is_file() else "missing"


@functools.lru_cache(maxsize=2)  # the clips of a video come one after the other
def _read_whole(path: Path, layout: Optional[str], changed: int) -> Any:
    """A whole file; ``changed`` is when it was written, so that another one under its name is read."""
    from asl.landmarks.reading import read_landmarks

    return read_landmarks(path, layout)


def _read_clip(
    recording: Row, supervision: Row, job: ArchiveJob
) -> Tuple[np.ndarray, str, Fraction, Dict[str, Any]]:
    """Return array ``(frames, points, dims)``, layout, fps and what tracking counted.

    ``source_frames`` in the supervision's ``custom`` says which frames of the file are the clip; without it all are.
    """
    from asl.landmarks.reading import read_landmarks
    from asl.landmarks.tracking import settle_hands

    path = source_file(recording, job.folder)
    span = (supervision.get("custom") or {}).get("source_frames")
    if span is None:
        clip = read_landmarks(path, job.layout)
    else:
        clip = _read_whole(path, job.layout, path.stat().st_mtime_ns if path.is_file() else 0)
        clip = replace(clip, array=clip.array[slice(*span)].copy())
    fps = _fps(recording, len(clip.array), path)
    array, counts = settle_hands(clip, job.tracking)
    if counts:
        counts = {**counts, "stale_clips": int(counts["stale"] > 0)}
    if not np.isfinite(array[..., 0]).any():
        raise AslError(f"{path}: nothing is left once hands of the clip before are masked; leave it out")
    return array, clip.layout, fps, counts


def _fps(recording: Row, frames: int, path: Path) -> Fraction:
    """Return the recording's fps: its sampling rate over the samples that one frame lasts."""
    rate, samples = recording["sampling_rate"], recording["num_samples"]
    hop, rest = divmod(samples, frames) if frames else (0, samples)
    fps = Fraction(rate, max(hop, 1))
    ntsc = rate in (24_000, 30_000, 60_000, 120_000)
    if rest or fps.numerator != rate or hop > 1001 or (ntsc and hop != 1001):
        raise ManifestMismatch(
            f"{path} has {frames} frames, but stage 1 wrote down {recording['duration']:.3f} s at a rate of "
            f"{rate} / frame; it was changed since: run stage 1 again"
        )
    return fps
