"""From an encoder's frames to text, token by token (Vaswani et al. 2017, Attention is all you need)."""

import math
from typing import List, NamedTuple, Tuple

import torch
from torch import Tensor, nn

from asl.common.errors import AslError
from asl.models.attention import Attention, FeedForward, KeysValues, causal
from asl.models.conv_transformer import DropPath
from asl.models.masking import length_mask
from asl.models.positions import sinusoidal_positions


class DecoderState(NamedTuple):
    """What a search keeps of the tokens so far; a row is a hypothesis, of which several may share one memory.

    Attributes:
        length: tokens given so far (the same for all rows).
        own: for each layer keys and values of the tokens, ``(rows, heads, length, dim / heads)``.
        memory: for each layer keys and values of the memories, ``(memories, heads, frames, dim / heads)``.
        inside: ``(memories, frames)`` bool.
        owner: ``(rows,)`` int64, the memory that a row looks at.
        place: ``(rows,)`` int64, the row's number among those of its memory.
        most: rows of the memory that has most.
    """

    length: int
    own: List[KeysValues]
    memory: List[KeysValues]
    inside: Tensor
    owner: Tensor
    place: Tensor
    most: int

    @property
    def rows(self) -> int:
        return len(self.owner)

    def select(self, rows: Tensor) -> "DecoderState":
        """Repeat, drop and reorder rows ``(new rows,)`` int64; memories that no row looks at any more are dropped."""
        used, owner = torch.unique(self.owner[rows], return_inverse=True)
        memory, inside = self.memory, self.inside
        if len(used) < len(inside):
            memory, inside = [(k[used], v[used]) for k, v in memory], inside[used]
        own = [(k[rows], v[rows]) for k, v in self.own]
        place = _places(owner)
        most = int(place.max()) + 1 if len(place) else 0
        return DecoderState(self.length, own, memory, inside, owner, place, most)


def _places(owner: Tensor) -> Tensor:
    """``(rows,)``: how many rows before a row have the same owner."""
    order = torch.argsort(owner, stable=True)
    counts = torch.bincount(owner)
    first = (counts.cumsum(0) - counts)[owner[order]]
    place = torch.empty_like(owner)
    place[order] = torch.arange(len(owner), device=owner.device) - first
    return place


class DecoderLayer(nn.Module):
    """Attention to the tokens so far, attention to the memory, feed-forward; normalised before, residual.

    Args:
        dim: channels.
        memory_dim: channels of the memory.
        heads: attention heads.
        feedforward: channels inside the feed-forward.
        dropout: of the attentions' weights, in the feed-forward, and of every branch.
        drop_path: probability that a branch is dropped for a whole sentence.
    """

    def __init__(
        self, dim: int, memory_dim: int, heads: int, feedforward: int, dropout: float, drop_path: float
    ) -> None:
        super().__init__()
        self.norm_own, self.norm_memory, self.norm_feed = (nn.LayerNorm(dim) for _ in range(3))
        self.own = Attention(dim, heads, dropout)
        self.memory = Attention(dim, heads, dropout, memory_dim)
        self.feed = FeedForward(dim, feedforward, dropout)
        self.dropout, self.drop_path = nn.Dropout(dropout), DropPath(drop_path)

    def forward(self, x: Tensor, memory: KeysValues, before: Tensor, inside: Tensor) -> Tensor:
        """``(batch, length, dim)``; ``before`` and ``inside`` say what tokens and frames may be looked at."""
        y = self.norm_own(x)
        x = x + self._branch(self.own(y, self.own.keys_values(y), before))
        x = x + self._branch(self.memory(self.norm_memory(x), memory, inside))
        return x + self._branch(self.feed(self.norm_feed(x)))

    def step(self, x: Tensor, own: KeysValues, state: DecoderState, memory: KeysValues) -> Tuple[Tensor, KeysValues]:
        """One token of each row, ``(rows, 1, dim)``, after those whose keys and values are ``own``."""
        y = self.norm_own(x)
        key, value = self.own.keys_values(y)
        own = (torch.cat([own[0], key], dim=2), torch.cat([own[1], value], dim=2))
        x = x + self.own(y, own)
        x = x + self._look(self.norm_memory(x), state, memory)
        return x + self.feed(self.norm_feed(x)), own

    def _look(self, x: Tensor, state: DecoderState, memory: KeysValues) -> Tensor:
        """Attention of rows to their memories: rows of one memory are its queries, so that no memory is copied."""
        queries = x.new_zeros(len(state.inside), state.most, x.shape[-1])
        queries[state.owner, state.place] = x[:, 0]
        return self.memory(queries, memory, state.inside[:, None, None])[state.owner, state.place][:, None]

    def _branch(self, y: Tensor) -> Tensor:
        return self.drop_path(self.dropout(y))


