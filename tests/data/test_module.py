"""From cuts to batches: what a batch holds, what is refused, and that it is the same whoever makes it."""

import re

import lightning as L
import numpy as np
import pytest
import torch

from asl.common.errors import AslError
from asl.data.dataset import LandmarkDataset, pad
from asl.data.module import LandmarkDataModule
from asl.data.sampler import Batch
from asl.data.storage import open_cuts, write_archive
from asl.data.text import CutText, frames_needed
from asl.landmarks.augment import AugmentConfig
from asl.landmarks.pipeline import LandmarkPipeline
from asl.lang.tokens import TokenTable

# Clips of 20 to 60 frames: 12 frames and 5 words, or 1
SENTENCES = "book drink go home book|go|drink drink drink|home go".split("|")


def module(data, pipeline=None, **options):
    augment = options.pop("augment", AugmentConfig(mirror=0.5, affine=0.5, drop_hand=0.2))
    pipeline = pipeline or LandmarkPipeline("hands42", frames=options.pop("frames", 16), augment=augment)
    options = {"batch_size": 4, "num_workers": 0, "num_buckets": 2, **options}
    return LandmarkDataModule(pipeline, data_dir=str(data), **options)


def same(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) if torch.is_tensor(a[k]) else a[k] == b[k] for k in a
    )


def ids(loader):
    return [batch["ids"] for batch in loader]


def test_a_batch_holds_what_the_tasks_are_promised(imported):
    data = imported(train=10, val=3, texts=lambda i: SENTENCES[i % 4])
    dm = module(data, LandmarkPipeline("hands42", frames=None, trim=False, augment=None))
    tokens = TokenTable.read(data / "lang" / "tokens.txt")
    lengths = {cut.id: cut.num_frames for cut in open_cuts(data, "train")}
    for batch in dm.train_dataloader():
        count = len(batch["ids"])
        assert batch["features"].dtype == torch.float32 and batch["features"].shape[0] == count
        assert batch["features"].shape[2] == dm.pipeline.num_features and batch["features"].isfinite().all()
        assert batch["feature_lengths"].tolist() == [lengths[i] for i in batch["ids"]]
        for row, length in zip(batch["features"], batch["feature_lengths"]):
            assert (row[length:] == 0).all()
        parts = batch["tokens"].split(batch["token_lengths"].tolist())
        assert [" ".join(tokens.decode(p.tolist())) for p in parts] == batch["texts"]
        assert batch["tokens"].dtype == batch["token_lengths"].dtype == torch.int64
        assert batch["feature_lengths"].dtype == torch.int64 and len(batch["speakers"]) == count
        assert batch["speakers"][0] == f"signer{int(batch['ids'][0][-3:]) % 3}"


def test_any_number_of_workers_gives_the_same_batches(imported):
    data = imported(train=13, val=3)
    loaders = [module(data, num_workers=n, seed=5).train_dataloader() for n in (0, 1, 2)]
    for epoch in (0, 1):
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
        epochs = [list(loader) for loader in loaders]
        assert len(epochs[0]) == len(loaders[0])
        for other in epochs[1:]:
            assert len(other) == len(epochs[0]) and all(map(same, epochs[0], other))


def test_seed_and_epoch_decide_order_and_augmentation(imported):
    data = imported(train=13)
    first, again, other = (next(iter(module(data, seed=s).train_dataloader())) for s in (1, 1, 2))
    assert same(first, again) and not same(first, other)
    dm = module(data, batch_size=100, num_buckets=1)
    (one,) = dm.train_dataloader()
    dm.start_at(1, 0)
    (two,) = dm.train_dataloader()
    order = [two["ids"].index(i) for i in one["ids"]]
    assert one["ids"] != two["ids"] and not torch.equal(one["features"], two["features"][order])


@pytest.mark.parametrize("frames", [16, None])
@pytest.mark.parametrize("world_size", [2, 3])
def test_a_clip_is_the_same_however_many_processes_share_its_batch(imported, frames, world_size):
    data = imported(train=7, val=3)
    augment = AugmentConfig(mirror=0.5, affine=0.5, noise=0.01, wobble=0.01, drop_hand=0.5, time_mask=0.5)

    def clips(rank, world_size):
        dm = module(data, frames=frames, augment=augment)
        dm.trainer = Process(rank, world_size)
        for batch in dm.train_dataloader():
            if not batch["spare"]:
                for i, row, length in zip(batch["ids"], batch["features"], batch["feature_lengths"]):
                    yield i, row[:length]

    alone = dict(clips(0, 1))
    shared = [clip for rank in range(world_size) for clip in clips(rank, world_size)]
    assert len(alone) == len(shared) == 7
    for i, row in shared:
        assert row.shape == alone[i].shape and torch.allclose(row, alone[i], rtol=0, atol=1e-6), i


