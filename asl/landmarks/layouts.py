"""Layouts: which points the rows of a landmark array are.

A layout is a named, ordered list of points with named coordinates. Points have the same name in every layout
that holds them, so any layout can be cut out of a larger one by name (``subset``). Left and right are the
SIGNER's: with a camera in front, the right hand is on the left side of the picture.

===============  ======  ====================================================================================
name             points  what
===============  ======  ====================================================================================
hands42              42  left hand, right hand (MediaPipe Hands)
pose33               33  body (MediaPipe Pose)
holistic543         543  MediaPipe Holistic: body 33, face 468, left hand, right hand
holistic553         553  the same with a refined face of 478 (irises)
holistic178         178  shoulders to wrists and hips 8, face contours 128, hands (usual in ``.pose`` files)
holistic143         143  body down to the hips 25, and holistic118
holistic118         118  nose 4, lips 40, eyes 32, hands: the points of the best 250-sign contest entry
hands_body67         67  body down to the hips 25, hands
hands_body51         51  nose, ears, shoulders, elbows, wrists, and hands
nose_wrists3          3  nose, left hand, right hand, a point each: x and y only (RWTH-BOSTON-104's)
openpose137         137  OpenPose: body 25, face 70, hands; x and y only
===============  ======  ====================================================================================
"""

from dataclasses import dataclass
from typing import Dict, List, Optional, Sequence, Tuple, TypeVar

from asl.common.errors import AslError, did_you_mean
from asl.landmarks import face_mesh

Array = TypeVar("Array")  # a numpy array or a torch tensor

XYZ = ("x", "y", "z")
XYZV = XYZ + ("visibility",)

POSE = (
    "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer left_ear "
    "right_ear mouth_left mouth_right left_shoulder right_shoulder left_elbow right_elbow left_wrist "
    "right_wrist left_pinky right_pinky left_index right_index left_thumb right_thumb left_hip right_hip "
    "left_knee right_knee left_ankle right_ankle left_heel right_heel left_foot_index right_foot_index"
).split()
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
HAND = ["wrist"] + [f"{finger}_{joint}" for finger in FINGERS for joint in range(1, 5)]  # base to tip
OPENPOSE = (
    "nose neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist mid_hip right_hip "
    "right_knee right_ankle left_hip left_knee left_ankle right_eye left_eye right_ear left_ear left_big_toe "
    "left_small_toe left_heel right_big_toe right_small_toe right_heel"
).split()

