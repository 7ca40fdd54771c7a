"""``asl train --resume EXP``: all that a run needs stands in its folder."""

import os
from pathlib import Path
from typing import List, Optional, Tuple

from asl.common.errors import AslError
from asl.tasks import config as configs
from asl.tasks import experiment
from asl.tasks.run_data import find_data, start_of


def resumed_words(argv: List[str]) -> List[str]:
    """Return ``argv``; where it has ``--resume EXP`` with the run's own configuration and folders added.

    Raises:
        AslError: there is no such run, it is finished, its data are gone, or options stand beside ``--resume``
            that start a run.
    """
    exp, words = take_option(list(argv), "--resume")
    if exp is None:
        return words
    for name in ("--exp", "--config", "--force"):
        if any(word.partition("=")[0] == name for word in words):
            raise AslError(f"--resume {exp} needs no {name}: the run goes on as it began; leave {name} out")
    folder = experiment.existing(exp)
    if (folder / "train.json").is_file():
        epochs = experiment.read_result(folder)["epochs"]
        raise AslError(
            f"{exp} is trained already ({epochs} epochs): there is nothing to resume; decode it, or train again "
            f"with asl train --config {exp}/config.yaml --exp {exp} --force"
        )
    config = configs.read_config(folder / "config.yaml")
    words = ["--config", str(folder / "config.yaml"), "--exp", exp, "--resume", exp, *words]
    if not any(word.partition("=")[0] in ("--data.data_dir", "--data.data-dir") for word in words):
        words += ["--data.data_dir", str(find_data(folder, config))]
    began = start_of(folder).get("cwd")
    if config.init_from and began and not Path(config.init_from).is_dir():
        words += ["--init-from", os.path.join(began, config.init_from)]
    graph = config.task.init_args.get("graph")
    if graph and began and not Path(graph).is_dir():
        words += ["--task.init_args.graph", os.path.join(began, graph)]
    return words


def take_option(words: List[str], name: str) -> Tuple[Optional[str], List[str]]:
    """Take ``name VALUE`` or ``name=VALUE`` out of ``words``; return the value (None: not there) and the rest."""
    for i, word in enumerate(words):
        if word.startswith(name + "="):
            return word.partition("=")[2], words[:i] + words[i + 1 :]
        if word == name:
            if i + 1 == len(words) or words[i + 1].startswith("--"):
                raise AslError(f"{name} needs the folder of a run, for example {name} exp/softmax_100_seed0")
            return words[i + 1], words[:i] + words[i + 2 :]
    return None, words
