"""Files that appear under their final name only when they are whole, and the hash of what is in them."""

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, Iterable, Iterator, Union

from asl.common.errors import AslError

PathLike = Union[str, "os.PathLike[str]"]

# Up to this size a file is hashed by its content; a larger one by its size, its two ends and its
# modification time, so that a folder of videos does not have to be read to see that nothing changed.
CONTENT_HASH_LIMIT = 16 * 1024 * 1024
_END = 64 * 1024
_LEFTOVER = re.compile(r"\.tmp(\d+)\..+")


@contextlib.contextmanager
def atomic_path(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block ends without an error.

    The temporary name keeps the suffix of ``path`` (gzip and HDF5 writers look at it), starts with a dot
    and carries the process id. On an error nothing is left behind and ``path`` stays as it was. A device or a pipe
    (``/dev/null``, ``/dev/stdout``) is yielded itself: renamed over, it would be one no more.

    Raises:
        AslError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    if path.is_dir():
        raise AslError(f"cannot write {path}: it is a folder; give the name of a file")
    if path.parent.exists() and not path.parent.is_dir():
        raise AslError(f"cannot write {path}: {path.parent} is a file; give a folder")
    if path.parent == Path("/dev") or (path.exists() and not path.is_file()):
        yield path
        return
    tmp = path.with_name(f".tmp{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield tmp
        with open(tmp, "rb") as f:  # a rename is only worth something once the bytes are on disk
            os.fsync(f.fileno())
        os.replace(tmp, path)
    except OSError as e:
        raise AslError(f"cannot write {path}: {e.strerror or e}; free space or choose another folder") from e
    finally:
        with contextlib.suppress(OSError):
            tmp.unlink()


def remove(path: PathLike) -> None:
    """Remove a file, if it is there. Raises AslError where the folder cannot be written."""
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as e:
        raise AslError(f"cannot remove {path}: {e.strerror or e}; check the folder's permissions and the disk") from e


def remove_leftovers(folder: PathLike) -> None:
    """Remove the temporary files of ``atomic_path``, here and below, whose processes are gone."""
    for path in Path(folder).rglob(".tmp*"):
        match = _LEFTOVER.fullmatch(path.name)
        if match and not _alive(int(match[1])):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False  # its number was used before: this process has not begun to write
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    try:  # one that ended and that nobody has asked after is still listed
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # not Linux, or gone since
        return True
    return state not in ("Z", "X")


def write_text(path: PathLike, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path`` atomically."""
    with atomic_path(path) as tmp:
        tmp.write_text(text, encoding="utf-8")


def write_json(path: PathLike, value: Any) -> None:
    """Write ``value`` as indented JSON to ``path`` atomically, keys in their given order."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: PathLike) -> Any:
    """Read one JSON file.

    Raises:
        AslError: the file is absent, unreadable or not whole JSON (the line and column are named).
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise AslError(f"{path} does not exist; check the path or run the stage that makes it") from None
    except json.JSONDecodeError as e:
        raise AslError(
            f"{path} line {e.lineno} column {e.colno}: not valid JSON ({e.msg}); "
            "the file may be cut short: fetch or make it again"
        ) from None
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"cannot read {path}: {e}") from e


def hash_file(path: PathLike) -> str:
    """SHA-256 (hex) that changes when the file changes; see ``CONTENT_HASH_LIMIT`` for large files."""
    digest = hashlib.sha256()
    stat = os.stat(path)
    with open(path, "rb") as f:
        if stat.st_size <= CONTENT_HASH_LIMIT:
            digest.update(f.read())
        else:
            digest.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
            digest.update(f.read(_END))
            f.seek(-_END, os.SEEK_END)
            digest.update(f.read(_END))
    return digest.hexdigest()


def hash_paths(paths: Iterable[PathLike]) -> str:
    """SHA-256 (hex) over files and folders: their relative names and contents, in sorted order.

    Names that start with a dot are left out (temporary files, markers). An absent path counts as absent.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(p) for p in paths):
        if path.is_dir():
            for root, dirs, names in os.walk(path):
                dirs[:] = sorted(d for d in dirs if not d.startswith("."))
                for name in sorted(n for n in names if not n.startswith(".")):
                    file = Path(root) / name
                    digest.update(f"{file.relative_to(path)} {hash_file(file)}\n".encode())
        elif path.exists():
            digest.update(f"{path.name} {hash_file(path)}\n".encode())
        else:
            digest.update(f"{path.name} absent\n".encode())
    return digest.hexdigest()
