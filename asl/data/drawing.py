"""``asl landmarks draw``: one stored clip as a strip of frames."""

from asl.common.errors import AslError, did_you_mean
from asl.data.storage import ArchiveReader, cut_layout, open_cuts
from asl.landmarks.drawing import draw_strip
from asl.landmarks.layouts import get_layout


def draw_cut(data: str, split: str, cut: str, out: str, frames: int = 8) -> None:
    """Draw the landmarks of one clip, as they are stored, as a strip of frames in a PNG.

    Args:
        data: the recipe's data folder.
        split: train, val or test.
        cut: id of the clip.
        out: the PNG file to write.
        frames: how many frames are shown.

    Raises:
        AslError: no such split or clip, nothing was found in it, or its archive is missing or damaged.
    """
    cuts = open_cuts(data, split)
    chosen = next((c for c in cuts if c.id == cut), None)
    if chosen is None:
        near = did_you_mean(cut, (c.id for c in cuts))
        raise AslError(f"{data}/{split}: no clip '{cut}'{near}; the ids are in cuts.jsonl.gz")
    reader = ArchiveReader()
    array, layout = reader.read(chosen), get_layout(cut_layout(chosen))
    reader.close()
    text = " ".join(s.text or "" for s in chosen.supervisions)
    title = f"{text}  ({split} {cut}, {len(array)} frames)"
    draw_strip(array.reshape(len(array), layout.num_points, layout.num_dims), layout.name, out, frames, title)
    print(out)
