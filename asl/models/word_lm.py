"""A small LSTM that tells the next word (Mikolov et al. 2010; Hochreiter and Schmidhuber 1997)."""

from typing import Tuple

import torch
from torch import Tensor, nn

State = Tuple[Tensor, Tensor]


class WordLm(nn.Module):
    """Embedding, LSTM, and the embedding again as output weights (Press and Wolf 2017).

    Args:
        vocab_size: words, marks counted.
        dim: of the embedding.
        hidden: cells of the LSTM.
        layers: of the LSTM.
        dropout: of the embedding, between the layers, and before the output.

    Example:
        >>> lm = WordLm(10, dim=8, hidden=16).eval()
        >>> log_probs = lm(torch.tensor([[1, 4, 5]]))
        >>> tuple(log_probs.shape), round(float(log_probs.exp().sum(-1)[0, 0]), 4)
        ((1, 3, 10), 1.0)
    """

    def __init__(
        self, vocab_size: int, dim: int = 128, hidden: int = 256, layers: int = 1, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim)
        self.lstm = nn.LSTM(dim, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.project = nn.Linear(hidden, dim)
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.dropout = nn.Dropout(dropout)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def forward(self, words: Tensor) -> Tensor:
        """Return log-probabilities ``(batch, length, vocab_size)`` of what follows ids ``(batch, length)``.

        What stands after a place does not touch it, so that padding at the end needs no mask.
        """
        x, _ = self.lstm(self.dropout(self.embedding(words)))
        return self._output(x)

    def start(self, rows: int) -> State:
        """Hidden and cell state ``(layers, rows, hidden)`` before the first word."""
        zeros = self.bias.new_zeros(self.lstm.num_layers, rows, self.lstm.hidden_size)
        return zeros, zeros

    def step(self, words: Tensor, state: State) -> Tuple[Tensor, State]:
        """Return log-probabilities ``(rows, vocab_size)`` of what follows one more id of each row, and the state then."""
        x, state = self.lstm(self.dropout(self.embedding(words[:, None])), state)
        return self._output(x)[:, 0], state

    def _output(self, x: Tensor) -> Tensor:
        logits = self.dropout(self.project(x)) @ self.embedding.weight.t() + self.bias
        return logits.log_softmax(dim=-1)
