"""``asl train``: a configuration and an experiment folder in, a trained network out.

Whatever the process dies of, ``asl train --resume EXP`` (or the same command) goes on from the last checkpoint,
inside an epoch or at its end, and ends with the weights of a run that was not interrupted.
"""

import logging
import random
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import lightning as L
import torch
from jsonargparse import Namespace

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.common.seeds import derive_seed
from asl.data.module import LandmarkDataModule
from asl.lang.tokens import TokenTable
from asl.tasks import config as configs
from asl.tasks import discriminative, distributed, experiment, graph_parts, phonology, run_data
from asl.tasks.base import SignTask
from asl.tasks.callbacks import MetricsLog, SeedSteps
from asl.tasks.checkpoints import AtomicCheckpointIO, KeepCheckpoints, read_place
from asl.tasks.ema import WeightAverage
from asl.tasks.guards import NonFiniteGuard
from asl.tasks.loggers import closing, make_loggers
from asl.tasks.machine import PRECISIONS, fit_to_machine
from asl.tasks.memory import MemoryGuard
from asl.tasks.resume import resumed_words
from asl.tasks.skipped import SkippedLog
from asl.tasks.train_gap import measured_gap
from asl.tasks.weight_mean import EpochWeights
from asl.tasks.weights import load_weights, read_weights


def main(argv: List[str]) -> None:
    """Train as the command line says; see ``asl train --help``.

    Raises:
        AslError: a mistake in the command line, the configuration, the data or the experiment folder.
    """
    quieten()
    config = configs.parse(resumed_words(argv))
    if not config.exp:
        raise AslError("asl train needs --exp, the folder for the run, for example --exp exp/softmax")
    train(config, Path(config.exp), list(argv))


def train(config: Namespace, exp: Path, argv: List[str]) -> Dict[str, Any]:
    """Train, or go on training, in ``exp``; return what ``train.json`` holds.

    Args:
        config: from ``asl.tasks.config.parse``.
        exp: the experiment folder.
        argv: the command line, kept in ``version.json``.
    """
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    data = completed(config)
    lang = data.lang_dir
    seed_all(config.seed)
    task = configs.instantiate_task(config)
    distributed.join(config.trainer.accelerator)
    resume, finished = distributed.by_the_first(lambda: _prepare(config, exp, lang, argv))
    if finished:
        result = experiment.read_result(exp)
        say(f"{exp} is trained already ({result['epochs']} epochs); --force trains it again")
        return result
    if config.init_from and resume is None:
        _initialise(task, config, lang)
    fit_to_machine(task, config.trainer)
    memory = MemoryGuard(config.trainer.try_largest)
    through_graph = isinstance(task, discriminative.DiscriminativeTask)
    more: List[L.Callback] = [SkippedLog(exp)] if through_graph else []
    trainer, log, keep = make_trainer(config, exp, [memory, *more])
    if trainer.is_global_zero:
        _announce(task, exp, resume)
    if resume:
        # said outright: Lightning 2.6 makes the first iterator before it knows the epoch
        data.start_at(*read_place(resume))
    with memory.naming(), closing(trainer.loggers):
        trainer.fit(task, datamodule=data, ckpt_path=str(resume) if resume else None)
    if trainer.interrupted:
        raise AslError(f"training was interrupted; asl train --resume {exp} goes on from the last checkpoint")
    result = _result(config, task, log, keep)
    means = [callback for callback in trainer.callbacks if isinstance(callback, EpochWeights)]
    if means:
        result["val"] = means[0].finish(trainer, task)
    if task.measured_on_train and trainer.is_global_zero:
        result.update(measured_gap(task, data, exp, result, trainer.strategy.root_device))
    if trainer.is_global_zero:
        log.draw()
        write_json(exp / "train.json", result)
        for mean in means:
            mean.clear()
    distributed.leave()
    return result


def completed(config: Namespace) -> LandmarkDataModule:
    """Write into ``config`` all that the task learns from the data, so that it can be built; return the data.

    Raises:
        AslError: the data or the configuration are wrong, or do not fit together.
    """
    data = configs.instantiate_data(config)
    fill_in(config, data.feature_parts, len(TokenTable.read(data.lang_dir / "tokens.txt")))
    phonology.fill_in(config, data.lang_dir)
    graph_parts.fill_in(config, data.pipeline)
    discriminative.fill_in(config, data.lang_dir)
    return data


def _prepare(config: Namespace, exp: Path, lang: Path, argv: List[str]) -> Tuple[Optional[Path], bool]:
    """The checkpoint to go on from, and whether the run is finished."""
    resume = experiment.prepare(exp, config, lang, argv, config.force)
    return resume, (exp / "train.json").is_file()


def say(text: str) -> None:
    """Print on the first process."""
    if distributed.is_first():
        print(text, flush=True)


