"""Landmark files of corpus owners -> one array a clip.

=======  ==============================================================================================
``.npy``  ``(frames, 2, 21, 3)``: two hands in the order of detection (slots), NOT left and right: such a
          clip has ``slots`` True, and ``tracking.settle_hands`` makes a ``hands42`` array of it; or
          ``(frames, points, dims)`` in a known layout. -1 (in all coordinates of a point) or NaN: not found.
``.npz``  How2Sign's: ``pose`` (frames, 33, 4), ``face`` (frames, 468 or 478, 3), ``left_hand`` and
          ``right_hand`` (frames, 21, 3), ``fps``, ``width``, ``height``; NaN: not found.
          More arrays may be in it; see ``npz_files``.
``.pose`` pose-format's, from MediaPipe Holistic or OpenPose; see ``pose_files``.
folder    of OpenPose's JSON, a file a frame; see ``openpose_files``.
=======  ==============================================================================================

``read_landmarks(path)`` reads a clip, ``probe(path)`` only says how long it is, ``landmarks_by_stem(folder)`` finds
them. float16 stays float16 (so that storing it again loses nothing), everything else becomes float32.
"""

import os
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import numpy as np

from asl.common.errors import AslError
from asl.common.rates import snap_rate
from asl.landmarks.array_files import BROKEN, broken, cut_out, lossless, read_header
from asl.landmarks.layouts import LAYOUTS, get_layout, guess_layout
from asl.landmarks.npz_files import probe_npz, read_npz, read_npz_size
from asl.landmarks.openpose_files import PICTURE, Size, is_openpose, probe_openpose, read_openpose, read_picture
from asl.landmarks.pose_files import read_pose, read_pose_size

SUFFIXES = (".npy", ".npz", ".pose")
SLOTS_SHAPE = (2, 21, 3)
_NOT_FOUND = -1


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
        world: ``(frames, 33, 4)``, the body in metres from the middle of its hips and its visibility, where the
            file has it and no layout was cut out of it; nothing is learnt from it.
        notes: what is odd about the file, a sentence each: several people, missing frames.
    """

    array: np.ndarray
    layout: str
    fps: Optional[Fraction] = None
    width: Optional[int] = None
    height: Optional[int] = None
    slots: bool = False
    world: Optional[np.ndarray] = None
    notes: Tuple[str, ...] = ()


def read_landmarks(
    path: Union[str, Path],
    layout: Optional[str] = None,
    size: Optional[Size] = None,
    fps: Optional[Fraction] = None,
) -> Clip:
    """Read one clip.

    Args:
        path: a ``.npy``, ``.npz`` or ``.pose`` file, or a folder of OpenPose's JSON.
        layout: the layout to return; it is cut out of what the file holds. None: all that the file holds.
        size, fps: width and height of the picture in pixels and frames per second, for files that do not hold
            them; of one that does its own are taken. They come before what an OpenPose folder's picture.json says.

    Raises:
        AslError: no such file, unknown suffix, cut short or not of its format, wrong shape or components, no
            frames, no point found in any frame, or ``layout`` cannot be cut out of it.
    """
    path = _existing(path)
    if path.is_dir():
        clip = _read_openpose(path, layout, size, fps)
    else:
        clip = {".npy": _read_npy, ".npz": _read_npz, ".pose": _read_pose}[path.suffix](path, layout)
        if size not in (None, (1, 1)) and not (clip.width and clip.height):
            clip = replace(clip, width=size[0], height=size[1])
        clip = replace(clip, fps=clip.fps or fps)
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
    if path.is_dir():
        return probe_openpose(path)
    if path.suffix == ".npy":
        with open(path, "rb") as file:
            shape, dtype = read_header(path, file)
            wanted = file.tell() + int(np.prod(shape)) * dtype.itemsize
        if path.stat().st_size < wanted:
            size = path.stat().st_size
            raise AslError(f"{path}: cut short ({size} of {wanted} bytes); copy or extract it again")
        _npy_layout(path, shape)
        frames, fps = shape[0], None
    elif path.suffix == ".npz":
        frames, found_fps = probe_npz(path)
        fps = snap_rate(found_fps)
    else:
        clip = _read_pose(path, None)
        frames, fps = len(clip.array), clip.fps
    if frames == 0:
        raise AslError(f"{path}: zero frames; leave the clip out or extract it again")
    return frames, fps


def picture_size(path: Union[str, Path]) -> Optional[Size]:
    """Width and height of the picture in pixels where the landmark file says them, reading as little as possible.

    Raises:
        AslError: as ``read_landmarks``, except that nobody looks at the landmarks.
    """
    path = _existing(path)
    if path.is_dir():
        size = read_picture(path).size
        return None if size == (1, 1) else size
    if path.suffix == ".pose":
        return read_pose_size(path)
    if path.suffix == ".npy":
        return None
    return read_npz_size(path)


def files_of(path: Path) -> List[Path]:
    """The files that a clip is read from: itself, or those of OpenPose's JSON and what may say the picture's size."""
    if not is_openpose(path):
        return [path]
    return [*(path / name for name in sorted(os.listdir(path))), path.parent / PICTURE]


def landmarks_by_stem(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> Dict[str, Path]:
    """Map each clip's name to its landmarks in ``folder``: files of ``suffixes``, and folders of OpenPose's JSON.

    Of several of one name the first of ``suffixes`` counts, and a file before a folder.
    """
    found: Dict[str, Path] = {}
    if not folder.is_dir():
        return found
    with os.scandir(folder) as listed:
        entries = {entry.name: entry.is_dir() for entry in listed}
    for name, is_folder in entries.items():
        if is_folder and is_openpose(folder / name):
            found[name] = folder / name
    for suffix in reversed(suffixes):
        ends = (name for name, is_folder in entries.items() if name.endswith(suffix) and not is_folder)
        found.update((name[: -len(suffix)], folder / name) for name in ends)
    return found


def _existing(path: Union[str, Path]) -> Path:
    path = Path(path)
    if is_openpose(path):
        return path
    if path.is_dir():
        raise AslError(f"{path}: a folder without OpenPose's *_keypoints.json files; give the folder of one clip")
    if path.suffix not in SUFFIXES:
        raise AslError(f"{path}: landmark files end in {', '.join(SUFFIXES)}, not '{path.suffix}'; OpenPose's are in "
                       "a folder a clip")
    if not path.is_file():
        raise AslError(f"{path}: no such landmark file; check the corpus folder, or extract its landmarks")
    if path.stat().st_size == 0:
        raise AslError(f"{path}: empty file; copy or extract it again")
    return path


def _npy_layout(path: Path, shape: Tuple[int, ...]) -> Tuple[str, bool]:
    """Layout of an array of that shape, and whether it is slots."""
    if len(shape) == 4 and shape[1:] == SLOTS_SHAPE:
        return "hands42", True
    found = guess_layout(*shape[1:]) if len(shape) == 3 else None
    if found is None:
        known = ", ".join(f"(frames, {v.num_points}, {v.num_dims}) {v.name}" for v in LAYOUTS.values())
        raise AslError(f"{path}: shape {shape}; expected (frames, 2, 21, 3) hands or a layout: {known}")
    return found.name, False


def _read_npy(path: Path, layout: Optional[str]) -> Clip:
    with open(path, "rb") as file:
        read_header(path, file)
    try:
        array = lossless(np.load(path, allow_pickle=False))
    except BROKEN as error:
        raise broken(path, error) from error
    held, slots = _npy_layout(path, array.shape)
    lost = (array == _NOT_FOUND).all(axis=-1) | ~np.isfinite(array).all(axis=-1)
    array[lost] = np.nan
    if layout not in (None, held):
        if slots:
            raise AslError(f"{path}: holds two hands, so it can only be read as layout hands42, not {layout}")
        array, held = cut_out(path, array, held, layout), layout
    return Clip(array=array, layout=held, slots=slots)


def _read_npz(path: Path, layout: Optional[str]) -> Clip:
    found = read_npz(path, layout)
    width, height = found.size or (None, None)
    return Clip(found.array, found.layout, snap_rate(found.fps), width, height, world=found.world)


def _read_pose(path: Path, layout: Optional[str]) -> Clip:
    found = read_pose(path, layout)
    return Clip(
        found.array, found.layout, snap_rate(found.fps), found.width, found.height, world=found.world, notes=found.notes
    )


def _read_openpose(path: Path, layout: Optional[str], size: Optional[Size], fps: Optional[Fraction]) -> Clip:
    array, name, picture, notes = read_openpose(path, layout, size, fps)
    width, height = (None, None) if picture.size == (1, 1) else picture.size
    return Clip(array, name, picture.fps, width, height, notes=notes)
