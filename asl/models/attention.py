"""Multi-head attention (Vaswani et al. 2017) whose keys and values can be kept from one call to the next."""

from typing import Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.common.errors import AslError

KeysValues = Tuple[Tensor, Tensor]  # each (batch, heads, length, dim / heads)


def attend(query: Tensor, key: Tensor, value: Tensor, allowed: Optional[Tensor], dropout: float = 0.0) -> Tensor:
    """``softmax(query key' / sqrt(channels)) value``, by torch's own kernel where it has one (2.0 and newer).

    Args:
        query: ``(batch, heads, queries, channels)``.
        key, value: ``(batch, heads, length, channels)``.
        allowed: bool, ``(batch, heads, queries, length)`` or what broadcasts to it: what a query may look at, one
            place at least; None: all.
        dropout: of the weights.

    Returns:
        ``(batch, heads, queries, channels)``.
    """
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=allowed, dropout_p=dropout)
    scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    if allowed is not None:
        scores = scores.masked_fill(~allowed, float("-inf"))
    return F.dropout(scores.softmax(dim=-1), dropout) @ value


class Attention(nn.Module):
    """Queries of one sequence look at keys of another, or of the same.

    Unlike ``nn.MultiheadAttention`` it takes keys and values that were computed before.

    Args:
        dim: channels of queries and output.
        heads: attention heads; they share ``dim``.
        dropout: of the weights.
        memory_dim: channels of what is looked at; None: ``dim``.

    Raises:
        AslError: heads that do not divide the channels.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, memory_dim: Optional[int] = None) -> None:
        super().__init__()
        if dim % heads:
            raise AslError(f"dim={dim} cannot be shared by heads={heads}; give a multiple of {heads}")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(memory_dim or dim, dim)
        self.value = nn.Linear(memory_dim or dim, dim)
        self.out = nn.Linear(dim, dim)
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)  # torch's default would begin with almost even attention
            nn.init.zeros_(layer.bias)

    def keys_values(self, memory: Tensor) -> KeysValues:
        """``(batch, length, memory_dim)`` -> its keys and values."""
        return self._split(self.key(memory)), self._split(self.value(memory))

    def forward(self, x: Tensor, keys_values: KeysValues, allowed: Optional[Tensor] = None) -> Tensor:
        """``(batch, queries, dim)`` -> ``(batch, queries, dim)``; ``allowed`` as for ``attend``."""
        seen = attend(self._split(self.query(x)), *keys_values, allowed, self.dropout if self.training else 0.0)
        return self.out(seen.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers with SiLU between: ``(..., dim)`` -> ``(..., dim)``."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.widen, self.narrow, self.dropout = nn.Linear(dim, hidden), nn.Linear(hidden, dim), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.narrow(self.dropout(F.silu(self.widen(x))))


def causal(length: int, device: torch.device) -> Tensor:
    """``(length, length)`` bool: a place looks at itself and at what stands before it."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()
