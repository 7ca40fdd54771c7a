"""A second stream beside the landmarks: precomputed vectors, one a clip or one a frame, in ``.npy`` files.

For example a vision-language model's embeddings. They are read at the very times at which the pipeline reads
the landmarks (trimmed, resampled, bent in time) and become the last part of the feature vector, ``extra``.
What changes the picture (mirroring, turning, losing a hand) leaves them as they are.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, List, Literal, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.landmarks.resample import read_at

EXTRA = "extra"
_NAMED = 10  # clips that a message names at most


@dataclass
class StreamConfig:
    """Where the second stream is and what it looks like.

    Args:
        dir: folder of ``<cut id>.npy`` or ``<recording id>.npy``; a relative one lies in the data folder.
        dim: numbers of a vector.
        per: clip: one vector ``(dim,)``; frame: ``(frames, dim)``, one for every frame of the landmarks.
        missing: error: every clip must have its file; zero: where there is none (or NaN stands in it) the
            vector is 0 and its last feature, found, too.
    """

    dir: str
    dim: int
    per: Literal["clip", "frame"] = "clip"
    missing: Literal["error", "zero"] = "error"

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise AslError(f"data.extra.dim is {self.dim}; give how many numbers a vector has")


class Stream:
    """The second stream of the cuts of a data folder.

    Args:
        config: where it is and what it looks like.
        data_dir: the recipe's data folder.
    """

    def __init__(self, config: StreamConfig, data_dir: PathLike) -> None:
        self.config, self.folder = config, Path(data_dir) / config.dir

    @property
    def width(self) -> int:
        """Features of a frame: the vector and whether it was found."""
        return self.config.dim + 1

    def find(self, cut: Any) -> Optional[Path]:
        """The file of a cut, or else of its recording; None where there is neither."""
        paths = (self.folder / f"{name}.npy" for name in (cut.id, cut.features.recording_id))
        return next((path for path in paths if path.is_file()), None)

    def check(self, cuts: Iterable[Any], split: str, report: bool = True) -> None:
        """Look for the file of every cut, and into the first that is there.

        Args:
            report: whether to print how many are missing and which, where this is allowed.

        Raises:
            AslError: no such folder, files are missing (and may not), or the first is not as configured.
        """
        if not self.folder.is_dir():
            raise AslError(
                f"data.extra.dir: there is no folder {self.folder}; a relative one lies in the data folder"
            )
        missing, total, looked = [], 0, False
        for cut in cuts:
            total += 1
            path = self.find(cut)
            if path is None:
                missing.append(cut.id)
            elif not looked:
                self.read(cut)
                looked = True
        if not missing:
            return
        more = f" and {len(missing) - _NAMED} more" if missing[_NAMED:] else ""
        named = ", ".join(missing[:_NAMED]) + more
        what = f"{split}: {len(missing)} of {total} clips have no .npy file in {self.folder}"
        if self.config.missing == "error":
            raise AslError(f"{what} ({named}); make them, or set data.extra.missing to zero")
        if report:
            print(f"{what}, zeros stand for it: {named}")

    def read(self, cut: Any) -> Tuple[np.ndarray, np.ndarray]:
        """Return what there is of a cut: float32 ``(rows, dim)`` and which rows are known, ``(rows,)``.

        One row, or one for each of the cut's frames; 0 where not known.

        Raises:
            AslError: the file is missing (and may not), damaged, or has another shape than is configured;
                names the file and both numbers.
        """
        config, path = self.config, self.find(cut)
        if path is None and config.missing == "error":
            raise AslError(f"cut {cut.id}: there is no {cut.id}.npy in {self.folder}; make it")
        if path is None:
            rows = 1 if config.per == "clip" else cut.num_frames
            return np.zeros((rows, config.dim), np.float32), np.zeros(rows, bool)
        stored = _load(path)
        array = stored[None] if config.per == "clip" and stored.ndim == 1 else stored
        if array.ndim != 2 or array.shape[1] != config.dim:
            numbers = stored.shape[-1] if stored.ndim else 0
            raise AslError(
                f"{path} holds vectors of {numbers} numbers (shape {stored.shape}), but data.extra.dim is "
                f"{config.dim}; set it right, or compute the file again"
            )
        first, wanted = self._span(cut, path)
        if len(array) != wanted:
            each = f"{wanted}, one for each frame of its landmarks"
            what = each if config.per == "frame" else "1 (per: clip)"
            raise AslError(f"cut {cut.id}: {path} has {len(array)} rows, not {what}; compute it again")
        if config.per == "frame":
            array = array[first : first + cut.num_frames]
        with np.errstate(over="ignore"):
            array = np.array(array, dtype=np.float32)
        if np.isinf(array).any():
            raise AslError(f"{path} holds infinite numbers; compute it again (NaN: there is nothing)")
        known = ~np.isnan(array).any(axis=1)
        array[~known] = 0
        return array, known

    def _span(self, cut: Any, path: Path) -> Tuple[int, int]:
        """First row of the cut in its file, and how many rows the file must have."""
        from lhotse.utils import compute_num_frames

        features = cut.features
        if self.config.per == "clip":
            return 0, 1
        if path != self.folder / f"{features.recording_id}.npy":
            return 0, cut.num_frames
        start = compute_num_frames(cut.start - features.start, features.frame_shift, features.sampling_rate)
        return start, features.num_frames

    def features(self, cuts: Sequence[Any], positions: Tensor, lengths: Tensor) -> Tensor:
        """The stream at the frames that the pipeline gives.

        Args:
            positions: ``(batch, frames)`` where they were read, in frames of each cut.
            lengths: ``(batch,)`` how many of them are in each clip.

        Returns:
            float32 ``(batch, frames, dim + 1)``, 0 beyond a clip's end; the last is 1 where the vector is
            known (between two rows of which one is known, that one is taken).
        """
        rows = [self.read(cut) for cut in cuts]
        x, known = _pad([a for a, _ in rows]), _pad([k for _, k in rows])
        at = torch.zeros_like(positions) if self.config.per == "clip" else positions
        values, found = read_at(x[:, :, None], known[:, :, None], at)
        inside = torch.arange(positions.shape[1])[None, :] < lengths[:, None]
        found &= inside[..., None]
        return torch.cat([values[:, :, 0] * found.to(x.dtype), found.to(x.dtype)], dim=-1)


def _load(path: Path) -> np.ndarray:
    """Map a ``.npy`` file of numbers: of a long recording only the rows of one cut are read."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise AslError(f"{path} cannot be read as .npy ({reason}); compute it again") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        kind = getattr(array, "dtype", "an archive")
        raise AslError(f"{path} holds no real numbers ({kind}); compute it again")
    return array


def _pad(arrays: List[np.ndarray]) -> Tensor:
    """Stack ``(rows, ...)`` arrays, padded by 0 or False."""
    longest = max(len(a) for a in arrays)
    out = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(out, arrays):
        row[: len(array)] = array
    return torch.from_numpy(out)
