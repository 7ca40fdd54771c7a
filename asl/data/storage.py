"""Landmarks on disk: lhotse's ``numpy_hdf5`` archives, the cuts that point into them, and reading both.

An archive is a flat HDF5 file with one matrix ``(frames, points * dims)`` a clip, float16 or float32 as it
was given, NaN where a point was not found. It is built in memory and written under a temporary name, so that
an archive under its final name is whole, and it holds no time stamps: the same clips give the same bytes.

Time is exact: with fps = N / D the sampling rate is N and a frame lasts D samples (30000 and 1001 for 29.97).
"""

import collections
import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike, atomic_path
from asl.common.jsonl import read_jsonl, write_jsonl

STORAGE = "numpy_hdf5"
TYPE_PREFIX = "landmarks."


def archive_key(clip_id: str) -> str:
    """Return the name of a clip inside an archive: its id, but HDF5 takes ``/`` and ``.`` for folders."""
    return clip_id.replace("%", "%25").replace("/", "%2F").replace(".", "%2E")


def write_archive(path: PathLike, clips: Iterable[Tuple[str, np.ndarray]]) -> None:
    """Write ``(clip id, (frames, points, dims))`` pairs as one archive, atomically.

    Raises:
        AslError: the disk is full or the folder cannot be written; nothing is left under ``path``.
        ValueError: an array that is not float16 or float32, or not of three dimensions.
    """
    import h5py

    # In memory first: when HDF5 itself meets a full disk it cannot close the file any more.
    with h5py.File("archive.h5", "w", driver="core", backing_store=False) as file:
        for clip_id, array in clips:
            if array.dtype not in (np.float16, np.float32) or array.ndim != 3:
                raise ValueError(f"{clip_id}: {array.dtype} {array.shape}; not float16 or float32 of 3 dims")
            file.create_dataset(archive_key(clip_id), data=array.reshape(array.shape[0], -1))
        file.flush()
        image = file.id.get_file_image()
    with atomic_path(path) as tmp:
        tmp.write_bytes(image)


def make_cut(recording: Dict[str, Any], supervision: Dict[str, Any], array: np.ndarray, fps: Fraction,
             layout: str, storage_path: str) -> Dict[str, Any]:  # fmt: skip
    """Return the row of ``cuts.jsonl.gz`` (a lhotse MonoCut) for one clip.

    Args:
        recording, supervision: rows of the stage 1 manifests.
        array: ``(frames, points, dims)`` as it stands in the archive.
        fps: frames per second.
        layout: name of the landmark layout.
        storage_path: the archive, relative to the folder of ``cuts.jsonl.gz``.
    """
    from lhotse import Features, MonoCut, SupervisionSegment

    frames = array.shape[0]
    duration = frames * fps.denominator / fps.numerator
    features = Features(
        type=TYPE_PREFIX + layout, num_frames=frames, num_features=math.prod(array.shape[1:]),
        frame_shift=fps.denominator / fps.numerator, sampling_rate=fps.numerator,
        start=0.0, duration=duration, recording_id=recording["id"], channels=0,
        storage_type=STORAGE, storage_path=storage_path, storage_key=archive_key(recording["id"]),
    )  # fmt: skip
    segment = SupervisionSegment.from_dict(dict(supervision))
    return MonoCut(
        id=recording["id"], start=0.0, duration=duration, channel=0, supervisions=[segment], features=features
    ).to_dict()


def write_cuts(path: PathLike, rows: Iterable[Dict[str, Any]]) -> int:
    """Write the rows of ``make_cut`` to ``path`` (``cuts.jsonl.gz``), atomically; return how many."""
    return write_jsonl(path, rows)


def check_new_split(data_dir: PathLike, out: str) -> None:
    """Refuse to make a split ``out`` where there is one of recorded clips, whose cuts it would replace.

    Raises:
        AslError: ``out`` is a path, or such a split.
    """
    if Path(out).name != out or out == "..":
        raise AslError(f"--out {out}: give the name of a new split, not a path")
    recorded = Path(data_dir) / out / "recordings.jsonl.gz"
    if recorded.exists():
        raise AslError(f"--out {out}: {recorded} says that this is a split of recorded clips; give another name")


