"""Killed at any moment, on a full disk, with videos that vanish: in the end every clip is there once, and right."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import asl.data.executors as executors
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.data.extracting import extract_landmarks

from .extraction import contents, extract_here, make_corpus, use_fake, write_corpus, write_video

DRIVER = (
    "import sys; sys.path.insert(0, sys.argv[1])\n"
    "from tests.data.extraction import use_fake\n"
    "from asl.data.extracting import extract_landmarks\n"
    "use_fake(float(sys.argv[3])); print('ready', flush=True)\n"
    "extract_landmarks(sys.argv[2], nj=int(sys.argv[4]), executor=sys.argv[5], scheduler=sys.argv[6] or None)"
)


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    monkeypatch.setattr("asl.data.extracting.estimator_maker", None)  # put back afterwards
    use_fake()


@pytest.fixture
def start(root):
    """``start(data, delay, nj)`` -> the command in a process (and a session) of its own, once it has begun."""
    started = []

    def run(data, delay=0.003, nj=2, executor="pool", scheduler="", limit=None):
        child = subprocess.Popen(
            [sys.executable, "-c", DRIVER, *map(str, (root, data, delay, nj, executor, scheduler))],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
        )  # fmt: skip
        started.append(child)
        assert child.stdout.readline() == "ready\n", child.stderr.read()
        return child

    yield run
    for child in started:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def made(data):
    """The landmark files that are there, and which file each is."""
    folder = data / "landmarks" / "clips"
    files = [p for p in folder.glob("*.npz") if not p.name.startswith(".tmp")] if folder.is_dir() else []
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}


def wait_for(data, clips, child=None):
    """Wait until so many clips are there (or the child has ended)."""
    until = time.monotonic() + 60
    while len(made(data)) < clips and (child is None or child.poll() is None):
        assert time.monotonic() < until
        time.sleep(0.005)


def workers(child):
    """The processes of the pool of ``child``."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/cmdline") as command:
                if stat.read().rpartition(")")[2].split()[1] == str(child.pid) and "spawn_main" in command.read():
                    found.append(int(entry))
        except (OSError, IndexError):
            continue
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def reset(data):
    shutil.rmtree(data / "landmarks", ignore_errors=True)


def check(data, expected, before):
    """All clips are there, each as it has to be; those that were done before were not done again."""
    until = time.monotonic() + 20  # workers of a killed command write on until they see that it is gone
    while any(name.startswith(".tmp") for name in os.listdir(data / "landmarks" / "clips")):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert contents(data) == expected
    now = made(data)
    assert {name: now[name] for name in before} == before


def test_the_command_and_its_workers_may_be_killed(tmp_path, start):
    data = make_corpus(tmp_path, videos=8, long=20)
    extract_here(data)
    expected = contents(data)
    reset(data)
    child = start(data)
    wait_for(data, 5)
    kill(child.pid)
    child.wait()
    before = made(data)
    assert 5 <= len(before) < 28

    child = start(data)
    wait_for(data, len(before) + 3)
    for pid in workers(child)[:1]:
        kill(pid)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    check(data, expected, before)
    report = read_json(data / "landmarks" / "extract.json")
    assert report["failed"] == {} and report["splits"]["train"]["extracted"] == 27


def test_a_video_that_kills_its_process_is_given_up_and_costs_no_other(tmp_path):
    data = make_corpus(tmp_path, videos=3)
    clips = [(f"v{i:02d}", "train", tmp_path / "corpus" / f"v{i:02d}.mp4", 20 + i, None) for i in range(3)]
    clips.insert(1, ("deadly", "train", write_video(tmp_path / "corpus" / "deadly.mp4", 21, level=255), 21, None))
    write_corpus(data, clips)
    extract_landmarks(str(data), nj=2, max_failures=0.25)
    report = read_json(data / "landmarks" / "extract.json")
    row, = report["clips"]
    assert (row["id"], row["failed"]) == ("deadly", "crash") and "died, 3 times" in row["reason"]
    assert sorted(contents(data)) == ["v00.npz", "v01.npz", "v02.npz"]


def test_a_worker_of_a_cluster_may_be_killed_and_a_cluster_without_any_is_named(tmp_path, monkeypatch):
    from distributed import LocalCluster

    data = make_corpus(tmp_path, videos=6, long=30)
    extract_here(data)
    expected = contents(data)
    reset(data)
    run, seen = executors.run_tasks, []

    def killer(executor, function, tasks, tick):
        def once():
            tick()
            if not seen and len(made(data)) >= 4:
                seen.append(made(data))
                kill(cluster.workers[0].pid)

        yield from run(executor, function, tasks, once)

    with LocalCluster(2, threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None) as cluster:
        use_fake(delay=0.005)
        monkeypatch.setattr("asl.data.extracting.run_tasks", killer)
        report = extract_landmarks(str(data), executor="dask", scheduler=cluster.scheduler_address)
        assert report["failed"] == {} and len(seen) == 1
        check(data, expected, seen[0])

        cluster.scale(0)
        monkeypatch.setattr(executors, "WORKERS_WITHIN", 0.2)
        (data / "landmarks" / "clips" / "v00.npz").unlink()
        with pytest.raises(AslError, match="has no worker; start some: dask worker tcp"):
            until = time.monotonic() + 60
            while time.monotonic() < until:  # its workers take a while to go
                extract_landmarks(str(data), executor="dask", scheduler=cluster.scheduler_address)
                (data / "landmarks" / "clips" / "v00.npz").unlink()


