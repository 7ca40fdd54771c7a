"""A picture of the errors over LM scale and insertion penalty, one panel for each acoustic scale."""

from typing import Sequence, Tuple

import numpy as np

from asl.common.files import PathLike, atomic_path

# acoustic scale, LM scale, insertion penalty
Place = Tuple[float, ...]
COLUMNS = 3


def draw_surface(path: PathLike, points: Sequence[Tuple[Place, float]], best: Place, title: str) -> None:
    """Draw a PNG: the WER of each combination as a number on its colour; the best one is framed.

    Args:
        points: place of each combination and its WER in per cent; every combination of three axes once.
        best: the place that was chosen.
        title: above everything.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    acoustic, lm, penalties = (sorted({place[axis] for place, _ in points}) for axis in range(3))
    values = dict(points)
    finite = np.array([wer for wer in values.values() if np.isfinite(wer)] or [0.0])
    rows, columns = -(-len(acoustic) // COLUMNS), min(len(acoustic), COLUMNS)
    size = (1.5 + columns * (1.2 + 0.75 * len(penalties)), 1.2 + rows * (1.0 + 0.5 * len(lm)))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[len(acoustic):]:
        panel.set_visible(False)
    for panel, scale in zip(panels, acoustic):
        table = np.array([[values[scale, row, column] for column in penalties] for row in lm])
        # beyond a quarter worse than the best all is the same colour, so that the valley is seen
        top = min(finite.max(), 1.25 * finite.min() + 1e-6)
        image = panel.imshow(table, origin="lower", aspect="auto", cmap="viridis_r", vmin=finite.min(), vmax=top)
        for (row, column), wer in np.ndenumerate(table):
            dark = wer > (finite.min() + top) / 2
            panel.text(column, row, f"{wer:.1f}", ha="center", va="center", color="white" if dark else "black")
        panel.set_xticks(range(len(penalties)), [f"{value:g}" for value in penalties])
        panel.set_yticks(range(len(lm)), [f"{value:g}" for value in lm])
        panel.set(xlabel="insertion penalty", ylabel="LM scale", title=f"acoustic scale {scale:g}")
        if scale == best[0]:
            corner = (penalties.index(best[2]) - 0.5, lm.index(best[1]) - 0.5)
            panel.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="red", linewidth=2.5))
    figure.colorbar(image, ax=list(panels), label="WER in %")
    figure.suptitle(title)
    with atomic_path(path) as tmp:
        figure.savefig(tmp, dpi=100)
