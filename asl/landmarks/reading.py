"""Landmark files of corpus owners -> one array a clip.

=======  ==============================================================================================
``.npy``  ``(frames, 2, 21, 3)``: two hands in the order of detection (slots), NOT left and right: such a
          clip has ``slots`` True, and ``tracking.settle_hands`` makes a ``hands42`` array of it; or
          ``(frames, points, dims)`` in a known layout. -1 (in all coordinates of a point) or NaN: not found.
``.npz``  How2Sign's: ``pose`` (frames, 33, 4), ``face`` (frames, 468 or 478, 3), ``left_hand`` and
          ``right_hand`` (frames, 21, 3), ``fps``, ``width``, ``height``; NaN: not found.
``.pose`` pose-format's, from MediaPipe Holistic or OpenPose; see ``pose_files``.
=======  ==============================================================================================

``read_landmarks(path)`` reads a clip, ``probe(path)`` only says how long it is. float16 stays float16 (so
that storing it again loses nothing), everything else becomes float32.
"""

import zipfile
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Mapping, Optional, Tuple, Union

import numpy as np

from asl.common.errors import AslError
from asl.common.rates import snap_rate
from asl.landmarks.layouts import LAYOUTS, get_layout, guess_layout, subset

SUFFIXES = (".npy", ".npz", ".pose")
SLOTS_SHAPE = (2, 21, 3)
_NOT_FOUND = -1
_BROKEN = (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Clip:
    """The landmarks of one clip.

    Attributes:
        array: ``(frames, points, dims)`` float16 or float32, NaN where a point was not found; where ``slots``
            is True ``(frames, 2, 21, 3)``.
        layout: name of the layout (that it will have after tracking, where ``slots`` is True).
        fps: frames per second, or None where the file does not say.
        width, height: of the picture in pixels, or None.
        slots: the two hands are in the order of detection and have to be tracked
            (``asl.landmarks.tracking.settle_hands``).
    """

    array: np.ndarray
    layout: str
    fps: Optional[Fraction] = None
    width: Optional[int] = None
    height: Optional[int] = None
    slots: bool = False


def read_landmarks(path: Union[str, Path], layout: Optional[str] = None) -> Clip:
    """Read one clip.

    Args:
        path: a ``.npy``, ``.npz`` or ``.pose`` file.
        layout: the layout to return; it is cut out of what the file holds. None: all that the file holds.

    Raises:
        AslError: no such file, unknown suffix, cut short or not of its format, wrong shape or components, no
            frames, no point found in any frame, or ``layout`` cannot be cut out of it.
    """
    path = _existing(path)
    read = {".npy": _read_npy, ".npz": _read_npz, ".pose": _read_pose}[path.suffix]
    clip = read(path, layout)
    if len(clip.array) == 0:
        raise AslError(f"{path}: zero frames; leave the clip out or extract it again")
    if not np.isfinite(clip.array[..., 0]).any():
        what = "hand" if get_layout(clip.layout).points[0].startswith("hand") else "point"
        raise AslError(f"{path}: no {what} found in any of its {len(clip.array)} frames; leave the clip out")
    return clip


def probe(path: Union[str, Path]) -> Tuple[int, Optional[Fraction]]:
    """Frames of a clip and its fps (None where the file does not say), reading as little as possible.

    Of ``.npy`` only the header is read and the file's size compared with it; of ``.npz`` the headers and fps.

    Raises:
        AslError: as ``read_landmarks``, except that nobody looks whether anything was found.
    """
    path = _existing(path)
    if path.suffix == ".npy":
        with open(path, "rb") as file:
            shape, dtype = _header(path, file)
            wanted = file.tell() + int(np.prod(shape)) * dtype.itemsize
        if path.stat().st_size < wanted:
            size = path.stat().st_size
            raise AslError(f"{path}: cut short ({size} of {wanted} bytes); copy or extract it again")
        _npy_layout(path, shape)
        frames, fps = shape[0], None
    elif path.suffix == ".npz":
        frames, fps = _probe_npz(path)
    else:
        clip = _read_pose(path, None)
        frames, fps = len(clip.array), clip.fps
    if frames == 0:
        raise AslError(f"{path}: zero frames; leave the clip out or extract it again")
    return frames, fps


def _existing(path: Union[str, Path]) -> Path:
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise AslError(f"{path}: landmark files end in {', '.join(SUFFIXES)}, not '{path.suffix}'")
    if not path.is_file():
        raise AslError(f"{path}: no such landmark file; check the corpus folder, or extract its landmarks")
    if path.stat().st_size == 0:
        raise AslError(f"{path}: empty file; copy or extract it again")
    return path


def _broken(path: Path, error: Exception) -> AslError:
    return AslError(f"{path}: cut short or not a {path.suffix} file ({error}); copy or extract it again")


def _header(path: Path, file) -> Tuple[Tuple[int, ...], np.dtype]:
    """Shape and type of the array whose ``.npy`` header is next in ``file``."""
    try:
        version = np.lib.format.read_magic(file)
        fmt = np.lib.format
        read = fmt.read_array_header_1_0 if version == (1, 0) else fmt.read_array_header_2_0
        shape, _, dtype = read(file)
    except _BROKEN as error:
        raise _broken(path, error) from error
    if dtype.kind != "f":
        raise AslError(f"{path}: holds {dtype}, not floats (parts of the picture); extract it again")
    return shape, dtype


def _npy_layout(path: Path, shape: Tuple[int, ...]) -> Tuple[str, bool]:
    """Layout of an array of that shape, and whether it is slots."""
    if len(shape) == 4 and shape[1:] == SLOTS_SHAPE:
        return "hands42", True
    found = guess_layout(*shape[1:]) if len(shape) == 3 else None
    if found is None:
        known = ", ".join(f"(frames, {v.num_points}, {v.num_dims}) {v.name}" for v in LAYOUTS.values())
        raise AslError(f"{path}: shape {shape}; expected (frames, 2, 21, 3) hands or a layout: {known}")
    return found.name, False


def _cut(path: Path, array: np.ndarray, held: str, layout: str) -> np.ndarray:
    try:
        return subset(array, held, layout)
    except AslError as error:
        raise AslError(f"{path}: {error}") from None


def _lossless(array: np.ndarray) -> np.ndarray:
    return array if array.dtype == np.float16 else array.astype(np.float32)


def _read_npy(path: Path, layout: Optional[str]) -> Clip:
    with open(path, "rb") as file:
        _header(path, file)
    try:
        array = _lossless(np.load(path, allow_pickle=False))
    except _BROKEN as error:
        raise _broken(path, error) from error
    held, slots = _npy_layout(path, array.shape)
    lost = (array == _NOT_FOUND).all(axis=-1) | ~np.isfinite(array).all(axis=-1)
    array[lost] = np.nan
    if layout not in (None, held):
        if slots:
            raise AslError(f"{path}: holds two hands, so it can only be read as layout hands42, not {layout}")
        array, held = _cut(path, array, held, layout), layout
    return Clip(array=array, layout=held, slots=slots)


_NPZ_LAYOUTS = {468: "holistic543", 478: "holistic553"}  # by the points of the face
_NPZ_PARTS = {  # points (one of) and coordinates
    "pose": ((33,), 4),
    "face": (tuple(_NPZ_LAYOUTS), 3),
    "left_hand": ((21,), 3),
    "right_hand": ((21,), 3),
}


def _check_npz(path: Path, shapes: dict) -> str:
    """The layout of an ``.npz`` with arrays of these shapes."""
    missing = [key for key in _NPZ_PARTS if key not in shapes]
    if missing:
        has = ", ".join(sorted(shapes)) or "nothing"
        raise AslError(f"{path}: has no array '{missing[0]}' (it has {has}); give How2Sign's .npz files")
    for key, wanted in _NPZ_PARTS.items():
        shape = shapes[key]
        frames = shapes["pose"][0] if shapes["pose"] else None
        if len(shape) != 3 or shape[0] != frames or shape[1] not in wanted[0] or shape[2] != wanted[1]:
            points = " or ".join(map(str, wanted[0]))
            expected = f"({frames or 'frames'}, {points}, {wanted[1]})"
            raise AslError(f"{path}: '{key}' has shape {shape}, not {expected}; extract it again")
    return _NPZ_LAYOUTS[shapes["face"][1]]


def _read_npz(path: Path, layout: Optional[str]) -> Clip:
    try:
        with np.load(path, allow_pickle=False) as data:
            held = {key: data[key] for key in data.files}
    except _BROKEN as error:
        raise _broken(path, error) from error
    name = _check_npz(path, {key: value.shape for key, value in held.items()})
    parts = []
    for key in _NPZ_PARTS:
        part = held[key]
        if part.shape[2] == 3:  # only the body has a visibility: what was found of the rest is visible
            part = np.concatenate([part, np.ones_like(part[..., :1])], axis=-1)
        parts.append(part)
    array = _lossless(np.concatenate(parts, axis=1))
    array[~np.isfinite(array).all(axis=-1)] = np.nan
    if layout not in (None, name):
        array, name = _cut(path, array, name, layout), layout
    fps, width, height = (_number(path, held, key) for key in ("fps", "width", "height"))
    return Clip(array, name, snap_rate(fps), *(int(n) if np.isfinite(n) else None for n in (width, height)))


def _number(path: Path, held: Mapping[str, np.ndarray], key: str) -> float:
    """The one number under ``key``; NaN where there is none."""
    value = held[key] if key in held else np.float64("nan")
    if value.size != 1 or value.dtype.kind not in "fiu":
        what = f"{value.dtype} of shape {value.shape}"
        raise AslError(f"{path}: '{key}' is no number ({what}); extract it again")
    return float(value.reshape(()))


def _probe_npz(path: Path) -> Tuple[int, Optional[Fraction]]:
    try:
        with zipfile.ZipFile(path) as archive:
            shapes, fps = {}, None
            for entry in archive.namelist():
                with archive.open(entry) as file:
                    key = entry[: -len(".npy")]
                    if key in _NPZ_PARTS:
                        shapes[key] = _header(path, file)[0]
                    elif key == "fps":
                        fps = snap_rate(_number(path, {key: np.lib.format.read_array(file)}, key))
    except _BROKEN as error:
        raise _broken(path, error) from error
    _check_npz(path, shapes)
    return shapes["pose"][0], fps


def _read_pose(path: Path, layout: Optional[str]) -> Clip:
    from asl.landmarks.pose_files import read_pose

    array, name, fps, width, height = read_pose(path, layout)
    return Clip(array, name, snap_rate(fps), width, height)
