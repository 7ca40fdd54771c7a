"""Which clips make a training batch, in which order, on which process.

lhotse's ``DynamicBucketingSampler`` over clips of like length. A bucket has one batch size, which follows
from its longest clip and its longest text, so that no batch passes the bounds and every epoch has the same
number of batches whatever its order. The order is a function of (seed, epoch).

The batches are those of the whole training, however many processes there are: each process takes its share of
the clips of every batch, so that all have the same number of steps and one training is like another.
"""

import math
from dataclasses import dataclass
from typing import Any, Callable, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy as np
from lhotse.dataset import DynamicBucketingSampler
from lhotse.dataset.sampling.base import SamplingConstraint
from torch.utils.data import Sampler

from asl.common.errors import AslError
from asl.common.seeds import derive_seed


@dataclass
class Batch:
    """The clips of one batch that one process is given, on their way to the dataset.

    Attributes:
        epoch: epoch that it belongs to.
        index: its number in the epoch.
        cuts: this process's share of its clips.
        training: whether it is to be augmented.
        places: the clips' places in the whole batch.
        spare: whether there are fewer clips than processes and none is left for this one, which is given one
            of the others' to keep step. It must count for nothing.
    """

    epoch: int
    index: int
    cuts: List[Any]
    training: bool
    places: Sequence[int]
    spare: bool = False


def share(epoch: int, index: int, cuts: List[Any], training: bool, rank: int, world_size: int) -> Batch:
    """What process ``rank`` of ``world_size`` is given of the clips of a whole batch."""
    spare = rank >= len(cuts)
    places = [rank % len(cuts)] if spare else range(rank, len(cuts), world_size)
    return Batch(epoch, index, [cuts[i] for i in places], training, places, spare)


