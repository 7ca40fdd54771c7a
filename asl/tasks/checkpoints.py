"""Checkpoints that are whole whenever the process dies, and what is kept: the last epoch and the best one."""

import io
import math
from pathlib import Path
from typing import Any, Dict, Optional

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


class KeepCheckpoints(L.Callback):
    """Write ``last.ckpt`` after every epoch and ``best.ckpt`` when the task's monitor improves; stop early.

    ``checkpoint["asl"]`` says which weights the validation measured (``state_dict`` or ``ema``) and how many
    epochs are done.

    Args:
        folder: where the checkpoints go.
        patience: epochs without improvement after which training stops; 0: it does not.
        measured: ``"state_dict"`` or ``"ema"``.
    """

    def __init__(self, folder: Path, patience: int, measured: str) -> None:
        self.folder, self.patience, self.measured = folder, patience, measured
        self.best: Optional[Dict[str, Any]] = None
        self.since_best = 0

    def state_dict(self) -> Dict[str, Any]:
        return {"best": self.best, "since_best": self.since_best}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.best, self.since_best = state["best"], state["since_best"]

    def on_save_checkpoint(self, trainer: L.Trainer, task: SignTask, checkpoint: Dict[str, Any]) -> None:
        checkpoint["asl"] = {"measured": self.measured, "epoch": trainer.current_epoch + 1}

    def on_train_start(self, trainer: L.Trainer, task: SignTask) -> None:
        self._stop_if_patience_is_over(trainer)  # killed after the last checkpoint, before the end

    def on_train_epoch_end(self, trainer: L.Trainer, task: SignTask) -> None:
        improved = self._improved(task)
        self.since_best = 0 if improved else self.since_best + 1
        if improved:
            self.best = {"epoch": trainer.current_epoch + 1, "val": dict(task.val_metrics)}
            trainer.save_checkpoint(self.folder / "best.ckpt")
        # after best.ckpt: killed between the two, the epoch is trained again and best.ckpt written again
        trainer.save_checkpoint(self.folder / "last.ckpt")
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
