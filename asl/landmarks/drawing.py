"""Skeletons as pictures: a clip's frames drawn on white, on nothing or over the frames of its video (Pillow).

Left and right are the signer's: as the camera sees it, the right hand (red) is on the left of the picture.
"""

import functools
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.layouts import Layout, get_layout

Image = Any  # PIL.Image.Image; Pillow is imported when something is drawn
Colour = Tuple[int, int, int]

COLOURS: Dict[str, Colour] = {
    "hand_left": (31, 119, 180), "hand_right": (214, 39, 40), "pose": (85, 85, 85), "face": (154, 154, 154)
}  # fmt: skip
OVER_VIDEO: Dict[str, Colour] = {
    "hand_left": (70, 175, 255), "hand_right": (255, 80, 80), "pose": (255, 255, 255), "face": (255, 226, 122)
}  # fmt: skip
_MARGIN = 0.05  # of the drawn box
_BELOW = 1.1  # y: no farther below the picture than so much of it: legs out of the picture are guesses
_FINE = 3  # drawn so many times as large and reduced, for smooth lines
_DOTS_FROM = 120  # pixels high: below that the dots of a hand or a face would be one blot


class View(NamedTuple):
    """What of the picture is drawn, and how large.

    Attributes:
        left, top: the corner of what is drawn, in picture heights (x times the picture's width through height).
        scale: pixels of the drawing a picture height.
        width, height: of the drawing in pixels.
        ratio: the picture's width through its height.
        line: pixels of a thin line.
    """

    left: float
    top: float
    scale: float
    width: int
    height: int
    ratio: float
    line: float

    def pixels(self, frame: np.ndarray) -> np.ndarray:
        """Points ``(points, dims)`` of the landmarks as ``(points, 2)`` pixels, NaN where not found."""
        place = frame[:, :2].astype(np.float32) * np.float32([self.ratio, 1])
        return (place - np.float32([self.left, self.top])) * np.float32(self.scale)


def check_array(array: np.ndarray, layout: str) -> Layout:
    """The layout's form.

    Raises:
        AslError: ``array`` is not ``(frames, points, dims)`` of it, or no point was found in any frame.
    """
    form = get_layout(layout)
    if array.ndim != 3 or array.shape[1:] != (form.num_points, form.num_dims):
        wanted = f"(frames, {form.num_points}, {form.num_dims})"
        raise AslError(f"cannot draw an array of {array.shape} as {layout}, which is {wanted}")
    if not np.isfinite(array[..., :2]).all(axis=-1).any():
        raise AslError("nothing to draw: no point was found in any frame")
    return form


def _box(array: np.ndarray, ratio: float) -> Tuple[np.ndarray, np.ndarray]:
    """Upper left and lower right corner of all points found, with a margin, in picture heights."""
    place = array[..., :2].astype(np.float32) * np.float32([ratio, 1])
    seen = place[np.isfinite(place).all(axis=-1)]
    low, high = seen.min(axis=0), seen.max(axis=0)
    high = np.maximum(np.minimum(high, (np.inf, max(_BELOW, float(low[1])))), low + 0.02)
    margin = _MARGIN * (high - low).max()
    return low - margin, high + margin


