"""The configuration of a training run: yaml files, dotted overrides, and errors that name the nearest key.

    seed: 1
    task:
      class_path: IsolatedTask          # a subclass of SignTask: its name, or module.Name for one's own
      init_args:
        encoder: {class_path: ConvTransformer, init_args: {dim: 192}}
        optimizer: {lr: 1e-3}
    data:                               # arguments of LandmarkDataModule
      pipeline: {layout: hands42}
      batch_size: 32
    trainer: {max_epochs: 120}          # TrainerConfig

jsonargparse types and checks everything; abbreviations are off.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Literal, Optional, Type

from jsonargparse import ActionConfigFile, ArgumentError, ArgumentParser, Namespace

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike
from asl.tasks.config_errors import check_yaml, explain, is_override, misspelt
from asl.tasks.run_data import is_test


@dataclass
class TrainerConfig:
    """How training is run.

    Args:
        max_epochs: epochs; the learning rate is at its lowest at their end.
        accelerator: where to run.
        devices: processes on each machine (one a GPU, or on a CPU), which share every batch; torchrun says it.
        nodes: machines, under torchrun (a recipe's cmd.sh has an example); torchrun says it.
        precision: 32, or 16 or bf16 for automatic mixed precision.
        gradient_clip_val: largest norm of the gradient; 0: no limit.
        accumulate_grad_batches: batches for one optimiser step.
        patience: epochs without a better validation after which training stops; 0: never.
        ema_decay: decay of the averaged weights, for example 0.999; 0: none are kept.
        checkpoint: which weights a run is judged and decoded by, fixed before it starts: last, best on
            validation, ema (averaged, after the last epoch), mean_last or mean_best (the mean of the weights of
            the last, or of the best epochs). Validation measures the averaged weights under ema, else the
            network, and in the end the mean.
        mean_of: epochs whose mean is taken under mean_last and mean_best.
        save_every_minutes: minutes between two checkpoints inside an epoch (one is always written at its
            end); 0: none for the clock.
        save_every_steps: optimiser steps between two checkpoints inside an epoch; 0: none for the steps.
        max_nonfinite: optimiser steps of the whole run that may be left out because their loss or gradient is
            not finite, before training stops; logs/nonfinite.jsonl names their clips.
        try_largest: try the largest batches before training, so that a run that will need too much memory
            stops at once.
        compile: backend of torch.compile for the encoder (torch 2.2 or newer); null: not compiled.
            inductor makes code that is fast, and needs a C++ compiler.
        wandb: project of Weights & Biases that is logged to as well (needs asl[wandb]); null: none.
        log_every_n_steps: optimiser steps between two points in TensorBoard.
        threads: CPU threads for torch; null: torch's own choice.
    """

    max_epochs: int = 100
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: int = 1
    nodes: int = 1
    precision: Literal["32", "16", "bf16"] = "32"
    gradient_clip_val: float = 1.0
    accumulate_grad_batches: int = 1
    patience: int = 0
    ema_decay: float = 0.0
    checkpoint: Literal["last", "best", "ema", "mean_last", "mean_best"] = "last"
    mean_of: int = 5
    save_every_minutes: float = 10.0
    save_every_steps: int = 0
    max_nonfinite: int = 10
    try_largest: bool = True
    compile: Optional[Literal["inductor", "aot_eager", "eager"]] = None
    wandb: Optional[str] = None
    log_every_n_steps: int = 10
    threads: Optional[int] = None

    def __post_init__(self) -> None:
        if self.checkpoint == "ema" and not self.ema_decay:
            raise AslError("trainer.checkpoint is ema but trainer.ema_decay is 0; give it, for example 0.999")
        if not 0 <= self.ema_decay < 1:
            raise AslError(f"trainer.ema_decay is {self.ema_decay}; give 0 (off) or a number below 1")
        for name in ("max_epochs", "mean_of", "devices", "nodes", "accumulate_grad_batches", "log_every_n_steps"):
            if getattr(self, name) < 1:
                raise AslError(f"trainer.{name} is {getattr(self, name)}; give 1 or more")
        for name in ("patience", "gradient_clip_val", "max_nonfinite", "save_every_minutes", "save_every_steps"):
            if getattr(self, name) < 0:
                raise AslError(f"trainer.{name} is {getattr(self, name)}; give 0 (off) or more")


def data_class() -> Type:
    """The data module whose arguments are the ``data`` section."""
    from asl.data.module import LandmarkDataModule

    return LandmarkDataModule


def build_parser() -> ArgumentParser:
    """The parser of ``asl train``."""
    parser = _new_parser()
    parser.prog, parser.description = "asl train", "Train a task; an interrupted run goes on where it was."
    parser.add_argument("--config", action=ActionConfigFile, help="yaml file; later options override")
    parser.add_argument("--exp", type=Optional[str], help="experiment folder, made if absent")
    parser.add_argument("--resume", type=Optional[str], help="go on with this run; it needs no other option")
    parser.add_argument("--force", action="store_true", help="train again from the start, removing the run")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything that is random")
    parser.add_argument(
        "--select-on-test",
        action="store_true",
        help="allow data.val_split to be a test split; the tables will say so",
    )
    parser.add_argument("--overfit", type=int, default=0, help="train and validate on so many clips; 0: all")
    parser.add_argument("--init-from", type=Optional[str], help="experiment folder whose weights to take")
    parser.add_argument(
        "--init-allow",
        type=str,
        nargs="+",
        default=[],
        help="prefixes of parameters that may be missing, unexpected or of another shape in --init-from",
    )
    parser.add_argument(
        "--init-only",
        type=str,
        nargs="+",
        default=[],
        help="prefixes of the parameters to take from --init-from, such as encoder; default: all",
    )
    _add_task(parser)
    _add_data(parser)
    parser.add_argument("--trainer", type=TrainerConfig, default=TrainerConfig())
    parser.link_arguments("seed", "data.seed")
    parser.link_arguments("overfit", "data.overfit")
    return parser


def _new_parser() -> ArgumentParser:
    return ArgumentParser(exit_on_error=False, allow_abbrev=False)


def _add_task(parser: ArgumentParser) -> None:
    from asl.tasks.base import SignTask

    import_classes()
    parser.add_subclass_arguments(SignTask, "task", required=True)


def _add_data(parser: ArgumentParser) -> None:
    parser.add_class_arguments(data_class(), "data")


# a class of any other module is named with it, module.Name
TASK_MODULES = (
    "asl.tasks.aligned", "asl.tasks.ctc", "asl.tasks.isolated", "asl.tasks.mmi", "asl.tasks.mwer", "asl.tasks.pretrain",
    "asl.tasks.translate",
)  # fmt: skip


def import_classes() -> None:
    """Import the classes that a config may name without their module: our tasks and all of ``asl.models``."""
    import asl.models

    networks = [module.name for module in pkgutil.iter_modules(asl.models.__path__, "asl.models.")]
    for name in (*TASK_MODULES, *networks):
        importlib.import_module(name)


# short forms, and the spelling with the other dash, of options that stand above the sections
_ALIASES = {
    "--devices": "--trainer.devices",
    "--nodes": "--trainer.nodes",
    "--threads": "--trainer.threads",
    "--init_from": "--init-from",
    "--select_on_test": "--select-on-test",
    "--init_allow": "--init-allow",
    "--init_only": "--init-only",
    "--print-config": "--print_config",
}


def parse(argv: Iterable[str]) -> Namespace:
    """Parse the command line of ``asl train`` (with its yaml files).

    Raises:
        AslError: an unknown key or option (the nearest is named), a value of the wrong type, an unknown
            class, a file that is absent or not yaml.
    """
    words = [_alias(arg) for arg in argv]
    for word, following in zip(words, [*words[1:], ""]):
        if word.partition("=")[0] == "--config":
            check_yaml(word.partition("=")[2] or following)
    import_classes()
    words = importlib.import_module("asl.tasks.inherit").completed(words)
    parser = build_parser()
    try:
        config = parser.parse_args(words)
    except ArgumentError as e:
        told = explain(parser, str(e))
        if told.startswith(("unknown option", "config: Parser key")):  # no more than jsonargparse tells
            told = _misspelt_when_refused(parser, words) or told
        raise AslError(told) from None
    wrong = misspelt(config, words)
    if wrong:
        raise AslError(wrong)
    TrainerConfig(**config.trainer.as_dict())  # its own checks, before anything is built
    _refuse_test(config)
    return config


def _misspelt_when_refused(parser: ArgumentParser, words: List[str]) -> Optional[str]:
    """As ``misspelt``, of words that jsonargparse refused; None where something else is wrong, or may be."""
    if any(".class_path" in word for word in words):  # they change which keys there are
        return None
    plain, skip = [], False
    for word in words:
        if not skip and not is_override(word):
            plain.append(word)
        skip = not skip and is_override(word) and "=" not in word
    try:
        return misspelt(parser.parse_args(plain), words)
    except (ArgumentError, AslError):
        return None


def _refuse_test(config: Namespace) -> None:
    """The best checkpoint, the early stop and every choice of a person are made on ``data.val_split``."""
    split = config.data.get("val_split")
    if split is not None and is_test(split) and not config.select_on_test:
        raise AslError(
            f"data.val_split is {split}: what is chosen on test is no longer measured by it; validate on val, or "
            "give --select-on-test and the tables will say so"
        )


def _alias(arg: str) -> str:
    name, equals, value = arg.partition("=")
    if not name.startswith("--"):
        return arg
    if "." in name:
        name = "--" + name[2:].replace("-", "_")
    return _ALIASES.get(name, name) + equals + value


def read_config(path: PathLike) -> Namespace:
    """Read a ``config.yaml`` that ``asl train`` wrote. Raises AslError as ``parse`` does."""
    try:
        return parse(["--config", str(path)])
    except AslError as e:
        raise AslError(f"{path}: {e}") from None


def dump(config: Namespace) -> str:
    """The resolved configuration as yaml: what a run is defined by, without where it is written."""
    config = config.clone()
    for key in ("config", "exp", "force", "resume"):
        config.pop(key, None)
    return build_parser().dump(config, skip_unset=False, skip_validation=True)


def instantiate_task(config: Namespace) -> Any:
    """Build the task of ``config``; ``feature_parts`` and ``vocab_size`` must be filled in."""
    parser = _new_parser()
    _add_task(parser)
    return _instantiate(parser, Namespace(task=config.task.clone())).task


def instantiate_data(config: Namespace, **overrides: Any) -> Any:
    """Build the data module of ``config``, with other arguments where ``overrides`` names them."""
    parser = _new_parser()
    _add_data(parser)
    data = config.data.clone()
    for name, value in overrides.items():
        if name not in data:
            raise AslError(f"the data module has no argument {name!r}{did_you_mean(name, data.keys())}")
        data[name] = value
    return _instantiate(parser, Namespace(data=data)).data


def _instantiate(parser: ArgumentParser, config: Namespace) -> Any:
    """Build what ``config`` describes; a constructor's AslError keeps its one sentence (jsonargparse wraps it)."""
    try:
        return parser.instantiate(config)
    except ValueError as e:
        cause = e.__cause__ or e.__context__
        if isinstance(cause, AslError):
            raise AslError(str(cause)) from None
        raise


def flatten(config: Dict[str, Any], prefix: str = "") -> Dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    flat: Dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat
