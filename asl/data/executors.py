"""Who does the work: processes of this machine, or the workers of a Dask cluster. One loop collects from either.

Tasks must bear to be done twice: one whose process died is given to another, which finds what was finished.
"""

import asyncio
import concurrent.futures
import multiprocessing
import os
import threading
import time
from collections import Counter, deque
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Callable, Deque, Dict, Hashable, Iterator, List, Optional, Protocol, Sequence, Tuple, Type

from asl.common.arguments import check_nj
from asl.common.errors import AslError

DEATHS = 3  # so many processes may one task cost; then it is given up
DEATHS_IN_A_ROW = 5  # so many tasks given up with none done between: it is not they
_DIED = f"the process that worked on it died, {DEATHS} times (it crashes on it, or memory is short)"
ANSWER_WITHIN, WORKERS_WITHIN = 10, 60  # seconds for a cluster to answer, and for its first worker to come


def check_options(nj: int, max_failures: float) -> None:
    """Refuse numbers of processes and shares that are none."""
    check_nj(nj)
    if not 0 <= max_failures <= 1:
        raise AslError(f"--max-failures {max_failures}: give a share between 0 and 1, such as 0.01")


class Died(AslError):
    """The process that did a task died, each time that it was tried."""


class Executor(Protocol):
    """Runs functions elsewhere.

    Attributes:
        shared: what the futures of ALL running tasks raise when one process dies (none of them is known to be
            guilty then); empty where a death concerns but its own task.
        killed: what a task's future raises that is given up because its processes died.
    """

    shared: Tuple[Type[BaseException], ...]
    killed: Tuple[Type[BaseException], ...]

    def window(self) -> int:
        """How many tasks to hand over at a time."""

    def submit(self, function: Callable, task: Any) -> "concurrent.futures.Future[Any]":
        """Have ``function(task)`` done."""

    def restart(self) -> None:
        """Start anew after ``shared``."""

    def close(self, now: bool) -> None:
        """The work is done, or (``now``) must end without waiting."""


def run_tasks(
    executor: Executor, function: Callable[[Any], Any], tasks: Sequence[Hashable], tick: Callable[[], None]
) -> Iterator[Tuple[Any, Any]]:
    """Yield ``(task, function(task))`` as they are finished; ``(task, Died)`` where that killed its process.

    Args:
        executor: closed at the end.
        function: importable by name in the other processes.
        tick: called about once a second, in between.

    Raises:
        AslError: nothing can be done any more. What ``function`` raises is raised, too, and stops all.
    """
    line, running, whole = _Line(tasks), {}, False
    try:
        while line or running:
            _fill(executor, function, line, running)
            done, _ = concurrent.futures.wait(running, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED)
            tick()
            for task, outcome in _collect(executor, done, running, line):
                line.note(outcome)
                yield task, outcome
        whole = True
    finally:
        executor.close(now=not whole)


Running = Dict["concurrent.futures.Future[Any]", Any]


class _Line:
    """The tasks that wait. One that ran when the pool broke is tried again, the last time alone."""

    def __init__(self, tasks: Sequence[Hashable]) -> None:
        self._waiting: Deque[Any] = deque(tasks)
        self._suspects: Deque[Any] = deque()
        self._deaths: Dict[Any, int] = Counter()
        self._in_a_row = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._suspects)

    def take(self, running: int, window: int) -> Any:
        """The next task, or None where it has to wait."""
        if self._suspects:
            return None if running else self._suspects.popleft()
        return self._waiting.popleft() if self._waiting and running < window else None

    def put_back(self, task: Any) -> None:
        """It was not begun."""
        (self._suspects if self._deaths[task] == DEATHS - 1 else self._waiting).appendleft(task)

    def lost(self, task: Any) -> bool:
        """Whether a task whose process died waits again; False: it is given up."""
        self._deaths[task] += 1
        if self._deaths[task] < DEATHS:
            self.put_back(task)
        return self._deaths[task] < DEATHS

    def note(self, outcome: Any) -> None:
        """Raise where tasks are given up one after the other."""
        self._in_a_row = self._in_a_row + 1 if isinstance(outcome, Died) else 0
        if self._in_a_row >= DEATHS_IN_A_ROW:
            raise AslError(f"{self._in_a_row} videos one after the other killed their processes (is memory short?); "
                           "what is finished is kept: run it again, with a smaller --nj")


