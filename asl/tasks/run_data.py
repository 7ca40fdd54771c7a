"""On which data a run was made: where they lie, and whether they are what they were."""

import hashlib
import os
from pathlib import Path
from typing import Any, Dict, Optional

from jsonargparse import Namespace

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.scoring.result import protocol_of


def find_data(exp: Path, config: Namespace) -> Path:
    """The data folder of a run: where it lies as seen from ``exp`` (both may have moved), or where it lay.

    Raises:
        AslError: it is at neither place; both are named.
    """
    kept = start_of(exp).get("data", {}).get("folder")
    given = Path(config.data.data_dir)
    places = [exp / kept] if kept else []
    places.append(start_of(exp).get("cwd", Path()) / given)
    for place in places:
        if (place / "lang").is_dir():
            return Path(os.path.relpath(place)) if not given.is_absolute() else place.resolve()
    there = " or ".join(dict.fromkeys(os.path.normpath(place) for place in places))
    raise AslError(f"{exp}: its data folder is gone ({there}); put it back, or say where it is with --data.data_dir")


def is_test(split: str) -> bool:
    """Whether a split is kept for testing, by its name: test, test_unseen."""
    return "test" in split.lower()


def record(exp: Path, config: Namespace) -> Dict[str, Any]:
    """For ``version.json``: from where the run was started, where its data lie, and what was in them."""
    data = Path(config.data.data_dir)
    return {
        "cwd": os.getcwd(),
        "data": {
            "folder": os.path.relpath(data, exp),
            "protocol": protocol_of(data),
            "files": fingerprint(config),
        },
    }


def refuse_other_data(exp: Path, config: Namespace) -> None:
    """Raise AslError, with the file's name, unless the data are what they were when the run began."""
    began, now = start_of(exp).get("data", {}).get("files", {}), fingerprint(config)
    changed = [name for name, value in began.items() if now.get(name) != value]
    if changed:
        what = "is gone" if now.get(changed[0]) is None else "has changed"
        raise AslError(
            f"{exp}: {Path(config.data.data_dir) / changed[0]} {what} since this run began; bring the old data "
            "back, or train again from the start with --force"
        )


def refuse_other_protocol(exp: Path, data: Path) -> None:
    """Raise AslError where a network was trained on clips that were divided otherwise than ``data`` are.

    Its training clips, or their signers, would be among those that it is measured on.
    """
    trained, now = start_of(exp).get("data", {}).get("protocol"), protocol_of(data)
    if trained is not None and trained != now:
        raise AslError(
            f"{exp} was trained on the {trained} division of the corpus and {data} holds the {now} one: clips "
            f"that it was trained on are in the other's val and test; train it on {data}'s own train split"
        )


def fingerprint(config: Namespace) -> Dict[str, Optional[str]]:
    """Name -> hash of the manifests that a run reads, of its archives' and of its second stream's names and sizes.

    None: absent.
    """
    data = Path(config.data.data_dir)
    splits = [config.data.get(key) for key in ("train_split", "val_split")]
    found = {f"{split}/cuts.jsonl.gz": _digest(data / split / "cuts.jsonl.gz") for split in splits if split}
    archives = sorted((str(p.relative_to(data)), p.stat().st_size) for p in data.glob("landmarks/**/*.h5"))
    if archives:
        found["landmarks"] = hashlib.sha256(repr(archives).encode()).hexdigest()
    stream = config.data.get("extra")
    if stream:
        files = sorted((p.name, p.stat().st_size) for p in (data / stream.dir).glob("**/*.npy"))
        found[stream.dir] = hashlib.sha256(repr(files).encode()).hexdigest() if files else None
    return found


def _digest(path: Path) -> Optional[str]:
    """SHA-256 of a file's content alone (a copied folder has other times); None where there is no file."""
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def start_of(exp: Path) -> Dict[str, Any]:
    """``version.json`` of a run, or nothing where it has none."""
    path = exp / "version.json"
    return read_json(path) if path.is_file() else {}
