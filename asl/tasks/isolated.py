"""Isolated signs: one softmax over all signs for each clip."""

from typing import Any, Callable, Dict, Literal, Optional, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models import Encoder, SignClassifier
from asl.tasks.base import Batch, OptimizerConfig, SignTask
from asl.tasks.mixup import Mix, MixupConfig, checked, draw_mix
from asl.tasks.phonology import PhonologyConfig, PhonologyLoss


def inverse_frequency(counts: Tensor, smoothing: float) -> Tensor:
    """Class weights ``mean(count + s) / (count + s)``, clipped to [0.1, 10]; ``counts`` ``(classes,)``."""
    smoothed = counts.float() + smoothing
    return (smoothed.mean() / smoothed.clamp(min=1e-6)).clamp(0.1, 10.0)


class IsolatedTask(SignTask):
    """Encoder, pooling and a softmax over the signs; class ``i`` is token ``i + 1`` of ``tokens.txt``.

    The loss is ``CE + weight * L_phon`` where ``phonology`` is given: ``L_phon`` is the mean over the clips
    of the mean over a clip's known features of their cross-entropy. Validation's loss is that of the signs
    alone.

    Args:
        encoder: the network below the head, made from ``feature_parts``.
        dropout: before the last layer.
        hidden: channels of a hidden layer in the classifier; null: none up to 500 signs, four times the
            encoder's channels above; 0: none.
        label_smoothing: share of the target that is spread over all signs.
        class_weights: weigh the signs by the inverse of how often they stand in train, clipped to [0.1, 10].
        class_smoothing: added to every count before that.
        classifier: linear, or cosine (both vectors normalised, a learnt scale).
        pool_heads: weighted means over the frames that the classifier is given.
        mixup: blend the clips of a training batch; null: not.
        phonology: classifiers of phonological features beside the one of signs; null: none.
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
        classifier: Literal["linear", "cosine"] = "linear",
        pool_heads: int = 1,
        mixup: Optional[MixupConfig] = None,
        phonology: Optional[PhonologyConfig] = None,
        feature_parts: Optional[Dict[str, int]] = None,
        vocab_size: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        super().__init__(feature_parts, vocab_size, optimizer)
        self.encoder = encoder(self.feature_parts)
        dim = self.encoder.output_dim
        self.head = SignClassifier(dim, vocab_size - 1, dropout, hidden, pool_heads, classifier)
        self.phonology = (
            PhonologyLoss(phonology, self.head.pooled_dim, vocab_size) if phonology is not None else None
        )
        self.label_smoothing, self.class_smoothing = label_smoothing, class_smoothing
        self.use_class_weights, self.mixup = class_weights, checked(mixup)
        self.register_buffer("class_weights", torch.ones(vocab_size - 1))

    def on_fit_start(self) -> None:
        if self.use_class_weights:
            counts = self.trainer.datamodule.token_counts(self.vocab_size)[1:]
            self.class_weights.copy_(inverse_frequency(counts, self.class_smoothing))
        if self.phonology is not None:
            self.phonology.read(self.trainer.datamodule.lang_dir)

    def pooled(self, features: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, frames, features)``, ``(batch,)`` -> a vector a clip ``(batch, head.pooled_dim)``."""
        return self.head.pool(*self.encoder(features, lengths))

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, frames, features)``, ``(batch,)`` -> logits ``(batch, vocab_size - 1)``."""
        return self.head.layers(self.pooled(features, lengths))

    def training_loss(self, batch: Batch) -> Dict[str, Tensor]:
        features, lengths, target = batch["features"], batch["feature_lengths"], sign_targets(batch)
        mix = draw_mix(self.mixup, len(target), features.device)
        where = self.mixup.at if mix is not None else None
        if where == "input":
            features, lengths = mix.blend(features), torch.maximum(lengths, lengths[mix.partner])
        hidden = self.pooled(features, lengths)
        if where == "pooled":
            hidden = mix.blend(hidden)
        logits = self.head.layers(hidden)
        sign = blended(mix, lambda t: self._losses(logits, t), target).mean()
        if self.phonology is None:
            return {"loss": sign}
        values = self.phonology.heads(hidden)
        phon = blended(mix, lambda t: self.phonology.losses(values, t + 1), target).mean()
        return {"loss": sign + self.phonology.config.weight * phon, "sign": sign, "phon": phon}

    def validation_metrics(self, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        hidden, target = self.pooled(batch["features"], batch["feature_lengths"]), sign_targets(batch)
        logits = self.head.layers(hidden)
        # how many signs are above the right one; not 'logits > right', by which NaN would be a right answer
        rank = (~(logits <= logits.gather(1, target[:, None]))).sum(dim=1)
        n = len(target)
        metrics = {
            "loss": (self._losses(logits, target).sum(), n),
            "top1": ((rank < 1).sum(), n),
            "top5": ((rank < 5).sum(), n),
        }
        if self.phonology is not None:
            metrics.update(self.phonology.metrics(self.phonology.heads(hidden), target + 1))
        return metrics

    def log_probs(self, batch: Batch) -> Tuple[Tensor, Tensor]:
        """Log-probabilities of the signs ``(batch, vocab_size - 1)`` and the clips' lengths ``(batch,)``."""
        logits = self(batch["features"], batch["feature_lengths"])
        return torch.log_softmax(logits.float(), dim=-1), batch["feature_lengths"]

    def _losses(self, logits: Tensor, target: Tensor) -> Tensor:
        weight = self.class_weights if self.use_class_weights else None
        return F.cross_entropy(
            logits.float(), target, weight=weight, label_smoothing=self.label_smoothing, reduction="none"
        )


def blended(mix: Optional[Mix], losses: Callable[[Tensor], Tensor], target: Tensor) -> Tensor:
    """``losses(target)`` ``(batch,)``, blended where the batch is."""
    return losses(target) if mix is None else mix.blend_losses(losses, target)


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
