"""What ``asl landmarks check`` measured, as one PNG of six panels."""

from typing import Any, Dict, Mapping

import numpy as np

from asl.common.files import PathLike, atomic_path
from asl.data.quality_rows import KINDS, NAMES
from asl.data.quality_totals import BINS, Totals
from asl.landmarks.drawing import COLOURS
from asl.landmarks.quality import JITTER_UNITS

_LINES = {part: tuple(c / 255 for c in colour) for part, colour in COLOURS.items()}
_LINES["any_hand"] = (0.17, 0.63, 0.17)
_LINES["unreliable"] = (0.1, 0.1, 0.1)


def draw_quality(totals: Mapping[str, Totals], path: PathLike, title: str) -> None:
    """Draw what was measured, all splits together; implausible hands by split.

    Args:
        totals: split -> its sums.
        path: the PNG to write, atomically.
        title: above everything.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14.4, 7.6))
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3).ravel()
    figure.subplots_adjust(left=0.05, right=0.98, bottom=0.07, top=0.89, wspace=0.45, hspace=0.35)
    panels = (_shares, _profile, _gaps, _jitter, _implausible, _unreliable)
    for axis, panel in zip(axes, panels):
        panel(axis, totals)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8, frameon=False)
        elif not axis.has_data():
            axis.text(0.5, 0.5, "nothing that could be judged", ha="center", color="0.5", transform=axis.transAxes)
    clips = ", ".join(f"{name} {total.clips:,}" for name, total in totals.items())
    figure.suptitle(f"{title}: {clips} clips", fontsize=12)
    with atomic_path(path) as tmp:
        figure.savefig(tmp, dpi=90)


def _all(totals: Mapping[str, Totals], what: str, part: str) -> np.ndarray:
    return np.concatenate([np.asarray(getattr(total, what).get(part, []), dtype=float) for total in totals.values()])


def _parts(totals: Mapping[str, Totals], what: str) -> Dict[str, Any]:
    """Part -> values of all clips."""
    values = {part: _all(totals, what, part) for part in NAMES}
    return {part: value for part, value in values.items() if value.size}


def _sorted_curve(axis: Any, values: np.ndarray, part: str, label: str) -> None:
    axis.plot(100 * np.arange(1, len(values) + 1) / len(values), np.sort(values), color=_LINES[part], label=label)


def _shares(axis: Any, totals: Mapping[str, Totals]) -> None:
    for part, values in _parts(totals, "shares").items():
        _sorted_curve(axis, 100 * values, part, NAMES[part])
    axis.set(title="found: clips in order, the worst at the left", ylim=(-3, 103))
    axis.set(xlabel="% of the clips", ylabel="% of a clip's frames")


def _profile(axis: Any, totals: Mapping[str, Totals]) -> None:
    middle = (np.arange(BINS) + 0.5) * 100 / BINS
    for part in NAMES:
        sums = [total.profile[part] for total in totals.values() if part in total.profile]
        if sums:
            there, frames = np.sum(sums, axis=0)
            axis.plot(middle, 100 * there / np.maximum(frames, 1), color=_LINES[part], label=NAMES[part])
    axis.set(title="found along the clip", xlabel="% of the clip's time", ylabel="% of the frames", ylim=(-3, 103))


def _gaps(axis: Any, totals: Mapping[str, Totals]) -> None:
    for part in NAMES:
        lengths: Dict[int, int] = {}
        for total in totals.values():
            for length, count in total.gaps.get(part, {}).items():
                lengths[length] = lengths.get(length, 0) + count
        if lengths:
            order = sorted(lengths)
            share = np.cumsum([lengths[k] for k in order]) / sum(lengths.values())
            label = f"{NAMES[part]}: {sum(lengths.values()):,}"
            axis.step(order, 100 * share, where="post", color=_LINES[part], label=label)
            axis.set_xscale("log")
    axis.set(title="gaps between frames with the part", ylim=(-3, 103))
    axis.set(xlabel="frames, at most", ylabel="% of the gaps")


def _jitter(axis: Any, totals: Mapping[str, Totals]) -> None:
    for part, values in _parts(totals, "jitter").items():
        label = f"{NAMES[part]} ({JITTER_UNITS[part]})"
        _sorted_curve(axis, np.maximum(values, 1e-5), part, label)
        axis.set_yscale("log")
    axis.set(title="jitter: clips in order", xlabel="% of the clips", ylabel="median second difference")


def _implausible(axis: Any, totals: Mapping[str, Totals]) -> None:
    kinds = [kind for kind in KINDS if any(total.implausible.get(kind, (0, 0))[1] for total in totals.values())]
    wide = 0.8 / len(totals)
    for k, (name, total) in enumerate(totals.items()):
        counts = [total.implausible.get(kind, (0, 0)) for kind in kinds]
        if any(of for _, of, *_ in counts):
            high = [1000 * n / max(of, 1) for n, of, *_ in counts]
            axis.barh(np.arange(len(kinds)) + (k - (len(totals) - 1) / 2) * wide, high, wide, label=name)
    axis.set_yticks(range(len(kinds)), [KINDS[kind] for kind in kinds], fontsize=8)
    axis.invert_yaxis()
    axis.set(title="implausible hands", xlabel="of 1,000 that could be judged")


def _unreliable(axis: Any, totals: Mapping[str, Totals]) -> None:
    values = _all(totals, "shares", "unreliable")
    if values.size:
        axis.hist(100 * values, bins=np.linspace(0, 100, 26), color="0.45")
        axis.set_yscale("log")
    axis.set(title="unreliable frames", xlabel="% of a clip's frames", ylabel="clips")
