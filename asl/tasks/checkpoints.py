"""Checkpoints that are whole whenever the process dies, and what is kept: the newest state and the best epoch."""

import io
import math
import time
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

import lightning as L
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from asl.common.compat import torch_load
from asl.common.files import atomic_path
from asl.tasks.base import SignTask


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write under a temporary name, flush, rename. (Lightning 2.2 writes in place: a kill breaks it.)"""

    def save_checkpoint(
        self, checkpoint: Dict[str, Any], path: Any, storage_options: Optional[Any] = None
    ) -> None:
        # In memory first: where torch itself meets a full disk it ends the process without a word of ours.
        image = io.BytesIO()
        torch.save(checkpoint, image)
        with atomic_path(path) as tmp:
            tmp.write_bytes(image.getbuffer())

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> Dict[str, Any]:
        return torch_load(path)


_AGREE = 8  # optimiser steps between two looks at the clocks of several processes


class Place(NamedTuple):
    """How far training has come, in what has been trained (more may have been fetched).

    Attributes:
        epoch: whole epochs.
        batch: batches of the epoch after these, on each process; where gradients are accumulated always so
            many that an optimiser step was made of the last ones.
    """

    epoch: int
    batch: int


def read_place(path: Path) -> Place:
    """Where a checkpoint was written. Raises AslError as ``torch_load`` does."""
    written = torch_load(path)["asl"]
    return Place(written["epoch"], written.get("batch", 0))


class KeepCheckpoints(L.Callback):
    """Write ``last.ckpt`` now and then and after every epoch, ``best.ckpt`` when the monitor improves; stop early.

    ``checkpoint["asl"]`` holds the ``Place`` and which weights the validation measured (``state_dict`` or
    ``ema``). This callback must be the last: a checkpoint holds what the others did in the batch.

    Args:
        folder: where the checkpoints go.
        patience: epochs without improvement after which training stops; 0: it does not.
        measured: ``"state_dict"`` or ``"ema"``.
        every_steps: optimiser steps after which ``last.ckpt`` is written inside an epoch; 0: never for them.
        every_minutes: minutes after which it is; 0: never for them.
    """

    def __init__(
        self, folder: Path, patience: int, measured: str, every_steps: int = 0, every_minutes: float = 0
    ) -> None:
        self.folder, self.patience, self.measured = folder, patience, measured
        self.every_steps, self.every_minutes = every_steps, every_minutes
        self.best: Optional[Dict[str, Any]] = None
        self.since_best = 0
        self._place = Place(0, 0)
        self._step, self._saved = 0, time.monotonic()

    def state_dict(self) -> Dict[str, Any]:
        return {"best": self.best, "since_best": self.since_best}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.best, self.since_best = state["best"], state["since_best"]

    def on_save_checkpoint(self, trainer: L.Trainer, task: SignTask, checkpoint: Dict[str, Any]) -> None:
        checkpoint["asl"] = {"measured": self.measured, **self._place._asdict()}
        if self._place.batch:
            _complete_batch(checkpoint["loops"]["fit_loop"])

    def on_train_batch_end(
        self, trainer: L.Trainer, task: SignTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        trained, whole = batch_idx + 1, trainer.num_training_batches
        # neither while gradients are being accumulated, nor after the last batch: the epoch's end comes next
        if trained == whole or trained % trainer.accumulate_grad_batches or not self._is_due(trainer):
            return
        self._save_last(trainer, Place(trainer.current_epoch, trained))

    def _is_due(self, trainer: L.Trainer) -> bool:
        if self.every_steps and trainer.global_step - self._step >= self.every_steps:
            return True
        late = bool(self.every_minutes) and time.monotonic() - self._saved >= 60 * self.every_minutes
        if trainer.world_size == 1:
            return late
        # clocks differ: the processes agree, now and then
        return trainer.global_step % _AGREE == 0 and trainer.strategy.reduce_boolean_decision(late, all=False)

    def _save_last(self, trainer: L.Trainer, place: Place) -> None:
        self._place = place
        trainer.save_checkpoint(self.folder / "last.ckpt")
        self._step, self._saved = trainer.global_step, time.monotonic()

    def on_train_start(self, trainer: L.Trainer, task: SignTask) -> None:
        self._step, self._saved = trainer.global_step, time.monotonic()
        self._stop_if_patience_is_over(trainer)  # killed after the last checkpoint, before the end

    def on_train_epoch_end(self, trainer: L.Trainer, task: SignTask) -> None:
        self._place = Place(trainer.current_epoch + 1, 0)
        improved = self._improved(task)
        self.since_best = 0 if improved else self.since_best + 1
        if improved:
            self.best = {"epoch": self._place.epoch, "val": dict(task.val_metrics)}
            trainer.save_checkpoint(self.folder / "best.ckpt")
        # after best.ckpt: killed between the two, the epoch is trained again and best.ckpt written again
        self._save_last(trainer, self._place)
        self._stop_if_patience_is_over(trainer)

    def _improved(self, task: SignTask) -> bool:
        value = task.val_metrics.get(task.monitor, math.nan)
        if math.isnan(value):
            return False
        if self.best is None:
            return True
        best = self.best["val"][task.monitor]
        return value > best if task.monitor_mode == "max" else value < best

    def _stop_if_patience_is_over(self, trainer: L.Trainer) -> None:
        if self.patience and self.since_best >= self.patience:
            trainer.should_stop = True


def _complete_batch(fit_loop: Dict[str, Any]) -> None:
    """Let the state of Lightning's loops say that the batch whose end is being reported is completed.

    Lightning counts it after the callbacks have run. As it stands 2.2 trains that batch again after a resume
    and 2.6 does not; with the count completed both go on with the next one, numbered as in a run that was not
    interrupted.
    """
    for count in ("total", "current"):
        progress = fit_loop["epoch_loop.batch_progress"][count]
        progress["completed"] = progress["processed"]
