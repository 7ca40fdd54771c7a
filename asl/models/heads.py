"""From hidden frames to log-probabilities: one sign a clip, or a token (or blank) a frame."""

from typing import Literal, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.models.masking import length_mask

DEEP_ABOVE = 500  # classes from which the classifier gets a hidden layer


class AttentionPool(nn.Module):
    """Means over frames weighted by learnt scores, beside the plain mean.

    Args:
        dim: channels.
        heads: weighted means; each has its own score of a frame.

    Shape: ``(batch, frames, dim)``, lengths ``(batch,)`` -> ``(batch, (heads + 1) * dim)``.
    """

    def __init__(self, dim: int, heads: int = 1) -> None:
        super().__init__()
        self.score = nn.Linear(dim, heads)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        mask = length_mask(lengths, x.shape[1])
        score = self.score(x).masked_fill(~mask[..., None], float("-inf"))
        weighted = torch.softmax(score, dim=1).transpose(1, 2) @ x  # (batch, heads, dim)
        plain = (x * mask[..., None].to(x.dtype)).sum(dim=1) / lengths.clamp(min=1)[:, None].to(x.dtype)
        return torch.cat([weighted.flatten(1), plain], dim=-1)


class CosineLinear(nn.Module):
    """Logits are cosines between the input and a vector for each class, times a learnt scale.

    Gidaris and Komodakis 2018 (Dynamic few-shot visual learning without forgetting): how often a class was
    seen no longer shows in the length of its vector.

    Args:
        dim: channels.
        num_classes: outputs.
        scale: of the logits at the start; it is learnt as its logarithm.

    Shape: ``(..., dim)`` -> ``(..., num_classes)``.
    """

    def __init__(self, dim: int, num_classes: int, scale: float = 16.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_classes, dim) / dim**0.5)
        self.log_scale = nn.Parameter(torch.tensor(scale).log())

    def forward(self, x: Tensor) -> Tensor:
        return self.log_scale.exp() * F.linear(F.normalize(x, dim=-1), F.normalize(self.weight, dim=-1))


Kind = Literal["linear", "cosine"]


def classifier(kind: Kind, dim: int, num_classes: int) -> nn.Module:
    """The last layer of a head."""
    return CosineLinear(dim, num_classes) if kind == "cosine" else nn.Linear(dim, num_classes)


class SignClassifier(nn.Module):
    """One sign for a whole clip: ``pool``, then ``layers``.

    Args:
        dim: channels of the encoder's output.
        num_classes: signs.
        dropout: before the last layer (late dropout: high values help small data).
        hidden: channels of a hidden layer; None: none up to 500 classes, ``4 * dim`` above.
        pool_heads: weighted means over the frames.
        kind: of the last layer.

    Attributes:
        pooled_dim: channels of the pooled vector.

    Shape: ``(batch, frames, dim)``, lengths ``(batch,)`` -> logits ``(batch, num_classes)``.
    """

    def __init__(
        self,
        dim: int,
        num_classes: int,
        dropout: float = 0.4,
        hidden: Optional[int] = None,
        pool_heads: int = 1,
        kind: Kind = "linear",
    ) -> None:
        super().__init__()
        if hidden is None and num_classes > DEEP_ABOVE:
            hidden = 4 * dim
        self.pool = AttentionPool(dim, pool_heads)
        self.pooled_dim = (pool_heads + 1) * dim
        deep = [nn.Linear(self.pooled_dim, hidden), nn.LayerNorm(hidden), nn.SiLU()] if hidden else []
        last = classifier(kind, hidden or self.pooled_dim, num_classes)
        self.layers = nn.Sequential(*deep, nn.Dropout(dropout), last)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        return self.layers(self.pool(x, lengths))


class CtcHead(nn.Module):
    """Log-probabilities of the tokens and the blank (index 0) in every frame.

    Args:
        dim: channels of the encoder's output.
        vocab_size: tokens, blank included.
        dropout: before the last layer.
        kind: of the last layer.

    Shape: ``(batch, frames, dim)`` -> ``(batch, frames, vocab_size)``, natural logarithms.
    """

    def __init__(self, dim: int, vocab_size: int, dropout: float = 0.2, kind: Kind = "linear") -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), classifier(kind, dim, vocab_size))

    def forward(self, x: Tensor) -> Tensor:
        return torch.log_softmax(self.layers(x).float(), dim=-1)
