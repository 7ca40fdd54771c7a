"""Sequences of signs without their times: connectionist temporal classification (Graves et al. 2006)."""

from typing import Any, Callable, Dict, Optional, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from asl.common.compat import cpu_where_mps_cannot
from asl.models import CtcHead, Encoder
from asl.tasks.base import Batch, OptimizerConfig, SignTask


class CtcTask(SignTask):
    """Encoder and a token (or blank) in every frame, trained by the sum over all alignments.

    Args:
        encoder: the network below the head, made from ``feature_parts``.
        dropout: before the last layer.
        feature_parts, vocab_size, optimizer: see ``SignTask``.
    """

    monitor = "ter"
    monitor_mode = "min"

    def __init__(
        self,
        encoder: Callable[[Dict[str, int]], Encoder],
        dropout: float = 0.2,
        feature_parts: Optional[Dict[str, int]] = None,
        vocab_size: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        super().__init__(feature_parts, vocab_size, optimizer)
        self.encoder = encoder(self.feature_parts)
        self.head = CtcHead(self.encoder.output_dim, vocab_size, dropout)

    @property
    def subsampling(self) -> int:
        """Input frames for one output frame."""
        return self.encoder.subsampling

    def forward(self, features: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor]:
        """``(batch, frames, features)`` -> log-probabilities ``(batch, frames', vocab_size)``, lengths."""
        hidden, lengths = self.encoder(features, lengths)
        return self.head(hidden), lengths

    def training_loss(self, batch: Batch) -> Dict[str, Tensor]:
        log_probs, lengths = self(batch["features"], batch["feature_lengths"])
        return {"loss": ctc_loss(log_probs, lengths, batch["tokens"], batch["token_lengths"]).mean()}

    def validation_metrics(self, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        from kaldialign import edit_distance

        log_probs, lengths = self(batch["features"], batch["feature_lengths"])
        losses = ctc_loss(log_probs, lengths, batch["tokens"], batch["token_lengths"])
        references = [t.tolist() for t in batch["tokens"].split(batch["token_lengths"].tolist())]
        guesses = [best_tokens(p[:n]) for p, n in zip(log_probs, lengths.tolist())]
        errors = sum(edit_distance(r, g)["total"] for r, g in zip(references, guesses))
        return {"loss": (losses.sum(), len(losses)), "ter": (errors, sum(map(len, references)))}

    def log_probs(self, batch: Batch) -> Tuple[Tensor, Tensor]:
        return self(batch["features"], batch["feature_lengths"])


def ctc_loss(log_probs: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """``-log p(tokens)`` of each utterance ``(batch,)``, 0 where it has too few frames for its tokens.

    The data room keeps such utterances out of training and names them; augmentation can still make one too
    short, and an infinite loss would end the run.
    """
    return F.ctc_loss(
        cpu_where_mps_cannot(log_probs).transpose(0, 1),
        cpu_where_mps_cannot(tokens),
        cpu_where_mps_cannot(lengths),
        cpu_where_mps_cannot(token_lengths),
        reduction="none",
        zero_infinity=True,
    )


def best_tokens(log_probs: Tensor) -> list:
    """Tokens of the best path of one utterance ``(frames, vocab_size)``: repeats merged, blanks dropped."""
    return [t for t in torch.unique_consecutive(log_probs.argmax(dim=-1)).tolist() if t != 0]
