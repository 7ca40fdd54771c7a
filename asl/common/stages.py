"""One step of a recipe's stage: run a command once, and again only when its words or its inputs change.

``utils/stages.sh`` calls this for every step (``python -m asl.common.stages --help``). When a command ends well,
a marker beside its first output holds the command, a hash of every input and when it was; the next call with the
same command and inputs and all outputs in place runs nothing. The marker goes away before a command starts, so
one that dies leaves none. What was started is noted beside it: a command that goes on where it was killed is told
to begin anew (``--again``) where its words or inputs are others than then. Options that change only the speed
(``--nj``) are no part of what is compared.
"""

import argparse
import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

from asl.common.errors import AslError
from asl.common.files import hash_paths, write_json

SPEED_OPTIONS = ("--nj",)


def marker_path(output: str) -> Path:
    """Where the marker of the step whose first output is ``output`` lies: beside it, hidden."""
    path = Path(output)
    return path.with_name(f".{path.name}.done.json")


def started_path(output: str) -> Path:
    """What was last started for ``output``, whether it ended or not; the same fields as the marker."""
    path = Path(output)
    return path.with_name(f".{path.name}.started.json")


def hash_listing(folder: str) -> str:
    """SHA-256 (hex) over the names, sizes and modification times under ``folder``: nothing is read.

    For a corpus that is too big to be read whenever a recipe starts.
    """
    digest = hashlib.sha256()
    for root, dirs, names in os.walk(folder):
        dirs.sort()
        for name in sorted(names):
            stat = os.stat(os.path.join(root, name))
            where = os.path.relpath(os.path.join(root, name), folder)
            digest.update(f"{where} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def fingerprint(command: Sequence[str], inputs: Sequence[str], listings: Sequence[str]) -> Dict:
    """What a marker holds of a step: its words, and a hash for each input.

    Raises:
        AslError: an input is absent.
    """
    hashes = {}
    for path in [*inputs, *listings]:
        if not os.path.exists(path):
            raise AslError(f"{path} is needed and not there; check the path or run the earlier stages first")
        hashes[path] = hash_listing(path) if path in listings and os.path.isdir(path) else hash_paths([path])
    return {"command": _without_speed(command), "inputs": hashes}


def _without_speed(command: Sequence[str]) -> List[str]:
    kept: List[str] = []
    for before, word in zip(["", *command], command):
        if word not in SPEED_OPTIONS and before not in SPEED_OPTIONS:
            kept.append(word)
    return kept


def _read(path: Path) -> Optional[Dict]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def difference(before: Optional[Dict], now: Dict) -> Optional[str]:
    """What differs between two fingerprints, in words; None where nothing does or there was none before."""
    if before is None:
        return None
    if before.get("command") != now["command"]:
        return f"its command was: {shlex.join(before.get('command', []))}"
    then = before.get("inputs", {})
    changed = [path for path in {**then, **now["inputs"]} if then.get(path) != now["inputs"].get(path)]
    return f"changed since: {', '.join(changed)}" if changed else None


def why_run(now: Dict, outputs: Sequence[str], force: bool) -> Optional[str]:
    """Why the step has to run, in words; None where its work is done and nothing has changed."""
    if force:
        return "--force"
    before = _read(marker_path(outputs[0]))
    if before is None:
        return difference(_read(started_path(outputs[0])), now) or "not done yet"
    gone = [path for path in outputs if not os.path.exists(path)]
    return f"{gone[0]} is gone" if gone else difference(before, now)


def log_path(stage: str, command: Sequence[str], outputs: Sequence[str]) -> Path:
    """``exp/<name>/log/`` where the step writes into an experiment, else ``data/log/``."""
    verb = "-".join(word for word in command[1:3] if word.isidentifier()) or Path(command[0]).name
    parts = Path(outputs[0]).parts if outputs else ()
    if "exp" not in parts[:-1]:
        return Path("data/log") / f"stage{stage}-{verb}.log"
    inside = parts.index("exp") + 2
    return Path(*parts[:inside]) / "log" / ("-".join([f"stage{stage}", verb, *parts[inside:-1]]) + ".log")


@contextlib.contextmanager
def only_one(marker: Path) -> Iterator[int]:
    """Hold a lock that outlives this process in the command it starts: no two runs write the same outputs.

    Where the step was left running (its shell was killed and it was not), this waits for its end.
    """
    marker.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(marker.with_name(marker.name.replace(".done.json", ".lock")), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("  this step is running already; waiting for its end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def execute(command: Sequence[str], via: str, log: Path, lock: Optional[int]) -> int:
    """Run ``command`` (after the words of ``via``, such as srun's), copy what it prints to ``log``; its status."""
    words = list(command)
    if words[0] == "asl":
        words[:1] = [sys.executable, "-m", "asl.cli"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        file.write(f"# {now}  {shlex.join([*shlex.split(via), *command])}\n".encode())
        try:
            child = subprocess.Popen(
                [*shlex.split(via), *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=() if lock is None else (lock,),
            )
        except OSError as e:
            raise AslError(f"cannot start {(shlex.split(via) or words)[0]}: {e.strerror}") from None
        for number in (signal.SIGTERM, signal.SIGHUP):  # ^C reaches the child by itself
            signal.signal(number, lambda n, frame: child.send_signal(n))
        while True:
            data = os.read(child.stdout.fileno(), 65536)
            if not data:
                break
            file.write(data)
            file.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        status = child.wait()
        file.write(f"# status {status}\n".encode())
    return status


def _run(command: Sequence[str], via: str, log: Path, stage: str, lock: Optional[int]) -> None:
    status = execute(command, via, log, lock)
    if status != 0:
        raise AslError(f"stage {stage} stopped (status {status}): {shlex.join(command)}; all it said is in {log}")


def run_step(
    command: Sequence[str],
    outputs: Sequence[str],
    inputs: Sequence[str] = (),
    listings: Sequence[str] = (),
    stage: str = "0",
    via: str = "",
    again: str = "",
    force: bool = False,
) -> None:
    """Run one step if it has to, and mark it as done.

    Args:
        command: its words; ``asl`` stands for this toolkit's command line under the Python that runs now.
        outputs: files or folders that exist once it is done; the marker lies beside the first. Without any, the
            command only tells something: it runs every time.
        inputs: files and folders whose content is hashed; ``listings``: folders of which only names, sizes and times are.
        stage: the number, for the log's name.
        via: words to put before the command (``cmd.sh``), no part of what is compared.
        again: a word added to the command where what an earlier run left is of other words or inputs.

    Raises:
        AslError: an input is absent, the command fails, or an output is missing after it.
    """
    print(f"  {shlex.join(command)}", flush=True)
    if not outputs:
        _run(command, via, log_path(stage, command, outputs), stage, None)
        return
    marker = marker_path(outputs[0])
    with only_one(marker) as lock:
        now = fingerprint(command, inputs, listings)
        reason = why_run(now, outputs, force)
        if reason is None:
            print("    nothing has changed since it was done: skipped (--force runs it again)", flush=True)
            return
        if reason != "not done yet":
            print(f"    runs again ({reason})", flush=True)
        with contextlib.suppress(FileNotFoundError):
            marker.unlink()
        started = started_path(outputs[0])
        anew = bool(again) and (force or difference(_read(started), now) is not None)
        write_json(started, now)
        log, start = log_path(stage, command, outputs), time.time()
        _run([*command, again] if anew else command, via, log, stage, lock)
        missing = [path for path in outputs if not os.path.exists(path)]
        if missing:
            raise AslError(f"stage {stage} ended well but did not make {missing[0]}; see {log}")
        when = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        seconds = round(time.time() - start, 1)
        write_json(marker, {**now, "outputs": list(outputs), "finished": when, "seconds": seconds})
        print(f"    done in {seconds:g} s", flush=True)


def main(argv: Sequence[str]) -> int:
    """``--stage N [--in PATH…] [--listing DIR…] [--out PATH…] [--via=WORDS] [--again=WORD] [--force] -- COMMAND…``"""
    argv = list(argv)
    if "--" not in argv:
        raise AslError("a step is: step [--in PATH...] [--listing DIR...] [--out PATH...] -- COMMAND...")
    split = argv.index("--")
    parser = argparse.ArgumentParser(prog="step", allow_abbrev=False)
    parser.add_argument("--stage", default="0")
    for name, dest in (("--in", "inputs"), ("--listing", "listings"), ("--out", "outputs")):
        parser.add_argument(name, dest=dest, action="extend", nargs="+", default=[])
    parser.add_argument("--via", default="")
    parser.add_argument("--again", default="")
    parser.add_argument("--force", action="store_true")
    run_step(argv[split + 1 :], **vars(parser.parse_args(argv[:split])))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AslError as error:
        print(f"asl: error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
