"""A clip as a very small picture: a few frames side by side, and below them when the hands were found (Pillow)."""

import io
from typing import Dict

import numpy as np

from asl.landmarks.drawing import COLOURS, Colour, Image, choose_frames, close_view, draw_frame
from asl.landmarks.layouts import get_layout
from asl.landmarks.quality import Quality

WIDTH, HEIGHT = 288, 124  # of a thumbnail in pixels
_FRAMES_HIGH, _BAR, _SPACE = 104, 4, 2
_MOST = 5  # frames
_SHADES = 40  # colours of a thumbnail: it is a few kB

#: readable on a light and on a dark page
COLOURS_ANYWHERE: Dict[str, Colour] = dict(COLOURS, pose=(128, 128, 128), face=(150, 150, 150))
_WRONG, _EMPTY = (240, 150, 20, 255), (128, 128, 128, 60)


def thumbnail(array: np.ndarray, layout: str, quality: Quality, ratio: float) -> bytes:
    """Draw a clip.

    Args:
        array: ``(frames, points, dims)``, NaN where a point was not found.
        layout: name of its layout.
        quality: what was measured of it; below the frames stands over the time where the left hand (blue) and
            the right one (red) were found, or where there are none each other part, and which frames are
            unreliable (orange).
        ratio: the picture's width through its height.

    Returns:
        A PNG of ``WIDTH`` x ``HEIGHT`` with a transparent ground.
    """
    from PIL import Image as Pillow

    whole = Pillow.new("RGBA", (WIDTH, HEIGHT), (0, 0, 0, 0))
    _paste_frames(whole, array, layout, ratio)
    parts = [part for part in ("hand_left", "hand_right") if part in quality.present] or list(quality.present)
    top = _FRAMES_HIGH + _SPACE
    for part in parts[:2]:
        _paste_bar(whole, top, quality.present[part], COLOURS_ANYWHERE[part] + (255,), _EMPTY)
        top += _BAR + _SPACE
    _paste_bar(whole, top, quality.unreliable, _WRONG, (0, 0, 0, 0))
    file = io.BytesIO()
    whole.quantize(_SHADES, method=Pillow.Quantize.FASTOCTREE).save(file, format="PNG", optimize=True)
    return file.getvalue()


def _paste_frames(whole: Image, array: np.ndarray, layout: str, ratio: float) -> None:
    """As many frames as fit, in the middle; none of a clip in which nothing was found."""
    if not np.isfinite(array[..., :2]).all(axis=-1).any():
        return
    form = get_layout(layout)
    view = close_view(array, ratio, _FRAMES_HIGH)
    count = min(max(WIDTH // view.width, 1), _MOST)
    chosen = choose_frames(array, form, count)
    step = WIDTH // len(chosen)
    for k, frame in enumerate(array[chosen]):
        drawn = draw_frame(frame, form, view, colours=COLOURS_ANYWHERE)
        if drawn.width > step:
            drawn = drawn.resize((step, round(drawn.height * step / drawn.width)))
        whole.paste(drawn, (k * step + (step - drawn.width) // 2, (_FRAMES_HIGH - drawn.height) // 2))


def _paste_bar(whole: Image, top: int, marks: np.ndarray, colour: tuple, ground: tuple) -> None:
    """A bar over the clip's time in ``colour`` where ``marks`` ``(frames,)`` is True; the shortest can be seen."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    bar = Pillow.new("RGBA", (WIDTH, _BAR), ground)
    pen = ImageDraw.Draw(bar)
    edges = np.arange(len(marks) + 1) * WIDTH // len(marks)
    for k in np.flatnonzero(marks):
        pen.rectangle((edges[k], 0, max(edges[k + 1] - 1, edges[k]), _BAR - 1), fill=colour)
    whole.paste(bar, (0, top))
