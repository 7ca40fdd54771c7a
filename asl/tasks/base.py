"""What every task shares: the optimiser and its schedule, exact averages over validation."""

import math
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

import lightning as L
import torch
from torch import Tensor, nn

from asl.common.compat import adamw
from asl.common.errors import AslError
from asl.common.processes import summed, world_size
from asl.models.masking import MaskedBatchNorm
from asl.tasks.depth import FreezeConfig, by_depth, freeze, frozen_layers
from asl.tasks.schedule import WarmupCosine

Batch = Dict[str, Any]


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW (Loshchilov and Hutter 2019), warm-up, then a cosine down over all optimiser steps, or several.

    Args:
        lr: highest learning rate, reached at the end of the warm-up.
        min_lr: lowest learning rate behind the warm-up, in which the cosines end.
        weight_decay: decoupled decay of matrices and kernels; norms and biases have none.
        warmup_steps: optimiser steps over which the learning rate rises from 0; at most half of all steps.
        warmup_epochs: the same in epochs, which may be parts of one; null: ``warmup_steps`` says it.
        cycles: cosines, one after the other, each from ``lr`` to ``min_lr`` (warm restarts, Loshchilov and Hutter 2017).
        cycle_growth: how many times as long as the one before a cycle is.
        beta1: decay of the running mean of the gradient.
        beta2: decay of the running mean of its square.
        layer_decay: factor of the learning rate from a layer of the encoder to the next one down, for
            fine-tuning; 1: all layers learn alike.
        freeze: layers of the encoder that do not learn, at first or ever.
    """

    lr: float = 1e-3
    min_lr: float = 0.0
    weight_decay: float = 0.05
    warmup_steps: int = 100
    warmup_epochs: Optional[float] = None
    cycles: int = 1
    cycle_growth: float = 2.0
    beta1: float = 0.9
    beta2: float = 0.98
    layer_decay: float = 1.0
    freeze: FreezeConfig = FreezeConfig()

    def __post_init__(self) -> None:
        if not 0 < self.layer_decay <= 1:
            raise AslError(f"optimizer.layer_decay is {self.layer_decay}; give above 0 and at most 1 (off)")
        if not 0 <= self.min_lr <= self.lr:
            raise AslError(f"optimizer.min_lr is {self.min_lr} and lr {self.lr}; give 0 or more, and no more than lr")
        if self.warmup_steps < 0 or (self.warmup_epochs or 0) < 0:
            raise AslError(
                f"optimizer.warmup_steps is {self.warmup_steps} and warmup_epochs {self.warmup_epochs}; give 0 or more"
            )
        if self.cycles < 1 or self.cycle_growth < 1:
            raise AslError(
                f"optimizer.cycles is {self.cycles} and cycle_growth {self.cycle_growth}; give 1 or more of both"
            )

    def factor(self, total: int, epochs: int) -> WarmupCosine:
        """The learning rate's factor, where training has so many optimiser steps in so many epochs."""
        steps = self.warmup_steps
        if self.warmup_epochs is not None:
            steps = round(self.warmup_epochs * total / epochs)
        return WarmupCosine(steps, total, self.cycles, self.cycle_growth, self.min_lr / self.lr if self.lr else 0.0)


