"""``asl ablate``: a file of configurations and seeds in, one table out.

Every run is an ordinary experiment folder, made by ``asl train``, ``asl decode`` and ``asl score`` in
processes of their own. What is done is skipped, so the same command goes on wherever it was stopped.
"""

import concurrent.futures
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from asl.common.errors import AslError, did_you_mean
from asl.common.files import hash_paths, read_json, write_json, write_text
from asl.common.stages import difference, marker_path, only_one, started_path, why_run
from asl.scoring import ablation as table
from asl.tasks import config as configs
from asl.tasks.ablation_plan import Plan, PlannedGroup, PlannedRow, read_plan
from asl.tasks.experiment import LANG_FILES, existing


@dataclass
class Decoding:
    """A row's decoding of one run: where it goes, and the name of the copy of its result."""

    row: PlannedRow
    folder: Path
    kept: str


@dataclass
class Job:
    """One training and every decoding of it: rows that differ in decoding alone share their networks."""

    group: PlannedGroup
    row: PlannedRow
    seed: int
    exp: Path
    decodings: List[Decoding] = field(default_factory=list)

    def __str__(self) -> str:
        rows = ", ".join(decoding.row.name for decoding in self.decodings)
        return f"{self.group.name + ': ' if self.group.name else ''}{rows}, seed {self.seed}"


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


class Runner:
    """Runs one job after the other in each of its threads; knows the processes that it started."""

    def __init__(self, exp: Path, keep: Path, threads: int, device: str) -> None:
        self.exp, self.keep, self.threads, self.device = exp, keep, threads, device
        self.stopping = False
        self._children: List[subprocess.Popen] = []
        self._lock = threading.Lock()

    def commands(self, job: Job) -> Iterator[List[str]]:
        """The commands of a job as a user would type them."""
        yield self._train(job)
        for decoding in job.decodings:
            yield self._decode(job, decoding)
            yield self._score(job, decoding)

    def _train(self, job: Job) -> List[str]:
        words = ["asl", "train", *job.row.train_words(job.seed), "--exp", str(job.exp)]
        return [*words, "--threads", str(self.threads)]

    def _decode(self, job: Job, decoding: Decoding) -> List[str]:
        options = [*decoding.row.decode.words(), "--device", self.device, "--out", str(decoding.folder)]
        data = ["--data", job.row.data, "--split", job.group.split]
        return ["asl", "decode", "--exp", str(job.exp), *data, *options]

    def _score(self, job: Job, decoding: Decoding) -> List[str]:
        data = ["--data", job.row.data, "--split", job.group.split, "--metric", job.group.metric]
        return ["asl", "score", "--decode", str(decoding.folder), *data]

    def run(self, job: Job) -> Tuple[float, bool]:
        """Run what is not done of ``job``; return the seconds and whether anything had to be trained.

        Raises:
            AslError: a command failed; says which, and the last that it said.
        """
        began = time.time()
        data = Path(job.row.data)
        paths = [data / "lang" / name for name in LANG_FILES]
        paths += [*sorted(data.glob("*/cuts.jsonl.gz")), *sorted(data.glob("landmarks/*.h5"))]
        inputs = {str(path): hash_paths([path]) for path in paths}
        inputs[job.row.config] = _meaning(job.row.config)
        if job.row.init_from:
            source = job.row.init_from.replace("{seed}", str(job.seed))
            inputs[source] = hash_paths([Path(source) / "train.json"])
        train = {"command": ["asl", "train", *job.row.train_words(job.seed)], "inputs": inputs}
        log = self.exp / "log" / f"{'.'.join(filter(None, [job.group.name, job.exp.name]))}.log"
        kept = [self.keep / decoding.kept for decoding in job.decodings]
        trained = self._step(train, job.exp / "train.json", [self._train(job)], log, kept, again="--force")
        for decoding in job.decodings:
            commands = [self._decode(job, decoding), self._score(job, decoding)]
            split = [data / job.group.split / f"{kind}.jsonl.gz" for kind in ("cuts", "supervisions")]
            used = {str(path): hash_paths([path]) for path in (*split, job.exp / "train.json")}
            result = decoding.folder / "result.json"
            copy = self.keep / decoding.kept
            self._step({"command": sum(commands, []), "inputs": used}, result, commands, log, [copy])
            write_json(copy, read_json(result))
        return time.time() - began, trained

    def _step(
        self,
        now: Dict[str, Any],
        output: Path,
        commands: Sequence[List[str]],
        log: Path,
        kept: Sequence[Path],
        again: str = "",
    ) -> bool:
        """Run ``commands``, which make ``output``, unless they have and nothing has changed; say which.

        Args:
            now: what marks it as done, see ``asl.common.stages``.
            kept: copies of results that are of other words or inputs where it has to run again.
            again: word for the commands where what they find was begun with other words or inputs.
        """
        with only_one(marker_path(str(output))) as lock:
            if why_run(now, [str(output)], force=False) is None:
                return False
            marker_path(str(output)).unlink(missing_ok=True)
            started = started_path(str(output))
            before = read_json(started) if started.is_file() else None
            changed = difference(before, now) is not None
            for copy in kept if changed else ():
                copy.unlink(missing_ok=True)
            write_json(started, now)
            for words in commands:
                # what was begun with other words or inputs is no run to go on with
                self._execute([*words, again] if changed and again else words, log, lock)
            write_json(marker_path(str(output)), now)
            return True

    def _execute(self, words: List[str], log: Path, lock: int) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "MKL_NUM_THREADS": str(self.threads)}
        with open(log, "ab") as said:
            said.write(f"# {shlex.join(words)}\n".encode())
            said.flush()
            with self._lock:
                if self.stopping:
                    raise AslError("stopped")
                # the lock goes with the child: should this process be killed, another one waits for its end
                child = subprocess.Popen(
                    [sys.executable, "-m", "asl.cli", *words[1:]],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    env=env,
                    pass_fds=(lock,),
                )
                self._children.append(child)
            status = child.wait()
            with self._lock:
                self._children.remove(child)
        if status != 0:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1]
            raise AslError(f"{' '.join(words[:2])} ended with status {status}: {last} (all it said: {log})")

    def stop(self) -> None:
        """End the processes that run, and start no more."""
        with self._lock:
            self.stopping = True
            for child in self._children:
                child.terminate()


def _meaning(config: str) -> str:
    """A hash of what a yaml file says, whatever its comments and order."""
    import hashlib
    import json

    import yaml

    value = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


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
