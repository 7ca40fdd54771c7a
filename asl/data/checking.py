"""``asl landmarks check``: how far the landmarks of a data folder can be relied on, by clip and for the corpus."""

import heapq
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.common.jsonl import write_jsonl
from asl.data.checking_plots import draw_quality
from asl.data.quality_rows import KINDS, NAMES, Row, badness, measured_clips, reasons
from asl.data.quality_totals import SHORT, Totals
from asl.landmarks.quality import IMPLAUSIBLE, JITTER_UNITS, unjudged

_ORDER = ("train", "val", "test")
WORST = 100  # clips that the report lists


def check_landmarks(
    data: str = "data",
    split: Optional[str] = None,
    out: Optional[str] = None,
    show: int = 10,
    max_unreliable: Optional[float] = None,
) -> Dict[str, Any]:
    """Measure the stored landmarks: what was found, gaps, jitter, implausible hands; the worst clips first.

    Prints a table and the worst clips, and writes report.json (the splits, the worst 100 clips and what each measure
    means), clips.jsonl.gz (every clip, in the manifest's order) and quality.png. Nothing is changed. The layouts say
    what can be judged: without a body nobody knows how far a hand is from its wrist. What cannot be is listed.

    A frame is unreliable where no hand was found, or one jumps in place or size, changes its name, is found twice
    or lies off the body's wrist.

    Args:
        data: the recipe's data folder, after stage 2.
        split: only this split; default: all that have cuts.
        out: folder for what is written; default: DATA/check.
        show: how many of the worst clips are printed.
        max_unreliable: fail where more than this share (0 to 1) of a split's frames are unreliable; by default
            nothing fails, however bad.

    Returns:
        What report.json holds.

    Raises:
        AslError: no cuts, a damaged archive, a file that cannot be written, or --max-unreliable is exceeded.
    """
    if max_unreliable is not None and not 0 <= max_unreliable <= 1:
        raise AslError(f"--max-unreliable {max_unreliable}: give a share between 0 and 1, such as 0.2")
    if show < 0:
        raise AslError(f"--show {show}: give a number of clips, 0 or more")
    folder = Path(out) if out else Path(data) / "check"
    totals = {name: Totals() for name in ([split] if split else list_cut_splits(data))}
    layouts: Dict[str, int] = {}
    worst: List[Tuple[Any, Row]] = []
    write_jsonl(folder / "clips.jsonl.gz", _measure(data, totals, layouts, worst, max(WORST, show)))

    report = {
        "data": data,
        "splits": {name: total.summary() for name, total in totals.items()},
        "layouts": layouts,
        "not_judged": {layout: unjudged(layout) for layout in layouts},
        "measures": {
            "found": "share of the frames in which a part was found",
            "gaps": f"frames without a part between two with it; short: at most {SHORT} frames",
            "jitter": "median length of the second difference of a part's points from frame to frame (real movement "
            "counts as well), in " + ", ".join(f"{unit} ({NAMES[part]})" for part, unit in JITTER_UNITS.items()),
            **IMPLAUSIBLE,
            "unreliable": "share of the frames with no hand, or with an implausible one (other_shape aside)",
        },
        "worst": [row for _, row in sorted(worst, key=lambda item: item[0], reverse=True)],
    }
    write_json(folder / "report.json", report)
    draw_quality(totals, folder / "quality.png", str(data))
    _print(report, show, folder)
    for name, total in totals.items():
        share = total.unreliable / max(total.frames, 1)
        if max_unreliable is not None and share > max_unreliable:
            said = f"{100 * share:.1f} % of the frames are unreliable, more than --max-unreliable {max_unreliable:g}"
            raise AslError(f"{data}/{name}: {said}; {folder / 'report.json'} lists the worst clips")
    return report


