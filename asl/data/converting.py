"""``asl landmarks convert``: landmark files of one format -> another, a file or a whole folder."""

import hashlib
import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Tuple

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.common.rates import parse_rate
from asl.data.executors import check_options
from asl.data.file_making import Made, MakeTask, check_failures, check_size, make_files, print_report
from asl.data.videos import source_state
from asl.landmarks.layouts import get_layout
from asl.landmarks.openpose_files import PICTURE, is_openpose
from asl.landmarks.reading import SUFFIXES, read_landmarks
from asl.landmarks.writing import NOT_HELD, write_landmarks

# Files of an older version of this are made again: raised where others come out.
VERSION = 1
NAME = "convert"


@dataclass(frozen=True)
class Conversion:
    """One clip to convert.

    Attributes:
        source: its file, or the folder of its OpenPose JSON.
        layout: layout to cut out of it, or None.
        size, fps: what is given for files that do not say it.
    """

    source: Path
    layout: Optional[str] = None
    size: Optional[Tuple[int, int]] = None
    fps: Optional[Fraction] = None


def convert_landmarks(
    source: str,
    out: str,
    to: Optional[Literal["pose", "npz", "npy"]] = None,
    layout: Optional[str] = None,
    width: Optional[int] = None,
    height: Optional[int] = None,
    fps: Optional[str] = None,
    nj: int = 1,
    max_failures: float = 0.0,
    force: bool = False,
) -> Dict[str, Any]:
    """Convert landmark files: .npy, .npz, .pose and folders of OpenPose's JSON -> .pose, .npz or .npy.

    One clip gives one file. Of a folder all clips in it and below are converted, into files of the same names below
    OUT, with OUT/convert.json, which lists what failed and what is to be told. May be killed at any moment and
    started again: what is done and unchanged is kept.

    What comes back when the file is read again: all, from .npz and .npy, to the last bit. In .pose x and y are
    pixels in float32, which may move the last bit of a coordinate (6e-8 of the picture), once. .npy has no place
    for frames per second and the picture's size, .npz none for other points than MediaPipe Holistic's.

    Args:
        source: a landmark file, a folder of OpenPose's JSON (a file a frame), or a folder of these.
        out: the file to write, by its suffix in which format; or a folder, with --to.
        to: format to write: pose (pose-format), npz (How2Sign's arrays) or npy.
        layout: layout to cut out of every clip, such as hands42; by default all that the files hold.
        width: of the picture in pixels, for files that do not say it: OpenPose's JSON and .npy. (OpenPose's may say
            it in picture.json beside the clips.) A .pose of a picture of unknown size is drawn in a square of 1024.
        height: likewise.
        fps: frames per second, such as 25 or 29.97, for files that do not say them; .pose needs them.
        nj: processes.
        max_failures: share of a folder's clips (0 to 1) that may fail and are then left out.
        force: make all files again.

    Returns:
        What convert.json holds.

    Raises:
        AslError: nothing to convert, an option that fits not, too many clips failed, or a file cannot be written.
    """
    check_options(nj, max_failures)
    if layout is not None:
        get_layout(layout)
    given = (layout, check_size(width, height), parse_rate(fps) if fps is not None else None)
    path, target = Path(source), Path(out)
    if not path.exists():
        raise AslError(f"{path} does not exist; give a landmark file, or a folder of them")
    alone = path.is_file() or is_openpose(path)
    if target.suffix in SUFFIXES and not target.is_dir():
        if not alone:
            raise AslError(f"{target} is the name of one file, but {path} holds many clips: give a folder and --to")
        return _convert_alone(Conversion(path, *given), target, to)
    if to is None:
        if target.suffix and not target.is_dir():
            raise AslError(f"{target}: '{target.suffix}' is no format that is written ({', '.join(SUFFIXES)}); "
                           "for a folder of that name say by --to what is to be written there")
        raise AslError(f"{target} is no file's name: say by --to pose, npz or npy what is to be written into that folder")
    if alone:
        name = path.name if path.is_dir() else path.stem
        return _convert_alone(Conversion(path, *given), target / f"{name}.{to}", to)
    if Path(os.path.realpath(path)) in [Path(os.path.realpath(target)), *Path(os.path.realpath(target)).parents]:
        raise AslError(f"{target} lies in {path}, whose clips are converted; give a folder outside of it")
    tasks = [_task(name, Conversion(file, *given), target / f"{name}.{to}") for name, file in list_clips(path).items()]
    report = make_files(tasks, convert_clip, target, NAME, nj, force)
    print_report(report, NAME, target)
    _say_not_held(to)
    check_failures(report, max_failures, target / f"{NAME}.json")
    return report


