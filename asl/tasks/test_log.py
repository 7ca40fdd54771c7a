"""``EXP/test_log.jsonl``: every decoding of a test split, one line each.

Decoding test twice is not forbidden, but what is chosen among several looks at test is chosen on test: so
each look is written down before it is taken, and the tables say how many different ones there were.
"""

import datetime
import json
from pathlib import Path
from typing import Any, Dict, Sequence

from asl.common.errors import AslError
from asl.common.files import hash_file
from asl.common.jsonl import read_jsonl
from asl.tasks import experiment

NAME = "test_log.jsonl"
# two decodings that agree in these are one look
_LOOK = ("split", "method", "engine", "checkpoint", "weights", "views", "with", "options")


def note(exp: str, checkpoint: str, exps: Sequence[str], about: Dict[str, Any]) -> int:
    """Add a line to the log of ``exp``; return how many different decodings of that split it now holds.

    Args:
        exp: the experiment.
        checkpoint: the rule that chose its weights.
        exps: all experiments whose outputs are averaged.
        about: split, method, engine, views, the search's options and the command.
    """
    path = Path(exp) / NAME
    weights = Path(exp) / "checkpoints" / ("best.ckpt" if checkpoint == "best" else "last.ckpt")
    line = {
        "when": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        **about,
        "checkpoint": checkpoint,
        "weights": hash_file(weights)[:16],
        "with": [Path(other).name for other in exps if other != exp],
        **experiment.git_state(),
    }
    lines = list(read_jsonl(path)) if path.is_file() else []
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    except OSError as e:
        raise AslError(f"cannot write {path}, which says that test was decoded: {e.strerror or e}") from None
    same_split = [entry for entry in (*lines, line) if entry.get("split") == line["split"]]
    return len({json.dumps([entry.get(key) for key in _LOOK]) for entry in same_split})
