"""Isolated signs: one softmax over all signs for each clip."""

from typing import Any, Callable, Dict, Optional, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models import Encoder, SignClassifier
from asl.tasks.base import Batch, OptimizerConfig, SignTask


def inverse_frequency(counts: Tensor, smoothing: float) -> Tensor:
    """Class weights ``mean(count + s) / (count + s)``, clipped to [0.1, 10]; ``counts`` ``(classes,)``."""
    smoothed = counts.float() + smoothing
    return (smoothed.mean() / smoothed.clamp(min=1e-6)).clamp(0.1, 10.0)


class IsolatedTask(SignTask):
    """Encoder, pooling and a softmax over the signs; class ``i`` is token ``i + 1`` of ``tokens.txt``.

    Args:
        encoder: the network below the head, made from ``feature_parts``.
        dropout: before the last layer.
        hidden: channels of a hidden layer in the classifier; null: none up to 500 signs, four times the
            encoder's channels above.
        label_smoothing: share of the target that is spread over all signs.
        class_weights: weigh the signs by the inverse of how often they stand in train, clipped to [0.1, 10].
        class_smoothing: added to every count before that.
        feature_parts, vocab_size, optimizer: see ``SignTask``.
    """

    monitor = "top1"
    monitor_mode = "max"

    def __init__(
        self,
        encoder: Callable[[Dict[str, int]], Encoder],
        dropout: float = 0.4,
        hidden: Optional[int] = None,
        label_smoothing: float = 0.1,
        class_weights: bool = False,
        class_smoothing: float = 1.0,
        feature_parts: Optional[Dict[str, int]] = None,
        vocab_size: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        super().__init__(feature_parts, vocab_size, optimizer)
        self.encoder = encoder(self.feature_parts)
        self.head = SignClassifier(self.encoder.output_dim, vocab_size - 1, dropout, hidden)
        self.label_smoothing, self.class_smoothing = label_smoothing, class_smoothing
        self.use_class_weights = class_weights
        self.register_buffer("class_weights", torch.ones(vocab_size - 1))

    def on_fit_start(self) -> None:
        if self.use_class_weights:
            counts = self.trainer.datamodule.token_counts(self.vocab_size)[1:]
            self.class_weights.copy_(inverse_frequency(counts, self.class_smoothing))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, frames, features)``, ``(batch,)`` -> logits ``(batch, vocab_size - 1)``."""
        return self.head(*self.encoder(features, lengths))

    def training_loss(self, batch: Batch) -> Dict[str, Tensor]:
        logits = self(batch["features"], batch["feature_lengths"])
        return {"loss": self._loss(logits, sign_targets(batch))}

    def validation_metrics(self, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        logits = self(batch["features"], batch["feature_lengths"])
        target = sign_targets(batch)
        # how many signs are above the right one; not 'logits > right', by which NaN would be a right answer
        rank = (~(logits <= logits.gather(1, target[:, None]))).sum(dim=1)
        n = len(target)
        return {
            "loss": (self._loss(logits, target) * n, n),
            "top1": ((rank < 1).sum(), n),
            "top5": ((rank < 5).sum(), n),
        }

    def log_probs(self, batch: Batch) -> Tuple[Tensor, Tensor]:
        """Log-probabilities of the signs ``(batch, vocab_size - 1)`` and the clips' lengths ``(batch,)``."""
        logits = self(batch["features"], batch["feature_lengths"])
        return torch.log_softmax(logits.float(), dim=-1), batch["feature_lengths"]

    def _loss(self, logits: Tensor, target: Tensor) -> Tensor:
        weight = self.class_weights if self.use_class_weights else None
        return F.cross_entropy(logits.float(), target, weight=weight, label_smoothing=self.label_smoothing)


def sign_targets(batch: Batch) -> Tensor:
    """The class of each clip ``(batch,)``: its one token, less the blank.

    Raises:
        AslError: a clip has no token or several; names it.
    """
    several = (batch["token_lengths"] != 1).nonzero().flatten().tolist()
    if several:
        i = several[0]
        raise AslError(
            f"clip {batch['ids'][i]}: {int(batch['token_lengths'][i])} signs in {batch['texts'][i]!r}, but a "
            "softmax over signs takes exactly one a clip; train with a CTC config instead"
        )
    return batch["tokens"] - 1
