"""Decoding: the clips in the manifest's order, none left out, shared out over the processes."""

import math
from typing import Any, Iterable, Iterator, List

import numpy as np
from torch.utils.data import Sampler

from asl.common.errors import AslError
from asl.data.sampler import Batch, Bounds, Sizes


class SequentialSampler(Sampler):
    """All clips in the manifest's order, each once; the same number of steps on every process.

    Args:
        cuts, sizes, bounds, rank, world_size: see ``TrainSampler``.

    Raises:
        AslError: there are fewer clips than processes.
    """

    def __init__(
        self, cuts: Iterable[Any], sizes: Sizes, bounds: Bounds, rank: int = 0, world_size: int = 1
    ) -> None:
        if len(sizes.frames) < world_size:
            raise AslError(f"{len(sizes.frames)} clips cannot be shared by {world_size} processes; use fewer")
        self.cuts, self.rank, self.world_size = cuts, rank, world_size
        self.ends = split_evenly(consecutive(sizes, bounds), world_size)

    def __len__(self) -> int:
        """Steps on this process."""
        return len(self.ends) // self.world_size

    def __iter__(self) -> Iterator[Batch]:
        batch, cuts = 0, []
        for number, cut in enumerate(self.cuts, 1):
            cuts.append(cut)
            if number == self.ends[batch]:
                if batch % self.world_size == self.rank:
                    yield Batch(0, batch, cuts, training=False)
                batch, cuts = batch + 1, []


def consecutive(sizes: Sizes, bounds: Bounds) -> List[int]:
    """Divide clips in their order into batches within the bounds; return where each batch ends."""
    ends: List[int] = []
    first = longest = most = 0
    for i, (frames, tokens) in enumerate(zip(sizes.frames.tolist(), sizes.tokens.tolist())):
        longest, most = max(longest, frames), max(most, tokens)
        if i > first and i + 1 - first > bounds.size(longest, most):
            ends.append(i)
            first, longest, most = i, frames, tokens
    return [*ends, len(sizes.frames)]


def split_evenly(ends: List[int], world_size: int) -> List[int]:
    """Halve the largest batches until there is the same number for each process.

    Where there are too few clips for that (batches of one clip, and their number is no multiple of
    ``world_size``), the smallest neighbours are joined instead, beyond the bounds: no batch is ever empty.
    """
    ends = [0, *ends]
    wanted = world_size * min(math.ceil((len(ends) - 1) / world_size), ends[-1] // world_size)
    while len(ends) - 1 < wanted:
        lengths = np.diff(ends)
        i = int(lengths.argmax())
        ends.insert(i + 1, ends[i + 1] - int(lengths[i]) // 2)
    while len(ends) - 1 > wanted:
        del ends[1 + int((np.array(ends[2:]) - ends[:-2]).argmin())]
    return ends[1:]