def list_clips(folder: Path) -> Dict[str, Path]:
    """All clips in ``folder`` and below, by their paths in it without suffix; what begins with a dot is left alone.

    Raises:
        AslError: none, or two of one name.
    """
    found: Dict[str, Path] = {}
    others = 0
    for root, folders, names in os.walk(folder):
        clips = [name for name in folders if is_openpose(Path(root, name))]
        folders[:] = sorted(name for name in folders if name not in clips and not name.startswith("."))
        files = [name for name in names if Path(name).suffix in SUFFIXES and not name.startswith(".")]
        others += len([name for name in names if name not in files and name != PICTURE and not name.startswith(".")])
        for name in sorted(clips + files):
            path = Path(root, name)
            clip = path.relative_to(folder).as_posix()
            clip = clip if name in clips else clip[: -len(path.suffix)]
            other = found.setdefault(clip, path)
            if other is not path:
                raise AslError(f"{other} and {path} would both become {clip}; convert them into folders of their own")
    if not found:
        kinds = ", ".join(SUFFIXES)
        raise AslError(f"{folder}: no landmark file in it ({kinds}, folders of OpenPose's JSON); {others} others are")
    if others:
        print(f"{folder}: {others:,} files that are no landmarks are left alone")
    return found


def _task(name: str, job: Conversion, out: Path) -> MakeTask:
    try:
        state = source_state(job.source)
    except OSError:  # it went since, or cannot be read: converting says so
        state = {}
    about = [VERSION, out.suffix, job.layout, job.size, str(job.fps), state, _picture(job.source)]
    return MakeTask(name, out, hashlib.sha256(json.dumps(about).encode()).hexdigest(), job)


def _picture(source: Path) -> Any:
    """What is written beside a folder of OpenPose's JSON."""
    if not source.is_dir():
        return None
    return [read_json(f / PICTURE) for f in (source, source.parent) if (f / PICTURE).is_file()]


def convert_clip(task: MakeTask) -> Made:
    """Read and write one clip."""
    try:
        return _convert(task.job, task.out)
    except AslError as e:
        return Made(failure=str(e))


def _convert(job: Conversion, out: Path) -> Made:
    clip = read_landmarks(job.source, job.layout, job.size, job.fps)
    notes = [*clip.notes]
    if job.size not in (None, (1, 1), (clip.width, clip.height)):
        notes.append(f"it says itself that its picture is {clip.width} x {clip.height}, which is taken")
    if job.fps not in (None, clip.fps):
        notes.append(f"it says itself that it has {clip.fps} frames per second, which is taken")
    return Made(len(clip.array), (*notes, *write_landmarks(out, clip)))


def _convert_alone(job: Conversion, out: Path, to: Optional[str]) -> Dict[str, Any]:
    if to is not None and out.suffix != f".{to}":
        raise AslError(f"{out} is not a .{to} file: give another name, or leave --to away")
    if os.path.realpath(job.source) == os.path.realpath(out):
        raise AslError(f"{out} is the file that is converted; give another name")
    made = _convert(job, out)
    notes: List[Dict[str, Any]] = [{"id": job.source.name, "notes": list(made.notes)}] if made.notes else []
    report = {"listed": 1, "made": 1, "kept": 0, "frames": made.frames, "failed": [], "notes": notes}
    print_report(report, NAME, out)
    _say_not_held(out.suffix[1:])
    return report


def _say_not_held(to: str) -> None:
    if to in NOT_HELD:
        print(f"note: .{to} files do not hold {NOT_HELD[to]}")
