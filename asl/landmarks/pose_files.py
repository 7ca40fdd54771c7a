"""``.pose`` files (pose-format), as MediaPipe Holistic and OpenPose fill them.

Versions 0.1 (fps a whole number) and 0.2 (23.976 is kept). Coordinates are pixels in the file and become
fractions of the picture; z is kept as it is. A masked point (confidence 0) was not found. Holistic files
usually hold 178 points (layout ``holistic178``); whole ones of 543 or 553 are read too. World coordinates are
left out. Of several persons the one with the most confidence over the clip is taken.
"""

from pathlib import Path
from typing import Dict, List, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.layouts import HAND, LAYOUTS, OPENPOSE, POSE, get_layout

_WORLD = "POSE_WORLD_LANDMARKS"
_HANDS = {
    "LEFT_HAND_LANDMARKS": "left",
    "RIGHT_HAND_LANDMARKS": "right",
    "hand_left_keypoints_2d": "left",
    "hand_right_keypoints_2d": "right",
}


def _point_names(component: str, points: List[str]) -> Optional[List[str]]:
    """Our names of a component's points, or None where it is not known."""
    if component in _HANDS and len(points) == len(HAND):
        return [f"hand_{_HANDS[component]}_{joint}" for joint in HAND]
    if component == "POSE_LANDMARKS" and all(p.lower() in POSE for p in points):
        return [p.lower() for p in points]
    if component == "FACE_LANDMARKS":
        return [f"face_{p}" for p in points]
    if component == "pose_keypoints_2d" and len(points) == len(OPENPOSE):
        return list(OPENPOSE)
    if component == "face_keypoints_2d" and len(points) == 70:
        return [f"face70_{i}" for i in range(70)]
    return None


def _choose_layout(path: Path, names: List[str], listing: str, wanted: Optional[str]) -> str:
    if wanted is not None:
        lost = [p for p in get_layout(wanted).points if p not in names]
        if lost:
            count = f"{lost[0]} ({len(lost)} lost)"
            raise AslError(f"{path}: {wanted} cannot be cut out of {listing}: no {count}")
        return wanted
    fits = [v.name for v in LAYOUTS.values() if set(v.points) == set(names)]
    if not fits:
        known = ", ".join(LAYOUTS)
        raise AslError(f"{path}: components {listing} are no known layout; name one to cut out: {known}")
    return fits[-1]


def read_pose(path: Path, layout: Optional[str]) -> Tuple[np.ndarray, str, float, int, int]:
    """Read one file.

    Args:
        path: the file; it exists.
        layout: layout to cut out of it, or None for the one that it is in.

    Returns:
        ``(frames, points, dims)`` float32 with NaN, name of the layout, fps, width and height in pixels.

    Raises:
        AslError: cut short or no ``.pose`` file, unknown components, nobody in it, or ``layout`` cannot be cut
            out of it.
    """
    from pose_format import Pose

    try:
        pose = Pose.read(path.read_bytes())
    except Exception as error:  # of many kinds: struct, index, value and unicode errors of a foreign parser
        raise AslError(f"{path}: cut short or not a .pose file ({error}); copy or make it again") from error
    header, body = pose.header, pose.body
    listing = ", ".join(f"{c.name} ({len(c.points)})" for c in header.components)
    width, height = header.dimensions.width, header.dimensions.height
    if not (width > 0 and height > 0):
        raise AslError(f"{path}: its header says a picture of {width} x {height}; make it again")

    index: Dict[str, int] = {}
    start = 0
    for component in header.components:
        names = _point_names(component.name, component.points)
        if names is None and component.name != _WORLD:
            what = f"{component.name} ({len(component.points)})"
            raise AslError(f"{path}: component {what} is not known; it has {listing}; make it with Holistic")
        index.update({name: start + i for i, name in enumerate(names or ())})
        start += len(component.points)
    target = get_layout(_choose_layout(path, list(index), listing, layout))
    order = [index[p] for p in target.points]

    confidence = np.asarray(body.confidence, dtype=np.float32)
    if confidence.shape[1] == 0:
        raise AslError(f"{path}: holds no person; leave the clip out or extract it again")
    person = int(confidence.sum(axis=(0, 2)).argmax())
    xyz = np.ma.getdata(body.data)[:, person][:, order].astype(np.float32)
    xyz[..., 0] /= width
    xyz[..., 1] /= height
    sure = confidence[:, person][:, order]
    values = {d: xyz[..., i] for i, d in enumerate("xyz"[: xyz.shape[-1]])}
    values["visibility"] = sure
    lost = [d for d in target.dims if d not in values]
    if lost:
        raise AslError(f"{path}: {target.name} cannot be cut out of {listing}: no coordinate {lost[0]}")
    array = np.stack([values[d] for d in target.dims], axis=-1)
    array[(sure <= 0) | ~np.isfinite(array).all(axis=-1)] = np.nan
    return array, target.name, float(body.fps), int(width), int(height)
