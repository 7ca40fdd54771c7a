"""Stage 2: landmark files that exist already -> ``data/landmarks`` and ``data/<split>/cuts.jsonl.gz``."""

import concurrent.futures
import itertools
import math
import os
import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from asl.common.errors import AslError
from asl.common.files import remove, remove_leftovers, write_json
from asl.data.archives import ArchiveJob, add_counts, make_archive, plan_archives, read_index, read_index_cuts
from asl.data.executors import check_options, end_with
from asl.data.recorded import list_splits
from asl.data.storage import write_cuts

_ARCHIVE = re.compile(r"(.+-\d{5})\.(?:h5|jsonl\.gz)")
_KINDS = ("missing", "not_extracted", "changed", "unusable")


def import_landmarks(
    data: str = "data",
    nj: int = 1,
    layout: Optional[str] = None,
    tracking: bool = True,
    max_failures: float = 0.0,
    force: bool = False,
) -> Dict[str, Any]:
    """Import landmark files into archives and write the cuts (stage 2).

    Reads ``<data>/<split>/{recordings,supervisions}.jsonl.gz`` of every split; a recording's source is its
    landmark file (.npy, .npz, .pose), or a video that asl landmarks extract made a landmark file of. Hands in the
    order of detection are tracked into a left and a right one, and hands left over from the clip before are masked.
    Writes ``<data>/landmarks/<split>-00000.h5``
    and so on, ``<data>/<split>/cuts.jsonl.gz`` and ``<data>/landmarks/report.json``.

    May be killed at any moment and started again: archives that are done and whose inputs have not changed
    are kept, and the end is the same.

    Args:
        data: the recipe's data folder.
        nj: processes that read clips.
        layout: landmark layout to cut out of every clip, such as hands42; by default all that the files hold.
        tracking: find out which hand is which; false leaves each frame's hands in the order of detection and
            masks nothing (to see what tracking brings).
        max_failures: share of a split's clips (0 to 1) that may be unusable and are then left out: the file
            is missing or not extracted, changed since stage 1, cut short, of the wrong shape, or nothing was found in
            it. With more than that no cuts are written. All are listed in report.json either way.
        force: make all archives again.

    Returns:
        What report.json holds.

    Raises:
        AslError: a manifest is missing or damaged, too many clips failed, clips of different layouts, or a
            file cannot be written.
    """
    check_options(nj, max_failures)
    if layout is not None:
        from asl.landmarks.layouts import get_layout

        get_layout(layout)
    root = Path(data)
    plan = {split: plan_archives(root, split, layout, tracking) for split in list_splits(root)}
    remove_leftovers(root)
    todo = [job for jobs in plan.values() for job in jobs if force or read_index(job) is None]
    # Archives change under the cuts that point into them: until they are whole there are no cuts.
    for split in {job.split for job in todo}:
        remove(root / split / "cuts.jsonl.gz")
    _run(todo, nj)

    report = _report(plan)
    write_json(root / "landmarks" / "report.json", report)
    _print(report, len(todo))
    try:
        _check(report, max_failures, root)
    except AslError:
        for split in plan:
            remove(root / split / "cuts.jsonl.gz")
        raise
    for split, jobs in plan.items():
        write_cuts(root / split / "cuts.jsonl.gz", itertools.chain.from_iterable(map(read_index_cuts, jobs)))
    _remove_unlisted(root / "landmarks", plan)
    return report


def _remove_unlisted(out: Path, plan: Dict[str, List[ArchiveJob]]) -> None:
    """Remove archives of clips that are no longer listed."""
    wanted = {job.path.stem for jobs in plan.values() for job in jobs}
    for path in [*out.glob("*.h5"), *out.glob(".index/*.jsonl.gz")]:
        archive = _ARCHIVE.fullmatch(path.name)
        if archive and archive[1] not in wanted:
            remove(path)