def test_training_goes_on_at_any_batch(imported):
    data = imported(train=13)
    dm = module(data)
    dm.start_at(2, 0)
    whole = list(dm.train_dataloader())
    dm.start_at(2, 2)
    rest = list(dm.train_dataloader())
    assert len(rest) == len(whole) - 2 and all(map(same, whole[2:], rest))


def test_validation_and_decoding_give_every_clip_in_order_as_it_is(imported):
    data = imported(train=4, val=11)
    dm = module(data, max_frames=120)
    assert sum(ids(dm.val_dataloader()), []) == [f"val{i:03d}" for i in range(11)]
    assert all(map(same, dm.val_dataloader(), dm.loader("val")))
    assert all(map(same, dm.loader("val"), module(data, max_frames=120, augment=None).loader("val")))
    assert sum(ids(dm.loader("train")), []) == [f"train{i:03d}" for i in range(4)]


class Recorder(L.LightningModule):
    """Trains nothing to speak of and writes down what it was given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.given = []

    def training_step(self, batch, batch_idx):
        self.given.append((self.current_epoch, batch["ids"], float(batch["features"].sum())))
        return self.weight * 0

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data, folder, epochs, checkpoint=None, **options):
    trainer = L.Trainer(
        max_epochs=epochs, accelerator="cpu", use_distributed_sampler=False, num_sanity_val_steps=0,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=folder,
    )  # fmt: skip
    task = Recorder()
    trainer.fit(task, datamodule=module(data, **options), ckpt_path=checkpoint)
    return trainer, task


@pytest.mark.parametrize("num_workers", [0, 1])
def test_lightning_gives_each_epoch_its_order_also_after_a_resume(imported, tmp_path, num_workers):
    data = imported(train=13, val=3)
    trainer, whole = fit(data, tmp_path, 3, num_workers=num_workers)
    assert trainer.num_training_batches == len(module(data).train_dataloader())
    for epoch in range(3):
        dm = module(data)
        dm.start_at(epoch, 0)
        assert [i for e, i, _ in whole.given if e == epoch] == ids(dm.train_dataloader())
    half, first = fit(data, tmp_path, 1, num_workers=num_workers)
    half.save_checkpoint(tmp_path / "half.ckpt")
    _, second = fit(data, tmp_path, 3, tmp_path / "half.ckpt", num_workers=num_workers)
    assert first.given + second.given == whole.given


def test_overfit_trains_and_validates_on_the_first_clips_as_they_are(imported):
    data = imported(train=10, val=3)
    dm = module(data, overfit=5)
    train, val = list(dm.train_dataloader()), list(dm.val_dataloader())
    assert sorted(sum((b["ids"] for b in train), [])) == sum((b["ids"] for b in val), []) == [
        f"train{i:03d}" for i in range(5)
    ]  # fmt: skip
    features = {i: row for b in val for i, row in zip(b["ids"], b["features"])}
    assert all(torch.equal(row, features[i]) for b in train for i, row in zip(b["ids"], b["features"]))


class Process:
    """What the data module looks at in the trainer of one of several processes."""

    current_epoch = 0
    lightning_module = None

    def __init__(self, rank, world_size):
        self.global_rank, self.world_size = rank, world_size


class Ctc:
    """What the data module looks at in a CTC task's trainer."""

    current_epoch = global_rank = 0
    world_size = 1

    class lightning_module:
        subsampling = 4


