"""From hidden frames to log-probabilities: one sign a clip, or a token (or blank) a frame."""

from typing import Optional

import torch
from torch import Tensor, nn

from asl.models.masking import length_mask

DEEP_ABOVE = 500  # classes from which the classifier gets a hidden layer


class AttentionPool(nn.Module):
    """Mean over frames weighted by a learnt score, beside the plain mean.

    Shape: ``(batch, frames, dim)``, lengths ``(batch,)`` -> ``(batch, 2 * dim)``.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(dim, 1)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        mask = length_mask(lengths, x.shape[1])
        score = self.score(x)[..., 0].masked_fill(~mask, float("-inf"))
        weighted = (torch.softmax(score, dim=1)[..., None] * x).sum(dim=1)
        plain = (x * mask[..., None].to(x.dtype)).sum(dim=1) / lengths.clamp(min=1)[:, None].to(x.dtype)
        return torch.cat([weighted, plain], dim=-1)


class SignClassifier(nn.Module):
    """One sign for a whole clip.

    Args:
        dim: channels of the encoder's output.
        num_classes: signs.
        dropout: before the last layer (late dropout: high values help small data).
        hidden: channels of a hidden layer; None: none up to 500 classes, ``4 * dim`` above.

    Shape: ``(batch, frames, dim)``, lengths ``(batch,)`` -> logits ``(batch, num_classes)``.
    """

    def __init__(
        self, dim: int, num_classes: int, dropout: float = 0.4, hidden: Optional[int] = None
    ) -> None:
        super().__init__()
        if hidden is None and num_classes > DEEP_ABOVE:
            hidden = 4 * dim
        self.pool = AttentionPool(dim)
        deep = [nn.Linear(2 * dim, hidden), nn.LayerNorm(hidden), nn.SiLU()] if hidden else []
        self.layers = nn.Sequential(*deep, nn.Dropout(dropout), nn.Linear(hidden or 2 * dim, num_classes))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.layers(self.pool(x, lengths))


class CtcHead(nn.Module):
    """Log-probabilities of the tokens and the blank (index 0) in every frame.

    Shape: ``(batch, frames, dim)`` -> ``(batch, frames, vocab_size)``, natural logarithms.
    """

    def __init__(self, dim: int, vocab_size: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, vocab_size))

    def forward(self, x: Tensor) -> Tensor:
        return torch.log_softmax(self.layers(x).float(), dim=-1)