def _run(jobs: List[ArchiveJob], nj: int) -> None:
    """Make the archives, with ``nj`` processes; the first error stops all."""
    from tqdm import tqdm

    # disable=None: a bar only on a terminal
    with tqdm(total=sum(len(job.rows) for job in jobs), unit="clip", desc="landmarks", disable=None) as bar:
        for job, _ in _made(jobs, min(nj, len(jobs))):
            bar.update(len(job.rows))


def _made(jobs: List[ArchiveJob], nj: int) -> Iterator[Any]:
    if nj <= 1:
        yield from ((job, make_archive(job)) for job in jobs)
        return
    with concurrent.futures.ProcessPoolExecutor(nj, initializer=end_with, initargs=(os.getpid(),)) as pool:
        futures = {pool.submit(make_archive, job): job for job in jobs}
        try:
            for future in concurrent.futures.as_completed(futures):
                yield futures[future], future.result()
        except concurrent.futures.process.BrokenProcessPool:
            raise AslError(
                "a process that reads landmarks was killed (is memory short?); what it finished is kept: "
                "run the stage again, with a smaller --nj"
            ) from None
        finally:
            for future in futures:
                future.cancel()


def _report(plan: Dict[str, List[ArchiveJob]]) -> Dict[str, Any]:
    report: Dict[str, Any] = {"layouts": {}, "splits": {}, "failed": [], "notes": []}
    for split, jobs in plan.items():
        row: Dict[str, Any] = {"listed": sum(len(job.rows) for job in jobs), "clips": 0, "frames": 0}
        row.update({kind: 0 for kind in _KINDS})
        for job in jobs:
            head = read_index(job)
            if head is None:
                raise AslError(f"{job.path} was changed while it was being imported; run the stage again")
            add_counts(row, head["stats"])
            add_counts(row, {kind: sum(f["kind"] == kind for f in head["failed"]) for kind in _KINDS})
            report["failed"] += head["failed"]
            report["notes"] += head["notes"]
            for layout, clip_id in head["layouts"].items():
                report["layouts"].setdefault(layout, clip_id)
        report["splits"][split] = row
    return report


def _print(report: Dict[str, Any], made: int) -> None:
    names = list(dict.fromkeys(itertools.chain.from_iterable(report["splits"].values())))
    print(f"landmarks: {', '.join(report['layouts']) or 'none'}; {made} archives made, the rest kept")
    print("".ljust(24) + "".join(f"{split:>12}" for split in report["splits"]))
    for name in names:
        values = [row.get(name, 0) for row in report["splits"].values()]
        if any(values):
            print(f"{name.replace('_', ' '):<24}" + "".join(f"{v:>12,}" for v in values))
    notes = [f"note: {clip['id']} ({clip['split']}): {clip['note']}" for clip in report["notes"]]
    failed = [f"{clip['kind']}: {clip['id']} ({clip['split']}): {clip['reason']}" for clip in report["failed"]]
    for told in (notes, failed):
        print("".join(f"{line}\n" for line in told[:10]), end="")
        if len(told) > 10:
            print(f"... and {len(told) - 10} more")


def _check(report: Dict[str, Any], max_failures: float, root: Path) -> None:
    """Raise where the clips cannot be used together, or too many cannot be used at all."""
    if len(report["layouts"]) > 1:
        examples = ", ".join(f"{layout} (clip {clip_id})" for layout, clip_id in report["layouts"].items())
        raise AslError(f"the clips have different layouts: {examples}; give the one to cut out by --layout")
    for split, row in report["splits"].items():
        if not row["listed"]:
            raise AslError(f"{root / split / 'recordings.jsonl.gz'} lists no clip; run stage 1 again")
        failed = row["listed"] - row["clips"]
        if failed > math.floor(max_failures * row["listed"]) or row["clips"] == 0:
            first = next(f for f in report["failed"] if f["split"] == split)
            raise AslError(
                f"{split}: {failed} of {row['listed']} clips cannot be used (first: {first['id']}: "
                f"{first['reason']}); all are listed in {root / 'landmarks' / 'report.json'}: mend them, or "
                "allow a share by --max-failures 0.01 (they are left out then, and count as wrong in scoring)"
            )
