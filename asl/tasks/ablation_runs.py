"""The runs of an ablation: the commands of each, what is done of it, and the processes that do the rest."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import hash_paths, read_json, write_json
from asl.common.stages import difference, marker_path, only_one, started_path, why_run
from asl.lang.folder import LANG_FILES, PIECES_FILE, PROBS_FILE, TEXT_FILE
from asl.tasks.ablation_plan import PlannedGroup, PlannedRow
from asl.tasks.phonology import TABLE


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
        paths = lang_paths(job.row)
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


def lang_paths(row: PlannedRow) -> List[Path]:
    """The files of the lang folder that ``data.lang`` of a row names, where it names one, and of data/lang else.

    The graphs that are compiled into such a folder do not count: training does not read them.
    """
    import yaml

    config = yaml.safe_load(Path(row.config).read_text(encoding="utf-8")) or {}
    name = row.changes.get("data.lang") or (config.get("data") or {}).get("lang") or "lang"
    folder = Path(row.data) / str(name)
    there = [folder / name for name in (PROBS_FILE, PIECES_FILE, TEXT_FILE, TABLE) if (folder / name).is_file()]
    return [*(folder / name for name in LANG_FILES), *there]


def _meaning(config: str) -> str:
    """A hash of what a yaml file says, whatever its comments and order."""
    import yaml

    value = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
