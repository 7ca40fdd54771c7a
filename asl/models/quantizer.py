"""A product quantiser: one codebook for each part of a description, learnt by online k-means.

wav2vec 2.0 (Baevski et al. 2020) learns its codes through the network, by Gumbel-softmax, because speech has
no description to start from; such codes can fall together, and some thousand clips are few to learn them
from. Hands have a description (``asl.landmarks.descriptors``), so the codebooks follow it by k-means with
exponential moving averages (van den Oord et al. 2017, appendix A.1): they cannot collapse, the targets stand
still after an epoch or two, a code is a mean handshape that can be drawn, and a step costs two matrix
products. Sums go over all processes, so every process holds the same codes.
"""

from contextlib import nullcontext
from typing import ContextManager, Dict, Tuple

import torch
from torch import Tensor, nn

from asl.common.errors import AslError
from asl.common.processes import gathered, summed

_YOUNG = 20  # updates before which no code is dead
_DEAD = 0.1  # used less than this share of an even use
_EPS = 1e-9


class Codebook(nn.Module):
    """Means of the vectors that fall to them.

    Args:
        size: codes.
        dim: width of the vectors.
        decay: weight of the past; in update ``t`` at most ``(1 + t) / (10 + t)``: the start is forgotten.

    Raises:
        AslError: fewer than 2 codes.
    """

    def __init__(self, size: int, dim: int, decay: float = 0.99) -> None:
        super().__init__()
        if size < 2:
            raise AslError(f"a codebook of {size} codes tells nothing apart; give 2 or more")
        self.size, self.dim, self.decay = size, dim, decay
        # running sums of the vectors of each code, and of its share of all vectors
        self.register_buffer("sums", torch.zeros(size, dim))
        self.register_buffer("shares", torch.zeros(size))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @property
    def codes(self) -> Tensor:
        """The codes themselves, ``(size, dim)``."""
        return self.sums / self.shares.clamp(min=_EPS)[:, None]

    def forward(self, x: Tensor) -> Tensor:
        """The nearest code of each vector: ``(n, dim)`` -> ``(n,)`` int64."""
        codes = self.codes
        with _whole_precision(x):
            return (codes.square().sum(-1) - 2 * x.to(codes.dtype) @ codes.t()).argmin(dim=-1)

    @torch.no_grad()
    def update(self, x: Tensor) -> None:
        """Move the codes towards the means of the vectors ``(n, dim)`` that fall to them.

        Codes that hardly any vector falls to start again at vectors of the batch, which are drawn from
        torch's generator (those of the first process hold for all).
        """
        x = x.to(self.sums.dtype)
        done = int(self.updates)
        if done == 0:
            self._start(x, torch.ones_like(self.shares, dtype=torch.bool))
        onehot = nn.functional.one_hot(self(x), self.size).to(x.dtype)
        # a product and no index_add, whose order of summation is not fixed on a GPU
        with _whole_precision(x):
            new = summed(torch.cat([onehot.t() @ x, onehot.sum(0)[:, None]], dim=1))
        new = new / new[:, -1].sum().clamp(min=1)
        decay = min(self.decay, (1 + done) / (10 + done))
        self.sums.lerp_(new[:, :-1], 1 - decay)
        self.shares.lerp_(new[:, -1], 1 - decay)
        self.updates += 1
        dead = self.shares < _DEAD / self.size
        if done >= _YOUNG and bool(dead.any()):
            self._start(x, dead)

    def _start(self, x: Tensor, chosen: Tensor) -> None:
        """Put the chosen codes onto vectors of the batch, as if they had been used evenly."""
        rows = x[torch.randint(len(x), (self.size,)).to(x.device)] if len(x) else torch.zeros_like(self.sums)
        rows = gathered(rows)[0] / self.size
        self.sums.copy_(torch.where(chosen[:, None], rows, self.sums))
        self.shares.masked_fill_(chosen, 1.0 / self.size)


class ProductQuantizer(nn.Module):
    """One codebook for each part; a part's codebook sees that part alone.

    Args:
        widths: name -> width of each part of a vector, in order.
        sizes: name -> codes of its codebook.
        decay: see ``Codebook``.

    Shape: ``(..., sum of widths)`` -> codes ``(..., parts)`` int64.
    """

    def __init__(self, widths: Dict[str, int], sizes: Dict[str, int], decay: float = 0.99) -> None:
        super().__init__()
        self.widths = dict(widths)
        self.books = nn.ModuleDict({name: Codebook(sizes[name], dim, decay) for name, dim in widths.items()})

    def _parts(self, x: Tensor) -> Tuple[Tensor, ...]:
        return x.split(list(self.widths.values()), dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, -2)
        codes = [book(part) for book, part in zip(self.books.values(), self._parts(flat))]
        return torch.stack(codes, dim=-1).view(*x.shape[:-1], len(codes))

    def update(self, x: Tensor, known: Tensor) -> None:
        """Let every codebook learn from what is known of its part: ``known`` is ``(..., parts)``."""
        for i, (book, part) in enumerate(zip(self.books.values(), self._parts(x))):
            book.update(part[known[..., i]])


def perplexity(shares: Tensor) -> Tensor:
    """How many codes are in even use: ``exp`` of the entropy of ``shares`` ``(..., codes)`` of sum 1."""
    return torch.exp(-(shares * shares.clamp(min=_EPS).log()).sum(-1))


def diversity_loss(log_probs: Tensor) -> Tensor:
    """What is missing of an even use: 0 (all codes alike over the batch) to about 1 (always the same one).

    wav2vec 2.0's penalty ``(V - perplexity) / V`` of the mean of the distributions ``log_probs`` ``(n, V)``.
    """
    return 1 - perplexity(log_probs.exp().mean(dim=0)) / log_probs.shape[-1]


def _whole_precision(x: Tensor) -> ContextManager[None]:
    """No mixed precision in here: half a number's digits would put vectors to wrong codes."""
    return torch.autocast(x.device.type, enabled=False) if x.device.type in ("cpu", "cuda") else nullcontext()
