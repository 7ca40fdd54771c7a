"""A config that trains a network on says what differs; what makes the network is taken from where it starts."""

import inspect
from pathlib import Path
from typing import Any, Dict, List

from asl.common.errors import AslError
from asl.tasks.ctc import CtcTask
from asl.tasks.discriminative import DiscriminativeTask, refuse_without_k2
from asl.tasks.resume import take_option

# of CtcTask's arguments those that say how it was trained, or that 'asl train' fills in
_NOT_TAKEN = ("self", "feature_parts", "vocab_size", "optimizer", "label_smoothing", "mixup", "part_dropout")


def completed(words: List[str]) -> List[str]:
    """The command line of ``asl train``, a discriminative task's config completed by that of ``--init-from``.

    The task's arguments that make the network (encoder, classifier, auxiliary heads and their weights) and the data's
    section are those of the experiment where the config does not say them; the trainer's and the optimiser's are the
    config's own. A config that names its encoder's class is complete and left alone.

    Raises:
        AslError: k2 does not import (the config is named), there is no ``--init-from``, or it is no network with CTC.
    """
    import yaml

    path, _ = take_option(words, "--config")
    if path is None or not Path(path).is_file():
        return words
    own = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    task = own.get("task") or {}
    name = str(task.get("class_path") if isinstance(task, dict) else "").rpartition(".")[2]
    if name not in _names(DiscriminativeTask):
        return words
    given = task.get("init_args") or {}
    if isinstance(given.get("encoder"), str) or "class_path" in (given.get("encoder") or {}):
        return words
    refuse_without_k2(f"{path}: {name}")
    source = take_option(words, "--init-from")[0] or own.get("init_from")
    if not source:
        raise AslError(f"{path}: {name} trains a network on that was trained with CTC: give its folder by --init-from")
    base = _base(str(source), name)
    base["task"]["class_path"] = task["class_path"]
    text = yaml.safe_dump(merged(base, own), sort_keys=False)
    return [text if word == path else f"--config={text}" if word == f"--config={path}" else word for word in words]


def _names(task: type) -> List[str]:
    """Names of the classes below ``task``."""
    found, todo = [], [task]
    while todo:
        children = todo.pop().__subclasses__()
        found += [child.__name__ for child in children]
        todo += children
    return found


def _base(source: str, name: str) -> Dict[str, Any]:
    """What is taken from an experiment's configuration."""
    import yaml

    from asl.tasks import experiment

    path = experiment.existing(source) / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    trained = config["task"]["class_path"].rpartition(".")[2]
    if trained not in ("CtcTask", *_names(CtcTask)):
        raise AslError(f"{source} was trained by {trained}; {name} starts from a network with CTC")
    taken = [key for key in inspect.signature(CtcTask.__init__).parameters if key not in _NOT_TAKEN]
    arguments = {key: value for key, value in config["task"]["init_args"].items() if key in taken}
    return {"task": {"init_args": arguments}, "data": config.get("data") or {}}


def merged(base: Dict[str, Any], own: Dict[str, Any]) -> Dict[str, Any]:
    """``base`` with what ``own`` says instead, section by section."""
    out = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out
