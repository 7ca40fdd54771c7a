"""The mean of the weights of several epochs as a checkpoint rule (as ESPnet's and icefall's model averaging)."""

import math
from pathlib import Path
from typing import Any, Dict, List

import lightning as L
from torch import Tensor

from asl.common.compat import torch_load
from asl.common.errors import AslError
from asl.tasks.base import SignTask
from asl.tasks.checkpoints import AtomicCheckpointIO
from asl.tasks.weights import MEAN


class EpochWeights(L.Callback):
    """Keep the weights of some epochs until training ends, then their mean.

    On disk there are never more than ``count + 1`` files of weights (without the optimiser's state), and one in
    the end. A file goes only after ``last.ckpt`` was written without it: whenever the process dies, what that
    checkpoint needs is there. This callback must run before ``KeepCheckpoints``.

    Args:
        folder: the run's ``checkpoints``.
        rule: ``mean_last`` (the last ``count`` epochs) or ``mean_best`` (those that validation found best;
            of two alike the earlier).
        count: epochs.
    """

    def __init__(self, folder: Path, rule: str, count: int) -> None:
        self.folder, self.rule, self.count = folder, rule, count
        self.kept: List[Dict[str, Any]] = []

    def state_dict(self) -> Dict[str, Any]:
        return {"kept": self.kept}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.kept = list(state["kept"])

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04d}.ckpt"

    def on_train_epoch_end(self, trainer: L.Trainer, task: SignTask) -> None:
        if trainer.is_global_zero:
            self._remove_all_but(self.kept)  # last.ckpt is of the epoch before
        epoch, value = trainer.current_epoch + 1, task.val_metrics.get(task.monitor, math.nan)
        if self.rule == "mean_best" and math.isnan(value):
            return
        found = [*self.kept, {"epoch": epoch, "value": value}]
        if self.rule == "mean_best":
            sign = -1 if task.monitor_mode == "max" else 1
            found.sort(key=lambda one: (sign * one["value"], one["epoch"]))
            self.kept = found[: self.count]
        else:
            self.kept = found[-self.count :]
        if trainer.is_global_zero and any(one["epoch"] == epoch for one in self.kept):
            AtomicCheckpointIO().save_checkpoint({"state_dict": task.state_dict()}, self._path(epoch))

    def finish(self, trainer: L.Trainer, task: SignTask) -> Dict[str, float]:
        """Put the mean into ``task`` and into a checkpoint of its own; return its validation metrics.

        Raises:
            AslError: no epoch was kept (validation never gave a number).
        """
        epochs = sorted(one["epoch"] for one in self.kept)
        if not epochs:
            raise AslError(f"validation never gave a number for {task.monitor!r}: there is nothing to average")
        mean = mean_weights([self._path(epoch) for epoch in epochs])
        if trainer.is_global_zero:
            about = {"asl": {"rule": self.rule, "epochs": epochs}}
            AtomicCheckpointIO().save_checkpoint({"state_dict": mean, **about}, self.folder / MEAN)
        task.load_state_dict(mean)
        trainer.validate(task, datamodule=trainer.datamodule, verbose=False)
        return dict(task.val_metrics)

    def clear(self) -> None:
        """Remove the epochs' weights: the mean stands for them."""
        self._remove_all_but([])

    def _remove_all_but(self, kept: List[Dict[str, Any]]) -> None:
        names = {self._path(one["epoch"]).name for one in kept}
        for path in self.folder.glob("epoch-*.ckpt"):
            if path.name not in names:
                path.unlink()


def mean_weights(paths: List[Path]) -> Dict[str, Tensor]:
    """The mean of the weights in checkpoints; what is counted in whole numbers is that of the last one."""
    last: Dict[str, Tensor] = {}
    sums: Dict[str, Tensor] = {}
    for path in paths:
        last = torch_load(path)["state_dict"]
        for name, value in last.items():
            if value.is_floating_point():
                sums[name] = sums[name] + value.double() if name in sums else value.double()
    means = {name: (total / len(paths)).to(last[name].dtype) for name, total in sums.items()}
    return {name: means.get(name, value) for name, value in last.items()}
