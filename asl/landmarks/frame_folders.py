"""Folders of numbered frames, as RWTH-PHOENIX-Weather has them: one picture a file.

The frames are in the order of their numbers (2 before 10). Where names hold several numbers
(``..._pid0_fn000012-0.png``), the one that differs from file to file counts.
"""

import re
from pathlib import Path
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError

PICTURES = (".png", ".jpg", ".jpeg")
_DIGITS = re.compile(r"(\d+)")


class FrameFiles(NamedTuple):
    """The frames of a folder.

    Attributes:
        paths: their files, in order.
        steps: of every file, how many frames it comes after the first; 0, 1, 2, … where none is missing.
    """

    paths: Tuple[Path, ...]
    steps: Tuple[int, ...]

    @property
    def missing(self) -> List[int]:
        """The steps that have no file."""
        return sorted(set(range(self.steps[-1] + 1)) - set(self.steps))


def is_frame_folder(path: Path) -> bool:
    """Whether ``path`` is a folder with a numbered picture in it."""
    return path.is_dir() and any(_is_frame(entry) for entry in path.iterdir())


def list_frames(folder: Path) -> FrameFiles:
    """The numbered pictures of a folder.

    A folder that has every second frame (or every third, …) of its video has no gaps: the step is the smallest
    distance between two numbers, if all are multiples of it.

    Raises:
        AslError: no numbered picture, two with one number, or pictures of more than one series.
    """
    files = [entry for entry in folder.iterdir() if _is_frame(entry)]
    if not files:
        raise AslError(f"{folder}: no numbered {', '.join(PICTURES)} in it; give a video or a folder of frames")
    kinds = sorted({file.suffix.lower() for file in files})
    if len(kinds) > 1:
        raise AslError(f"{folder}: frames of several kinds ({', '.join(kinds)}); leave one of them in the folder")
    numbers = frame_numbers(folder, files)
    order = sorted(range(len(files)), key=numbers.__getitem__)
    ordered = [numbers[i] for i in order]
    for i, (one, other) in enumerate(zip(ordered, ordered[1:])):
        if one == other:
            both = f"{files[order[i]].name} and {files[order[i + 1]].name}"
            raise AslError(f"{folder}: two frames with one number, {both}; leave one of them in the folder")
    steps = [number - ordered[0] for number in ordered]
    stride = min((b - a for a, b in zip(steps, steps[1:])), default=1)
    if all(step % stride == 0 for step in steps):
        steps = [step // stride for step in steps]
    return FrameFiles(tuple(files[i] for i in order), tuple(steps))


def read_picture(path: Path) -> np.ndarray:
    """One picture, ``(height, width, 3)`` uint8 RGB, turned as its EXIF data say.

    Raises:
        AslError: gone, empty, cut short (decoders fill up what is missing, so its last bytes are looked at), or no
            picture.
    """
    import cv2

    try:
        data = path.read_bytes()
    except OSError as error:
        raise AslError(f"{path}: cannot be read ({error.strerror}); check the corpus folder") from error
    if not data:
        raise AslError(f"{path}: empty file; copy it again")
    end = b"IEND" if path.suffix.lower() == ".png" else b"\xff\xd9"
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if end in data[-1024:] else None
    if picture is None:
        raise AslError(f"{path}: cut short or not a picture; copy it again")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _is_frame(entry: Path) -> bool:
    name = entry.name
    return entry.suffix.lower() in PICTURES and not name.startswith(".") and bool(_DIGITS.search(entry.stem))


def frame_numbers(folder: Path, files: Sequence[Path]) -> List[int]:
    """The number of each of a clip's files: of those in the names (each has one or more) the one that differs.

    Raises:
        AslError: more than that differs.
    """
    split = [_DIGITS.split(file.stem) for file in files]
    columns = {len(parts) for parts in split}
    if len(columns) > 1:
        few, many = (next(f.name for f, p in zip(files, split) if len(p) == n) for n in (min(columns), max(columns)))
        raise AslError(f"{folder}: names of more than one series ({few}, {many}); a folder holds one clip's frames")
    width = columns.pop()
    differ = [i for i in range(width) if len({parts[i] for parts in split}) > 1]
    texts = [i for i in differ if i % 2 == 0]
    values = [i for i in differ if i % 2 and len({int(parts[i]) for parts in split}) > 1]
    if texts or len(values) > 1:
        one, other = sorted(file.name for file in files)[:: len(files) - 1][:2]
        raise AslError(f"{folder}: names of more than one series ({one}, {other}); a folder holds one clip's frames")
    column = values[0] if values else width - 2
    return [int(parts[column]) for parts in split]