def test_clips_too_short_for_ctc_are_dropped_from_training_alone_and_named(imported, capsys):
    texts = ["go", "book " * 4, "book drink " * 3, "book go go home"]  # need 1, 7, 6 and 5 frames
    data = imported(train=8, val=8, texts=lambda i: texts[i % 4].strip(), frames=lambda i: 20 + (i >= 4))
    plain = LandmarkPipeline("hands42", frames=None, trim=False)  # 20 frames are 5 outputs, 21 are 6
    dm = module(data, plain)
    dm.trainer = Ctc
    capsys.readouterr()
    kept = sorted(sum(ids(dm.train_dataloader()), []))
    assert kept == [f"train00{i}" for i in (0, 3, 4, 6, 7)]
    assert "train: 3 clips left out" in (out := capsys.readouterr().out)
    assert "train001, train002, train005" in out
    assert len(sum(ids(dm.val_dataloader()), [])) == len(sum(ids(dm.loader("train")), [])) == 8
    assert capsys.readouterr().out == ""
    assert len(sum(ids(module(data, plain).train_dataloader()), [])) == 8
    assert dm.token_counts(5).tolist() == [0, 5, 3, 6, 2]


def test_frames_that_ctc_needs():
    assert [frames_needed(t) for t in ([], [1], [1, 2, 1], [1, 1, 1], [2, 2, 1, 1])] == [0, 1, 3, 5, 6]


def test_another_layout_than_the_pipelines_names_both(imported):
    data = imported(train=4, val=2)
    dm = module(data, LandmarkPipeline("pose33", frames=16))
    message = (
        r"cut train000 has landmarks of layout hands42 \(42 points, 126 numbers a frame\), "
        r"but the pipeline takes pose33 \(33 points, 132 numbers"
    )
    with pytest.raises(AslError, match=message):
        dm.train_dataloader()
    with pytest.raises(AslError, match="cut val000 has landmarks of layout hands42"):
        dm.loader("val")


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_archive_that_is_gone_names_cut_and_file(imported, num_workers):
    data = imported(train=4)
    (data / "landmarks" / "train-00000.h5").unlink()
    message = r"cut train00\d: the manifest names .*train-00000.h5, which does not exist; run stage 2 again"
    with pytest.raises(AslError) as error:
        list(module(data, num_workers=num_workers).train_dataloader())
    assert re.fullmatch(message, str(error.value))  # one sentence, also where a worker met it


def test_a_split_without_cuts_is_refused(imported):
    data = imported(train=4, val=1)
    with pytest.raises(AslError, match="there are cuts for: train, val"):
        module(data).loader("test")
    (data / "val" / "cuts.jsonl.gz").write_bytes(b"")
    with pytest.raises(AslError, match="val/cuts.jsonl.gz holds no clip"):
        module(data).val_dataloader()


def test_an_unknown_word_ends_training_but_not_decoding(imported):
    data = imported(train=3, val=1, texts=lambda i: "book bok" if i == 2 else "book go")
    with pytest.raises(AslError, match="cut train002: word 'bok' is not in .*did you mean 'book'"):
        module(data).train_dataloader()
    (batch,) = module(data).loader("train")
    assert batch["texts"][2] == "book bok" and batch["token_lengths"].tolist() == [2, 2, 1]


def test_wrong_numbers_are_refused(tmp_path):
    for name in ("num_workers", "overfit"):
        with pytest.raises(AslError, match=f"data.{name} is -1"):
            module(tmp_path, **{name: -1})


def test_padding_is_nan_and_values_are_kept():
    a, b = np.ones((3, 2, 2), np.float16), np.full((1, 2, 2), 0.1, np.float16)
    x = pad([a, b])
    assert x.shape == (2, 3, 2, 2) and x.dtype == torch.float32
    assert x[1, 1:].isnan().all() and x[1, 0].numpy().astype(np.float16).tolist() == b[0].tolist()


def test_truncated_cuts_give_the_part_that_they_stand_for(imported):
    data = imported(train=2)
    dataset = LandmarkDataset(LandmarkPipeline("hands42", frames=None, trim=False), CutText(data / "lang"))
    cut = next(iter(open_cuts(data, "train")))
    part = cut.truncate(offset=0.2, duration=0.4)
    whole, part = (dataset.load(Batch(0, 0, [c], False, places=[0])) for c in (cut, part))
    assert whole["feature_lengths"].tolist() == [20] and part["feature_lengths"].tolist() == [10]


def test_an_archive_of_other_frames_than_the_manifest_is_refused(imported):
    data = imported(train=1)
    write_archive(data / "landmarks" / "train-00000.h5", [("train000", np.zeros((7, 42, 3), np.float16))])
    with pytest.raises(AslError, match="cut train000: .* holds 7 frames .*, the manifest says 20"):
        list(module(data).train_dataloader())