def close_view(array: np.ndarray, ratio: float, height: int) -> View:
    """The view, ``height`` pixels high, that all points found in ``array`` ``(frames, points, dims)`` just fit into."""
    low, high = _box(array, ratio)
    wide, tall = high - low
    tall_enough = max(tall, wide / 3)  # a flat clip becomes no ribbon
    top = low[1] - (tall_enough - tall) / 2
    width = max(int(round(height * wide / tall_enough)), height // 4)
    left = low[0] - (width / height * tall_enough - wide) / 2
    return View(float(left), float(top), float(height / tall_enough), width, height, ratio, _line(height))


def video_view(array: np.ndarray, ratio: float, height: int, close: bool) -> View:
    """The view of a video's picture, ``height`` pixels high: all of it, or only what the clip's points are in."""
    low, high = _box(array, ratio)
    low, high = np.maximum(low, 0), np.minimum(high, (ratio, 1))
    if not close or (high - low).min() < 0.02:  # (all points may be outside of the picture)
        return View(0, 0, height, max(round(height * ratio), 1), height, ratio, _line(height * (high - low)[1]))
    wide, tall = high - low
    return View(float(low[0]), float(low[1]), float(height / tall), max(round(height * wide / tall), 1), height, ratio,
                _line(height))  # fmt: skip


def _line(height: float) -> float:
    """Pixels of a thin line where the signer is so many high."""
    return max(height / 260, 0.75)


def choose_frames(array: np.ndarray, form: Layout, frames: int) -> np.ndarray:
    """Indices of ``frames`` frames, evenly from the first to the last with a hand (without hands: with anything).

    Raises:
        AslError: ``frames`` is below 1.
    """
    if frames < 1:
        raise AslError(f"cannot draw {frames} frames; ask for 1 or more")
    found = np.isfinite(array[..., :2]).all(axis=-1)
    hands = [p for part in ("hand_left", "hand_right") for p in form.parts.get(part, ())]
    shown = found[:, hands].any(axis=1) if hands and found[:, hands].any() else found.any(axis=1)
    times = np.flatnonzero(shown)
    return np.unique(np.linspace(times[0], times[-1], frames).round().astype(int))


def draw_frame(
    frame: np.ndarray, form: Layout, view: View, background: Optional[Image] = None, colours: Optional[Dict] = None
) -> Image:
    """Draw one frame.

    Args:
        frame: ``(points, dims)``, NaN where a point was not found.
        form: its layout.
        view: what of it, and how large.
        background: an RGB picture of the view's size; None: nothing, the drawing is transparent.
        colours: part -> colour; by default ``COLOURS``, over a background ``OVER_VIDEO``.

    Returns:
        An RGBA picture (PIL) of the view's size.
    """
    from PIL import Image, ImageDraw

    colours = colours or (OVER_VIDEO if background is not None else COLOURS)
    picture = Image.new("RGBA", (view.width * _FINE, view.height * _FINE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    place = view.pixels(frame) * _FINE
    found = np.isfinite(place).all(axis=1)
    thin = view.line * _FINE
    for part, lines, dots in _strokes(form.name):
        width = thin * (1.6 if part.startswith("hand") else 1.1 if part == "pose" else 0.7)
        lines = [(a, b) for a, b in lines if found[a] and found[b]]
        for a, b in lines:
            pen.line((*place[a], *place[b]), fill=colours[part] + (255,), width=max(round(width), 1))
        radius = width * (0.6 if part == "face" else 1.0)
        if view.height < _DOTS_FROM and lines:
            dots = [] if part == "face" else [p for p in dots if not any(p in line for line in lines)]
        for x, y in place[dots][found[dots]]:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colours[part] + (255,))
    # reduced with colours weighted by how opaque they are: no dark edges
    picture = picture.convert("RGBa").reduce(_FINE).convert("RGBA")
    if background is not None:
        picture = Image.alpha_composite(background.convert("RGBA"), picture)
    return picture


@functools.lru_cache(maxsize=None)
def _strokes(layout: str) -> List[Tuple[str, List[Tuple[int, int]], List[int]]]:
    """Each part's name, lines and points; hands last, so that they are on top."""
    form = get_layout(layout)
    part_of = {point: part for part, points in form.parts.items() for point in points}
    lines: Dict[str, List[Tuple[int, int]]] = {part: [] for part in form.parts}
    for a, b in form.edges:
        lines[part_of[a]].append((a, b))
    order = sorted(form.parts, key=lambda part: part.startswith("hand"))
    return [(part, lines[part], list(form.parts[part])) for part in order]


def on_white(picture: Image) -> Image:
    """An RGBA picture as RGB, on white."""
    from PIL import Image

    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture).convert("RGB")
