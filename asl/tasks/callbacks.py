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
from asl.tasks.memory import memory_in_use, start_measuring

CURVES_EVERY = 60.0  # seconds; drawing takes about half a second


class SeedSteps(L.Callback):
    """Seed torch before every batch, so that what a step draws is a function of (seed, epoch, batch, rank).

    A run that resumes at any batch then draws what an uninterrupted one would have drawn there: there is no
    random state to carry along. In validation the epoch has no part: each epoch is measured alike.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: L.Trainer, task: SignTask, batch: Any, batch_idx: int) -> None:
        place = (trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(derive_seed(self.seed, "dropout", *place))

    def on_validation_batch_start(
        self, trainer: L.Trainer, task: SignTask, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        torch.manual_seed(derive_seed(self.seed, "validation", batch_idx, trainer.global_rank))


class EpochSums:
    """What an epoch's row is made of, summed over its batches so far.

    Attributes:
        losses: parts of the loss: sum over the batches in which it was finite and their number, ``(2,)``
            where they arose (nothing waits for them).
        norm, norms: sum and number of the gradients' norms.
        nonfinite, scaled: optimiser steps left out: loss or gradient not finite, fp16's scale lowered.
        batches, clips: how many.
        wait, work: seconds between batches and in them.
    """

    def __init__(self) -> None:
        self.losses: Dict[str, Tensor] = {}
        self.norm: Optional[Tensor] = None
        self.norms = self.batches = self.clips = self.nonfinite = self.scaled = 0
        self.wait = self.work = 0.0

    def state_dict(self) -> Dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        vars(self).update(state)

    def add_batch(self, losses: Dict[str, Tensor], clips: int) -> None:
        self.batches += 1
        self.clips += clips
        for name, value in losses.items():
            value = value.float()
            good = value.isfinite()
            counted = torch.stack([torch.where(good, value, torch.zeros_like(value)), good.float()])
            # .to: what a checkpoint brings lies on the CPU
            self.losses[name] = self.losses[name].to(value.device) + counted if name in self.losses else counted

    def add_step(self, norm: Tensor, left_out: Optional[str]) -> None:
        self.nonfinite += left_out == "nonfinite"
        self.scaled += left_out == "scale"
        if left_out:
            return
        self.norm = norm if self.norm is None else self.norm.to(norm.device) + norm
        self.norms += 1

    def mean_losses(self) -> Dict[str, float]:
        sums = {name: value.tolist() for name, value in self.losses.items()}
        return {name: total / count if count else math.nan for name, (total, count) in sums.items()}

    def mean_norm(self) -> Optional[float]:
        return float(self.norm) / self.norms if self.norms else None


class MetricsLog(L.Callback):
    """Measure training, log to TensorBoard, keep one row an epoch, draw it, print one line an epoch.

    A row holds ``epoch`` (from 1), ``step`` (optimiser steps), ``train/<part>`` (means over the batches),
    ``val/<metric>``, ``lr``, ``grad_norm`` (mean before clipping), ``clips_per_second`` (of this process,
    without validation), ``data_wait`` (share of the training loop spent between two batches, that is
    waiting for data), ``nonfinite`` (optimiser steps left out, see ``asl.tasks.guards``; under fp16 also
    ``scale_lowered``), ``memory_gb`` (GPU: the most held in the epoch; else of this process, at its end),
    ``seconds`` (since training began, over all resumptions). The rows and the sums of the
    epoch so far are part of the checkpoint: after a resume they go on where the checkpoint was written.

    Args:
        exp: the experiment folder; ``logs/epochs.jsonl`` and ``curves.png`` are written into it.
        every: optimiser steps between two points in TensorBoard.
    """

    def __init__(self, exp: Path, every: int) -> None:
        self.exp, self.every = exp, every
        self.rows: List[Dict[str, Any]] = []
        self._sums = EpochSums()
        self._before, self._began = 0.0, time.perf_counter()  # seconds of earlier processes; start of this one
        self._drawn = time.monotonic()
        self._bar: Any = None

    def seconds(self) -> float:
        """Seconds of training so far, validation included, over all resumptions."""
        return self._before + time.perf_counter() - self._began

    def state_dict(self) -> Dict[str, Any]:
        return {"rows": self.rows, "sums": self._sums.state_dict(), "seconds": self.seconds()}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.rows = list(state["rows"])
        self._sums.load_state_dict(state["sums"])
        self._before = state["seconds"]

    def on_train_start(self, trainer: L.Trainer, task: SignTask) -> None:
        self._began = self._mark = time.perf_counter()
        self._last_step = trainer.global_step

    def on_train_epoch_start(self, trainer: L.Trainer, task: SignTask) -> None:
        start_measuring(task.device)
        self._mark = time.perf_counter()  # where a run goes on in mid-epoch Lightning 2.6 leaves this hook out

    def on_train_batch_start(self, trainer: L.Trainer, task: SignTask, batch: Any, batch_idx: int) -> None:
        self._sums.wait += self._lap()
        if self._bar is None and trainer.is_global_zero and sys.stderr.isatty():
            from tqdm import tqdm

            name, total = f"epoch {trainer.current_epoch + 1}", trainer.num_training_batches
            self._bar = tqdm(total=total, initial=batch_idx, desc=name, leave=False)

    def on_train_batch_end(
        self, trainer: L.Trainer, task: SignTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._sums.add_batch(task.train_losses, len(batch["feature_lengths"]))
        step = trainer.global_step
        if step != self._last_step and task.grad_norm is not None:
            self._last_step = step
            self._sums.add_step(task.grad_norm, task.left_out)
            if step % self.every == 0:
                self._log_step(trainer, task, step)
        if self._bar is not None:
            self._bar.update()
        self._sums.work += self._lap()

    def _lap(self) -> float:
        """Seconds since this was asked last."""
        before, self._mark = self._mark, time.perf_counter()
        return self._mark - before

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
            self._bar = None
        sums, self._sums = self._sums, EpochSums()
        row: Dict[str, Any] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row.update({f"train/{name}": value for name, value in sums.mean_losses().items()})
        row.update({f"val/{name}": value for name, value in task.val_metrics.items()})
        row["lr"] = learning_rate(trainer)
        row["grad_norm"] = sums.mean_norm()
        row["nonfinite"] = sums.nonfinite
        if trainer.precision_plugin.precision == "16-mixed":
            row["scale_lowered"] = sums.scaled
        row["clips_per_second"] = sums.clips / (sums.wait + sums.work)
        row["data_wait"] = sums.wait / (sums.wait + sums.work)
        row["memory_gb"] = memory_in_use(task.device)
        row["seconds"] = self.seconds()
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
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            logger.log_metrics(values, step)


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
