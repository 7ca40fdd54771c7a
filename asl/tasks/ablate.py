"""``asl ablate``: a file of configurations and seeds in, one table out.

Every run is an ordinary experiment folder, made by ``asl train``, ``asl decode`` and ``asl score`` in
processes of their own. What is done is skipped, so the same command goes on wherever it was stopped.
"""

import concurrent.futures
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from asl.common.errors import AslError, did_you_mean
from asl.common.files import read_json, write_json, write_text
from asl.scoring import ablation as table
from asl.tasks import config as configs
from asl.tasks.ablation_plan import Plan, read_plan
from asl.tasks.ablation_runs import Decoding, Job, Runner
from asl.tasks.experiment import existing


def ablate(
    file: str,
    exp: Optional[str] = None,
    keep: Optional[str] = None,
    jobs: int = 1,
    threads: Optional[int] = None,
    only: Optional[List[str]] = None,
    device: str = "cpu",
    dry_run: bool = False,
) -> int:
    """Train, decode and score every row and seed of an ablation file, and compare the rows with their base.

    May be stopped anywhere: the same command goes on. A run that fails is reported, the others go on, and the
    exit status is 1. Copies of the results go into --keep, from which the table is made, there (table.md,
    table.json in EXP) and by 'asl results' in RESULTS.md.

    Args:
        file: yaml file: base, data, seeds, rows (see asl/tasks/ablation_plan.py).
        exp: folder for the experiments; default exp/ablate_NAME, NAME being the file's.
        keep: folder for copies of the results, small and to be committed; default results/ablation_NAME.
        jobs: trainings at once.
        threads: CPU threads for each; default: the processors shared out among the jobs.
        only: run these rows only (the base is one called base); GROUP/ROW in one group.
        device: cpu, cuda or mps, for decoding; training takes what the configuration says.
        dry_run: print the commands, run nothing.

    Returns:
        0, or 1 where a run failed.

    Raises:
        AslError: a mistake in the file or in a configuration, found before anything is run.
    """
    if jobs < 1 or (threads is not None and threads < 1):
        raise AslError("--jobs and --threads are 1 or more")
    plan = read_plan(file)
    exp_folder = Path(exp or f"exp/ablate_{plan.name}")
    keep_folder = Path(keep or f"results/ablation_{plan.name}")
    runner = Runner(exp_folder, keep_folder, threads or max(1, (os.cpu_count() or 1) // jobs), device)
    todo = plan_jobs(plan, exp_folder, only or [])
    check(plan, todo)
    if dry_run:
        for job in todo:
            print("\n".join(shlex.join(words) for words in runner.commands(job)))
        return 0
    for folder in (keep_folder, exp_folder):
        write_json(folder / table.PLAN, plan_json(plan, shlex.join(["asl", "ablate", file])))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    failed = run_all(runner, todo, jobs)
    made = table.read_ablation(keep_folder)
    write_text(exp_folder / "table.md", table.markdown(made, level=1) + "\n")
    write_json(exp_folder / "table.json", table.as_json(made))
    print(f"\n{table.text(made)}\n\nwritten to {exp_folder / 'table.md'} from the results in {keep_folder}")
    for line in failed:
        print(f"asl: error: {line}", file=sys.stderr)
    return 1 if failed else 0


def plan_jobs(plan: Plan, exp: Path, only: Sequence[str]) -> List[Job]:
    """The trainings in the order in which they are run: group by group, seed by seed, in the file's order.

    Raises:
        AslError: ``only`` names no row.
    """
    names = {f"{g.name}/{r.name}" if g.name else r.name for g in plan.groups for r in g.rows}
    names |= {row.name for group in plan.groups for row in group.rows}
    for name in only:
        if name not in names:
            raise AslError(f"{plan.path} has no row {name!r}{did_you_mean(name, names)}")
    jobs = []
    for group in plan.groups:
        of_group: Dict[Tuple[str, int], Job] = {}
        for row in group.rows:
            # trained as an earlier row is: that row's networks
            trained = next(r for r in group.rows if r.train_words(0) == row.train_words(0))
            if only and not {row.name, f"{group.name}/{row.name}"} & set(only):
                continue
            for seed in row.seeds:
                folder = exp / group.name / f"{trained.name}_seed{seed}"
                job = of_group.setdefault((trained.name, seed), Job(group, trained, seed, folder))
                where = folder / f"decode_{group.split}_{row.name}"
                job.decodings.append(Decoding(row, where, table.result_name(group.name, row.name, seed)))
        jobs += sorted(of_group.values(), key=lambda job: job.seed)
    return jobs


def check(plan: Plan, jobs: Sequence[Job]) -> None:
    """Raise AslError where a run that is planned cannot start: its configuration, data or initial weights."""
    configurations: Dict[Tuple[str, str], Any] = {}
    for job in jobs:
        where = f"{plan.path}: {'group ' + job.group.name + ': ' if job.group.name else ''}row {job.row.name}"
        try:
            key = (job.group.name, job.row.name)
            if key not in configurations:
                configurations[key] = configs.parse([*job.row.train_words(job.seed), "--exp", str(job.exp)])
            for split in (configurations[key].data.train_split, job.group.split):
                cuts = Path(job.row.data) / split / "cuts.jsonl.gz"
                if not cuts.is_file():
                    raise AslError(f"{cuts} is not there: prepare {job.row.data} first (stages 1 and 2)")
            if job.row.init_from:
                existing(job.row.init_from.replace("{seed}", str(job.seed)))
        except AslError as e:
            raise AslError(f"{where}: {e}") from None


def plan_json(plan: Plan, command: str) -> Dict[str, Any]:
    """What ``asl.scoring.ablation.read_ablation`` is told of the plan."""
    groups = []
    for group in plan.groups:
        rows = [{"name": row.name, "about": row.about(), "seeds": list(row.seeds)} for row in group.rows]
        groups.append({"name": group.name, "rows": rows})
    return {"name": plan.name, "title": plan.title, "command": command, "groups": groups}


def run_all(runner: Runner, jobs: Sequence[Job], at_once: int) -> List[str]:
    """Run the jobs, so many at once, with a line for each that ends; return what is to be said of the failed.

    Raises:
        AslError: interrupted.
    """
    failed: List[str] = []
    times = Times()
    waiting = list(jobs)
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        futures = {pool.submit(runner.run, job): job for job in jobs}
        try:
            for future in concurrent.futures.as_completed(futures):
                job = futures[future]
                waiting.remove(job)
                count = f"[{len(jobs) - len(waiting)}/{len(jobs)}]"
                try:
                    seconds, trained = future.result()
                except AslError as e:
                    failed.append(f"{job}: {e}")
                    print(f"{count} {job}: FAILED: {e}", flush=True)
                    continue
                times.add(job, seconds, trained)
                how = f"{_duration(seconds)}" if trained else "was trained already"
                print(f"{count} {job}: {_figures(job)} ({how}){times.left(waiting, at_once)}", flush=True)
        except KeyboardInterrupt:  # SIGTERM too
            runner.stop()
            for future in futures:
                future.cancel()
            raise AslError("asl ablate was stopped; the same command goes on where it was") from None
    return failed


class Times:
    """How long trainings took, to say how long the rest takes."""

    def __init__(self) -> None:
        self._seconds: Dict[str, List[float]] = {}

    def add(self, job: Job, seconds: float, trained: bool) -> None:
        if trained:
            self._seconds.setdefault(job.group.name, []).append(seconds)

    def left(self, waiting: Sequence[Job], at_once: int) -> str:
        """In words: ``, 3 left, about 20 min``; nothing where none is left."""
        if not waiting:
            return ""
        every = [s for seconds in self._seconds.values() for s in seconds]
        if not every:
            return f", {len(waiting)} left"
        total = 0.0
        for job in waiting:
            known = self._seconds.get(job.group.name, every)
            total += sum(known) / len(known)
        return f", {len(waiting)} left, about {_duration(total / min(at_once, len(waiting)))}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _figures(job: Job) -> str:
    figures = []
    for decoding in job.decodings:
        result = read_json(decoding.folder / "result.json")
        figures.append(f"{result['main']} {result['metrics'][result['main']]['value']:.1f} %")
    return ", ".join(figures)