def test_workers_of_several_threads_are_refused(tmp_path):
    from distributed import LocalCluster

    data = write_corpus(tmp_path / "data", [("a", "train", tmp_path / "a.mp4", 5, None)])
    with LocalCluster(1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        with pytest.raises(AslError, match="have several threads.*--nthreads 1"):
            extract_landmarks(str(data), executor="dask", scheduler=cluster.scheduler_address)


def test_a_cluster_that_is_not_there_is_named(tmp_path, monkeypatch):
    data = write_corpus(tmp_path / "data", [("a", "train", tmp_path / "a.mp4", 5, None)])
    monkeypatch.setattr(executors, "ANSWER_WITHIN", 1)
    with pytest.raises(AslError, match="--scheduler tcp://127.0.0.1:9: no Dask scheduler answers"):
        extract_landmarks(str(data), executor="dask", scheduler="tcp://127.0.0.1:9")


class Faults:
    """Thirty runs that are disturbed, each followed by one that is not."""

    def __init__(self, data, start, seed=7):
        self.data, self.start, self.random = data, start, random.Random(seed)
        self.done, self.in_time = [], 0

    def run(self, name, fault, expected):
        reset(self.data)
        before = fault()
        if name not in ("replaced", "unreadable"):
            assert set(before) <= set(expected)
        extract_here(self.data)
        check(self.data, expected, before)
        self.done.append(name)

    def moment(self):
        return self.random.randrange(0, 26)

    def main_killed(self):
        child = self.start(self.data)
        clips = self.moment()
        wait_for(self.data, clips, child)
        time.sleep(self.random.random() * 0.02)
        self.in_time += child.poll() is None
        kill(child.pid)
        child.wait()
        return made(self.data)

    def worker_killed(self):
        child = self.start(self.data)
        wait_for(self.data, 1 + self.moment(), child)
        before = made(self.data)
        found = workers(child)
        self.in_time += bool(found)
        kill(self.random.choice(found)) if found else None
        _, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
        return before

    def disk_full(self, limit):
        child = self.start(self.data, limit=limit)
        _, err = child.communicate(timeout=120)
        assert child.returncode == 1 and "Stopped: cannot write" in err and "File too large; free space" in err, err
        self.in_time += 1
        return made(self.data)

    def cluster_worker_killed(self, cluster):
        child = self.start(self.data, executor="dask", scheduler=cluster.scheduler_address)
        wait_for(self.data, 1 + self.moment(), child)
        before, alive = made(self.data), child.poll() is None
        kill(self.random.choice([w.pid for w in cluster.workers.values()]))
        _, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
        self.in_time += alive
        return before

    def unreadable(self, video):
        aside = video.with_suffix(".aside")
        video.rename(aside)
        video.symlink_to(video.name)
        child = self.start(self.data)
        _, err = child.communicate(timeout=120)
        assert child.returncode == 1 and "unreadable: " in err, err
        before = made(self.data)
        video.unlink()
        aside.rename(video)
        self.in_time += 1
        return before

    def replaced(self, video, other):
        aside = video.with_suffix(".aside")
        video.rename(aside)
        shutil.copy2(other, video)  # it begins with another video ...
        child = self.start(self.data)
        wait_for(self.data, 1 + self.moment() // 2, child)
        self.in_time += child.poll() is None
        aside.rename(video)  # ... and ends with this one
        _, err = child.communicate(timeout=120)
        assert child.returncode == 0, err
        return {}


@pytest.mark.fault
def test_thirty_faults_lose_nothing_and_do_nothing_twice(tmp_path, start):
    from distributed import LocalCluster

    data = make_corpus(tmp_path, videos=8, long=20)
    long = tmp_path / "corpus" / "long.mp4"
    other = write_video(tmp_path / "other.mp4", 240, 90)
    extract_here(data)
    expected = contents(data)
    sizes = sorted(map(len, expected.values()))
    faults = Faults(data, start)
    for _ in range(10):
        faults.run("main", faults.main_killed, expected)
    for _ in range(7):
        faults.run("worker", faults.worker_killed, expected)
    for share in (0.0, 0.3, 0.6, 0.9):
        limit = max(sizes[int(share * (len(sizes) - 1))], 1) - 1
        faults.run("disk", lambda limit=limit: faults.disk_full(limit), expected)
    for name in ("v01.mp4", "long.mp4"):
        faults.run("unreadable", lambda name=name: faults.unreadable(tmp_path / "corpus" / name), expected)
    for _ in range(3):
        faults.run("replaced", lambda: faults.replaced(long, other), expected)
    with LocalCluster(2, threads_per_worker=1, dashboard_address=None, worker_dashboard_address=None) as cluster:
        for _ in range(4):
            faults.run("cluster", lambda: faults.cluster_worker_killed(cluster), expected)
    assert len(faults.done) == 30
    assert faults.in_time >= 24, "most runs were over before they were disturbed: nothing was tested"
    print(f"{len(faults.done)} faults, {faults.in_time} in time: { {n: faults.done.count(n) for n in faults.done} }")
