"""What happens around the training loop: seeds for every step, measurements, one line an epoch."""

import math
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import lightning as L
import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.common.jsonl import write_jsonl
from asl.common.seeds import derive_seed
from asl.tasks.base import SignTask
from asl.tasks.curves import draw_curves

CURVES_EVERY = 60.0  # seconds; drawing takes about half a second


class SeedSteps(L.Callback):
    """Seed torch before every training batch, so that dropout is a function of (seed, epoch, batch, rank).

    A run that resumes at an epoch then draws what an uninterrupted one would have drawn there: there is no
    random state to carry along.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: L.Trainer, task: SignTask, batch: Any, batch_idx: int) -> None:
        place = (trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(derive_seed(self.seed, "dropout", *place))


class MetricsLog(L.Callback):
    """Measure training, log to TensorBoard, keep one row an epoch, draw it, print one line an epoch.

    A row holds ``epoch`` (from 1), ``step`` (optimiser steps), ``train/<part>`` (means over the batches),
    ``val/<metric>``, ``lr``, ``grad_norm`` (mean before clipping), ``clips_per_second`` (of this process,
    without validation), ``data_wait`` (share of the training loop spent between two batches, that is
    waiting for data), ``seconds`` (since training began, over all resumptions). The rows are part of the
    checkpoint: after a resume they go on where the checkpoint was written.

    Args:
        exp: the experiment folder; ``logs/epochs.jsonl`` and ``curves.png`` are written into it.
        every: optimiser steps between two points in TensorBoard.
    """

    def __init__(self, exp: Path, every: int) -> None:
        self.exp, self.every = exp, every
        self.rows: List[Dict[str, Any]] = []
        self._drawn, self._logged = time.monotonic(), -1
        self._bar: Any = None

    @property
    def seconds(self) -> float:
        """Seconds of training so far, validation included, over all resumptions."""
        return self.rows[-1]["seconds"] if self.rows else 0.0

    def state_dict(self) -> Dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.rows = list(state["rows"])

    def on_train_start(self, trainer: L.Trainer, task: SignTask) -> None:
        self._began = time.perf_counter() - self.seconds

    def on_train_epoch_start(self, trainer: L.Trainer, task: SignTask) -> None:
        self._losses: Dict[str, Tensor] = {}
        self._norm: Optional[Tensor] = None
        self._norms, self._batches, self._clips, self._wait = 0, 0, 0, 0.0
        self._last_step = trainer.global_step
        self._start = self._mark = time.perf_counter()
        if trainer.is_global_zero and sys.stderr.isatty():
            from tqdm import tqdm

            name = f"epoch {trainer.current_epoch + 1}"
            self._bar = tqdm(total=trainer.num_training_batches, desc=name, leave=False)

    def on_train_batch_start(self, trainer: L.Trainer, task: SignTask, batch: Any, batch_idx: int) -> None:
        self._wait += time.perf_counter() - self._mark

    def on_train_batch_end(
        self, trainer: L.Trainer, task: SignTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._batches += 1
        self._clips += len(batch["feature_lengths"])
        for name, value in task.train_losses.items():
            self._losses[name] = self._losses[name] + value if name in self._losses else value.clone()
        step = trainer.global_step
        if step != self._last_step and task.grad_norm is not None:
            self._last_step = step
            self._norm = task.grad_norm if self._norm is None else self._norm + task.grad_norm
            self._norms += 1
            if step % self.every == 0:
                self._log_step(trainer, task, step)
        if self._bar is not None:
            self._bar.update()
        self._mark = time.perf_counter()

    def _log_step(self, trainer: L.Trainer, task: SignTask, step: int) -> None:
        values = {f"step/{name}": float(value) for name, value in task.train_losses.items()}
        values["step/grad_norm"] = float(task.grad_norm)
        values["step/lr"] = learning_rate(trainer)
        if self._bar is not None:
            self._bar.set_postfix(loss=f"{values['step/loss']:.3f}", refresh=False)
        _log(trainer, values, step)

    def on_train_epoch_end(self, trainer: L.Trainer, task: SignTask) -> None:
        if self._bar is not None:
            self._bar.close()
        row: Dict[str, Any] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row.update({f"train/{name}": float(value) / self._batches for name, value in self._losses.items()})
        row.update({f"val/{name}": value for name, value in task.val_metrics.items()})
        busy = self._mark - self._start
        row["lr"] = learning_rate(trainer)
        row["grad_norm"] = float(self._norm) / self._norms if self._norms else None
        row["clips_per_second"] = self._clips / busy
        row["data_wait"] = self._wait / busy
        row["seconds"] = time.perf_counter() - self._began
        if not math.isfinite(row["train/loss"]):
            raise AslError(
                f"the training loss is {row['train/loss']} in epoch {row['epoch']}; lower "
                "task.init_args.optimizer.lr or trainer.gradient_clip_val, or use trainer.precision 32"
            )
        self.rows.append(row)
        self._report(trainer, row)

    def _report(self, trainer: L.Trainer, row: Dict[str, Any]) -> None:
        if not trainer.is_global_zero:
            return
        scalars = {n: v for n, v in row.items() if n not in ("epoch", "step") and v is not None}
        _log(trainer, scalars, row["step"])
        write_jsonl(self.exp / "logs" / "epochs.jsonl", self.rows)
        print(epoch_line(row, trainer.max_epochs), flush=True)
        if time.monotonic() - self._drawn > CURVES_EVERY:
            self.draw()

    def draw(self) -> None:
        """Draw ``curves.png`` as far as training has come."""
        self._drawn = time.monotonic()
        if self.rows:
            draw_curves(self.rows, self.exp / "curves.png", title=self.exp.name)


def _log(trainer: L.Trainer, values: Dict[str, float], step: int) -> None:
    if trainer.logger is not None and trainer.is_global_zero:
        trainer.logger.log_metrics(values, step)


def learning_rate(trainer: L.Trainer) -> float:
    """Learning rate of the next optimiser step."""
    return float(trainer.optimizers[0].param_groups[0]["lr"])


def epoch_line(row: Dict[str, Any], max_epochs: int) -> str:
    """One line for a terminal or a log file."""
    metrics = [f"{n} {v:.4g}" for n, v in row.items() if n == "train/loss" or n.startswith("val/") and n.count("/") == 1]
    return (
        f"epoch {row['epoch']}/{max_epochs}  {'  '.join(metrics)}  lr {row['lr']:.2e}  "
        f"{row['clips_per_second']:.0f} clips/s  waiting {100 * row['data_wait']:.1f} %  "
        f"{row['seconds']:.0f} s"
    )
