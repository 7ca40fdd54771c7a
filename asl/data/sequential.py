"""Validation and decoding: the clips in the manifest's order, none left out, shared out over the processes."""

from typing import Any, Iterable, Iterator, List

from torch.utils.data import Sampler

from asl.data.sampler import Batch, Bounds, Sizes, share


class SequentialSampler(Sampler):
    """All clips in the manifest's order, each once; every process is given its share of each batch.

    Args:
        cuts, sizes, bounds, rank, world_size: see ``TrainSampler``.
    """

    def __init__(
        self, cuts: Iterable[Any], sizes: Sizes, bounds: Bounds, rank: int = 0, world_size: int = 1
    ) -> None:
        self.cuts, self.rank, self.world_size = cuts, rank, world_size
        self.ends = consecutive(sizes, bounds)

    def __len__(self) -> int:
        """Steps."""
        return len(self.ends)

    def __iter__(self) -> Iterator[Batch]:
        batch, cuts = 0, []
        for number, cut in enumerate(self.cuts, 1):
            cuts.append(cut)
            if number == self.ends[batch]:
                yield share(0, batch, cuts, False, self.rank, self.world_size)
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
