"""Memory: the largest batches are tried before training, and a batch that is too large is named."""

import contextlib
import random
import resource
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import lightning as L
import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.tasks.base import SignTask
from asl.tasks.guards import some

# what torch says on CUDA, MPS and CPUs
_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "unable to mmap")


class MemoryGuard(L.Callback):
    """Try the largest training batches first; name the batch with which memory ran out, whenever it does.

    The batches are those that the data module's ``largest_batches()`` gives (of a sampler of its own). Each goes
    forward and backward, beside tensors as large as the optimiser's state will be. Weights, buffers, gradients
    and random state are as before. Several processes try their shares of the same batches.

    Args:
        try_largest: whether they are tried.
    """

    def __init__(self, try_largest: bool) -> None:
        self.try_largest = try_largest
        self._batch: Optional[Tuple[str, Dict[str, Any]]] = None

    def on_train_start(self, trainer: L.Trainer, task: SignTask) -> None:
        if not self.try_largest or not hasattr(trainer.datamodule, "largest_batches"):
            return
        with unchanged(task), _room_for_optimiser(trainer):
            for why, batch in trainer.datamodule.largest_batches():
                self._batch = (f"in a trial of the largest training batch ({why})", batch)
                batch = trainer.strategy.batch_to_device(batch, task.device)
                task.on_train_batch_start(batch, 0)  # what is frozen in the first step needs no gradients
                with trainer.precision_plugin.train_step_context():
                    task.training_step(batch, 0).backward()
                for parameter in task.parameters():
                    parameter.grad = None
        self._batch = None

    def on_train_batch_start(self, trainer: L.Trainer, task: SignTask, batch: Any, batch_idx: int) -> None:
        self._batch = (f"in training, epoch {trainer.current_epoch + 1}, batch {batch_idx + 1}", batch)

    def on_train_batch_end(self, trainer: L.Trainer, task: SignTask, *args: Any) -> None:
        self._batch = None

    def on_validation_batch_start(
        self, trainer: L.Trainer, task: SignTask, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._batch = (f"in validation, batch {batch_idx + 1}", batch)

    def on_validation_batch_end(self, trainer: L.Trainer, task: SignTask, *args: Any) -> None:
        self._batch = None

    @contextlib.contextmanager
    def naming(self) -> Iterator[None]:
        """Make one sentence of an out-of-memory error inside; other errors pass."""
        try:
            yield
        except (RuntimeError, MemoryError) as e:
            if not is_out_of_memory(e):
                raise
            where, batch = self._batch or ("outside of any batch", None)
            way_out = "lower the sizes of the network" if batch is None else f"the batch is {describe(batch)}"
            raise AslError(f"memory ran out {where}: {way_out}") from e


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that there is no memory left, on whatever device."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in _SIGNS)


def describe(batch: Dict[str, Any]) -> str:
    """What a batch holds, and which options make it smaller."""
    frames, shape = int(batch["feature_lengths"].max()), tuple(batch["features"].shape)
    clips, tokens = shape[0], _longest_text(batch)
    text = f"{clips} clips of up to {frames} frames and {tokens} tokens, features {shape}, ids {some(batch['ids'])}"
    if clips == 1:
        return f"{text}; leave the clip out, or lower the sizes of the network"
    lower = "data.max_frames_tokens" if tokens > 1 else "data.max_frames"
    return f"{text}; set data.batch_size below {clips}, or lower {lower}"


def _longest_text(batch: Dict[str, Any]) -> int:
    lengths = batch.get("token_lengths")
    return int(lengths.max()) if lengths is not None and len(lengths) else 0


@contextlib.contextmanager
def unchanged(task: SignTask) -> Iterator[None]:
    """Give back the network's buffers and all random state as they were, and no gradients."""
    buffers = [(b, b.detach().clone()) for b in task.buffers()]
    losses, state = task.train_losses, random.getstate()
    devices = [task.device] if task.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(state)
        task.train_losses = losses
        for parameter in task.parameters():
            parameter.grad = None
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


@contextlib.contextmanager
def _room_for_optimiser(trainer: L.Trainer) -> Iterator[None]:
    """Hold as much memory as the optimiser will, if it holds none yet: AdamW has two numbers for each weight."""
    held: List[Tensor] = []
    for optimizer in trainer.optimizers:
        if not optimizer.state:
            held += [torch.empty_like(p) for g in optimizer.param_groups for p in g["params"] for _ in range(2)]
    try:
        yield
    finally:
        held.clear()


def memory_in_use(device: torch.device) -> float:
    """GB: on a GPU the most that torch held since ``start_measuring``, else this process's resident memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e9
    except (OSError, ValueError, IndexError):  # not Linux: the most so far
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return (peak if sys.platform == "darwin" else 1024 * peak) / 1e9


def start_measuring(device: torch.device) -> None:
    """Let ``memory_in_use`` count from here on, where it can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
