"""A clip as a strip of frames in a PNG: the quickest way to see whether landmarks are what they should be."""

from pathlib import Path
from typing import Union

import numpy as np

from asl.common.errors import AslError
from asl.common.files import atomic_path
from asl.landmarks.layouts import Layout, get_layout

COLOURS = {"hand_left": "#1f77b4", "hand_right": "#d62728", "pose": "#555555", "face": "#9a9a9a"}
_MARGIN = 0.05  # of the drawn box
_BELOW = (np.inf, 1.1)  # x, y: no farther below the picture than so much of it


def choose_frames(found: np.ndarray, frames: int) -> np.ndarray:
    """Indices of ``frames`` frames, evenly from the first to the last True of ``found`` ``(all frames,)``."""
    times = np.flatnonzero(found)
    return np.unique(np.linspace(times[0], times[-1], frames).round().astype(int))


def draw_strip(
    array: np.ndarray,
    layout: str,
    path: Union[str, Path],
    frames: int = 8,
    title: str = "",
    picture_ratio: float = 4 / 3,
) -> None:
    """Draw frames of a clip side by side, as the camera saw them: the signer's right hand (red) on the left.

    Args:
        array: ``(frames, points, dims)``, NaN where a point was not found.
        layout: name of its layout.
        path: the PNG to write.
        frames: how many frames, spread evenly from the first to the last in which anything was found (with
            hands in the layout: a hand).
        title: a line above the strip, such as the gloss.
        picture_ratio: width through height of the picture (landmarks are fractions of both).

    Raises:
        AslError: ``array`` is not in ``layout``, holds nothing, or ``frames`` is below 1.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    form = get_layout(layout)
    if array.ndim != 3 or array.shape[1:] != (form.num_points, form.num_dims):
        wanted = f"(frames, {form.num_points}, {form.num_dims})"
        raise AslError(f"cannot draw an array of {array.shape} as {layout}, which is {wanted}")
    if frames < 1:
        raise AslError(f"cannot draw {frames} frames; ask for 1 or more")
    place = array[..., :2].astype(np.float32) * np.float32([picture_ratio, 1])
    found = np.isfinite(place).all(axis=-1)
    hands = [p for part in ("hand_left", "hand_right") for p in form.parts.get(part, ())]
    shown = found[:, hands].any(axis=1) if hands and found[:, hands].any() else found.any(axis=1)
    if not shown.any():
        raise AslError("nothing to draw: no point was found in any frame")
    chosen = choose_frames(shown, frames)

    seen = place[chosen][found[chosen]]
    low, high = seen.min(axis=0), np.minimum(seen.max(axis=0), _BELOW)  # legs out of the picture are guesses
    low, high = low - _MARGIN * (high - low).max(), high + _MARGIN * (high - low).max()
    high = np.maximum(high, low + 0.02)
    width, height = high - low
    figure = Figure(figsize=(1.9 * len(chosen), 1.9 * min(max(height / width, 0.3), 3) + 0.6), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(chosen), squeeze=False)[0]
    for axis, frame in zip(axes, chosen):
        _draw_frame(axis, place[frame], form)
        axis.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal", xticks=[], yticks=[])
        axis.set_title(f"{frame}", fontsize=8, pad=3)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout(pad=0.4, w_pad=0.2)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_frame(axis, place: np.ndarray, layout: Layout) -> None:
    """Draw one frame's points ``(points, 2)`` and lines; matplotlib leaves out what is NaN."""
    part_of = {point: part for part, points in layout.parts.items() for point in points}
    for part, points in layout.parts.items():
        lines = [edge for edge in layout.edges if part_of[edge[0]] == part]
        path = np.full((3 * len(lines), 2), np.nan, dtype=np.float32)
        if lines:
            path[0::3], path[1::3] = place[[a for a, _ in lines]], place[[b for _, b in lines]]
        width = 1.4 if part.startswith("hand") else 0.8
        axis.plot(path[:, 0], path[:, 1], color=COLOURS[part], linewidth=width, solid_capstyle="round")
        dots = place[list(points)]
        axis.plot(dots[:, 0], dots[:, 1], ".", color=COLOURS[part], markersize=2.2 if width > 1 else 1.2)
