"""One clip's landmarks as an ``.npz``, in the arrays that How2Sign's files have, and what made them.

``pose`` (frames, 33, 4: x, y, z, visibility), ``face`` (frames, 468 or 478, 3), ``left_hand`` and ``right_hand``
(frames, 21, 3), NaN where not found; ``fps``, ``width`` and ``height`` where they are known. Ours may have
``pose_world`` (frames, 33, 4: metres), ``times``, ``about`` (JSON), and ``layout``: the points that are the clip's,
where these are not all.
"""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from asl.common.errors import AslError
from asl.common.files import atomic_path
from asl.landmarks.array_files import BROKEN, broken, cut_out, lossless, read_header

if TYPE_CHECKING:
    from asl.landmarks.spans import Extracted

LAYOUTS_BY_FACE = {468: "holistic543", 478: "holistic553"}  # by the points of the face
WORLD = "pose_world"
_WORLD_SHAPE = (33, 4)
# array -> points (one of) and coordinates
_PARTS = {
    "pose": ((33,), 4),
    "face": (tuple(LAYOUTS_BY_FACE), 3),
    "left_hand": ((21,), 3),
    "right_hand": ((21,), 3),
}


class NpzFile(NamedTuple):
    """What an ``.npz`` holds.

    Attributes:
        array: ``(frames, points, dims)``, float16 or float32, NaN where a point was not found.
        layout: its name.
        fps: frames per second, NaN where it does not say.
        size: width and height of the picture in pixels, or None.
        world: ``(frames, 33, 4)``, the body in metres and its visibility, or None.
    """

    array: np.ndarray
    layout: str
    fps: float
    size: Optional[Tuple[int, int]]
    world: Optional[np.ndarray]


def read_npz(path: Path, layout: Optional[str]) -> NpzFile:
    """Read one file, and cut ``layout`` (None: all) out of it.

    Raises:
        AslError: cut short or no ``.npz``, arrays missing or of wrong shapes, or ``layout`` cannot be cut out.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            held = {key: data[key] for key in data.files}
    except BROKEN as error:
        raise broken(path, error) from error
    name = _check(path, {key: value.shape for key, value in held.items()})
    parts = []
    for key in _PARTS:
        part = held[key]
        if part.shape[2] == 3:  # only the body has a visibility: what was found of the rest is visible
            part = np.concatenate([part, np.ones_like(part[..., :1])], axis=-1)
        parts.append(part)
    array = lossless(np.concatenate(parts, axis=1))
    array[~np.isfinite(array).all(axis=-1)] = np.nan
    world = held.get(WORLD) if layout is None else None
    if world is not None:
        if world.shape != (len(array), *_WORLD_SHAPE):
            expected = f"({len(array)}, {_WORLD_SHAPE[0]}, {_WORLD_SHAPE[1]})"
            raise AslError(f"{path}: '{WORLD}' has shape {world.shape}, not {expected}; extract it again")
        world = lossless(world)
    for wanted in (str(held["layout"]) if "layout" in held else None, layout):
        if wanted not in (None, name):
            array, name = cut_out(path, array, name, wanted), wanted
    return NpzFile(array, name, _number(path, held, "fps"), _size(path, held), world)


def probe_npz(path: Path) -> Tuple[int, float]:
    """Frames of a clip and its fps (NaN where the file does not say), from the headers.

    Raises:
        AslError: as ``read_npz``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            shapes, fps = {}, float("nan")
            for entry in archive.namelist():
                with archive.open(entry) as file:
                    key = entry[: -len(".npy")]
                    if key in _PARTS:
                        shapes[key] = read_header(path, file)[0]
                    elif key == "fps":
                        fps = _number(path, {key: np.lib.format.read_array(file)}, key)
    except BROKEN as error:
        raise broken(path, error) from error
    _check(path, shapes)
    return shapes["pose"][0], fps


def read_npz_size(path: Path) -> Optional[Tuple[int, int]]:
    """Width and height of the picture in pixels, None where the file does not say; nothing else is read.

    Raises:
        AslError: cut short or no ``.npz``, or these are no numbers.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            held = {key: data[key] for key in ("width", "height") if key in data}
    except BROKEN as error:
        raise broken(path, error) from error
    return _size(path, held)


def _check(path: Path, shapes: Dict[str, Tuple[int, ...]]) -> str:
    """The layout of an ``.npz`` with arrays of these shapes."""
    missing = [key for key in _PARTS if key not in shapes]
    if missing:
        has = ", ".join(sorted(shapes)) or "nothing"
        raise AslError(f"{path}: has no array '{missing[0]}' (it has {has}); give How2Sign's .npz files")
    for key, wanted in _PARTS.items():
        shape = shapes[key]
        frames = shapes["pose"][0] if shapes["pose"] else None
        if len(shape) != 3 or shape[0] != frames or shape[1] not in wanted[0] or shape[2] != wanted[1]:
            points = " or ".join(map(str, wanted[0]))
            expected = f"({frames or 'frames'}, {points}, {wanted[1]})"
            raise AslError(f"{path}: '{key}' has shape {shape}, not {expected}; extract it again")
    return LAYOUTS_BY_FACE[shapes["face"][1]]


def _number(path: Path, held: Mapping[str, np.ndarray], key: str) -> float:
    """The one number under ``key``; NaN where there is none."""
    value = held[key] if key in held else np.float64("nan")
    if value.size != 1 or value.dtype.kind not in "fiu":
        what = f"{value.dtype} of shape {value.shape}"
        raise AslError(f"{path}: '{key}' is no number ({what}); extract it again")
    return float(value.reshape(()))


def _size(path: Path, held: Mapping[str, np.ndarray]) -> Optional[Tuple[int, int]]:
    width, height = (_number(path, held, key) for key in ("width", "height"))
    return (int(width), int(height)) if width >= 1 and height >= 1 else None


def save_npz(path: Union[str, Path], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name, compressed, atomically; the same arrays give the same bytes.

    ``np.savez_compressed`` but for the level: at its 6 compressing is 1 % of the work of an extraction, at 1 a sixth of
    that, for files a tenth larger.

    Raises:
        AslError: the folder cannot be written, or the disk is full.
    """
    with atomic_path(path) as tmp, zipfile.ZipFile(tmp, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


def write_npz(path: Union[str, Path], extracted: "Extracted", about: Dict[str, Any]) -> None:
    """Write one clip atomically; ``asl.landmarks.reading`` reads it.

    Arrays: the parts (``pose``, ``face``, ``left_hand``, ``right_hand``, by option ``pose_world``) float32 as they
    were found, ``times`` float64, ``fps``, ``width``, ``height``, and ``about``, a JSON text.

    Args:
        path: the ``.npz`` to write.
        extracted: the clip; it has frames.
        about: JSON values: where it comes from and how it was made.

    Raises:
        AslError: the folder cannot be written, or the disk is full.
    """
    text = np.array(json.dumps(about, ensure_ascii=False, sort_keys=True))
    fps, width, height = np.float64(extracted.fps), np.int64(extracted.width), np.int64(extracted.height)
    save_npz(
        path, dict(about=text, **extracted.parts, times=extracted.times, fps=fps, width=width, height=height)
    )


def read_about(path: Union[str, Path]) -> Optional[Dict[str, Any]]:
    """What ``write_npz`` was told, without reading the landmarks; None: no such file, or not one of its, or broken."""
    try:
        with np.load(path, allow_pickle=False) as data:
            about = json.loads(str(data["about"][()]))
    except BROKEN:
        return None
    return about if isinstance(about, dict) else None
