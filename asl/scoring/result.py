"""``result.json``: what was scored, how it was made, the numbers, and each clip's score in short.

The clips' scores (``per_clip``) are there so that the mean over seeds gets an interval from result.json files
alone. They stand in order of id, without ids; ``clips`` is a hash of ids and references, equal where the
clips are.
"""

import hashlib
import json
import math
import re
import shlex
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike, read_json
from asl.scoring.bleu import PER_CLIP
from asl.scoring.refs import Utterance

OFFICIAL = "official"
_NUMBER = (int, float, type(None))
_TYPES = {
    "corpus": (str, type(None)), "synthetic": (bool,), "protocol": (str,), "split": (str,),
    "subset": (int, str, type(None)), "system": (str,), "method": (str, type(None)), "main": (str,),
    "n": (int,), "n_missing": (int,), "n_official": (int, type(None)), "metrics": (dict,), "counts": (dict,),
    "commit": (str, type(None)), "command": (str, type(None)), "seed": (int, type(None)),
    "checkpoint": (str, type(None)), "parameters": (int, type(None)), "train_seconds": _NUMBER,
    "test_decodings": (int, type(None)), "clips": (str,), "per_clip": (dict,),
    "simulated": (bool,), "lm": (str, type(None)), "scoring": (dict,), "train_loss": _NUMBER, "val_loss": _NUMBER,
}
# what earlier versions did not write
_LATER = {
    "test_decodings": None, "simulated": False, "lm": None, "scoring": {}, "train_loss": None, "val_loss": None,
}  # fmt: skip


def task_of(decode: PathLike) -> Optional[str]:
    """Name of the task whose network was decoded; None where decode.json does not say."""
    return _read_if_there(Path(decode) / "decode.json").get("task")


def describe(decode: PathLike, data: PathLike, split: str) -> Dict[str, Any]:
    """What is known of a decode folder: from its ``decode.json``, its experiment, and the corpus report.

    Both files may be absent, and any key of them: what nobody tells is null. The system is then called after
    the experiment's folder, without its seed: runs that differ in the seed alone are one system. A corpus is
    synthetic where either file says so; simulated, too, where a real corpus's sentences were signed by the
    kinematic signer. ``train_loss`` and ``val_loss`` are those at the end of the experiment's training.

    Raises:
        AslError: the folder was decoded from another split; one of the files is not JSON.
    """
    decode = Path(decode)
    meta = _read_if_there(decode / "decode.json")
    report = _read_if_there(Path(data) / "report.json")
    version = _read_if_there(decode.parent / "version.json")
    if meta.get("split") not in (None, split):
        raise AslError(
            f"{decode} was decoded from the {meta['split']} split: score it with --split {meta['split']}"
        )
    command = meta.get("command")
    seconds = meta.get("train_seconds")
    return {
        "corpus": meta.get("corpus") or report.get("corpus"),
        "synthetic": bool(meta.get("synthetic") or report.get("synthetic")),
        "simulated": bool(meta.get("simulated") or report.get("simulated")),
        "protocol": protocol_of(data),
        "split": split,
        "subset": meta.get("subset", report.get("subset")),
        "system": _system(meta.get("system") or decode.resolve().parent.name, meta.get("seed")),
        "method": _method(meta),
        "lm": _language_model(meta),
        "checkpoint": meta.get("checkpoint"),
        "test_decodings": meta.get("test_decodings"),
        "seed": meta.get("seed"),
        "parameters": meta.get("parameters"),
        **_losses(_read_if_there(decode.parent / "train.json")),
        "train_seconds": None if seconds is None else round(seconds, 1),
        "commit": _commit(meta) or _commit(version),
        "command": " ".join(command) if isinstance(command, list) else command,
        "n_official": report.get("splits", {}).get(split, {}).get("official"),
    }


def protocol_of(data: PathLike) -> str:
    """How a data folder's clips are divided into splits: as its owner did where nothing else is said."""
    report = _read_if_there(Path(data) / "report.json")
    # as earlier versions wrote it
    old = "signer-independent" if report.get("signer_independent") else OFFICIAL
    return report.get("protocol") or old


def _system(name: str, seed: Optional[int]) -> str:
    return re.sub(rf"[-_.]seed[-_]?{seed}$", "", name) if seed is not None else name


def _method(meta: Dict[str, Any]) -> Optional[str]:
    """How it was decoded, for the table: ``softmax, 4 views``; ``graph, k2``."""
    parts = [meta.get("method"), meta.get("engine")]
    for key in ("views", "networks"):  # averaged over so many
        parts.append(f"{meta[key]} {key}" if meta.get(key, 1) > 1 else None)
    options = meta.get("options") or {}
    parts.append("tuned scales" if options.get("tuned") else None)
    parts.append("minimum Bayes risk" if options.get("mbr") else None)
    if str(meta.get("method")).startswith("attention"):
        parts += [text for key, text in _OF_ATTENTION.items() if options.get(key)]
        parts = [part and part.format(**options) for part in parts]
        parts.append(f"length {options['length_penalty']:g}" if options.get("length_penalty", 1) != 1 else None)
    return ", ".join(part for part in parts if part) or None


