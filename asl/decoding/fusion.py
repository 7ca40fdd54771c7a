"""Language models of pieces beside a text decoder (shallow fusion, Gulcehre et al. 2015): the next token, for many rows at once."""

import math
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.lang.arpa import END, START, UNKNOWN, NGram
from asl.models.word_lm import WordLm

_KEPT = 4096  # states whose distributions are kept: at 1000 tokens 33 MB


class NGramState(NamedTuple):
    """The n-gram's own state of each row; None before the first step."""

    rows: List[Tuple[str, ...]]

    def select(self, rows: Tensor) -> "NGramState":
        return NGramState([self.rows[row] for row in rows.tolist()])


class NGramFusion:
    """An n-gram over tokens as a scorer of ``asl.decoding.attention``.

    The distribution over all tokens is made of the listed n-grams of a context over those of the shorter one, so that
    a step costs one addition for each order, not a look-up for each token. Tokens that the n-gram does not know go by its
    ``<unk>`` where it has one and are impossible where not.

    Args:
        lm: the words are tokens.
        tokens: the units with ids 1, 2, …, as in ``tokens.txt``.

    Attributes:
        unknown: tokens that the n-gram does not know.

    Raises:
        AslError: it does not know most of the tokens.
    """

    def __init__(self, lm: NGram, tokens: Sequence[str]) -> None:
        self.lm, self.symbols = lm, ["", *tokens, START]
        self.end = len(tokens) + 1
        self.unknown = check_known([lm.knows(token) for token in tokens], tokens)
        ids: Dict[str, int] = {token: i for i, token in enumerate(tokens, 1)}
        # the end stands where the search expects it; behind it <unk>, for what is unknown and the piece of that name
        ids.update({END: self.end, UNKNOWN: self.end + 1})
        known = np.array([True, *map(lm.knows, tokens), True])
        self._columns = np.where(known, np.arange(self.end + 1), self.end + 1)
        found: Dict[Tuple[str, ...], List[Tuple[int, float]]] = {}
        for ngrams in lm.ngrams:
            for words, log_prob in ngrams.items():
                if words[-1] in ids:
                    found.setdefault(words[:-1], []).append((ids[words[-1]], log_prob))
        self._listed = {context: tuple(map(np.array, zip(*rows))) for context, rows in found.items()}
        self._kept: Dict[Tuple[str, ...], np.ndarray] = {}

    def start(self, rows: int) -> NGramState:
        """The state of ``rows`` texts before their begin."""
        return NGramState([()] * rows)

    def step(self, tokens: Tensor, state: NGramState) -> Tuple[Tensor, NGramState]:
        """Natural log-probabilities ``(rows, tokens + 2)`` of what follows ``tokens`` ``(rows,)``: blank, tokens, end."""
        states = [
            self.lm.start() if token == self.end else self.lm.step(before, self.symbols[token])[1]
            for token, before in zip(tokens.tolist(), state.rows)
        ]
        rows = [self._distribution(one) for one in states]
        return torch.from_numpy(np.stack(rows)).float(), NGramState(states)

    def _distribution(self, context: Tuple[str, ...]) -> np.ndarray:
        if context not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            row = self._spread(context)[self._columns]
            row[0] = -math.inf
            self._kept[context] = row
        return self._kept[context]

    def _spread(self, context: Tuple[str, ...]) -> np.ndarray:
        """Log-probabilities of blank, tokens, end and ``<unk>`` after ``context``."""
        if context:
            row = self._spread(context[1:]) + self.lm.backoffs.get(context, 0.0)
        else:
            row = np.full(self.end + 2, -math.inf)
        if context in self._listed:
            ids, log_probs = self._listed[context]
            row[ids] = log_probs
        return row


class NeuralState(NamedTuple):
    """Hidden and cell state of each row: ``(layers, rows, hidden)`` both."""

    hidden: Tensor
    cell: Tensor

    def select(self, rows: Tensor) -> "NeuralState":
        return NeuralState(self.hidden[:, rows], self.cell[:, rows])


class NeuralFusion:
    """An LSTM over tokens as a scorer of ``asl.decoding.attention``; it reads each token once.

    Args:
        network: see there.
        ids: its words and their rows; ``<s>``, ``</s>`` and ``<unk>`` among them, by which unknown tokens go.
        tokens: the units with ids 1, 2, …, as in ``tokens.txt``.

    Attributes:
        unknown: tokens that it does not know.

    Raises:
        AslError: it does not know most of the tokens.
    """

    def __init__(self, network: WordLm, ids: Dict[str, int], tokens: Sequence[str]) -> None:
        self.network = network.eval()
        known = [token in ids and token not in (START, END, UNKNOWN) for token in tokens]
        self.unknown = check_known(known, tokens)
        rows = [ids[UNKNOWN], *(ids.get(token, ids[UNKNOWN]) for token in tokens)]
        self._inputs = torch.tensor([*rows, ids[START]])
        self._outputs = torch.tensor([*rows, ids[END]])

    def start(self, rows: int) -> NeuralState:
        """The state of ``rows`` texts before their begin."""
        return NeuralState(*self.network.start(rows))

    @torch.no_grad()
    def step(self, tokens: Tensor, state: NeuralState) -> Tuple[Tensor, NeuralState]:
        """Natural log-probabilities ``(rows, tokens + 2)`` of what follows ``tokens`` ``(rows,)``: blank, tokens, end."""
        log_probs, (hidden, cell) = self.network.step(self._inputs[tokens], (state.hidden, state.cell))
        log_probs = log_probs[:, self._outputs]
        log_probs[:, 0] = -math.inf
        return log_probs, NeuralState(hidden, cell)


def check_known(known: Sequence[bool], tokens: Sequence[str]) -> List[str]:
    """Return the tokens that a language model does not know, ``<unk>`` apart; AslError where that is more than half."""
    unknown = [token for token, is_known in zip(tokens, known) if not is_known and token != UNKNOWN]
    if 2 * len(unknown) > len(tokens):
        raise AslError(
            f"the language model does not know {len(unknown)} of the {len(tokens)} tokens, such as {unknown[-1]!r}: it must "
            "be trained on text as pieces, which asl lang pieces writes"
        )
    return unknown
