"""``.pose`` files (pose-format), as MediaPipe Holistic and OpenPose fill them; read, and written in version 0.2.

Versions 0.0 and 0.1 (fps a whole number) and 0.2 (23.976 is kept). Coordinates are pixels in the file and become
fractions of the picture; z is kept as it is. A masked point (confidence 0) was not found. Holistic files
usually hold 178 points (layout ``holistic178``); whole ones of 543 or 553 are read too. Of several persons the one
with the most confidence over the clip is taken, which is told.

What is written is read again as it was, except: x and y go through pixels in float32, which moves them by at most
the last bit of a float32 (6e-8 of the picture), once: written again they stay. Sides that are powers of two, and
landmarks in float16, go through exactly. A found point of visibility 0 is written with the smallest confidence
above it (1.2e-38), since 0 means not found. float16 comes back as float32 of the same values.
"""

from io import BytesIO
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import atomic_path
from asl.landmarks.layouts import FINGERS, HAND, LAYOUTS, OPENPOSE, POSE, Layout, get_layout

WORLD_POINTS = len(POSE)
_FRAMES_V0_1 = 1 << 16  # its body counts them in 16 bits
_WORLD = "POSE_WORLD_LANDMARKS"
_VERSION = 0.2
_LARGEST = 0xFFFF  # a side is stored in two bytes
_HEADER = 1 << 20  # bytes; the longest header has a tenth of it
_BARELY = np.finfo(np.float32).tiny
_HANDS = {
    "LEFT_HAND_LANDMARKS": "left",
    "RIGHT_HAND_LANDMARKS": "right",
    "hand_left_keypoints_2d": "left",
    "hand_right_keypoints_2d": "right",
}
_JOINTS = {finger: [f"{finger.upper()}_FINGER_{j}" for j in ("MCP", "PIP", "DIP", "TIP")] for finger in FINGERS}
_JOINTS["thumb"] = [f"THUMB_{j}" for j in ("CMC", "MCP", "IP", "TIP")]
_JOINTS["pinky"] = [f"PINKY_{j}" for j in ("MCP", "PIP", "DIP", "TIP")]
_HAND_NAMES = ["WRIST"] + [joint for finger in FINGERS for joint in _JOINTS[finger]]  # as pose-format writes them


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


class PoseFile(NamedTuple):
    """What a ``.pose`` file holds.

    Attributes:
        array: ``(frames, points, dims)`` float32, NaN where a point was not found.
        layout: its name.
        fps: frames per second.
        width, height: of the picture in pixels.
        world: ``(frames, 33, 4)`` float32, the body in metres and its visibility, or None.
        notes: what is odd, in words.
    """

    array: np.ndarray
    layout: str
    fps: float
    width: int
    height: int
    world: Optional[np.ndarray] = None
    notes: Tuple[str, ...] = ()


def read_pose(path: Path, layout: Optional[str]) -> PoseFile:
    """Read one file.

    Args:
        path: the file; it exists.
        layout: layout to cut out of it, or None for the one that it is in.

    Raises:
        AslError: cut short or no ``.pose`` file, unknown components, nobody in it, or ``layout`` cannot be cut
            out of it.
    """
    from pose_format import Pose

    try:
        data = path.read_bytes()
        pose = Pose.read(data)
        announced = _announced_frames(data) if round(pose.header.version, 3) == 0.1 else None
    except Exception as error:  # of many kinds: struct, index, value and unicode errors of a foreign parser
        raise AslError(f"{path}: cut short or not a .pose file ({error}); copy or make it again") from error
    header, body = pose.header, pose.body
    if announced is not None and len(body.data) % _FRAMES_V0_1 != announced:
        there = f"its header announces {announced} frames, its bytes are those of {len(body.data)}"
        raise AslError(f"{path}: cut short or damaged, {there}; copy or make it again")
    listing = ", ".join(f"{c.name} ({len(c.points)})" for c in header.components)
    width, height = header.dimensions.width, header.dimensions.height
    if not (width > 0 and height > 0):
        raise AslError(f"{path}: its header says a picture of {width} x {height}; make it again")

    index: Dict[str, int] = {}
    start, world_start = 0, None
    for component in header.components:
        names = _point_names(component.name, component.points)
        if names is None and component.name != _WORLD:
            what = f"{component.name} ({len(component.points)})"
            raise AslError(f"{path}: component {what} is not known; it has {listing}; make it with Holistic")
        if component.name == _WORLD and len(component.points) == WORLD_POINTS:
            world_start = start
        index.update({name: start + i for i, name in enumerate(names or ())})
        start += len(component.points)
    target = get_layout(_choose_layout(path, list(index), listing, layout))
    order = [index[p] for p in target.points]

    confidence = np.asarray(body.confidence, dtype=np.float32)
    if confidence.shape[1] == 0:
        raise AslError(f"{path}: holds no person; leave the clip out or extract it again")
    person = int(confidence.sum(axis=(0, 2)).argmax())
    people = confidence.shape[1]
    notes = () if people == 1 else (f"{people} people: the surest is taken",)
    xyz, sure = np.ma.getdata(body.data)[:, person], confidence[:, person]
    array = _joined(path, xyz[:, order], sure[:, order], target, listing)
    array[..., 0] /= width
    array[..., 1] /= height
    world = None
    if world_start is not None and layout is None:
        part = slice(world_start, world_start + WORLD_POINTS)
        world = _joined(path, xyz[:, part], sure[:, part], get_layout("pose33"), listing)
    return PoseFile(array, target.name, float(body.fps), int(width), int(height), world, notes)


