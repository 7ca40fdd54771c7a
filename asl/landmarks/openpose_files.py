"""OpenPose's JSON: a folder a clip, a file a frame (``--write_json``), in layout ``openpose137``.

``<name>_000000000017_keypoints.json`` lists the ``people`` of frame 17, each with ``pose_keypoints_2d`` (x, y and
confidence of the 25 points of BODY_25 or the 18 of COCO, which are among those 25), ``face_keypoints_2d`` (70),
``hand_left_keypoints_2d`` and ``hand_right_keypoints_2d`` (21 each). A list is empty where OpenPose ran without
that part; files of before version 1.2 lack the ``_2d``. Confidence 0: not found.

The files do not say how large the picture was, which turns pixels into fractions of it, and how many frames a
second has. Both are given, or stand in ``picture.json`` in the clip's folder or in the one that holds the clips:
``{"width": 1280, "height": 720, "fps": 25}``.

Frames whose number is missing are there with nothing found. Several people: as in ``.pose`` files the one with
the most confidence over the clip is taken; a person is who has one ``person_id`` (OpenPose's ``--tracking``) or,
without, one place in the lists. Missing numbers and several people are told.
"""

import os
import re
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.common.rates import parse_rate
from asl.landmarks.array_files import cut_out
from asl.landmarks.frame_folders import frame_numbers
from asl.landmarks.layouts import OPENPOSE, get_layout

LAYOUT = "openpose137"
PICTURE = "picture.json"
SUFFIX = "_keypoints.json"
Size = Tuple[int, int]  # width and height in pixels

_COCO = [place for place, point in enumerate(OPENPOSE[:19]) if point != "mid_hip"]
_BODY = {len(OPENPOSE): list(range(len(OPENPOSE))), len(_COCO): _COCO}  # points in a file -> their places
_PARTS = {"face_keypoints": 70, "hand_left_keypoints": 21, "hand_right_keypoints": 21}
_FAR_OUT = 1.5  # pictures: no point is farther out than this, so a size that says so is wrong


class Picture(NamedTuple):
    """What OpenPose's files do not hold."""

    size: Optional[Size] = None
    fps: Optional[Fraction] = None


def is_openpose(path: Path) -> bool:
    """Whether ``path`` is a folder with ``*_keypoints.json`` files in it."""
    if not path.is_dir():
        return False
    with os.scandir(path) as entries:
        return any(entry.name.endswith(SUFFIX) and entry.name[0] != "." for entry in entries)


def frame_files(folder: Path) -> Dict[int, Path]:
    """The files of a clip by the number of their frame, in order.

    Raises:
        AslError: none, a name without a number, two with one number, or frames of two clips.
    """
    files = [folder / name for name in sorted(os.listdir(folder)) if name.endswith(SUFFIX) and name[0] != "."]
    if not files:
        raise AslError(f"{folder}: no file that ends in {SUFFIX}; give a folder that OpenPose's --write_json wrote")
    for file in files:
        if not re.search(r"\d", file.name):
            raise AslError(f"{file}: no number of a frame in its name; OpenPose writes clip_000000000000{SUFFIX}")
    found: Dict[int, Path] = {}
    for number, file in zip(frame_numbers(folder, files), files):
        other = found.setdefault(number, file)
        if other is not file:
            raise AslError(f"{folder}: {other.name} and {file.name} are both frame {number}; keep one")
    return dict(sorted(found.items()))


def read_picture(folder: Path, size: Optional[Size] = None, fps: Optional[Fraction] = None) -> Picture:
    """Size and rate of a clip: what is given, else what ``picture.json`` says of it.

    Raises:
        AslError: nobody says the size, or ``picture.json`` is not what it should be.
    """
    path = next((f / PICTURE for f in (folder, folder.parent) if (f / PICTURE).is_file()), None)
    if path is not None:
        facts = read_json(path)
        known = {"width", "height", "fps"}
        sides = [facts.get(side) for side in ("width", "height")] if isinstance(facts, dict) else []
        if not sides or set(facts) - known or not all(isinstance(n, int) and n > 0 for n in sides):
            raise AslError(f'{path}: write {{"width": 1280, "height": 720, "fps": 25}} (whole pixels; fps may be left '
                           "out)")
        size = size or (sides[0], sides[1])
        if fps is None and "fps" in facts:
            fps = parse_rate(facts["fps"])
    if size is None:
        raise AslError(
            f"{folder}: OpenPose's files do not say how large the picture was; give its width and height, or write "
            f'them to {folder.parent / PICTURE}: {{"width": 1280, "height": 720, "fps": 25}}'
        )
    return Picture(size, fps)


def probe_openpose(folder: Path) -> Tuple[int, Optional[Fraction]]:
    """Frames of a clip, by the names of its files, and fps where ``picture.json`` says it."""
    fps = read_picture(folder).fps
    numbers = list(frame_files(folder))
    return numbers[-1] - numbers[0] + 1, fps