def list_cut_splits(data: str) -> List[str]:
    """The splits that have cuts, train, val and test first.

    Raises:
        AslError: there are none.
    """
    found = [p.parent.name for p in Path(data).glob("*/cuts.jsonl.gz")]
    if not found:
        raise AslError(f"{data} has no <split>/cuts.jsonl.gz; run stage 2 (asl landmarks import) first")
    return sorted(found, key=lambda s: (_ORDER.index(s) if s in _ORDER else len(_ORDER), s))


def _measure(
    data: str, totals: Dict[str, Totals], layouts: Dict[str, int], worst: List[Tuple[Any, Row]], keep: int
) -> Iterator[Row]:
    """Yield every clip's row; fill the totals, the count of layouts and a heap of the worst clips."""
    from tqdm import tqdm

    with tqdm(unit="clip", desc="check", disable=None) as bar:
        for name, total in totals.items():
            for clip in measured_clips(data, name):
                total.add(clip.row, clip.quality)
                layouts[clip.row["layout"]] = layouts.get(clip.row["layout"], 0) + 1
                item = ((*badness(clip.row), name), clip.row)
                if len(worst) < keep:
                    heapq.heappush(worst, item)
                else:
                    heapq.heappushpop(worst, item)
                bar.update()
                yield clip.row


def _print(report: Dict[str, Any], show: int, folder: Path) -> None:
    splits = report["splits"]
    print(f"landmarks: {', '.join(f'{layout} ({n:,} clips)' for layout, n in report['layouts'].items()) or 'none'}")
    print("".ljust(_WIDTH) + "".join(f"{name:>12}" for name in splits))
    for label, values in _table(list(splits.values())):
        print(label.ljust(_WIDTH) + "".join(f"{value:>12}" for value in values))
    for layout, said in report["not_judged"].items():
        for what in said:
            print(f"not judged: {what}")
    clips = report["worst"][:show]
    if clips:
        print(f"the worst {len(clips)} clips, unreliable frames first:")
    for row in clips:
        clip = f"{row['split']} {row['id']} ({row['frames']} frames)"
        print(f"  {100 * row['unreliable']:5.1f} %  {clip}: {reasons(row)}")
    print(f"wrote {folder}/report.json, clips.jsonl.gz, quality.png")


_WIDTH = 44


def _table(rows: List[Dict[str, Any]]) -> Iterator[Tuple[str, List[str]]]:
    """Labels and a value for each split."""

    def percent(share: Optional[float]) -> str:
        return "-" if share is None else f"{100 * share:.1f} %"

    def number(value: Optional[float]) -> str:
        return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else f"{value:,}"

    def each(group: str, name: str, key: str) -> List[Any]:
        return [row[group].get(name, {}).get(key) for row in rows]

    yield "clips", [number(row["clips"]) for row in rows]
    yield "frames", [number(row["frames"]) for row in rows]
    yield "unreliable frames", [percent(row["unreliable"]) for row in rows]
    if any("any_hand" in row["found"] for row in rows):
        yield "clips without any hand", [number(row["clips_without_hands"]) for row in rows]
    for part in [part for part in NAMES if any(part in row["found"] for row in rows)]:
        yield f"{NAMES[part]} found", [percent(row["found"].get(part)) for row in rows]
    for part in [part for part in NAMES if any(row["gaps"].get(part, {}).get("count") for row in rows)]:
        yield f"gaps of the {NAMES[part]}", [number(n) for n in each("gaps", part, "count")]
        yield f"  of at most {SHORT} frames", [percent(share) for share in each("gaps", part, "short")]
        yield "  the longest, frames", [number(n) for n in each("gaps", part, "longest")]
    for part in [part for part in JITTER_UNITS if any(part in row["jitter"] for row in rows)]:
        label = f"jitter of the {NAMES[part]}, {JITTER_UNITS[part]}"
        yield label, [number(value) for value in each("jitter", part, "median")]
    for kind in [kind for kind in KINDS if any(kind in row["implausible"] for row in rows)]:
        shares = [None if share is None else 1000 * share for share in each("implausible", kind, "share")]
        yield f"{KINDS[kind]}, of 1,000", ["-" if share is None else f"{share:.2f}" for share in shares]