def _announced_frames(data: bytes) -> int:
    """How many frames the body of a version 0.1 file says it has, modulo 65,536.

    pose-format does not look at it: it goes by the bytes that are left, and so reads a file that was cut short to its
    end, coordinates for confidences.
    """
    from pose_format.pose_header import PoseHeader
    from pose_format.utils.reader import BufferReader, ConstStructs

    reader = BufferReader(data)
    PoseHeader.read(reader)
    return reader.unpack(ConstStructs.double_ushort)[1]


def _joined(path: Path, xyz: np.ndarray, sure: np.ndarray, layout: Layout, listing: str) -> np.ndarray:
    """Coordinates ``(frames, points, 2 or 3)`` and confidences -> ``(frames, points, dims)``, NaN where not found."""
    values = {d: xyz[..., i] for i, d in enumerate("xyz"[: xyz.shape[-1]])}
    values["visibility"] = sure
    lost = [d for d in layout.dims if d not in values]
    if lost:
        raise AslError(f"{path}: {layout.name} cannot be cut out of {listing}: no coordinate {lost[0]}")
    array = np.stack([values[d] for d in layout.dims], axis=-1).astype(np.float32)
    array[(sure <= 0) | ~np.isfinite(array).all(axis=-1)] = np.nan
    return array


def read_pose_size(path: Path) -> Optional[Tuple[int, int]]:
    """Width and height of the picture that the header says, None where it says none; only the header is read."""
    from pose_format.pose_header import PoseHeader
    from pose_format.utils.reader import BufferReader

    try:
        with open(path, "rb") as file:
            sides = PoseHeader.read(BufferReader(file.read(_HEADER))).dimensions
    except Exception as error:  # as above
        raise AslError(f"{path}: cut short or not a .pose file ({error}); copy or make it again") from error
    return (int(sides.width), int(sides.height)) if sides.width > 0 and sides.height > 0 else None


def write_pose(
    path: Path, array: np.ndarray, layout: str, fps: float, width: int, height: int, world: Optional[np.ndarray] = None
) -> None:
    """Write one clip, atomically, with the components and names that pose-format gives to Holistic and OpenPose.

    Args:
        path: the ``.pose`` to write.
        array: ``(frames, points, dims)``, NaN where a point was not found; visibility becomes the confidence,
            and without one what was found has confidence 1.
        layout: its name.
        fps: frames per second; float32 in the file.
        width, height: of the picture in pixels.
        world: ``(frames, 33, 4)``, the body in metres and its visibility, or None.

    Raises:
        AslError: no frames, sides that a header cannot hold, landmarks that are infinite in pixels, or a file that
            cannot be written.
    """
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderDimensions

    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST):
        raise AslError(f"{path}: a picture of {width} x {height}; a .pose header takes sides of 1 to {_LARGEST}")
    if len(array) == 0:
        raise AslError(f"{path}: zero frames; leave the clip out")
    form = get_layout(layout)
    blocks = [(array, form, np.array([width, height, 1][: form.num_space], dtype=np.float32))]
    if world is not None:
        blocks.append((world, get_layout("pose33"), np.ones(3, dtype=np.float32)))
    data, sure = zip(*(_pixels(path, *block) for block in blocks))
    components = _components(form, world is not None)
    header = PoseHeader(_VERSION, PoseHeaderDimensions(width, height), components)
    places = np.concatenate(data, axis=1)[:, None]
    buffer = BytesIO()
    Pose(header, NumPyPoseBody(float(fps), places, np.concatenate(sure, axis=1)[:, None])).write(buffer)
    with atomic_path(path) as tmp:
        tmp.write_bytes(buffer.getvalue())


def _pixels(path: Path, array: np.ndarray, layout: Layout, scale: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """``(frames, points, space)`` in the file's units, 0 where not found, and confidence ``(frames, points)``."""
    array = array.astype(np.float32)
    found = np.isfinite(array).all(axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):
        places = array[..., : layout.num_space] * scale
    if not np.isfinite(places[found]).all():
        raise AslError(f"{path}: landmarks far outside the picture, infinite in pixels; extract the clip again")
    places[~found] = 0
    seen = array[..., -1] if layout.dims[-1] == "visibility" else np.ones(found.shape, dtype=np.float32)
    return places, np.where(found, np.maximum(seen, _BARELY), 0).astype(np.float32)


def _components(layout: Layout, world: bool) -> List[Any]:
    """The header's components for a layout, in its order; the lines between points are the layout's."""
    from pose_format.pose_header import PoseHeaderComponent
    from pose_format.utils.openpose import OpenPose_Components, hand_colors

    if layout.name == "openpose137":
        return list(OpenPose_Components)
    names = {
        "pose": ("POSE_LANDMARKS", [p.upper() for p in POSE], [(255, 0, 0)]),
        "face": ("FACE_LANDMARKS", None, [(128, 0, 0)]),
        "hand_left": ("LEFT_HAND_LANDMARKS", _HAND_NAMES, hand_colors),
        "hand_right": ("RIGHT_HAND_LANDMARKS", _HAND_NAMES, hand_colors),
    }
    form = "".join(d.upper() for d in layout.dims if d != "visibility") + "C"
    components = []
    for part, indices in layout.parts.items():
        name, known, colours = names[part]
        own = [layout.points[i] for i in indices]
        if part == "pose":
            points = [p.upper() for p in own]
        else:
            points = known or [p[len("face_"):] for p in own]  # fmt: skip
        first, last = indices[0], indices[-1]
        limbs = [(a - first, b - first) for a, b in layout.edges if first <= a <= last and first <= b <= last]
        components.append(PoseHeaderComponent(name, points, limbs, colours, form))
    if world:
        body = _components(get_layout("pose33"), False)[0]
        components.append(PoseHeaderComponent(_WORLD, body.points, body.limbs, body.colors, form))
    return components
