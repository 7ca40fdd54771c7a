"""JSON lines, plain or gzipped: read with the line number in every error, written atomically."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator

from asl.common.errors import AslError
from asl.common.files import PathLike, atomic_path


def read_jsonl(path: PathLike) -> Iterator[Dict[str, Any]]:
    """Yield one dict a line of ``path`` (``.gz`` is unpacked). Empty lines are passed over.

    Raises:
        AslError: the file is absent, cut short, or a line is not a JSON object; names file and line.
    """
    path, number = Path(path), 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict):
                    found = type(row).__name__
                    raise AslError(f"{path} line {number}: expected a JSON object, found {found}; make it again")
                yield row
    except FileNotFoundError:
        raise AslError(f"{path} does not exist; check the path or run the stage that makes it") from None
    except json.JSONDecodeError as e:
        raise AslError(f"{path} line {number}: not valid JSON ({e.msg}); make the file again") from None
    except (EOFError, OSError, UnicodeDecodeError, zlib.error) as e:
        what = "the file is cut short or damaged, make it again"
        raise AslError(f"{path} after line {number}: {e}; {what}") from e


def write_jsonl(path: PathLike, rows: Iterable[Dict[str, Any]]) -> int:
    """Write ``rows`` one a line (gzipped where the name ends in ``.gz``), atomically; return how many."""
    path, count = Path(path), 0
    with atomic_path(path) as tmp, open(tmp, "wb") as file:
        # no name and no time in the header: the same rows give the same bytes, and so the same hash
        out = gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) if path.suffix == ".gz" else file
        for row in rows:
            out.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8"))
            count += 1
        if out is not file:
            out.close()
    return count
