"""Learning curves of a run, drawn from its epochs into one PNG."""

import math
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from asl.common.files import PathLike, atomic_path

Row = Dict[str, Any]
COLUMNS = 3
LEGEND_OF = 10  # lines that a legend names at most


class Panel(NamedTuple):
    """One picture: lines against the left axis, at most one against the right one.

    Attributes:
        title: above it.
        names: keys of the rows.
        right: key of the rows that is drawn against the right axis.
        log: whether the left axis is logarithmic.
        percent: whether the right axis is a share from 0 to 100 %.
    """

    title: str
    names: List[str]
    right: Optional[str] = None
    log: bool = False
    percent: bool = False


def draw_curves(rows: Sequence[Row], path: PathLike, title: str = "") -> None:
    """Draw all that was measured over the epochs; a dashed line marks an epoch in which steps were left out.

    Args:
        rows: one dict an epoch, as ``asl.tasks.callbacks.MetricsLog`` keeps them (``exp/logs/epochs.jsonl``).
        path: PNG file, written atomically.
        title: above everything, beside the number of epochs and the time.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = panels(rows)
    lines = -(-len(chosen) // COLUMNS)
    figure = Figure(figsize=(4.8 * COLUMNS, 3.1 * lines + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for axis, panel in zip(axes, chosen):
        _draw(axis, panel, rows)
    for axis in axes[len(chosen) :]:
        axis.set_visible(False)
    dropped = sum(row.get("nonfinite") or 0 for row in rows)
    note = f", {dropped} steps left out as not finite (dashed)" if dropped else ""
    about = f"{len(rows)} epochs, {_duration(rows[-1].get('seconds', 0))}{note}"
    figure.suptitle(f"{title}: {about}" if title else about, fontsize=12)
    with atomic_path(path) as tmp:
        figure.savefig(tmp, dpi=90)


def panels(rows: Sequence[Row]) -> List[Panel]:
    """Choose what is drawn together.

    The loss, its parts, each kind of metric (``val/KIND/NAME`` and ``train/KIND/NAME`` by their kind: codebooks'
    perplexity, their use, …), learning rate and gradient norm, throughput and waiting, memory.
    """
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if value is not None))
    plain = [n for n in names if n.count("/") == 1]
    parts = [n for n in plain if n.startswith("train/") and n != "train/loss"]
    scores = [n for n in plain if n.startswith("val/") and n != "val/loss"]
    # a validated part of the loss stands beside the trained one
    beside = [n for n in scores if f"train/{n[4:]}" in parts]
    found = [Panel("loss", [n for n in ("train/loss", "val/loss") if n in names])]
    found.append(Panel("parts of the loss", parts + beside))
    found.append(Panel("validation", [n for n in scores if n not in beside]))
    for kind in dict.fromkeys(n.split("/")[1] for n in names if n.count("/") > 1):
        found.append(Panel(kind, [n for n in names if n.count("/") > 1 and n.split("/")[1] == kind]))
    found.append(Panel("gradient norm (left), learning rate", ["grad_norm"], "lr", log=True))
    found.append(Panel("clips/s (left), time spent waiting for data", ["clips_per_second"], "data_wait", percent=True))
    found.append(Panel("memory, GB", ["memory_gb"]))
    return [panel for panel in found if any(n in names for n in panel.names)]


def _draw(axis: Any, panel: Panel, rows: Sequence[Row]) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for i, name in enumerate(panel.names):
        _line(axis, rows, name, f"C{i % 10}", "-" if i < 10 else ":")
    values = [row[n] for row in rows for n in panel.names if _is_number(row.get(n))]
    if panel.log and values and min(values) > 0 and max(values) > 30 * min(values):
        axis.set_yscale("log")
    elif values and min(values) >= 0:
        axis.set_ylim(0, 1.08 * max(values) or 1)
    axis.set_title(panel.title, fontsize=10)
    axis.grid(alpha=0.3)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch", fontsize=8)
    axis.tick_params(labelsize=8)
    for row in rows:
        if row.get("nonfinite"):
            axis.axvline(row["epoch"], color="tab:red", linestyle="--", linewidth=0.8)
    if panel.right is not None:
        right = axis.twinx()
        _line(right, rows, panel.right, "tab:orange", "-")
        right.tick_params(labelsize=8, labelcolor="tab:orange")
        axis.tick_params(axis="y", labelcolor="C0")
        right.set_ylim(0, 1.08 * right.get_ylim()[1])
        if panel.percent:
            right.set_ylim(0, 1)
            right.yaxis.set_major_formatter(PercentFormatter(1.0))
    elif len(panel.names) > 1:
        handles, labels = axis.get_legend_handles_labels()
        axis.legend(handles[:LEGEND_OF], labels[:LEGEND_OF], fontsize=7, framealpha=0.6)


def _line(axis: Any, rows: Sequence[Row], name: str, color: str, style: str) -> None:
    points = [(row["epoch"], row[name]) for row in rows if _is_number(row.get(name))]
    marker = "." if len(points) < 30 else None
    label = name.split("/", 2)[2] if name.count("/") > 1 else name
    axis.plot(*zip(*points), label=label, color=color, linestyle=style, marker=marker, linewidth=1.4)


def _is_number(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{seconds:.0f} s" if minutes < 2 else f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
