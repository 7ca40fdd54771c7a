"""Files made one a clip: what is done and unchanged is kept, what fails is listed, and a kill loses one file at most.

``<out>/.made.jsonl`` has a line for each file that is done: what it was made of, its size and time. A file that is
not as its line says, or would be made of something else now, is made again.
"""

import json
import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import remove_leftovers, write_json
from asl.common.jsonl import write_jsonl
from asl.data.executors import Died, Pool, run_tasks

LOG = ".made.jsonl"
_SHOWN = 10
Row = Dict[str, Any]


@dataclass(frozen=True)
class MakeTask:
    """One file to make.

    Attributes:
        id: the clip's; unique.
        out: the file.
        key: of all that decides what is in it.
        job: what the maker needs to know besides; hashable, and pickled for other processes.
    """

    id: str
    out: Path
    key: str
    job: Any


class Made(NamedTuple):
    """What became of a task: frames written, what is to be told of it, and why it failed (None: it did not)."""

    frames: int = 0
    notes: Tuple[str, ...] = ()
    failure: Optional[str] = None


def check_size(width: Optional[int], height: Optional[int]) -> Optional[Tuple[int, int]]:
    """``--width`` and ``--height`` as a pair; both or neither."""
    if width is None and height is None:
        return None
    if width is None or height is None or width < 1 or height < 1:
        raise AslError(f"--width {width} --height {height}: give both, in whole pixels, 1 or more")
    return width, height


def make_files(
    tasks: Sequence[MakeTask], make: Callable[[MakeTask], Made], out: Path, name: str, nj: int, force: bool
) -> Row:
    """Do the tasks whose files are not there yet as they should be; write and return the report.

    Args:
        tasks: their files are below ``out``.
        make: writes ``task.out`` atomically; importable by name in other processes.
        out: the folder.
        name: of the command in print; the report is ``<out>/<name>.json``.
        nj: processes.
        force: do all of them.

    Returns:
        ``listed``, ``made``, ``kept``, ``frames`` (of both), ``failed`` (id and reason) and ``notes`` (id and notes).

    Raises:
        AslError: the folder cannot be written.
    """
    log = out / LOG
    rows = {row["id"]: row for row in _read_log(log)}
    remove_leftovers(out)
    kept = {} if force else {t.id: rows[t.id] for t in tasks if t.id in rows and _is_done(t, rows[t.id])}
    listed = {task.id for task in tasks}
    write_jsonl(log, (row for row in rows.values() if row["id"] in kept or row["id"] not in listed))
    todo = [task for task in tasks if task.id not in kept]
    done, failed = dict(kept), []
    for task, made in _made(todo, make, nj, name):
        if made.failure is not None:
            failed.append({"id": task.id, "reason": made.failure})
            if task.id in rows:  # an older one of ours, of something else
                task.out.unlink(missing_ok=True)
            continue
        done[task.id] = _row(task, made)
        _append(log, done[task.id])
    report = {
        "listed": len(tasks),
        "made": len(done) - len(kept),
        "kept": len(kept),
        "frames": sum(row["frames"] for row in done.values()),
        "failed": sorted(failed, key=lambda row: row["id"]),
        "notes": [{"id": t.id, "notes": done[t.id]["notes"]} for t in tasks if t.id in done and done[t.id]["notes"]],
    }
    write_json(out / f"{name}.json", report)
    return report


def _made(
    todo: List[MakeTask], make: Callable[[MakeTask], Made], nj: int, name: str
) -> Iterator[Tuple[MakeTask, Made]]:
    from tqdm import tqdm

    # disable=None: a bar only on a terminal
    with tqdm(total=len(todo), unit="clip", desc=name, disable=None) as bar:
        if min(nj, len(todo)) <= 1:
            outcomes: Iterator[Tuple[MakeTask, Any]] = ((task, make(task)) for task in todo)
        else:
            outcomes = run_tasks(Pool(min(nj, len(todo))), make, todo, bar.refresh)
        for task, outcome in outcomes:
            bar.update()
            yield task, Made(failure=f"{task.out}: {outcome}") if isinstance(outcome, Died) else outcome


def _read_log(log: Path) -> Iterator[Row]:
    """The lines of the log that are whole: the last one may not be, where a process was killed."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as e:
        raise AslError(f"cannot read {log}: {e.strerror or e}") from e
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and {"id", "key", "bytes", "mtime_ns", "frames", "notes"} <= set(row):
            yield row


def _row(task: MakeTask, made: Made) -> Row:
    stat = os.stat(task.out)
    return {"id": task.id, "key": task.key, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns,
            "frames": made.frames, "notes": list(made.notes)}  # fmt: skip


def _is_done(task: MakeTask, row: Row) -> bool:
    try:
        stat = os.stat(task.out)
    except OSError:
        return False
    return row["key"] == task.key and [stat.st_size, stat.st_mtime_ns] == [row["bytes"], row["mtime_ns"]]


def _append(log: Path, row: Row) -> None:
    try:
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    except OSError as e:
        raise AslError(f"cannot write {log}: {e.strerror or e}; free space or choose another folder") from e


def print_report(report: Row, name: str, out: Path) -> None:
    """Print the counts, what there is to tell (clips of one note together) and what failed."""
    counts = f"{report['listed']:,} clips: {report['made']:,} made, {report['kept']:,} kept, "
    print(f"{name}: {counts}{len(report['failed']):,} failed; {report['frames']:,} frames in {out}")
    notes = Counter(note for row in report["notes"] for note in row["notes"])
    for note, count in notes.most_common(_SHOWN):
        first = next(row["id"] for row in report["notes"] if note in row["notes"])
        print(f"note: {first}{f' and {count - 1:,} more' if count > 1 else ''}: {note}")
    for row in report["failed"][:_SHOWN]:
        print(f"failed: {row['id']}: {row['reason']}")
    hidden = max(len(notes) - _SHOWN, 0) + max(len(report["failed"]) - _SHOWN, 0)
    if hidden:
        print(f"... and {hidden:,} more lines in {out / name}.json")


def check_failures(report: Row, max_failures: float, where: Path) -> None:
    """Raise where more clips failed than may."""
    failed, listed = report["failed"], report["listed"]
    if len(failed) > math.floor(max_failures * listed) or len(failed) == listed:
        raise AslError(
            f"{len(failed)} of {listed} clips failed (first: {failed[0]['id']}: {failed[0]['reason']}); all are "
            f"listed in {where}: mend them, or allow a share by --max-failures 0.01"
        )