@dataclass(frozen=True)
class Bounds:
    """What a batch (of all processes together) may hold at most; a clip beyond a bound makes one alone.

    Attributes:
        clips: clips.
        frames: frames, padding counted: clips times the longest.
        frames_tokens: the same times the longest text in tokens (the size of a CTC or transducer lattice);
            None: no such bound.
    """

    clips: int = 32
    frames: int = 20_000
    frames_tokens: Optional[int] = None

    def __post_init__(self) -> None:
        for name in ("clips", "frames", "frames_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise AslError(f"batches of at most {value} {name}; give 1 or more")

    def size(self, frames: int, tokens: int) -> int:
        """How many clips of at most ``frames`` frames and ``tokens`` tokens fit into a batch (1 or more)."""
        fits = min(self.clips, self.frames // max(frames, 1))
        if self.frames_tokens is not None:
            fits = min(fits, self.frames_tokens // max(frames * tokens, 1))
        return max(fits, 1)


@dataclass
class Sizes:
    """What the plan of an epoch rests on: one pass over the clips.

    Attributes:
        frames, tokens: int32 ``(clips,)``, in the manifest's order.
        dropped: ids that are left out.
    """

    frames: np.ndarray
    tokens: np.ndarray
    dropped: FrozenSet[str] = frozenset()


def measure(cuts: Iterable[Any], count_tokens: Callable[[Any], int], drop: Callable[[Any], bool]) -> Sizes:
    """Read ``cuts`` once; those for which ``drop`` is true are left out and named."""
    frames: List[int] = []
    tokens: List[int] = []
    dropped = []
    for cut in cuts:
        if drop(cut):
            dropped.append(cut.id)
        else:
            frames.append(cut.num_frames)
            tokens.append(count_tokens(cut))
    return Sizes(np.array(frames, np.int32), np.array(tokens, np.int32), frozenset(dropped))


class BucketConstraint(SamplingConstraint):
    """A bucket's batch is full when it holds as many clips as the bucket's longest allows.

    Args:
        edges: longest clip (in frames) of each bucket but the last, ascending.
        sizes: batch size of each bucket.
    """

    def __init__(self, edges: Sequence[int], sizes: Sequence[int]) -> None:
        self.edges, self.sizes = list(edges), list(sizes)
        self.reset()

    def reset(self) -> None:
        self._count, self._bucket = 0, 0

    def add(self, example: Any) -> None:
        self._bucket = self.select_bucket(self.edges, example)
        self._count += 1

    def exceeded(self) -> bool:
        return self._count > self.sizes[self._bucket]

    def close_to_exceeding(self) -> bool:
        return self._count >= self.sizes[self._bucket]

    def measure_length(self, example: Any) -> float:
        return example.num_frames

    @classmethod
    def plan(cls, sizes: Sizes, bounds: Bounds, num_buckets: int) -> Tuple["BucketConstraint", int]:
        """Divide clips into buckets that hold about as many frames each; also return an epoch's batches."""
        ordered = np.sort(sizes.frames).astype(np.int64)
        share = np.searchsorted(np.cumsum(ordered), ordered.sum() * np.arange(1, num_buckets) / num_buckets)
        edges = sorted({int(ordered[i]) for i in share} - {int(ordered[-1])})
        bucket = np.searchsorted(edges, sizes.frames, side="left")
        per_bucket, batches = [], 0
        for b in range(len(edges) + 1):
            inside = bucket == b
            size = bounds.size(int(sizes.frames[inside].max()), int(sizes.tokens[inside].max()))
            per_bucket.append(size)
            batches += math.ceil(int(inside.sum()) / size)
        return cls(edges, per_bucket), batches


class TrainSampler(Sampler):
    """Shuffled batches of clips of like length; every process is given its share of each (see ``share``).

    Args:
        cuts: the clips; read anew in every epoch.
        sizes: what ``measure`` found in the same clips.
        bounds: of a batch.
        num_buckets: buckets of clips of like length; 1: batches of any lengths.
        seed: with the epoch it gives the order.
        rank, world_size: this process, of so many.
        buffer: clips among which the order is drawn.

    Raises:
        AslError: there is no clip.
    """

    def __init__(
        self,
        cuts: Iterable[Any],
        sizes: Sizes,
        bounds: Bounds,
        num_buckets: int = 1,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        buffer: int = 10_000,
    ) -> None:
        if len(sizes.frames) == 0:
            raise AslError("there is no clip to train on; see data/landmarks/report.json")
        if num_buckets < 1:
            raise AslError(f"num_buckets is {num_buckets}; give 1 or more")
        self.cuts = _Kept(cuts, sizes.dropped)
        self.constraint, self._steps = BucketConstraint.plan(sizes, bounds, num_buckets)
        self.seed, self.rank, self.world_size = seed, rank, world_size
        # so many that some bucket always has a whole batch until the clips run out
        self.buffer = max(buffer, 2 * sum(self.constraint.sizes))
        self._epoch, self._start = 0, (0, 0)

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self._steps

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration (Lightning calls this)."""
        self._epoch = epoch

    def start_at(self, epoch: int, step: int) -> None:
        """Begin in epoch ``epoch``, and there after its first ``step`` steps; later epochs are whole."""
        self._epoch, self._start = epoch, (epoch, step)

    def __iter__(self) -> Iterator[Batch]:
        epoch = self._epoch
        batches = _Batches(
            self.cuts,
            constraint=self.constraint,
            duration_bins=self.constraint.edges,
            buffer_size=self.buffer,
            shuffle=True,
            # With False lhotse (1.32, 1.33) takes empty buckets for full ones at the end and stops early.
            sync_buckets=True,
            seed=derive_seed(self.seed, "order", epoch),
            rank=0,  # lhotse would share out whole batches, and mix the last ones anew
            world_size=1,
        )
        skip = self._start[1] if self._start[0] == epoch else 0
        for step, cuts in enumerate(batches):
            if step >= skip:
                yield share(epoch, step, cuts, True, self.rank, self.world_size)


class _Batches(DynamicBucketingSampler):
    """Batches as plain lists of clips, to which nothing is added."""

    def __next__(self) -> List[Any]:
        return list(self._next_batch())


class _Kept:
    """Clips without those of some ids."""

    def __init__(self, cuts: Iterable[Any], dropped: FrozenSet[str]) -> None:
        self.cuts, self.dropped = cuts, dropped

    def __iter__(self) -> Iterator[Any]:
        return (cut for cut in self.cuts if cut.id not in self.dropped) if self.dropped else iter(self.cuts)