class TextDecoder(nn.Module):
    """A transformer decoder over tokens and one mark, ``<sos/eos>``, that begins and ends every sentence.

    The blank (id 0) is none of its tokens: it is never given and its output is -inf.

    Args:
        vocab_size: tokens, the blank included; ``sos_eos`` is the id after them.
        memory_dim: channels of the encoder's output.
        dim: channels.
        layers: layers.
        heads: attention heads.
        feedforward: channels inside the feed-forwards.
        dropout: of embeddings, weights and branches.
        drop_path: probability that a branch of the last layer is dropped for a whole sentence (stochastic depth,
            Huang et al. 2016); lower layers have less, linearly.
        tied: the embedding is the output's weights too (Press and Wolf 2017).

    Raises:
        AslError: heads that do not divide the channels, no tokens or no layers.

    Example:
        >>> decoder = TextDecoder(10, memory_dim=8, dim=16, heads=2, feedforward=32).eval()
        >>> memory, lengths = torch.randn(1, 5, 8), torch.tensor([5])
        >>> logits = decoder(torch.tensor([[10, 3, 4]]), torch.tensor([3]), memory, lengths)
        >>> state = decoder.start(memory, lengths)
        >>> for token in (10, 3, 4):
        ...     log_probs, state = decoder.step(torch.tensor([token]), state)
        >>> torch.allclose(log_probs[0], logits[0, 2].log_softmax(-1), atol=1e-5)
        True
    """

    def __init__(
        self,
        vocab_size: int,
        memory_dim: int,
        dim: int = 256,
        layers: int = 2,
        heads: int = 4,
        feedforward: int = 1024,
        dropout: float = 0.3,
        drop_path: float = 0.0,
        tied: bool = True,
    ) -> None:
        super().__init__()
        if vocab_size < 2 or layers < 1:
            raise AslError(f"a text decoder of {layers} layers for {vocab_size} tokens; give 1 layer and 2 tokens or more")
        self.vocab_size, self.sos_eos, self.dim = vocab_size, vocab_size, dim
        self.embedding = nn.Embedding(vocab_size + 1, dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        depths = [drop_path * (i + 1) / layers for i in range(layers)]
        self.layers = nn.ModuleList(DecoderLayer(dim, memory_dim, heads, feedforward, dropout, p) for p in depths)
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)
        self.output = nn.Linear(dim, vocab_size + 1)
        if tied:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor, lengths: Tensor, memory: Tensor, memory_lengths: Tensor) -> Tensor:
        """Return logits of what follows each token.

        Args:
            tokens: ``(batch, length)`` int64, beginning with ``sos_eos``; what stands beyond ``lengths`` is not read.
            lengths: ``(batch,)``.
            memory: ``(batch, frames, memory_dim)``.
            memory_lengths: ``(batch,)``, 1 or more.

        Returns:
            ``(batch, length, vocab_size + 1)``, -inf for the blank; beyond ``lengths`` not meaningful.
        """
        tokens = tokens.masked_fill(~length_mask(lengths, tokens.shape[1]), self.sos_eos)
        x = self.dropout(self._embed(tokens, 0))
        inside = length_mask(memory_lengths, memory.shape[1])[:, None, None]
        before = causal(tokens.shape[1], tokens.device)
        for layer in self.layers:
            x = layer(x, layer.memory.keys_values(memory), before, inside)
        return self._logits(x)

    def start(self, memory: Tensor, memory_lengths: Tensor) -> DecoderState:
        """Return the state before the first token, one row for each of ``memory`` ``(batch, frames, memory_dim)``."""
        batch, frames = memory.shape[:2]
        # contiguous, since every step multiplies by them
        seen = [(k.contiguous(), v.contiguous()) for k, v in (layer.memory.keys_values(memory) for layer in self.layers)]
        own = [(k[:, :, :0], v[:, :, :0]) for k, v in seen]
        rows = torch.arange(batch, device=memory.device)
        return DecoderState(0, own, seen, length_mask(memory_lengths, frames), rows, torch.zeros_like(rows), 1)

    def step(self, tokens: Tensor, state: DecoderState) -> Tuple[Tensor, DecoderState]:
        """Give each row its next token ``(rows,)`` (at first ``sos_eos``).

        In eval mode this computes what ``forward`` does, without computing anything twice.

        Returns:
            Log-probabilities of what follows, ``(rows, vocab_size + 1)``, and the state after the tokens.
        """
        x = self._embed(tokens[:, None], state.length)
        own: List[KeysValues] = []
        for layer, before, memory in zip(self.layers, state.own, state.memory):
            x, kept = layer.step(x, before, state, memory)
            own.append(kept)
        log_probs = self._logits(x)[:, 0].float().log_softmax(dim=-1)
        return log_probs, state._replace(length=state.length + 1, own=own)

    def _embed(self, tokens: Tensor, first: int) -> Tensor:
        x = self.embedding(tokens) * math.sqrt(self.dim)
        return x + sinusoidal_positions(first + tokens.shape[1], self.dim, tokens.device)[first:].to(x.dtype)

    def _logits(self, x: Tensor) -> Tensor:
        logits = self.output(self.norm(x))
        blank = torch.arange(logits.shape[-1], device=logits.device) == 0
        return logits.masked_fill(blank, float("-inf"))
