"""Steps whose loss or gradient is not finite: left out, named, counted; past a limit training stops."""

import math
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import lightning as L
import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.common.jsonl import write_jsonl
from asl.tasks.base import SignTask

SHOWN = 5  # ids in a message; the file has all


class _Seen(NamedTuple):
    """A batch (this process's share of it) whose gradient is in the step that is being made."""

    number: int
    ids: List[str]
    loss: Tensor  # of this share alone


class NonFiniteGuard(L.Callback):
    """Leave out every optimiser step whose loss or gradient is not finite, as if its batches did not exist.

    Weights, their average, the optimiser's state and the network's buffers (running means of normalisation)
    stay as they were before the step; the learning rate goes on, so that the schedule ends where it should.
    Where gradients are accumulated the whole step is left out, all of its batches: a sum with NaN in it has
    nothing left. Several processes sum losses and gradients, so that all leave out the same step.

    With fp16 a gradient that overflows while the loss is finite only lowers the scale of the loss: the step is
    not made, and no failure, until the scale is 1.

    ``logs/nonfinite.jsonl`` has a row for each step that was left out: ``epoch`` and ``batch`` (from 1), ``what``
    was not finite, ``ids`` of the clips of the batches with such a loss (of all batches of the step, where it was
    the gradient), ``dropped`` (clips of the step on all processes). The rows belong to the checkpoint.

    This callback must run before those that read ``task.left_out``.

    Args:
        exp: the experiment folder.
        limit: steps that may be left out in the whole run.
    """

    def __init__(self, exp: Path, limit: int) -> None:
        self.path, self.limit = exp / "logs" / "nonfinite.jsonl", limit
        self.rows: List[Dict[str, Any]] = []
        self._step: List[_Seen] = []
        self._losses: List[Tensor] = []
        self._clips = 0
        self._what = ""
        self._buffers: List[Tensor] = []

    def state_dict(self) -> Dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.rows = list(state["rows"])

    def on_train_start(self, trainer: L.Trainer, task: SignTask) -> None:
        self._step = []
        task.check_step = lambda: self._check(trainer, task)
        self._write(trainer)  # rows of a time after the checkpoint go

    def on_train_batch_start(self, trainer: L.Trainer, task: SignTask, batch: Any, batch_idx: int) -> None:
        task.left_out = None
        if not self._step:
            self._buffers = [b.detach().clone() for b in task.buffers()]
            self._losses, self._clips = [], 0
        spare = bool(batch.get("spare", False))
        self._clips += 0 if spare else len(batch["feature_lengths"])
        self._step.append(_Seen(batch_idx, [] if spare else list(batch.get("ids", [])), torch.zeros(())))

    def _check(self, trainer: L.Trainer, task: SignTask) -> None:
        """Between the backward pass and the optimiser's step: take the gradients away if they are no good."""
        losses = torch.stack([*self._losses, task.train_losses["loss"].float()])  # of all processes
        norm = losses.new_zeros(()) if task.grad_norm is None else task.grad_norm.to(losses)
        loss_is_bad, gradient_is_bad = torch.stack([(~losses.isfinite()).any(), ~norm.isfinite()]).tolist()
        verdict = judge(loss_is_bad, gradient_is_bad, loss_scale(trainer) if gradient_is_bad else None)
        if verdict is None:
            return
        task.left_out = verdict
        if verdict == "nonfinite":
            worst = [value for value in losses.tolist() if not math.isfinite(value)]
            self._what = f"the loss is {worst[-1]}" if worst else f"the gradient's norm is {float(norm)}"
            for parameter in task.parameters():
                parameter.grad = None  # an optimiser passes over what has no gradient, its state too

    def on_train_batch_end(
        self, trainer: L.Trainer, task: SignTask, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._losses.append(task.train_losses["loss"].float())
        self._step[-1] = self._step[-1]._replace(loss=outputs["loss"])
        last = batch_idx + 1 == trainer.num_training_batches
        if (batch_idx + 1) % trainer.accumulate_grad_batches and not last:
            return
        if task.left_out == "nonfinite":
            self._leave_out(trainer, task)
        self._step = []

    @torch.no_grad()
    def _leave_out(self, trainer: L.Trainer, task: SignTask) -> None:
        for buffer, before in zip(task.buffers(), self._buffers):
            buffer.copy_(before)
        failed = [seen for seen in self._step if not math.isfinite(seen.loss)]
        mine = ([seen.number for seen in failed], [i for seen in failed for i in seen.ids],
                [i for seen in self._step for i in seen.ids], self._clips)  # fmt: skip
        numbers, culprits, everyone, clips = zip(*gathered(trainer, mine))
        ids = sum(culprits, []) or sum(everyone, [])
        row = {
            "epoch": trainer.current_epoch + 1,
            "batch": max(sum(numbers, []), default=self._step[-1].number) + 1,
            "what": self._what,
            "ids": ids,
            "dropped": sum(clips),
        }
        self.rows.append(row)
        self._write(trainer)
        place = f"epoch {row['epoch']}, batch {row['batch']}"
        if len(self.rows) > self.limit:
            raise AslError(
                f"{place}: {row['what']} (clips {some(ids)}), and {len(self.rows)} such steps are more than "
                f"trainer.max_nonfinite {self.limit}: look at the clips in {self.path}, lower "
                "task.init_args.optimizer.lr or trainer.gradient_clip_val, or use trainer.precision 32"
            )
        if trainer.is_global_zero:
            print(f"{place}: {row['what']}, the step of {row['dropped']} clips is left out "
                  f"({len(self.rows)} of at most {self.limit}; {some(ids)})", flush=True)  # fmt: skip

    def _write(self, trainer: L.Trainer) -> None:
        if trainer.is_global_zero and (self.rows or self.path.exists()):
            write_jsonl(self.path, self.rows)


def judge(loss_is_bad: bool, gradient_is_bad: bool, scale: Optional[float]) -> Optional[str]:
    """What becomes of a step: None (it is made), ``"nonfinite"`` (left out), ``"scale"`` (only fp16's scale falls).

    Args:
        scale: by which fp16's loss is multiplied; None: it is not.
    """
    if loss_is_bad:
        return "nonfinite"
    if not gradient_is_bad:
        return None
    return "scale" if scale is not None and scale > 1 else "nonfinite"


def loss_scale(trainer: L.Trainer) -> Optional[float]:
    """The factor of the loss under fp16, None otherwise."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return None if scaler is None else float(scaler.get_scale())


def gathered(trainer: L.Trainer, value: Any) -> List[Any]:
    """``value`` of every process, in the order of their ranks; all must call this."""
    if trainer.world_size == 1:
        return [value]
    values: List[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(values, value)
    return values


def some(ids: List[str]) -> str:
    """The first few of ``ids`` and how many more there are."""
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more
