"""Batches: within their bounds, each clip once, the same on any number of processes, resumable."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from lhotse import CutSet, Features, MonoCut

from asl.common.errors import AslError
from asl.data.sampler import Bounds, TrainSampler, measure
from asl.data.sequential import SequentialSampler, consecutive


@dataclass
class Made:
    """Clips of known lengths; ``tokens`` by id."""

    cuts: CutSet
    tokens: dict

    def sizes(self, drop=lambda cut: False):
        return measure(self.cuts, lambda cut: self.tokens[cut.id], drop)


def made(count, seed=0, longest=300):
    rng = np.random.default_rng(seed)
    cuts, tokens = [], {}
    for i in range(count):
        frames = int(rng.integers(10, longest))
        tokens[f"c{i:04d}"] = int(rng.integers(1, 12))
        where = ("numpy_hdf5", "x.h5", str(i))
        features = Features("landmarks.hands42", frames, 126, 0.04, 25, 0.0, frames / 25, *where)
        cuts.append(MonoCut(f"c{i:04d}", 0.0, frames / 25, 0, features=features))
    return Made(CutSet(Again(cuts)), tokens)


class Again:
    """Read anew each time, as a manifest is."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter([item.with_id(item.id) for item in self.items])


BOUNDS = Bounds(clips=8, frames=1500, frames_tokens=9000)


def train_sampler(data, **options):
    bounds = options.pop("bounds", BOUNDS)
    return TrainSampler(data.cuts, data.sizes(), bounds, **{"num_buckets": 5, **options})


def names(sampler):
    return [[cut.id for cut in batch.cuts] for batch in sampler]


def put_together(parts):
    """The ids of whole batches, from what each process was given of them; spare clips count for nothing."""
    whole = []
    for step in zip(*parts):
        assert len({(b.epoch, b.index) for b in step}) == 1 and step[0].index == len(whole)
        at = {place: cut.id for b in step if not b.spare for place, cut in zip(b.places, b.cuts)}
        assert sum(len(b.cuts) for b in step if not b.spare) == len(at) and sorted(at) == list(range(len(at)))
        sizes = [0 if b.spare else len(b.cuts) for b in step]
        assert max(sizes) - min(sizes) <= 1 and all(b.cuts and len(b.cuts) == len(b.places) for b in step)
        assert all(b.cuts[0].id == at[b.places[0]] for b in step)
        whole.append([at[place] for place in range(len(at))])
    return whole


def size_of(data, batch):
    frames = max(cut.num_frames for cut in batch.cuts)
    clips, tokens = len(batch.cuts), max(data.tokens[cut.id] for cut in batch.cuts)
    return clips, clips * frames, clips * frames * tokens


@pytest.mark.parametrize("num_buckets", [1, 2, 5, 40])
def test_each_clip_once_within_the_bounds_and_in_as_many_steps_as_said(num_buckets):
    data = made(203)
    for epoch in range(3):
        sampler = train_sampler(data, buffer=10, num_buckets=num_buckets)
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) and [b.index for b in batches] == list(range(len(batches)))
        for batch in batches:
            clips, frames, frames_tokens = size_of(data, batch)
            assert clips <= 8 and frames <= 1500 and frames_tokens <= 9000 and batch.training
        seen = Counter(cut.id for batch in batches for cut in batch.cuts)
        assert len(seen) == 203 and set(seen.values()) == {1}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 9, 17, 203])
@pytest.mark.parametrize("world_size", [2, 3, 8])
def test_any_number_of_processes_share_the_batches_of_one(count, world_size):
    data = made(count)
    alone = names(train_sampler(data, num_buckets=3))
    samplers = [train_sampler(data, rank=r, world_size=world_size, num_buckets=3) for r in range(world_size)]
    parts = [list(sampler) for sampler in samplers]
    assert {len(part) for part in parts} == {len(alone)} == {len(s) for s in samplers}
    assert put_together(parts) == alone


