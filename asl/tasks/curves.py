"""Learning curves of a run, drawn from its epochs into one PNG."""

from typing import Any, Dict, List, Sequence

from asl.common.files import PathLike, atomic_path

Row = Dict[str, Any]


def draw_curves(rows: Sequence[Row], path: PathLike, title: str = "") -> None:
    """Draw losses, validation metrics, learning rate with gradient norm, and speed over the epochs.

    Args:
        rows: one dict an epoch, as ``asl.tasks.callbacks.MetricsLog`` keeps them (``exp/logs/epochs.jsonl``).
        path: PNG file, written atomically.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2).ravel()
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [n for n in names if n.startswith("train/")] + [n for n in names if n == "val/loss"]
    _plot(axes[0], rows, losses, "loss")
    _plot(axes[1], rows, [n for n in names if n.startswith("val/") and n != "val/loss"], "validation")
    _plot(axes[2], rows, ["lr"], "learning rate", legend=False)
    _plot(axes[2].twinx(), rows, ["grad_norm"], "gradient norm", color="tab:orange", legend=False)
    _plot(axes[3], rows, ["clips_per_second"], "clips/s", legend=False)
    wait = axes[3].twinx()
    _plot(wait, rows, ["data_wait"], "share of time waiting for data", color="tab:orange", legend=False)
    wait.set_ylim(0, 1)
    for axis in axes[2:]:
        axis.yaxis.label.set_color("tab:blue")
    figure.suptitle(title)
    with atomic_path(path) as tmp:
        figure.savefig(tmp, dpi=100)


def _plot(axis, rows: Sequence[Row], names: List[str], label: str, color=None, legend: bool = True) -> None:
    for name in names:
        points = [(row["epoch"], row[name]) for row in rows if row.get(name) is not None]
        axis.plot(*zip(*points), label=name, color=color, marker="." if len(points) < 30 else None)
    axis.set_xlabel("epoch")
    axis.set_ylabel(label)
    if color:
        axis.yaxis.label.set_color(color)
    if legend and names:
        axis.legend()
        axis.grid(alpha=0.3)