_HAND_EDGES = [("wrist", f"{f}_1") for f in ("thumb", "index", "pinky")]
_HAND_EDGES += [(f"{f}_{j}", f"{f}_{j + 1}") for f in FINGERS for j in (1, 2, 3)]
_HAND_EDGES += [("index_1", "middle_1"), ("middle_1", "ring_1"), ("ring_1", "pinky_1")]
_LIMBS = ("shoulder", "elbow", "wrist"), ("shoulder", "hip", "knee", "ankle", "heel")
_BODY_EDGES = [
    (f"{s}_{a}", f"{s}_{b}") for s in ("left", "right") for limb in _LIMBS for a, b in zip(limb, limb[1:])
]
_BODY_EDGES += [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")]
_BODY_EDGES += [(f"{s}_eye", end) for s in ("left", "right") for end in ("nose", f"{s}_ear")]
_BODY_EDGES += [("mouth_left", "mouth_right")]


@dataclass(frozen=True)
class Layout:
    """The points of a landmark array ``(frames, points, dims)``.

    Attributes:
        name: its name in ``LAYOUTS``.
        points: name of each point, unique.
        dims: name of each coordinate: x and y as fractions of the picture (0, 0 at the top left), z a depth
            in about the same scale as x (smaller is nearer), visibility from 0 to 1.
        parts: ``pose``, ``face``, ``hand_left``, ``hand_right`` (those that it has) -> indices of their
            points. Every point is in exactly one part. A hand has its wrist first.
        mirror: for each point the index of its partner when the picture is flipped.
        edges: pairs of points that are joined by a line in a drawing.
    """

    name: str
    points: Tuple[str, ...]
    dims: Tuple[str, ...]
    parts: Dict[str, Tuple[int, ...]]
    mirror: Tuple[int, ...]
    edges: Tuple[Tuple[int, int], ...]

    @property
    def num_points(self) -> int:
        return len(self.points)

    @property
    def num_dims(self) -> int:
        return len(self.dims)

    @property
    def num_space(self) -> int:
        """How many of the coordinates are places: 2 or 3 (they come first)."""
        return len([d for d in self.dims if d in XYZ])

    @property
    def num_features(self) -> int:
        """Numbers a frame: points times coordinates."""
        return self.num_points * self.num_dims


def _hand(side: str) -> List[str]:
    return [f"hand_{side}_{joint}" for joint in HAND]


def _face(points: Sequence[int]) -> List[str]:
    return [f"face_{p}" for p in points]


def _openpose_face_mirror() -> Dict[str, str]:
    """Mirror pairs of the 70 points: each row of points runs from one side to the other."""
    spans = [(0, 17), (17, 27), (31, 36), (48, 55), (55, 60), (60, 65), (65, 68), (68, 70)]
    rows = [list(range(*span)) for span in spans] + [[36, 37, 38, 39, 42, 43, 44, 45], [41, 40, 47, 46]]
    return {f"face70_{a}": f"face70_{b}" for row in rows for a, b in zip(row, reversed(row))}


_FACE_MIRROR = {f"face_{a}": f"face_{b}" for a, b in enumerate(face_mesh.mirror_points(refined=True))}
_FACE_MIRROR.update(_openpose_face_mirror())


def mirror_name(point: str) -> str:
    """The point that lies where ``point`` was when the picture is flipped."""
    if point.startswith("face"):
        return _FACE_MIRROR.get(point, point)
    return "_".join({"left": "right", "right": "left"}.get(word, word) for word in point.split("_"))


def _edge_names() -> List[Tuple[str, str]]:
    names = [(f"hand_{s}_{a}", f"hand_{s}_{b}") for s in ("left", "right") for a, b in _HAND_EDGES]
    lines = face_mesh.edges_of(face_mesh.LIPS, face_mesh.EYES, face_mesh.BROWS, face_mesh.OVAL)
    names += _BODY_EDGES + [(f"face_{a}", f"face_{b}") for a, b in lines]
    rows = [range(0, 17), range(17, 22), range(22, 27), range(27, 31), range(31, 36), (*range(36, 42), 36)]
    rows += [(*range(42, 48), 42), (*range(48, 60), 48), (*range(60, 68), 60)]
    return names + [(f"face70_{a}", f"face70_{b}") for row in rows for a, b in zip(row, row[1:])]


def _layout(name: str, dims: Tuple[str, ...], **parts: Sequence[str]) -> Layout:
    points = [p for part in parts.values() for p in part]
    index = {p: i for i, p in enumerate(points)}
    edges = tuple((index[a], index[b]) for a, b in _edge_names() if a in index and b in index)
    return Layout(
        name=name,
        points=tuple(points),
        dims=dims,
        parts={part: tuple(index[p] for p in names) for part, names in parts.items()},
        mirror=tuple(index[mirror_name(p)] for p in points),
        edges=edges or tuple((0, i) for i in range(1, len(points))),  # too few points for limbs: a star
    )


def _all_layouts() -> List[Layout]:
    hands = {"hand_left": _hand("left"), "hand_right": _hand("right")}
    lips, eyes = face_mesh.points_of(face_mesh.LIPS), face_mesh.points_of(face_mesh.EYES)
    contest = _face(face_mesh.NOSE + lips + eyes)
    contours = _face(face_mesh.points_of(face_mesh.LIPS, face_mesh.EYES, face_mesh.BROWS, face_mesh.OVAL))
    face70 = [f"face70_{i}" for i in range(70)]
    few = [p for p in POSE if p.split("_")[-1] in ("nose", "ear", "shoulder", "elbow", "wrist")]
    return [
        _layout("hands42", XYZ, **hands),
        _layout("pose33", XYZV, pose=POSE),
        _layout("holistic543", XYZV, pose=POSE, face=_face(range(468)), **hands),
        _layout("holistic553", XYZV, pose=POSE, face=_face(range(478)), **hands),
        _layout("holistic178", XYZV, pose=POSE[11:17] + POSE[23:25], face=contours, **hands),
        _layout("holistic143", XYZV, pose=POSE[:25], face=contest, **hands),
        _layout("holistic118", XYZ, face=contest, **hands),
        _layout("hands_body67", XYZV, pose=POSE[:25], **hands),
        _layout("hands_body51", XYZV, pose=few, **hands),
        _layout("nose_wrists3", ("x", "y"), pose=["nose", "left_wrist", "right_wrist"]),
        _layout("openpose137", ("x", "y", "visibility"), pose=OPENPOSE, face=face70, **hands),
    ]


LAYOUTS: Dict[str, Layout] = {layout.name: layout for layout in _all_layouts()}


def get_layout(name: str) -> Layout:
    """The layout of that name; ``AslError`` names the nearest where there is none."""
    if name not in LAYOUTS:
        near, known = did_you_mean(name, LAYOUTS), ", ".join(LAYOUTS)
        raise AslError(f"no landmark layout '{name}'{near}; known: {known}")
    return LAYOUTS[name]


def guess_layout(points: int, dims: int) -> Optional[Layout]:
    """The layout with so many points and coordinates, or None."""
    return next((v for v in LAYOUTS.values() if (v.num_points, v.num_dims) == (points, dims)), None)


def subset(array: Array, source: str, target: str) -> Array:
    """Cut one layout out of another.

    Args:
        array: ``(..., points, dims)`` in layout ``source``, numpy or torch.
        source, target: names of layouts.

    Returns:
        ``(..., points, dims)`` in layout ``target``.

    Raises:
        AslError: ``source`` lacks a point or a coordinate of ``target``, or ``array`` is not in ``source``.
    """
    old, new = get_layout(source), get_layout(target)
    shape = tuple(array.shape[-2:])
    if shape != (old.num_points, old.num_dims):
        wanted = (old.num_points, old.num_dims)
        raise AslError(f"an array of {shape} (points, dims) is not in layout {source}, which has {wanted}")
    lost = [n for n in new.points + new.dims if n not in old.points + old.dims]
    if lost:
        count = f"{lost[0]} ({len(lost)} lost)"
        raise AslError(f"layout {target} cannot be cut out of {source}, which has no {count}")
    points, dims = [old.points.index(p) for p in new.points], [old.dims.index(d) for d in new.dims]
    return array[..., points, :][..., dims]