def test_the_order_is_a_function_of_seed_and_epoch():
    data = made(100)
    one = train_sampler(data, seed=1)
    first = names(one)
    assert names(one) == first == names(train_sampler(data, seed=1))
    one.set_epoch(1)
    assert names(one) != first and sorted(sum(names(one), [])) == sorted(sum(first, []))
    assert names(train_sampler(data, seed=2)) not in (first, names(one))
    torch.manual_seed(7)
    np.random.seed(7)
    one.set_epoch(0)
    assert names(one) == first


@pytest.mark.parametrize("world_size, rank", [(1, 0), (2, 1)])
def test_training_goes_on_at_any_batch(world_size, rank):
    data = made(60)
    whole = train_sampler(data, rank=rank, world_size=world_size)
    whole.set_epoch(3)
    batches = [(b.epoch, b.index, [c.id for c in b.cuts]) for b in whole]
    assert len(batches) == len(whole)
    for step in (1, len(batches) // 2, len(batches)):
        resumed = train_sampler(data, rank=rank, world_size=world_size)
        resumed.start_at(3, step)
        assert [(b.epoch, b.index, [c.id for c in b.cuts]) for b in resumed] == batches[step:]
        resumed.set_epoch(4)
        whole.set_epoch(4)
        assert names(resumed) == names(whole)


def test_clips_of_a_batch_are_of_like_length():
    data = made(400)
    spread = [np.ptp([c.num_frames for c in b.cuts]) for b in train_sampler(data, num_buckets=8)]
    mixed = [np.ptp([c.num_frames for c in b.cuts]) for b in train_sampler(data, num_buckets=1)]
    assert np.mean(spread) < 0.4 * np.mean(mixed)


def test_a_clip_beyond_the_bounds_goes_alone():
    data = made(30, longest=100)
    batches = list(train_sampler(data, bounds=Bounds(8, frames=40), num_buckets=4))
    assert sum(len(b.cuts) for b in batches) == 30
    assert all(len(b.cuts) == 1 or size_of(data, b)[1] <= 40 for b in batches)


def test_what_is_dropped_is_named_and_in_no_batch():
    data = made(50)
    sizes = data.sizes(drop=lambda cut: cut.num_frames < 60)
    short = {cut.id for cut in data.cuts if cut.num_frames < 60}
    assert sizes.dropped == short and 0 < len(short) < 50
    sampler = TrainSampler(data.cuts, sizes, BOUNDS, num_buckets=3)
    assert set(sum(names(sampler), [])) == set(data.tokens) - short


def test_no_clips_and_wrong_numbers_are_refused():
    with pytest.raises(AslError, match="no clip to train on"):
        train_sampler(made(0))
    with pytest.raises(AslError, match="num_buckets is 0"):
        train_sampler(made(3), num_buckets=0)
    with pytest.raises(AslError, match="at most 0 clips"):
        Bounds(clips=0)


@pytest.mark.parametrize("count, world_size", [(1, 1), (50, 1), (3, 3), (50, 3), (51, 2), (7, 5), (2, 3), (9, 8)])
@pytest.mark.parametrize("clips", [1, 8])
def test_decoding_keeps_order_and_every_clip_on_all_processes(count, world_size, clips):
    data, bounds = made(count), Bounds(clips, frames=1500, frames_tokens=9000)
    samplers = [SequentialSampler(data.cuts, data.sizes(), bounds, r, world_size) for r in range(world_size)]
    parts = [list(sampler) for sampler in samplers]
    assert {len(part) for part in parts} == {len(sampler) for sampler in samplers}
    assert all(not b.training and size_of(data, b)[1] <= 1500 for part in parts for b in part)
    assert sum(put_together(parts), []) == [cut.id for cut in data.cuts]


def test_batches_in_order_are_as_large_as_the_bounds_allow():
    assert consecutive(made(40).sizes(), Bounds(clips=8, frames=10**9)) == [8, 16, 24, 32, 40]
