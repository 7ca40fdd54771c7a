"""What is measured of each clip of a data folder, a clip at a time, as rows of JSON."""

import math
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

import numpy as np

from asl.common.files import PathLike
from asl.data.storage import ArchiveReader, cut_fps, cut_layout, open_cuts
from asl.data.text import text_of
from asl.landmarks.layouts import get_layout
from asl.landmarks.quality import Quality, measure

Row = Dict[str, Any]
#: how parts are called in tables and pictures
NAMES = {"any_hand": "a hand", "hand_left": "left hand", "hand_right": "right hand", "pose": "body", "face": "face"}
KINDS = {
    "size_jump": "size jumps", "place_jump": "place jumps", "swap": "left/right swaps",
    "one_twice": "one hand found as both", "off_wrist": "hands off their wrist",
    "other_wrist": "hands at the other wrist", "other_shape": "shape of the other hand",
}  # fmt: skip


class Measured(NamedTuple):
    """One clip: its cut, its landmarks ``(frames, points, dims)``, what was measured, and that as a row."""

    cut: Any
    array: np.ndarray
    quality: Quality
    row: Row


def measured_clips(data: PathLike, split: str) -> Iterator[Measured]:
    """Measure the clips of a split in the manifest's order; nothing of a clip is kept when the next one comes.

    Raises:
        AslError: there are no cuts, or an archive is missing or damaged.
    """
    reader = ArchiveReader()
    try:
        for cut in open_cuts(data, split):
            array = read_array(reader, cut)
            quality = measure(array, cut_layout(cut))
            yield Measured(cut, array, quality, clip_row(cut, split, quality))
    finally:
        reader.close()


def read_array(reader: ArchiveReader, cut: Any) -> np.ndarray:
    """Landmarks ``(frames, points, dims)`` of a cut."""
    form = get_layout(cut_layout(cut))
    array = reader.read(cut)
    return array.reshape(len(array), form.num_points, form.num_dims)


def clip_row(cut: Any, split: str, quality: Quality) -> Row:
    """One clip's row.

    Returns:
        ``id``, ``split``, ``text``, ``layout``, ``frames``, ``fps``; ``unreliable``: share of its frames; ``found``:
        part -> share of its frames; ``gaps``: part -> ``count`` and ``longest`` in frames; ``jitter``: part -> median
        second difference in units of its size, None where it cannot be told; ``implausible``: kind -> ``[how many, of
        how many]``.
    """
    return {
        "id": cut.id,
        "split": split,
        "text": text_of(cut),
        "layout": cut_layout(cut),
        "frames": len(quality.unreliable),
        "fps": round(float(cut_fps(cut)), 3),
        "unreliable": round(float(quality.unreliable.mean()), 4),
        "found": {part: round(float(there.mean()), 4) for part, there in quality.present.items()},
        "gaps": {
            part: {"count": len(gaps), "longest": int(gaps.max(initial=0))} for part, gaps in quality.gaps.items()
        },
        "jitter": {part: rounded(value) for part, value in quality.jitter.items()},
        "implausible": {kind: list(count) for kind, count in quality.implausible.items()},
    }


def rounded(value: float) -> Optional[float]:
    """A number as JSON has it: NaN is None."""
    return None if math.isnan(value) else round(value, 5)


def badness(row: Row) -> Any:
    """What clips are sorted by, the worst last: unreliable frames, then the longest gap."""
    return row["unreliable"], max((gaps["longest"] for gaps in row["gaps"].values()), default=0), row["id"]


def reasons(row: Row) -> str:
    """What is wrong with a clip, in words."""
    said: List[str] = []
    for part in ("any_hand",) if "any_hand" in row["found"] else row["found"]:
        lost = 1 - row["found"][part]
        what = "hand" if part == "any_hand" else NAMES[part]
        if lost > 0:
            said.append(f"no {what} in {100 * lost:.0f} % of the frames")
    said += [f"{KINDS[kind]}: {n}" for kind, (n, _) in row["implausible"].items() if n]
    return "; ".join(said) or "nothing"
