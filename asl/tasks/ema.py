"""Averaged weights: an exponential moving average of the network, kept beside it in every checkpoint."""

from typing import Any, Dict, Optional

import lightning as L
import torch
from torch import Tensor


class WeightAverage(L.Callback):
    """Average weights and buffers after every optimiser step (Polyak averaging).

    In step ``t`` the decay is ``min(decay, (1 + t) / (10 + t))``, so that the start is forgotten also where
    training is short. The average lies in ``checkpoint["ema"]``, named as in ``checkpoint["state_dict"]``.

    Own code and not ``AveragedModel``: that copies the whole LightningModule with its trainer, and on torch
    1.13 it averages one parameter at a time.

    Args:
        decay: the weight of the past, for example 0.999.
        validate: whether validation measures the average instead of the network as it is.
    """

    def __init__(self, decay: float, validate: bool) -> None:
        self.decay, self.validate = decay, validate
        self.average: Optional[Dict[str, Tensor]] = None
        self._step = 0

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        state = task.state_dict()
        loaded = self.average
        start = loaded or state
        self.average = {n: start[n].detach().clone().to(v.device) for n, v in state.items()}
        self._step = trainer.global_step
        # state_dict() holds the tensors that training changes in place, so it is asked for once
        floats = [n for n, v in state.items() if v.is_floating_point()]
        self._live, self._shadow = [state[n] for n in floats], [self.average[n] for n in floats]
        self._others = [(state[n], self.average[n]) for n, v in state.items() if not v.is_floating_point()]

    @torch.no_grad()
    def on_train_batch_end(self, trainer: L.Trainer, task: L.LightningModule, *args: Any) -> None:
        if trainer.global_step == self._step:  # gradients are still being accumulated
            return
        self._step = trainer.global_step
        if task.left_out:  # the step was not made: nothing is new
            return
        decay = min(self.decay, (1 + self._step) / (10 + self._step))
        torch._foreach_mul_(self._shadow, decay)
        torch._foreach_add_(self._shadow, self._live, alpha=1 - decay)

    def on_validation_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        if self.validate:
            self._swap()

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        if self.validate:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for live, shadow in zip(self._live, self._shadow):
            kept = live.clone()
            live.copy_(shadow)
            shadow.copy_(kept)

    def on_save_checkpoint(
        self, trainer: L.Trainer, task: L.LightningModule, checkpoint: Dict[str, Any]
    ) -> None:
        for live, shadow in self._others:  # counters have no average
            shadow.copy_(live)
        checkpoint["ema"] = dict(self.average)

    def on_load_checkpoint(
        self, trainer: L.Trainer, task: L.LightningModule, checkpoint: Dict[str, Any]
    ) -> None:
        self.average = checkpoint["ema"]
