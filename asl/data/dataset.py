"""Cuts of a batch -> the tensors that a task is given."""

from typing import Any, Dict, Iterator, List, Optional, Union

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from asl.common.errors import AslError
from asl.common.seeds import derive_seed
from asl.data.alignments import frame_tokens
from asl.data.sampler import Batch
from asl.data.segments import UNKNOWN, read_at, signs_of, tags
from asl.data.storage import ArchiveReader, cut_layout
from asl.data.stream import Stream
from asl.data.text import CutText, speaker_of, text_of
from asl.landmarks.layouts import Layout, get_layout
from asl.landmarks.pipeline import LandmarkPipeline


class LandmarkDataset(Dataset):
    """Read the landmarks of a batch of cuts and make features of them.

    An item is asked for by a ``Batch`` and is a function of it and of ``seed`` alone, whichever process makes
    it: a clip's augmentation draws from a generator seeded by (seed, epoch, number of the batch, the clip's
    place in the whole batch), so that it is the same however many processes share the batch.

    Args:
        pipeline: landmarks -> features.
        text: cuts -> token ids.
        seed: of the augmentation.
        augment: whether training batches are augmented.
        stream: joins the features as their last part; None: landmarks alone.
        segments: give the frames' tags, see ``asl.data.segments``.
        aligned: give the frames' tokens, see ``asl.data.alignments``.
    """

    def __init__(
        self,
        pipeline: LandmarkPipeline,
        text: CutText,
        seed: int = 0,
        augment: bool = True,
        stream: Optional[Stream] = None,
        segments: bool = False,
        aligned: bool = False,
    ) -> None:
        self.stream, self.segments, self.aligned = stream, segments, aligned
        self.pipeline, self.text, self.seed, self.augment = pipeline, text, seed, augment
        self.layout: Layout = pipeline.layout
        self.reader = ArchiveReader()

    def __getitem__(self, batch: Batch) -> Union[Dict[str, Any], AslError]:
        """Return ``load(batch)``, or the AslError that it met: ``BatchLoader`` raises it."""
        try:
            return self.load(batch)
        except AslError as e:
            return e

    def load(self, batch: Batch) -> Dict[str, Any]:
        """Return the batch.

        ``ids``, ``texts``, ``speakers``: lists of batch length; ``features`` float32 ``(batch, frames,
        channels)``, the second stream's last (see ``asl.data.stream``); ``feature_lengths`` int64
        ``(batch,)``; ``tokens`` int64 ``(sum of token_lengths,)``; ``token_lengths`` int64 ``(batch,)``. Where
        the pipeline describes the hands: ``descriptors`` float32 ``(batch, frames, 2, width)`` and
        ``descriptors_known`` bool ``(batch, frames, 2, 4)``, see ``asl.landmarks.descriptors``. Where
        ``segments`` are asked for: ``segments`` int64 ``(batch, frames)``, see ``asl.data.segments``; where the cuts
        are ``aligned``: ``frame_tokens`` int64 ``(batch, frames)``, -1 where not known and in padding.
        ``spare``: bool, see ``Batch``.

        Raises:
            AslError: an archive (or a file of the second stream) that is missing, damaged or of another shape,
                cuts of another layout, an unknown word.
        """
        cuts = batch.cuts
        arrays = [self._landmarks(cut) for cut in cuts]
        landmarks = pad(arrays)
        lengths = torch.tensor([cut.num_frames for cut in cuts])
        augment = batch.training and self.augment
        generators = self._generators(batch) if augment else None
        done = self.pipeline.process(landmarks, lengths, augment, generators)
        features = done.features
        if self.stream is not None:
            extra = self.stream.features(cuts, done.positions, done.lengths)
            features = torch.cat([features, extra], dim=-1)
        tokens = [self.text.tokens(cut, batch.training) for cut in cuts]
        item: Dict[str, Any] = {
            "ids": [cut.id for cut in cuts],
            "features": features,
            "feature_lengths": done.lengths.long(),
            "texts": [text_of(cut) for cut in cuts],
            "tokens": torch.tensor([t for ids in tokens for t in ids], dtype=torch.int64),
            "token_lengths": torch.tensor([len(ids) for ids in tokens], dtype=torch.int64),
            "speakers": [speaker_of(cut) for cut in cuts],
            "spare": batch.spare,
        }
        if self.segments:
            counts = item["token_lengths"].tolist()
            signs = [signs_of(c, a, self.layout, n) for c, a, n in zip(cuts, arrays, counts)]
            item["segments"] = tags(pad_frames(signs), done.positions, done.lengths)
        if self.aligned:
            said = [frame_tokens(cut, self.text.spelling) for cut in cuts]
            item["frame_tokens"] = read_at(pad_frames(said), done.positions, done.lengths)
        if done.described is not None:
            item["descriptors"], item["descriptors_known"] = done.described
            if batch.spare:  # codebooks are not to learn from it
                item["descriptors_known"] = torch.zeros_like(item["descriptors_known"])
        return item

    def _generators(self, batch: Batch) -> List[torch.Generator]:
        """One for each clip of the batch."""
        place = (self.seed, "augment", batch.epoch, batch.index)
        return [torch.Generator().manual_seed(derive_seed(*place, clip)) for clip in batch.places]

    def _landmarks(self, cut: Any) -> np.ndarray:
        """Return ``(frames, points, dims)`` of one cut."""
        check_layout(cut, self.layout)
        return self.reader.read(cut).reshape(-1, self.layout.num_points, self.layout.num_dims)


class BatchLoader(DataLoader):
    """A DataLoader whose workers' AslErrors keep their one sentence (torch would put a traceback before it).

    Args:
        dataset: makes the batches that the sampler names.
        sampler: yields ``Batch``.
        num_workers: processes that make batches; 0: this one does.
    """

    def __init__(self, dataset: LandmarkDataset, sampler: Any, num_workers: int) -> None:
        super().__init__(
            dataset,
            sampler=sampler,
            batch_size=None,
            num_workers=num_workers,
            worker_init_fn=_one_thread if num_workers else None,
            persistent_workers=num_workers > 0,
        )

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        for item in super().__iter__():
            if isinstance(item, AslError):
                raise item
            yield item


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)  # the cores are for training


def check_layout(cut: Any, layout: Layout) -> None:
    """Raise an AslError with both names and numbers unless ``cut`` is in ``layout``."""
    name, numbers = cut_layout(cut), cut.features.num_features
    if name == layout.name and numbers == layout.num_features:
        return
    held = get_layout(name)
    raise AslError(
        f"cut {cut.id} has landmarks of layout {name} ({held.num_points} points, {numbers} numbers a frame), "
        f"but the pipeline takes {layout.name} ({layout.num_points} points, {layout.num_features} numbers a "
        f"frame); set data.pipeline.layout to {name}, or import with --layout {layout.name}"
    )


def pad_frames(rows: List[np.ndarray]) -> torch.Tensor:
    """Stack int64 ``(frames,)`` arrays to ``(batch, frames)``, padded by -1."""
    tensors = [torch.from_numpy(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=UNKNOWN)


def pad(arrays: List[np.ndarray]) -> torch.Tensor:
    """Stack ``(frames, points, dims)`` arrays to float32 ``(batch, frames, points, dims)``, padded by NaN."""
    longest = max(len(a) for a in arrays)
    out = np.full((len(arrays), longest, *arrays[0].shape[1:]), np.nan, dtype=np.float32)
    for row, array in zip(out, arrays):
        row[: len(array)] = array
    return torch.from_numpy(out)