def fill_in(config: Namespace, feature_parts: Dict[str, int], vocab_size: int) -> None:
    """Write into ``config`` what the task learns from the data: its input's parts and its tokens.

    Raises:
        AslError: ``config`` (of an earlier run) says otherwise; both values are named.
    """
    found = {"feature_parts": dict(feature_parts), "vocab_size": vocab_size}
    for name, value in found.items():
        given = config.task.init_args.get(name)
        given = dict(given.items()) if isinstance(given, Namespace) else given
        if given and given != value:
            where = f"the config has task.init_args.{name} {given}"
            raise AslError(f"{where}, the data have {value}; remove it there")
        config.task.init_args[name] = value


def seed_all(seed: int) -> None:
    """Seed what initialises a network: torch, Python's ``random`` and numpy."""
    import numpy as np

    torch.manual_seed(derive_seed(seed, "init"))
    random.seed(derive_seed(seed, "random"))
    np.random.seed(derive_seed(seed, "numpy") % 2**32)


def _initialise(task: SignTask, config: Namespace, lang: Path) -> None:
    source = experiment.existing(config.init_from)
    experiment.refuse_other_pieces(source, lang, config.init_only)
    run_data.refuse_other_protocol(source, Path(config.data.data_dir))
    rule = configs.read_config(source / "config.yaml").trainer.checkpoint
    weights = read_weights(source, rule)
    kept = load_weights(task, weights, source, config.init_allow, config.init_only)
    say(f"weights from {source} ({rule}); {len(kept)} parameters keep their initial values")


def make_trainer(
    config: Namespace, exp: Path, callbacks: Sequence[L.Callback] = ()
) -> Tuple[L.Trainer, MetricsLog, KeepCheckpoints]:
    """The Lightning trainer with our callbacks in the order in which they must run, after ``callbacks``."""
    options = config.trainer
    many = distributed.processes(options.devices, options.nodes, options.accelerator)
    arguments, plugins = distributed.options_of_trainer(*many)
    measured = "ema" if options.checkpoint == "ema" else "state_dict"
    guard = NonFiniteGuard(exp, options.max_nonfinite)
    log = MetricsLog(exp, options.log_every_n_steps)
    often = (options.save_every_steps, options.save_every_minutes)
    keep = KeepCheckpoints(exp / "checkpoints", options.patience, measured, *often)
    average: List[L.Callback] = []
    if options.ema_decay:
        average.append(WeightAverage(options.ema_decay, validate=measured == "ema"))
    if options.checkpoint.startswith("mean_"):
        average.append(EpochWeights(exp / "checkpoints", options.checkpoint, options.mean_of))
    trainer = L.Trainer(
        accelerator=options.accelerator,
        **arguments,
        precision=PRECISIONS[options.precision],
        max_epochs=options.max_epochs,
        accumulate_grad_batches=options.accumulate_grad_batches,
        gradient_clip_val=options.gradient_clip_val,
        # the guard before those that ask what it found, the average before the log, the log before the
        # checkpoint that carries its rows
        callbacks=[*callbacks, SeedSteps(config.seed), guard, *average, log, keep],
        plugins=[AtomicCheckpointIO(), *plugins],
        logger=make_loggers(exp, options.wandb),
        log_every_n_steps=options.log_every_n_steps,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        inference_mode=False,  # averaged weights are swapped in place around validation
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    return trainer, log, keep


def _announce(task: SignTask, exp: Path, resume: Optional[Path]) -> None:
    how = f"going on from {resume}" if resume else "from the start"
    name, size = type(task).__name__, count_parameters(task)
    print(f"training {name} ({size:,} parameters) in {exp}, {how}", flush=True)


def count_parameters(task: SignTask) -> int:
    """Trainable numbers in the network."""
    return sum(p.numel() for p in task.parameters() if p.requires_grad)


def _result(config: Namespace, task: SignTask, log: MetricsLog, keep: KeepCheckpoints) -> Dict[str, Any]:
    rows, last = log.rows, log.rows[-1]
    final = {name[4:]: value for name, value in last.items() if name.startswith("val/")}
    rule = config.trainer.checkpoint
    if rule == "best" and keep.best is None:
        raise AslError(f"validation never gave a number for {task.monitor!r}: there is no best checkpoint")
    return {
        "task": type(task).__name__,
        "parameters": count_parameters(task),
        "train_seconds": round(last["seconds"], 1),
        "epochs": last["epoch"],
        "steps": last["step"],
        "seed": config.seed,
        "checkpoint": rule,
        "val": keep.best["val"] if rule == "best" else final,
        "monitor": task.monitor,
        "best": keep.best,
        "clips_per_second": sum(r["clips_per_second"] for r in rows) / len(rows),
        "data_wait": sum(r["data_wait"] for r in rows) / len(rows),
        "nonfinite": sum(r["nonfinite"] for r in rows),
    }


def quieten() -> None:
    """Silence what Lightning says that a user of ours can do nothing about; everything else stays."""
    for name in ("lightning.pytorch", "lightning.fabric", "lightning"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r".*does not have many workers.*",
        r"The number of training batches .* is smaller than the logging interval.*",
        r"Checkpoint directory .* exists and is not empty.*",
        r".*`isinstance\(treespec, LeafSpec\)` is deprecated.*",
        r"You're resuming from a checkpoint that ended before the epoch ended.*",  # our sampler goes on by itself
        r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`.*",
    ):
        warnings.filterwarnings("ignore", message=message)
