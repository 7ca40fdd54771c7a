"""``asl show``: one clip's skeletons on white or over its video, as a strip of frames, a GIF or an MP4."""

import re
from pathlib import Path
from typing import Any, Iterator, Literal, Optional, Tuple

import numpy as np

from asl.common.errors import AslError, did_you_mean
from asl.common.files import atomic_path
from asl.data.clip_video import ClipVideo, find_recordings, find_video, picture_size, pictures_at
from asl.data.quality_rows import read_array
from asl.data.storage import ArchiveReader, cut_fps, cut_layout, open_cuts
from asl.data.text import text_of
from asl.landmarks.drawing import Image, View, check_array, choose_frames, close_view, draw_frame, video_view
from asl.landmarks.layouts import Layout
from asl.landmarks.movies import write_gif, write_mp4
from asl.landmarks.pictures import film_frame, seconds, strip

SUFFIXES = {"strip": ".png", "gif": ".gif", "mp4": ".mp4"}
USUAL_RATIO = 4 / 3  # of pictures whose shape no file tells
_HEIGHTS = {"strip": 180, "gif": 320, "mp4": 480}
_WIDEST = 200  # pixels of a strip's frame


def show(
    cut: str,
    data: str = "data",
    split: str = "val",
    to: Optional[Literal["strip", "gif", "mp4"]] = None,
    out: str = "",
    over_video: bool = False,
    video: str = "",
    frames: int = 8,
    height: int = 0,
) -> None:
    """Show the landmarks of one clip, as they are stored, with its gloss or sentence and the time.

    As the camera sees it: the signer's right hand, red, is on the left. --over-video draws over the frames of the
    video that the landmarks were extracted from; where they come from landmark files, --video says which it is.

    Args:
        cut: id of the clip; one that begins with a dash goes last, after a lone --.
        data: the recipe's data folder.
        split: train, val or test.
        to: strip (frames side by side in a PNG), gif or mp4 (all frames, at the clip's rate); by default what the
            suffix of --out says, or strip.
        out: the file to write; by default the clip's id with the suffix of its kind, in the working directory.
        over_video: draw over the video instead of on white.
        video: the video, or folder of numbered frames, that the clip is of; by default the recording's. Asks for
            --over-video too.
        frames: strip: how many frames are shown, evenly from the first to the last with a hand.
        height: of a frame in pixels; by default 180 in a strip (less where frames are wide), 320 in a GIF, 480 in an MP4.

    Raises:
        AslError: no such split or clip, nothing was found in it, its archive is missing or damaged, or its video
            is not known, not there or too short.
    """
    to = to or next((kind for kind, suffix in SUFFIXES.items() if Path(out).suffix.lower() == suffix), "strip")
    if Path(out).suffix.lower() in set(SUFFIXES.values()) - {SUFFIXES[to]}:
        raise AslError(f"--out {out} is no name for --to {to}, whose files end in {SUFFIXES[to]}")
    narrow = _WIDEST if to == "strip" and not height else 0
    height = height or _HEIGHTS[to]
    if not 32 <= height <= 4320:
        raise AslError(f"--height {height}: give 32 to 4320 pixels")
    found, array, layout = read_cut(data, split, cut)
    form, fps = check_array(array, layout), cut_fps(found)
    chosen = choose_frames(array, form, frames) if to == "strip" else np.arange(len(array))
    recording_id = found.features.recording_id
    recording = find_recordings(data, split, [recording_id]).get(recording_id)

    if over_video or video:
        clip_video = find_video(found, len(array), recording, data, split, video)
        drawn: Iterator[Image] = _over_video(array, chosen, form, clip_video, height, close=to == "strip")
        where = f"over {clip_video.path}"
    else:
        size = picture_size(recording_id, recording, data, split)
        view = close_view(array, size[0] / size[1] if size else USUAL_RATIO, height)
        if narrow and view.width > narrow:  # eight frames side by side still fit on a screen
            view = close_view(array, view.ratio, max(height * narrow // view.width, height // 2))
        drawn = (draw_frame(frame, form, view) for frame in array[chosen])
        where = "on white" if size else "on white; no file tells the picture's shape: drawn as 4:3"

    text, path = text_of(found), Path(out or re.sub(r"[^\w.-]", "_", cut) + SUFFIXES[to])
    about = f"{split} {cut} · {len(array)} frames, {float(fps):.4g} a second"
    if to == "strip":
        picture = strip(list(drawn), [k / float(fps) for k in chosen], text, about)
        with atomic_path(path) as tmp:
            picture.save(tmp, format="PNG", optimize=True)
    else:
        length = seconds(len(array) / float(fps))
        pages = (
            film_frame(frame, text, f"{seconds(k / float(fps))} of {length} · frame {k} · {split} {cut}")
            for k, frame in enumerate(drawn)
        )
        if to == "gif":
            write_gif(path, pages, fps, len(array))
        else:
            write_mp4(path, pages, fps)
    print(f"{path}: {len(chosen)} of {len(array)} frames of {split} {cut}, {where}")


def read_cut(data: str, split: str, cut: str) -> Tuple[Any, np.ndarray, str]:
    """A cut by its id, its landmarks ``(frames, points, dims)`` and the name of their layout.

    Raises:
        AslError: no such split or cut, or its archive is missing or damaged.
    """
    cuts = open_cuts(data, split)
    found = next((c for c in cuts if c.id == cut), None)
    if found is None:
        near = did_you_mean(cut, (c.id for c in cuts))
        raise AslError(f"{data}/{split}: no clip '{cut}'{near}; the ids are in cuts.jsonl.gz")
    reader = ArchiveReader()
    try:
        return found, read_array(reader, found), cut_layout(found)
    finally:
        reader.close()


def _over_video(
    array: np.ndarray, chosen: np.ndarray, form: Layout, video: ClipVideo, height: int, close: bool
) -> Iterator[Image]:
    """The chosen frames drawn over their pictures, ``height`` pixels high; ``close``: cut out what points are in."""
    from PIL import Image as Pillow

    view: Optional[View] = None
    for frame, picture in zip(array[chosen], pictures_at(video, video.times[chosen])):
        tall, wide = picture.shape[:2]
        view = view or video_view(array, wide / tall, height, close)
        corners = (view.left, view.top, view.left + view.width / view.scale, view.top + view.height / view.scale)
        box = tuple(np.clip(np.multiply(corners, tall), 0, (wide, tall, wide, tall)))
        background = Pillow.fromarray(picture).resize((view.width, view.height), Pillow.LANCZOS, box=box)
        yield draw_frame(frame, form, view, background)