def _fill(executor: Executor, function: Callable, line: _Line, running: Running) -> None:
    """Hand over as many tasks as the executor takes."""
    window = executor.window()
    while True:
        task = line.take(len(running), window)
        if task is None:
            return
        try:
            running[executor.submit(function, task)] = task
        except executor.shared:  # an idle process died; what runs will tell the same
            line.put_back(task)
            if running:
                return
            executor.restart()


def _collect(executor: Executor, done: Any, running: Running, line: _Line) -> Iterator[Tuple[Any, Any]]:
    """Yield what is finished; give back to ``line`` what was lost."""
    lost: List[Any] = []
    for future in done:
        task = running.pop(future)
        try:
            outcome = future.result()
        except executor.shared:
            lost.append(task)
            continue
        except executor.killed:
            outcome = Died(_DIED)
        except concurrent.futures.CancelledError:
            raise AslError("the cluster's scheduler is gone; what is finished is kept: run it again") from None
        yield task, outcome
    if lost:
        lost += running.values()  # they share the pool
        running.clear()
        executor.restart()
        for task in lost:
            if not line.lost(task):
                yield task, Died(_DIED)


class Pool:
    """``nj`` processes of this machine, started afresh (no fork: native libraries have threads)."""

    shared = (BrokenProcessPool,)
    killed = ()

    def __init__(self, nj: int) -> None:
        self._nj = nj
        self._others = set(multiprocessing.active_children())
        self._pool: Optional[concurrent.futures.ProcessPoolExecutor] = None

    def window(self) -> int:
        return self._nj

    def submit(self, function: Callable, task: Any) -> "concurrent.futures.Future[Any]":
        if self._pool is None:
            self._pool = concurrent.futures.ProcessPoolExecutor(
                self._nj, multiprocessing.get_context("spawn"), end_with, (os.getpid(),)
            )
        return self._pool.submit(function, task)

    def restart(self) -> None:
        self.close(now=True)

    def close(self, now: bool) -> None:
        if self._pool is None:
            return
        if now:  # a worker may have hours to go, and a broken pool may leave one behind
            for process in set(multiprocessing.active_children()) - self._others:
                process.kill()
        self._pool.shutdown(cancel_futures=True)
        self._pool = None


def end_with(parent: int) -> None:
    """End this worker when its parent is gone: one that was killed cannot tell its workers."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _start(scheduler: str) -> str:
    return f"dask worker {scheduler} --nworkers {os.cpu_count()} --nthreads 1"


class Dask:
    """The workers of a Dask cluster that runs already; they see the same files under the same names.

    Args:
        scheduler: address, such as ``tcp://host:8786``, or a scheduler file.

    Raises:
        AslError: Dask is not installed, no scheduler answers, it has no worker, or workers of several threads.
    """

    shared = ()

    def __init__(self, scheduler: str) -> None:
        try:
            import distributed
        except ImportError:
            raise AslError("--executor dask needs Dask; pip install 'asl[cluster]' (or 'dask[distributed]')") from None
        self.killed = (distributed.KilledWorker,)
        self._scheduler = scheduler
        given = {"scheduler_file": scheduler} if os.path.isfile(scheduler) else {"address": scheduler}
        try:
            self._client = distributed.Client(**given, timeout=ANSWER_WITHIN, set_as_default=False)
        except (OSError, ValueError, ImportError, asyncio.TimeoutError) as e:
            what = " ".join(str(e).split())[:200]
            raise AslError(f"--scheduler {scheduler}: no Dask scheduler answers there ({what})") from e
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_WITHIN)
        except (OSError, asyncio.TimeoutError):
            self._client.close()
            raise AslError(f"the Dask scheduler {scheduler} has no worker; start some: {_start(scheduler)}") from None
        if any(threads > 1 for threads in self._client.nthreads().values()):
            self._client.close()
            raise AslError(f"workers of the Dask scheduler {scheduler} have several threads, which do one video at a "
                           f"time together; start them with one each: {_start(scheduler)}")
        self._executor = self._client.get_executor(pure=False)

    def window(self) -> int:
        try:
            return max(2, 2 * sum(self._client.nthreads().values()))  # workers come and go
        except (OSError, RuntimeError):  # the loss of the scheduler shows in what runs, too
            return 2

    def submit(self, function: Callable, task: Any) -> "concurrent.futures.Future[Any]":
        try:
            return self._executor.submit(function, task)
        except (OSError, RuntimeError):
            raise AslError(f"the scheduler {self._scheduler} is gone; what is finished is kept: run it again") from None

    def restart(self) -> None:
        """Nothing: a worker that dies takes its own task alone with it, and its cluster starts another."""

    def close(self, now: bool) -> None:
        self._client.close()