class SignTask(L.LightningModule):
    """A network and its loss. Subclasses define what is learnt; ``asl.tasks.train`` does the rest.

    A subclass takes ``feature_parts`` and ``vocab_size`` (filled in by ``asl train`` from the pipeline and
    from ``data/lang/tokens.txt``) and an ``OptimizerConfig``, and hands all three on. A network inside it is
    asked for as ``encoder: Callable[[Dict[str, int]], Encoder]`` and made by ``encoder(feature_parts)``: a
    config file then names its class and the arguments after the first. It defines ``training_loss``,
    ``validation_metrics`` and ``log_probs``, and sets ``monitor`` and ``monitor_mode``.

    Args:
        feature_parts: ordered widths of the parts of the feature vector; their sum is checked on every batch.
        vocab_size: entries of the token table, blank included.
        optimizer: learning rate and its schedule.

    Attributes:
        monitor: the validation metric by which the best checkpoint is chosen.
        monitor_mode: ``"max"`` or ``"min"``.
        needs_vocabulary: whether there is nothing to learn without tokens.
        compiled_parts: names of the modules that ``trainer.compile`` compiles.
        measured_on_train: whether ``asl train`` measures in the end, as in validation, how well training clips are known.
        train_losses: the parts of the last training batch's loss, detached.
        val_metrics: averages of the last validation.
        grad_norm: norm of the last gradient before clipping, None before the first step.
        check_step: called between the backward pass (and clipping) and the optimiser's step.
        left_out: why the last optimiser step was not made: ``"nonfinite"``, ``"scale"`` (fp16's scale fell),
            None: it was. See ``asl.tasks.guards``.
    """

    monitor: str = "loss"
    monitor_mode: str = "min"
    needs_vocabulary: bool = True
    compiled_parts: Tuple[str, ...] = ("encoder",)
    measured_on_train: bool = False

    def __init__(
        self,
        feature_parts: Optional[Dict[str, int]] = None,
        vocab_size: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        super().__init__()
        if not feature_parts or (self.needs_vocabulary and vocab_size < 2):
            raise AslError(
                f"{type(self).__name__}: feature_parts={feature_parts} and vocab_size={vocab_size} are "
                "filled in by 'asl train'; to build a task by hand give both"
            )
        self.feature_parts, self.vocab_size = dict(feature_parts), vocab_size
        self.optimizer_config = optimizer
        self.train_losses: Dict[str, Tensor] = {}
        self.val_metrics: Dict[str, float] = {}
        self.grad_norm: Optional[Tensor] = None
        self.check_step: Callable[[], None] = _nothing
        self.left_out: Optional[str] = None
        self._sums: Dict[str, List[float]] = {}
        self._frozen: List[nn.Module] = []
        self._is_frozen = False

    def training_loss(self, batch: Batch) -> Dict[str, Tensor]:
        """Return the parts of the loss (scalars); ``"loss"`` is what is minimised, a mean over the batch.

        Where several processes share the batch each part is a mean over this process's clips; what
        ``loss_weight`` says makes the mean over all clips of it.
        """
        raise TypeError(f"{type(self).__name__} must define training_loss()")

    def loss_weight(self, batch: Batch) -> float:
        """What the means in ``training_loss`` are taken over, in this batch: its clips, unless a task says else."""
        return float(len(batch["feature_lengths"]))

    def validation_metrics(self, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        """Return ``name -> (sum, count)`` over the batch, so that averages over ragged batches are exact."""
        raise TypeError(f"{type(self).__name__} must define validation_metrics()")

    def finished_metrics(self, averages: Dict[str, float]) -> Dict[str, float]:
        """What is known of a whole validation: its averages, and what a task makes of them."""
        return averages

    def log_probs(self, batch: Batch) -> Tuple[Tensor, Tensor]:
        """Return log-probabilities ``(batch, frames, vocab)`` or ``(batch, classes)``, and their lengths."""
        raise TypeError(f"{type(self).__name__} must define log_probs()")

    def check_features(self, features: Tensor) -> None:
        """Raise AslError unless ``(batch, frames, channels)`` are as wide as the network's input."""
        expected = sum(self.feature_parts.values())
        if features.dim() != 3 or features.shape[-1] != expected:
            raise AslError(
                f"this {type(self).__name__} takes {expected} features a frame, the data have "
                f"{features.shape[-1]} (shape {tuple(features.shape)}); use the pipeline it was trained with"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        self.check_features(batch["features"])
        losses = self.training_loss(batch) if world_size() == 1 else self._shared_loss(batch)
        self.train_losses = {name: value.detach() for name, value in losses.items()}
        if world_size() > 1:
            # of the whole batch: measurements and checkpoints are the same on every process
            values = summed(torch.stack([value.float() for value in self.train_losses.values()]))
            self.train_losses = dict(zip(losses, values))
        return losses["loss"]

    def _shared_loss(self, batch: Batch) -> Dict[str, Tensor]:
        """This process's share of the loss of the whole batch: the sum over the processes is the mean."""
        spare = bool(batch.get("spare", False))
        for module in self.modules():
            if isinstance(module, MaskedBatchNorm):
                module.counts = not spare
        weight = torch.tensor(0.0 if spare else self.loss_weight(batch), device=self.device)
        share = weight / summed(weight).clamp(min=1e-12)
        return {name: value * share for name, value in self.training_loss(batch).items()}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Freeze layers or let them go, by the step alone: a run that goes on does what it would have done."""
        frozen = self.optimizer_config.freeze.holds(self.trainer.current_epoch, self.trainer.global_step)
        if frozen or self._is_frozen:  # again in every step: after validation the whole network is in training mode
            freeze(self._frozen, frozen)
        self._is_frozen = frozen

    def on_train_end(self) -> None:
        freeze(self._frozen, False)

    def on_validation_epoch_start(self) -> None:
        self._sums = {}

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.check_features(batch["features"])
        if batch.get("spare", False):
            return
        for name, (total, count) in self.validation_metrics(batch).items():
            sums = self._sums.setdefault(name, [0.0, 0.0])
            sums[0] += float(total)
            sums[1] += float(count)

    def on_validation_epoch_end(self) -> None:
        if world_size() > 1:
            self._sums = sums_of_all(self._sums)
        self.val_metrics = dict(sorted(self.finished_metrics(averages_of(self._sums)).items()))

    def configure_gradient_clipping(
        self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None
    ) -> None:
        """Clip by the norm over all gradients (no limit: measure only) and keep the norm for the log."""
        gradients = [p.grad for p in self.parameters() if p.grad is not None]
        self.grad_norm = clip_gradients(gradients, gradient_clip_val or None)
        self.check_step()

    def configure_optimizers(self) -> Dict[str, Any]:
        config = self.optimizer_config
        total = self.trainer.estimated_stepping_batches
        if not math.isfinite(total):
            raise AslError("the data module does not say how many batches an epoch has")
        groups = parameter_groups(self, config.weight_decay)
        if config.layer_decay < 1:
            groups = by_depth(self, groups, config.lr, config.layer_decay)
        if config.freeze.layers:
            self._frozen = frozen_layers(self, config.freeze.layers)
        optimizer = adamw(groups, config.lr, (config.beta1, config.beta2))
        factor = config.factor(int(total), self.trainer.max_epochs)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor.__call__)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _nothing() -> None:
    pass


def averages_of(sums: Dict[str, List[float]]) -> Dict[str, float]:
    """``name -> [sum, count]`` -> ``name -> sum / count``, NaN where there is nothing."""
    return {name: total / count if count else math.nan for name, (total, count) in sums.items()}


def sums_of_all(sums: Dict[str, List[float]]) -> Dict[str, List[float]]:
    """Add up ``name -> [sum, count]`` over all processes, of which one without clips may lack names."""
    found: List[Any] = [None] * world_size()
    torch.distributed.all_gather_object(found, sums)
    total: Dict[str, List[float]] = {}
    for one in found:
        for name, values in one.items():
            total[name] = [a + b for a, b in zip(total.get(name, [0.0] * len(values)), values)]
    return total


def parameter_groups(module: nn.Module, weight_decay: float) -> List[Dict[str, Any]]:
    """Two groups: matrices and kernels with ``weight_decay``, vectors and scalars (norms, biases) without."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]


@torch.no_grad()
def clip_gradients(gradients: List[Tensor], max_norm: Optional[float]) -> Optional[Tensor]:
    """Scale ``gradients`` in place so that their joint 2-norm is at most ``max_norm``; return it as it was.

    As ``torch.nn.utils.clip_grad_norm_``, in multi-tensor calls (three times as fast on torch 1.13).
    The norm stays on its device: nothing waits for it.
    """
    if not gradients:
        return None
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    if max_norm is not None:
        torch._foreach_mul_(gradients, [(max_norm / (norm + 1e-6)).clamp(max=1.0)] * len(gradients))
    return norm
