"""What the machine is asked for beyond plain float32: mixed precision and compiled networks."""

import torch

from asl.common.compat import compile_module, mix_layer_norms
from asl.common.errors import AslError
from asl.tasks.base import SignTask
from asl.tasks.config import TrainerConfig

PRECISIONS = {"32": "32-true", "16": "16-mixed", "bf16": "bf16-mixed"}


def fit_to_machine(task: SignTask, options: TrainerConfig) -> None:
    """Make ``task`` ready for the precision and the compiler that ``options`` ask for, in place.

    Raises:
        AslError: a precision that the device has not, torch.compile where it is not or cannot follow the task.
    """
    device = device_type(options.accelerator)
    if options.precision == "16" and device != "cuda":
        raise AslError(f"trainer.precision 16 needs a CUDA GPU, this runs on {device}; use bf16 or 32")
    if options.precision == "bf16" and device == "mps":
        raise AslError("trainer.precision bf16 does not work on mps; use 32")
    if options.precision == "bf16" and device == "cpu":
        mix_layer_norms(task)
    if options.compile:
        if not task.compiled_parts:
            raise AslError(
                f"trainer.compile cannot follow {type(task).__name__} (it changes its network in every step); "
                "leave it out"
            )
        for name in task.compiled_parts:
            compile_module(task.get_submodule(name), options.compile)


def device_type(accelerator: str) -> str:
    """``cuda``, ``mps`` or ``cpu``: where Lightning runs what is asked for by ``trainer.accelerator``."""
    if accelerator == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    return "cuda" if accelerator == "gpu" else accelerator
