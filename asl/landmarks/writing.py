"""One clip -> a landmark file that others read: ``.npy``, ``.npz`` or ``.pose``.

=======  ================================================  ====================================================
file     holds                                             does not hold
=======  ================================================  ====================================================
``.npy`` the array, float16 or float32, to the last bit;   frames per second, the picture's size, world
         hands in the order of detection as they are       coordinates
``.npz`` How2Sign's arrays, to the last bit, frames per    points that MediaPipe Holistic has not; layouts of x
         second (float64) and size; NaN for points that    and y alone; a visibility of hands and face (what was
         the clip's layout, which is named, has not        found is read as 1)
``.pose`` pixels in float32: see ``pose_files``; frames    a picture of unknown size; float16 as a type
         per second in float32, size
=======  ================================================  ====================================================

Of each, what was read from it is written again as it was, and what cannot be is refused or told.
"""

from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Tuple, Union

import numpy as np

from asl.common.errors import AslError
from asl.common.files import atomic_path
from asl.common.rates import snap_rate
from asl.landmarks.layouts import XYZ, Layout, get_layout
from asl.landmarks.npz_files import WORLD, save_npz
from asl.landmarks.pose_files import write_pose
from asl.landmarks.reading import SUFFIXES, Clip
from asl.landmarks.tracking import settle_hands

# The side of a picture whose size nobody knows: fractions times a power of two are exact.
SQUARE = 1024
NOT_HELD = {"npy": "frames per second, the picture's size and world coordinates"}  # by format: never in a file of it


def write_landmarks(path: Union[str, Path], clip: Clip) -> Tuple[str, ...]:
    """Write one clip, atomically; ``reading.read_landmarks`` reads it.

    Hands in the order of detection become a left and a right one (``tracking.settle_hands``), except in ``.npy``.

    Args:
        path: a name that ends in ``.npy``, ``.npz`` or ``.pose``.
        clip: what to write.

    Returns:
        what the file does not hold of this clip or holds otherwise, a sentence each.

    Raises:
        AslError: another suffix, a layout that the format has no place for, a ``.pose`` of a clip whose frames per
            second are not known, no frames, or a file that cannot be written.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        raise AslError(f"{path}: landmarks are written to {', '.join(SUFFIXES)}, not '{path.suffix}'")
    if len(clip.array) == 0:
        raise AslError(f"{path}: zero frames; leave the clip out")
    notes: List[str] = []
    if clip.slots and path.suffix != ".npy":
        array, counts = settle_hands(clip)
        clip = replace(clip, array=array, slots=False)
        notes.append("hands in the order of detection were tracked into a left and a right one")
        if counts["stale"]:
            notes.append(f"{counts['stale']} frames with hands of the clip before were masked")
    if path.suffix == ".npy":
        with atomic_path(path) as tmp:
            np.save(tmp, clip.array)
    elif path.suffix == ".npz":
        notes += _write_npz(path, clip)
    else:
        notes += _write_pose(path, clip)
    return tuple(notes)


def _write_pose(path: Path, clip: Clip) -> List[str]:
    notes = []
    if clip.fps is None:
        raise AslError(f"{path}: nobody says its frames per second, which a .pose file needs; give them by --fps")
    width, height = clip.width, clip.height
    if not (width and height):
        width = height = SQUARE
        notes.append(f"the picture's size is not known: {SQUARE} x {SQUARE} pixels were taken (--width, --height)")
    held = snap_rate(float(np.float32(float(clip.fps))))
    if held != clip.fps:
        notes.append(f"{clip.fps} frames per second are read again as {held}")
    write_pose(path, clip.array, clip.layout, float(clip.fps), width, height, clip.world)
    return notes


def _write_npz(path: Path, clip: Clip) -> List[str]:
    layout = get_layout(clip.layout)
    arrays, whole = _holistic_parts(path, clip.array, layout)
    if whole != clip.layout:
        arrays["layout"] = np.array(clip.layout)
    if clip.world is not None:
        arrays[WORLD] = clip.world
    if clip.fps is not None:
        arrays["fps"] = np.float64(float(clip.fps))
    if clip.width and clip.height:
        arrays.update(width=np.int64(clip.width), height=np.int64(clip.height))
    save_npz(path, arrays)
    return _visibility_notes(clip.array, layout)


def _holistic_parts(path: Path, array: np.ndarray, layout: Layout) -> Tuple[Dict[str, np.ndarray], str]:
    """The arrays of an ``.npz``, NaN for what ``layout`` has not, and the layout that they are together."""
    whole = get_layout("holistic543")
    if not set(layout.points) <= set(whole.points):
        whole = get_layout("holistic553")
    lost = [p for p in layout.points if p not in whole.points] + [d for d in XYZ if d not in layout.dims]
    if lost:
        raise AslError(f"{path}: {layout.name} has no place in an .npz, which holds x, y, z of MediaPipe Holistic's "
                       f"points ({lost[0]}); write .npy or .pose")
    places = [whole.points.index(p) for p in layout.points]
    held = np.full((len(array), whole.num_points, whole.num_dims), np.nan, dtype=array.dtype)
    held[:, places, -1] = 1  # where the layout has a visibility it comes on top
    held[:, places, : layout.num_dims] = array
    held[~np.isfinite(held).all(axis=-1)] = np.nan
    body, face, left, right = (held[:, whole.parts[part]] for part in ("pose", "face", "hand_left", "hand_right"))
    return {"pose": body, "face": face[..., :3], "left_hand": left[..., :3], "right_hand": right[..., :3]}, whole.name


def _visibility_notes(array: np.ndarray, layout: Layout) -> List[str]:
    """Says so where hands or face have a visibility, for which an ``.npz`` has no place."""
    if "visibility" not in layout.dims:
        return []
    others = [i for part, indices in layout.parts.items() if part != "pose" for i in indices]
    seen = array[:, others, layout.dims.index("visibility")]
    lost = int((np.isfinite(seen) & (seen != 1)).sum())
    return [f"the visibility of {lost} points of hands and face is read again as 1"] if lost else []