def read_openpose(
    folder: Path, layout: Optional[str], size: Optional[Size] = None, fps: Optional[Fraction] = None
) -> Tuple[np.ndarray, str, Picture, Tuple[str, ...]]:
    """Read one clip.

    Args:
        folder: its folder; it exists.
        layout: layout to cut out of ``openpose137``, or None for all of it.
        size: width and height of the picture in pixels; 1, 1 where the files hold fractions of it
            (``--keypoint_scale 3``).
        fps: frames per second.

    Returns:
        ``(frames, points, dims)`` float32 with NaN, name of the layout, size and fps, and what is odd in words.

    Raises:
        AslError: see ``frame_files`` and ``read_picture``; a file that is not OpenPose's or of another model,
            nobody in any frame, coordinates that are not pixels of such a picture, or ``layout`` cannot be cut out.
    """
    picture = read_picture(folder, size, fps)
    files = frame_files(folder)
    first, last = min(files), max(files)
    people = {number - first: _people(path) for number, path in files.items()}
    array = np.full((last - first + 1, get_layout(LAYOUT).num_points, 3), np.nan, dtype=np.float32)
    who = _surest(folder, people)
    for frame, listed in people.items():
        if who in listed:
            array[frame] = listed[who]
    array[~np.isfinite(array).all(axis=-1) | (array[..., 2] <= 0)] = np.nan
    _to_fractions(folder, array, picture.size)

    notes = []
    if first:
        notes.append(f"its frames are counted from {first}: that is the clip's first")
    missing = sorted(set(range(len(array))) - set(people))
    if missing:
        some = ", ".join(str(first + n) for n in missing[:5]) + (", ..." if len(missing) > 5 else "")
        notes.append(f"{len(missing)} of {len(array)} frame numbers are missing ({some}): nothing is found there")
    crowd = [len(listed) for listed in people.values() if len(listed) > 1]
    if crowd:
        notes.append(f"up to {max(crowd)} people in {len(crowd)} of {len(array)} frames: the surest is taken")
    if layout not in (None, LAYOUT):
        array = cut_out(folder, array, LAYOUT, layout)
    return array, layout or LAYOUT, picture, tuple(notes)


def _people(path: Path) -> Dict[Any, np.ndarray]:
    """``(137, 3)`` x, y, confidence of everybody in a frame, by who it is."""
    frame = read_json(path)
    listed = frame.get("people") if isinstance(frame, dict) else None
    if not isinstance(listed, list) or not all(isinstance(person, dict) for person in listed):
        raise AslError(f"{path}: has no list of 'people'; give files that OpenPose's --write_json wrote")
    return {_name(person, place): _points(path, person) for place, person in enumerate(listed)}


def _name(person: Dict[str, Any], place: int) -> Tuple[int, int]:
    """Who this is: OpenPose's number of the tracked person, or its place in the list; smaller is earlier."""
    tracked = person.get("person_id") or [-1]
    number = tracked[0] if isinstance(tracked, list) else tracked
    return (0, number) if isinstance(number, int) and number >= 0 else (1, place)


def _points(path: Path, person: Dict[str, Any]) -> np.ndarray:
    body = _triples(path, person, "pose_keypoints")
    if len(body) not in (0, *_BODY):
        models = "25 (BODY_25) or 18 (COCO)"
        raise AslError(f"{path}: a body of {len(body)} points, not {models}; run OpenPose with --model_pose BODY_25")
    points = [np.zeros((len(OPENPOSE), 3), dtype=np.float32)]
    if len(body):
        points[0][_BODY[len(body)]] = body
    for part, count in _PARTS.items():
        found = _triples(path, person, part)
        if len(found) not in (0, count):
            raise AslError(f"{path}: {len(found)} points in '{part}', not {count}; it is not OpenPose's")
        points.append(found if len(found) else np.zeros((count, 3), dtype=np.float32))
    return np.concatenate(points)


def _triples(path: Path, person: Dict[str, Any], part: str) -> np.ndarray:
    numbers = person.get(f"{part}_2d", person.get(part, []))
    try:
        return np.array(numbers, dtype=np.float32).reshape(-1, 3)
    except (TypeError, ValueError):
        raise AslError(f"{path}: '{part}_2d' is no list of x, y, confidence for each point; make it again") from None


def _surest(folder: Path, people: Dict[int, Dict[Any, np.ndarray]]) -> Any:
    """The person with the most confidence over the clip, of equals the first."""
    sums: Dict[Any, float] = {}
    for listed in people.values():
        for who, points in listed.items():
            sums[who] = sums.get(who, 0.0) + float(points[:, 2].sum())
    if not sums:
        raise AslError(f"{folder}: holds no person; leave the clip out or extract it again")
    return max(sorted(sums), key=lambda who: sums[who])


def _to_fractions(folder: Path, array: np.ndarray, size: Size) -> None:
    """Pixels of ``array`` ``(frames, 137, 3)`` -> parts of the picture, in place."""
    places = array[..., :2][np.isfinite(array[..., 0])]
    if not len(places):
        return
    far, pixels = places.max(axis=0), size != (1, 1)
    if pixels and far.max() <= 1:
        raise AslError(f"{folder}: all coordinates are below 1, no pixels: OpenPose ran with --keypoint_scale 3 or 4; "
                       "run it without, or (after 3) give width 1 and height 1")
    if (far > _FAR_OUT * np.array(size)).any():
        raise AslError(f"{folder}: points reach x {far[0]:.0f}, y {far[1]:.0f}, far outside a picture of {size[0]} x "
                       f"{size[1]}; give its true size")
    array[..., :2] /= np.array(size, dtype=np.float32)
