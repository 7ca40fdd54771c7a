"""A small text decoder, and a listing of every text: what beam search is held against."""

import itertools
from typing import NamedTuple

import torch
from torch import nn

from asl.decoding.attention import Part


class State(NamedTuple):
    hidden: torch.Tensor

    def select(self, rows):
        return State(self.hidden[rows])


class Recurrent(nn.Module):
    """A GRU that begins with the mean of the memory: what follows depends on every token so far."""

    def __init__(self, vocab_size, memory_dim, seed=0, sure=3.0):
        super().__init__()
        self.sos_eos, self.sure = vocab_size, sure
        torch.manual_seed(seed)
        self.begin = nn.Linear(memory_dim, 16)
        self.embedding = nn.Embedding(vocab_size + 1, 16)
        self.cell = nn.GRUCell(16, 16)
        self.out = nn.Linear(16, vocab_size + 1)

    def start(self, memory, lengths):
        inside = (torch.arange(memory.shape[1])[None] < lengths[:, None])[..., None]
        return State(torch.tanh(self.begin((memory * inside).sum(1) / lengths[:, None])))

    def step(self, tokens, state):
        hidden = self.cell(self.embedding(tokens), state.hidden)
        logits = self.sure * self.out(hidden)
        logits = logits.index_fill(1, torch.tensor([0]), -torch.inf)
        return logits.log_softmax(dim=1), State(hidden)


def memories(lengths, dim=6, seed=0):
    """A padded batch of memories, with noise behind the ends."""
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(len(lengths), max(lengths), dim, generator=generator), torch.tensor(lengths)


def part_of(decoder, memory, lengths, weight=1.0):
    return Part(weight, decoder, decoder.start(memory, lengths))


def all_texts(tokens, longest):
    for length in range(longest + 1):
        yield from itertools.product(tokens, repeat=length)


@torch.no_grad()
def log_probs_of(scorer, state, sos_eos, texts):
    """text -> log-probability, its end included, each token by one step: ``state`` has one row."""
    found, begun = {}, {(): scorer.step(torch.tensor([sos_eos]), state)}
    sums = {(): 0.0}
    for text in texts:
        if text:
            before, last = text[:-1], text[-1]
            sums[text] = sums[before] + float(begun[before][0][0, last].double())
            begun[text] = scorer.step(torch.tensor([last]), begun[before][1])
        found[text] = sums[text] + float(begun[text][0][0, sos_eos].double())
    return found