_OF_ATTENTION = {
    "beam_size": "beam {beam_size}", "ctc_weight": "CTC {ctc_weight:g}", "no_repeat": "no {no_repeat}-gram twice",
}  # fmt: skip


def _losses(trained: Dict[str, Any]) -> Dict[str, Optional[float]]:
    """``train_loss`` and ``val_loss`` of a ``train.json``, null where it has none."""
    found: Dict[str, Optional[float]] = {}
    for side in ("train", "val"):
        parts = trained.get(side)
        found[f"{side}_loss"] = trained.get(f"{side}_loss", parts.get("loss") if isinstance(parts, dict) else None)
    return found


def _language_model(meta: Dict[str, Any]) -> Optional[str]:
    """What the search knew of sequences: the graph by its folder's name, what rescored, what was fused. Or None.

    Recipes call the folder after the grammar (``3-gram``; ``lexicon``: none); ``graph`` says nothing more.
    """
    options = meta.get("options") or {}
    if options.get("lm"):
        return Path(options["lm"]).stem + (f" x {options['lm_scale']:g}" if options.get("lm_scale") else "")
    if meta.get("method") != "graph":
        return None
    command = meta.get("command") or []
    words = shlex.split(command) if isinstance(command, str) else command
    named = [after for word, after in zip(words, words[1:]) if word == "--graph"]
    named += [word.partition("=")[2] for word in words if word.startswith("--graph=")]
    grammar = Path(named[-1]).name if named else "graph"
    rescored = (meta.get("options") or {}).get("rescore")
    return grammar + (f", rescored: {Path(rescored).stem}" if rescored else "")


def _read_if_there(path: Path) -> Dict[str, Any]:
    value = read_json(path) if path.exists() else {}
    if not isinstance(value, dict):
        raise AslError(f"{path} holds a {type(value).__name__}, not a JSON object; make it again")
    return value


def _commit(meta: Dict[str, Any]) -> Optional[str]:
    commit = meta.get("commit")
    return f"{commit}-dirty" if commit and meta.get("dirty") else commit


def clips_hash(utterances: Sequence[Utterance]) -> str:
    """Hash of the ids and references: equal where two results are of the same clips."""
    text = json.dumps([[u.id, *u.reference] for u in utterances])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def pack(numbers: Sequence[int]) -> str:
    """Whole numbers on one line: a list in indented JSON would take a line each."""
    return " ".join(str(int(n)) for n in numbers)


def unpack(text: str) -> np.ndarray:
    """The reverse of ``pack``: ``(n,)`` int64."""
    return np.array(text.split(), dtype=np.int64)


def finite(metrics: Dict[str, Dict[str, Optional[float]]]) -> Dict[str, Dict[str, Optional[float]]]:
    """Metrics rounded to 4 decimals; null for what is not known or infinite, since JSON has no infinity."""
    return {
        name: {k: round(v, 4) if v is not None and math.isfinite(v) else None for k, v in metric.items()}
        for name, metric in metrics.items()
    }


def read_result(path: PathLike) -> Dict[str, Any]:
    """Read a ``result.json`` and check it.

    Raises:
        AslError: not JSON, a key missing or of another type, or not as many scores as clips.
    """
    result = read_json(path)
    if not isinstance(result, dict):
        raise AslError(f"{path} is no result of 'asl score': it holds a {type(result).__name__}")
    if "signer_independent" in result:  # as earlier versions wrote it
        result = {**result, "protocol": "signer-independent" if result["signer_independent"] else OFFICIAL}
        del result["signer_independent"]
    result = {**_LATER, **result}
    for key, types in _TYPES.items():
        if key not in result or not isinstance(result[key], types):
            problem = f"'{key}' is {result[key]!r}" if key in result else f"it has no '{key}'"
            raise AslError(f"{path} is no result of 'asl score': {problem}; score the decode folder again")
    lists: List[str] = list(result["per_clip"].values())
    of_bleu = {*PER_CLIP} <= {*result["per_clip"]} and {"case", "tokenize", "signatures"} <= {*result["scoring"]}
    if (
        result["main"] not in result["metrics"]
        or any(len(text.split()) != result["n"] for text in lists)
        or (result["main"] == "bleu" and not of_bleu)
    ):
        raise AslError(f"{path}: its parts do not belong together; score the decode folder again")
    return result