class CutManifest:
    """The cuts of a manifest, read from its start at each iteration, a line at a time.

    Storage paths, which stand in the file relative to its folder, come out absolute: the recipe folder can be
    moved and the working directory does not matter. (lhotse itself takes them from the working directory, so
    its own commands that read arrays are run from the manifest's folder.)
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def __iter__(self) -> Iterator[Any]:
        from lhotse.cut.set import deserialize_cut

        folder = os.path.realpath(self.path.parent)
        for number, row in enumerate(read_jsonl(self.path), 1):
            try:
                row["features"]["storage_path"] = os.path.normpath(
                    os.path.join(folder, row["features"]["storage_path"])
                )
                yield deserialize_cut(row)
            except (KeyError, TypeError, ValueError) as e:
                raise AslError(
                    f"{self.path} line {number}: not a cut with landmarks ({e!r}); run stage 2 again"
                ) from e


def open_cuts(data_dir: PathLike, split: str) -> Any:
    """Open ``<data_dir>/<split>/cuts.jsonl.gz`` as a lazy lhotse CutSet with absolute storage paths.

    Nothing is read before it is iterated, so that 200,000 clips cost no memory.

    Raises:
        AslError: there is no such manifest (iterating raises one for a damaged line).
    """
    from lhotse import CutSet

    path = Path(data_dir) / split / "cuts.jsonl.gz"
    if not path.is_file():
        there = sorted(p.parent.name for p in Path(data_dir).glob("*/cuts.jsonl.gz"))
        known = f"there are cuts for: {', '.join(there)}" if there else "run stage 2 (asl landmarks import)"
        raise AslError(f"{path} does not exist; {known}")
    return CutSet(CutManifest(path))


def cut_layout(cut: Any) -> str:
    """Return the name of the landmark layout of a cut."""
    return cut.features.type[len(TYPE_PREFIX):]  # fmt: skip


def cut_fps(cut: Any) -> Fraction:
    """Return the frames per second of a cut as a fraction."""
    rate = cut.features.sampling_rate
    return Fraction(rate, round(cut.features.frame_shift * rate))


class ArchiveReader:
    """Read the landmarks of cuts, with a bounded number of archives open.

    lhotse's own reader keeps every archive that it has ever seen open, which meets the limit on open files
    at a few hundred thousand clips.

    Args:
        max_open: archives that are held open; the one unused for longest is closed first.
    """

    def __init__(self, max_open: int = 64) -> None:
        self._max_open = max_open
        self._open: "collections.OrderedDict[str, Any]" = collections.OrderedDict()
        self._pid = os.getpid()

    def __getstate__(self) -> Dict[str, Any]:
        return {"_max_open": self._max_open, "_open": collections.OrderedDict(), "_pid": -1}

    def read(self, cut: Any) -> np.ndarray:
        """Return ``(frames, points * dims)`` of the span of ``cut`` (a truncated cut gives a part).

        Raises:
            AslError: the archive is not there, is damaged, or does not hold the clip; names cut and file.
        """
        from lhotse.utils import compute_num_frames

        features = cut.features
        dataset = self._dataset(cut.id, features.storage_path, features.storage_key)
        first = compute_num_frames(cut.start - features.start, features.frame_shift, features.sampling_rate)
        wanted = compute_num_frames(cut.duration, features.frame_shift, features.sampling_rate)
        array = dataset[first : first + wanted]
        if array.shape != (wanted, features.num_features):
            raise AslError(
                f"cut {cut.id}: {features.storage_path} holds {array.shape[0]} frames of {array.shape[-1]} "
                f"numbers, the manifest says {wanted} of {features.num_features}; run stage 2 again"
            )
        return array

    def close(self) -> None:
        """Close all archives."""
        while self._open:
            self._open.popitem()[1].close()

    def _dataset(self, cut_id: str, path: str, key: str) -> Any:
        import h5py

        if self._pid != os.getpid():  # handles that a fork brought along share their place in the file
            self._open, self._pid = collections.OrderedDict(), os.getpid()
        try:
            if path not in self._open:
                while len(self._open) >= self._max_open:
                    self._open.popitem(last=False)[1].close()
                self._open[path] = h5py.File(path, "r")
            self._open.move_to_end(path)
            return self._open[path][key]
        except FileNotFoundError:
            raise AslError(
                f"cut {cut_id}: the manifest names {path}, which does not exist; run stage 2 again"
            ) from None
        except OSError as e:
            raise AslError(f"cut {cut_id}: cannot read {path} ({e}); run stage 2 again") from e
        except KeyError:
            raise AslError(f"cut {cut_id}: {path} holds no '{key}'; run stage 2 again") from None
