"""The data of a training or decoding run, as Lightning takes it."""

import functools
import itertools
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, Optional, Set, Tuple

import lightning as L
import torch
from lhotse import CutSet

from asl.common.errors import AslError
from asl.data.alignments import AlignedCuts, Alignments
from asl.data.dataset import BatchLoader, LandmarkDataset, check_layout
from asl.data.largest import largest
from asl.data.sampler import Bounds, Sizes, TrainSampler, measure, share
from asl.data.sequential import SequentialSampler
from asl.data.storage import open_cuts
from asl.data.stream import EXTRA, Stream, StreamConfig
from asl.data.text import CutText, frames_needed
from asl.landmarks.pipeline import LandmarkPipeline


class LandmarkDataModule(L.LightningDataModule):
    """Cuts with landmarks -> batches of features and token ids.

    A batch is a dict: ``ids``, ``texts``, ``speakers`` (lists), ``features`` float32 ``(batch, frames,
    channels)`` with 0 in padding, ``feature_lengths`` ``(batch,)``, ``tokens`` (all clips' ids joined) and
    ``token_lengths`` ``(batch,)``, int64; and ``spare``, True where there was no clip left for this process
    and the batch must count for nothing.

    ``batch_size`` and the other bounds are those of the whole batch, of which each of several processes is
    given its share: a configuration means the same training on one GPU and on eight (``share`` in
    ``asl.data.sampler``). The trainer must be told ``use_distributed_sampler=False``.

    Args:
        pipeline: landmarks -> features.
        data_dir: the recipe's data folder.
        lang: the lang folder (a relative one lies in the data folder): its tokens are the network's outputs.
        train_split, val_split: splits to train and to validate on.
        batch_size: clips of a batch at most, over all processes.
        max_frames: frames of a batch at most, as they are stored, padding counted.
        max_frames_tokens: frames times tokens of its longest text at most; null: no such bound. Memory of
            CTC and transducer losses goes by it.
        num_buckets: batches are made of clips of like length, from so many classes of length; 1: of any
            length (best where the pipeline reads every clip at the same number of frames).
        num_workers: processes that make batches; 0: the training process does.
        seed: of the order of the clips and of the augmentation.
        overfit: train and validate on the first so many training clips, not augmented; 0: on all.
        extra: a second stream of precomputed vectors, which becomes the last part of the features; null: none.
        segments: batches hold a tag for each frame (outside a sign, inside, its begin), from the cuts'
            alignments or the hands of clips of one sign; see ``asl.data.segments``.
        alignments: CTM with the words' times (``asl align`` makes one; a relative path starts at the data folder);
            batches then hold the token of each frame, and ``segments`` go by it. Clips that it lacks are counted
            and said, and teach no times. null: none.
    """

    def __init__(
        self,
        pipeline: LandmarkPipeline,
        data_dir: str = "data",
        lang: str = "lang",
        train_split: str = "train",
        val_split: str = "val",
        batch_size: int = 32,
        max_frames: int = 20_000,
        max_frames_tokens: Optional[int] = None,
        num_buckets: int = 8,
        num_workers: int = 1,
        seed: int = 0,
        overfit: int = 0,
        extra: Optional[StreamConfig] = None,
        segments: bool = False,
        alignments: Optional[str] = None,
    ) -> None:
        super().__init__()
        for name, value in (("num_workers", num_workers), ("overfit", overfit)):
            if value < 0:
                raise AslError(f"data.{name} is {value}; give 0 or more")
        self.pipeline, self.data_dir, self.lang_dir = pipeline, Path(data_dir), Path(data_dir) / lang
        self.train_split, self.val_split = train_split, val_split
        self.bounds = Bounds(batch_size, max_frames, max_frames_tokens)
        self.num_buckets, self.num_workers, self.seed, self.overfit = num_buckets, num_workers, seed, overfit
        self.stream = Stream(extra, self.data_dir) if extra else None
        self.segments = segments
        self.alignments = Alignments(self.data_dir / alignments) if alignments else None
        self._looked: Set[str] = set()
        self._start = (0, 0)
        self._training: Dict[Optional[int], Tuple[Iterable[Any], Sizes]] = {}

    @property
    def feature_parts(self) -> Dict[str, int]:
        """Width of each part of ``features``, in order: the pipeline's, then the second stream's."""
        extra = {EXTRA: self.stream.width} if self.stream else {}
        return {**self.pipeline.feature_parts, **extra}

    @functools.cached_property
    def text(self) -> CutText:
        """Token ids of cuts, by the lang folder."""
        return CutText(self.lang_dir)

    def cuts(self, split: str) -> Iterable[Any]:
        """Return the cuts of a split, lazily; a split without any is an AslError."""
        cuts = open_cuts(self.data_dir, split)
        first = next(iter(cuts), None)
        if first is None:
            raise AslError(f"{self.data_dir / split / 'cuts.jsonl.gz'} holds no clip; run stage 2 again")
        check_layout(first, self.pipeline.layout)
        if self.stream and split not in self._looked:
            self.stream.check(cuts, split, report=self._process()[0] == 0)
            self._looked.add(split)
        return self._aligned(cuts, split)

    def _aligned(self, cuts: Iterable[Any], split: str) -> Iterable[Any]:
        """``cuts`` with their alignments, where there are any; the training clips without one are counted and said."""
        if self.alignments is None:
            return cuts
        if split == self.train_split and self._process()[0] == 0 and "alignments" not in self._looked:
            lost, path = self.alignments.missing(cuts), self.alignments.path
            total = len(lost) + sum(cut.id in self.alignments.words for cut in cuts)
            if len(lost) == total:
                raise AslError(f"{path} holds no clip of {split}; give the alignment of this split (asl align)")
            print(f"{split}: {total - len(lost)} of {total} clips are aligned by {path}"
                  + (f"; without times: {', '.join(lost[:5])}{', ...' if lost[5:] else ''}" if lost else ""))  # fmt: skip
            self._looked.add("alignments")
        return CutSet(AlignedCuts(cuts, self.alignments))

    def train_dataloader(self) -> BatchLoader:
        """Batches of the training split, shuffled and augmented; of each this process's share.

        Where the task has a ``subsampling`` (or ``ctc_subsampling``), clips with fewer frames than CTC needs for
        their tokens are left out, and named; a task that learns from them without CTC (``keeps_short``) keeps them,
        and they are counted.
        """
        cuts, sizes = self._training_cuts()
        sampler = TrainSampler(
            cuts, sizes, self.bounds, 1 if self.overfit else self.num_buckets, self.seed, *self._process()
        )
        epoch, step = self._start
        trainer = self.trainer
        if trainer is not None and (epoch, step) == (0, 0):
            epoch = trainer.current_epoch
        sampler.start_at(epoch, step)
        return self._loader(sampler)

    def val_dataloader(self) -> BatchLoader:
        """Batches of the validation split (with ``overfit`` of the clips that are trained on), in order."""
        if self.overfit:
            return self._sequential(*self._training_cuts(), *self._process())
        return self._sequential(self.cuts(self.val_split), None, *self._process())

    def loader(self, split: str, most: Optional[int] = None) -> BatchLoader:
        """All batches of a split in order, not augmented, for decoding.

        Args:
            split: which one.
            most: clips at most, evenly spread over the split; None: all.
        """
        cuts: Iterable[Any] = self.cuts(split)
        if most is not None:
            every = max(-(-sum(1 for _ in cuts) // most), 1)
            cuts = list(itertools.islice(cuts, 0, None, every))
        return self._sequential(cuts, None, 0, 1)

    def largest_batches(self) -> Iterator[Tuple[str, Dict[str, Any]]]:
        """Load the training batches of the coming epoch that need most memory; see ``asl.data.largest``.

        Of several processes each loads its share of the same ones. A loader of its own plans them: the one that
        training reads from goes on as it was.
        """
        loader = self.train_dataloader()
        loader.sampler.start_at(self._start[0], 0)
        loader.sampler.rank, loader.sampler.world_size = 0, 1  # whole batches
        for why, batch in largest(loader.sampler, lambda cut: len(self.text.tokens(cut, training=True))):
            mine = share(batch.epoch, batch.index, batch.cuts, True, *self._process())
            yield why, loader.dataset.load(mine)

    def start_at(self, epoch: int, step: int) -> None:
        """Let training begin in ``epoch`` after its first ``step`` batches, as if those had been given."""
        self._start = (epoch, step)

    def token_counts(self, vocab_size: int) -> torch.Tensor:
        """How often each token stands in the training split, int64 ``(vocab_size,)``."""
        counts = torch.zeros(vocab_size, dtype=torch.int64)
        cuts, sizes = self._training_cuts()
        for cut in cuts:
            if cut.id not in sizes.dropped:
                for token in self.text.tokens(cut, training=True):
                    counts[token] += 1
        return counts

    def _process(self) -> Tuple[int, int]:
        """Rank and world size."""
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def _training_cuts(self) -> Tuple[Iterable[Any], Sizes]:
        """The training cuts and their sizes; those that cannot be trained on are among ``dropped``."""
        task = getattr(self.trainer, "lightning_module", None)
        subsampling = getattr(task, "ctc_subsampling", getattr(task, "subsampling", None))
        kept = getattr(task, "keeps_short", False)
        if subsampling not in self._training:
            cuts: Iterable[Any] = self.cuts(self.train_split)
            short: Set[str] = set()

            def drop(cut: Any) -> bool:
                if self._infeasible(cut, subsampling):
                    short.add(cut.id)
                return cut.id in short and not kept

            if self.overfit:
                cuts = list(itertools.islice((cut for cut in cuts if not drop(cut)), self.overfit))
            sizes = measure(cuts, lambda cut: len(self.text.tokens(cut, training=True)), drop)
            self._training = {subsampling: (cuts, sizes)}
            if short and self._process()[0] == 0:
                self._report(short, len(sizes.frames), subsampling, kept)
        return self._training[subsampling]

    def _report(self, short: Set[str], trained: int, subsampling: int, kept: bool) -> None:
        """Say which clips are too short for CTC, and what becomes of them."""
        reason = f"fewer frames than CTC needs for their tokens (one output every {subsampling})"
        if kept:
            some = ", ".join(sorted(short)[:5]) + (", ..." if len(short) > 5 else "")
            print(f"{self.train_split}: {len(short)} of {trained} clips are trained on without CTC, {reason}: {some}")
        else:
            print(f"{self.train_split}: {len(short)} clips left out, {reason}: {', '.join(sorted(short))}")

    def _infeasible(self, cut: Any, subsampling: Optional[int]) -> bool:
        """Whether CTC cannot align the text of ``cut`` (its frames before trimming and change of speed)."""
        if subsampling is None:
            return False
        frames = self.pipeline.frames or cut.num_frames
        return -(-frames // subsampling) < frames_needed(self.text.tokens(cut, training=True))

    def _sequential(
        self, cuts: Iterable[Any], sizes: Optional[Sizes], rank: int, world_size: int
    ) -> BatchLoader:
        if sizes is None:
            sizes = measure(cuts, lambda cut: len(self.text.tokens(cut, training=False)), lambda cut: False)
        return self._loader(SequentialSampler(cuts, sizes, self.bounds, rank, world_size))

    def _loader(self, sampler: Any) -> BatchLoader:
        augment = not self.overfit
        dataset = LandmarkDataset(
            self.pipeline, self.text, self.seed, augment, self.stream, self.segments,
            self.alignments is not None,
        )  # fmt: skip
        return BatchLoader(dataset, sampler, self.num_workers)
