"""What a sign is made of, read from the same hidden vector as the sign itself: auxiliary classifiers.

A sign is a handshape, a place, a movement and more (Stokoe 1960); networks that are trained to tell these too
recognise signs better (Kezar, Thomason and Sehyr 2023, Improving sign recognition with phonology).
"""

from typing import Dict, List

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PhonologyHeads(nn.Module):
    """A linear classifier for each phonological feature.

    Args:
        dim: channels of the hidden vector.
        classes: feature -> number of its values, in the order of the targets' columns.
        dropout: on the hidden vector.

    Shape:
        ``(..., dim)`` -> a list of logits ``(..., classes)``, one for each feature.

    Example:
        >>> heads = PhonologyHeads(8, {"Handshape": 5, "Contact": 2}, dropout=0.0)
        >>> logits = heads(torch.randn(3, 8))
        >>> phonology_losses(logits, torch.tensor([[4, 1], [0, -1], [-1, -1]])).shape
        torch.Size([3])
    """

    def __init__(self, dim: int, classes: Dict[str, int], dropout: float = 0.4) -> None:
        super().__init__()
        self.classes = dict(classes)
        self.dropout = nn.Dropout(dropout)
        # one matrix for all of them: the same numbers as one a feature, in one product
        self.layer = nn.Linear(dim, sum(self.classes.values()))

    def forward(self, x: Tensor) -> List[Tensor]:
        return list(self.layer(self.dropout(x)).split(list(self.classes.values()), dim=-1))


def phonology_losses(logits: List[Tensor], targets: Tensor) -> Tensor:
    """Cross-entropy of each clip, averaged over the features that are known of it.

    Args:
        logits: one ``(batch, classes)`` a feature.
        targets: ``(batch, features)`` int64, -1 where not known.

    Returns:
        ``(batch,)``; 0 for a clip of which nothing is known.
    """
    losses = [
        F.cross_entropy(feature.float(), target, ignore_index=-1, reduction="none")
        for feature, target in zip(logits, targets.unbind(dim=1))
    ]
    return torch.stack(losses, dim=1).sum(dim=1) / (targets >= 0).sum(dim=1).clamp(min=1)


def phonology_hits(logits: List[Tensor], targets: Tensor) -> Tensor:
    """How many clips have the right value, and of how many it is known: ``(features, 2)`` int64."""
    rows = []
    for feature, target in zip(logits, targets.unbind(dim=1)):
        known = target >= 0
        rows.append(torch.stack([((feature.argmax(dim=-1) == target) & known).sum(), known.sum()]))
    return torch.stack(rows)
