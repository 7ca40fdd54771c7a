"""What extraction says of its clips: what failed, what is odd, and whether that is too much."""

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.data.videos import VideoClip

# A corpus of which so many clips have one rate (one size) has that; others are out of line there.
MOST = 0.9
# Where rates (sizes) are mixed, a clip is out of line whose rate (shorter side) is so many times off the middle one.
FACTOR = 1.99
_SHOWN = 10

Row = Dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What this run did.

    Attributes:
        kept: clips that were done before it.
        clips, frames: that it made.
        decoded: frames of videos that were decoded for it.
        seconds: that it took.
    """

    kept: int
    clips: int
    frames: int
    decoded: int
    seconds: float


def make_report(
    clips: Sequence[VideoClip],
    abouts: Dict[str, Row],
    failed: Dict[str, Tuple[str, str]],
    work: Work,
    unusable: Sequence[Row],
) -> Row:
    """Bring together what is known of all clips.

    Args:
        clips: all that have a video.
        abouts: by id, what the landmark files say of themselves.
        failed: by id, kind and reason; of every clip that is not in ``abouts``.
        work: what this run did.
        unusable: of ``list_unusable``; counted as failed, where their split has videos.

    Returns:
        ``splits`` (for each: ``listed``, ``extracted``, ``failed``), ``failed`` and ``odd`` (kind -> number of
        clips), ``this_run``, ``rates`` and ``sizes`` (clips by them), and ``clips``: id, split, source, and
        ``failed`` or ``odd`` with the reason, of all of which there is something to say.
    """
    problems = _out_of_line(abouts)
    rows: List[Row] = []
    for clip in clips:
        row = {"id": clip.id, "split": clip.split, "source": clip.listed}
        if clip.id in failed:
            kind, reason = failed[clip.id]
            rows.append({**row, "failed": kind, "reason": reason})
        for text in [*abouts.get(clip.id, {}).get("problems", ()), *problems.get(clip.id, ())]:
            kind, _, reason = text.partition(": ")
            rows.append({**row, "odd": kind, "reason": reason})
    splits: Dict[str, Row] = {}
    for clip in clips:
        counts = splits.setdefault(clip.split, {"listed": 0, "extracted": 0, "failed": 0})
        counts["listed"] += 1
        counts["failed" if clip.id in failed else "extracted"] += 1
    for bad in unusable:
        counts = splits.get(bad["split"])
        if counts is not None:
            rows.append({"id": bad["id"], "split": bad["split"], "failed": "bad in stage 1", "reason": bad["reason"]})
            counts["listed"] += 1
            counts["failed"] += 1
    return {
        "splits": splits,
        "failed": dict(Counter(row["failed"] for row in rows if "failed" in row).most_common()),
        "odd": dict(Counter(row["odd"] for row in rows if "odd" in row).most_common()),
        "this_run": {
            "kept": work.kept, "clips": work.clips, "frames": work.frames, "decoded": work.decoded,
            "seconds": round(work.seconds, 2), "clips_per_second": round(work.clips / work.seconds, 3),
            "frames_per_second": round(work.frames / work.seconds, 2),
        },
        "rates": dict(Counter(about["fps"] for about in abouts.values()).most_common()),
        "sizes": dict(Counter(_size(about) for about in abouts.values()).most_common()),
        "clips": rows,
    }  # fmt: skip


def list_unusable(root: Path) -> List[Row]:
    """Clips that stage 1 found to be bad, as it reports them: a file that cannot be opened, a span past its end."""
    path = root / "report.json"
    return [row for row in read_json(path)["not_used"] if row["status"] == "bad"] if path.is_file() else []


def _size(about: Row) -> str:
    return "{} x {}".format(*about["size"])


def _out_of_line(abouts: Dict[str, Row]) -> Dict[str, List[str]]:
    """By id, what sets a clip apart from the others: frames per second, size of the picture."""
    found: Dict[str, List[str]] = {}
    for what, name, number in (
        ("rate out of line", lambda a: a["fps"], lambda a: float(Fraction(a["fps"]))),
        ("size out of line", _size, lambda a: float(min(a["size"]))),
    ):
        if not abouts:
            break
        common, count = Counter(map(name, abouts.values())).most_common(1)[0]
        numbers = sorted(map(number, abouts.values()))
        middle = numbers[len(numbers) // 2]
        for clip_id, about in abouts.items():
            own, times = name(about), number(about) / middle
            if count >= MOST * len(abouts) and own != common:
                found.setdefault(clip_id, []).append(f"{what}: {own}, and {count} of {len(abouts)} clips have {common}")
            elif not 1 / FACTOR < times < FACTOR:
                found.setdefault(clip_id, []).append(f"{what}: {own}, {times:.2f} times that of the middle clip")
    return found


def print_report(report: Row) -> None:
    """Print the counts as tables, and the first of what failed."""
    run = report["this_run"]
    print(f"extracted: {run['clips']:,} clips ({run['kept']:,} were there), {run['frames']:,} rows of landmarks, "
          f"{run['decoded']:,} frames decoded, {run['seconds']:.1f} s: {run['clips_per_second']:.2f} clips/s, "
          f"{run['frames_per_second']:.1f} frames/s")  # fmt: skip
    print("split".ljust(24) + "".join(f"{name:>12}" for name in ("listed", "extracted", "failed")))
    for split, row in report["splits"].items():
        print(f"{split:<24}" + "".join(f"{row[name]:>12,}" for name in ("listed", "extracted", "failed")))
    for title, kinds in (("failed", report["failed"]), ("odd, and used", report["odd"])):
        if kinds:
            print(f"{title:<24}{'clips':>12}")
            for kind, count in kinds.items():
                print(f"  {kind:<22}{count:>12,}")
    for key, what in (("rates", "frames per second"), ("sizes", "pictures")):
        named = [f"{name} ({count:,} clips)" for name, count in report[key].items()]
        print(f"{what}: " + ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else ""))
    failed = [row for row in report["clips"] if "failed" in row]
    for row in failed[:_SHOWN]:
        print(f"{row['failed']}: {row['id']} ({row['split']}): {row['reason']}")
    if len(failed) > _SHOWN:
        print(f"... and {len(failed) - _SHOWN:,} more")


def check_failures(report: Row, max_failures: float, path: Path) -> None:
    """Raise an AslError where more than a share of a split's clips failed."""
    for split, row in report["splits"].items():
        if row["failed"] > math.floor(max_failures * row["listed"]):
            first = next(r for r in report["clips"] if "failed" in r and r["split"] == split)
            raise AslError(
                f"{split}: no landmarks of {row['failed']} of {row['listed']} clips (first: {first['id']}: "
                f"{first['failed']}: {first['reason']}); all are listed in {path}: mend them and run it again, or "
                "allow a share by --max-failures 0.01 (they are left out then, and count as wrong in scoring)"
            )
