"""The second stream: read at the times at which the landmarks are read, checked, never quietly adjusted."""

import numpy as np
import pytest
import torch

from asl.common.errors import AslError
from asl.data.module import LandmarkDataModule
from asl.data.storage import open_cuts
from asl.data.stream import Stream, StreamConfig
from asl.landmarks.augment import AugmentConfig
from asl.landmarks.pipeline import LandmarkPipeline

AUGMENT = AugmentConfig(crop=0.2, warp=0.5, speed=1.5, mirror=0.5, affine=0.5)


def write(data, per="frame", dim=3, name="extra", make=None):
    """One file a clip: the number of the frame (or of the clip), and multiples of it."""
    (data / name).mkdir(exist_ok=True)
    number = 0
    for split in ("train", "val"):
        for cut in open_cuts(data, split):
            time = np.arange(cut.num_frames)[:, None] if per == "frame" else np.array([number])
            array = (time * np.arange(1, dim + 1)).astype(np.float32)
            np.save(data / name / f"{cut.id}.npy", make(array) if make else array)
            number += 1


def module(data, per="frame", dim=3, pipeline=None, missing="error", **options):
    pipeline = pipeline or LandmarkPipeline("hands42", frames=16, augment=AUGMENT)
    extra = StreamConfig("extra", dim, per, missing)
    return LandmarkDataModule(pipeline, data_dir=str(data), batch_size=4, num_buckets=2, extra=extra,
                              **{"num_workers": 0, **options})  # fmt: skip


@pytest.fixture
def data(imported):
    return imported(train=9, val=3)


@pytest.mark.parametrize("frames", [16, None])
@pytest.mark.parametrize("trim", [True, False])
def test_a_stream_a_frame_is_read_where_the_landmarks_are(data, frames, trim):
    write(data)
    pipeline = LandmarkPipeline("hands42", frames=frames, trim=trim, augment=AUGMENT)
    dm = module(data, pipeline=pipeline)
    batches = [*dm.train_dataloader(), *dm.val_dataloader()]
    lengths = {cut.id: cut.num_frames for s in ("train", "val") for cut in open_cuts(data, s)}
    assert sum(len(batch["ids"]) for batch in batches) == 12
    moved = 0
    for batch in batches:
        assert batch["features"].shape[-1] == sum(dm.feature_parts.values()) == pipeline.num_features + 4
        for clip, row, n in zip(batch["ids"], batch["features"][..., -4:], batch["feature_lengths"]):
            time, found = row[:n, 0], row[:n, 3]
            assert (found == 1).all() and (row[n:] == 0).all()
            assert torch.allclose(row[:n, 1:3], time[:, None] * torch.tensor([2.0, 3.0]), atol=1e-3)
            assert (time.diff() > 0).all() and 0 <= time[0] and time[-1] <= lengths[clip] - 1 + 1e-4
            moved += int((time - time.round()).abs().max() > 1e-3)
    assert moved >= 6  # between the frames, most of them


def test_landmarks_and_stream_stay_together_in_time(data):
    """A clip whose hand moves by the same step in every frame: its place must tell the stream's time."""
    pipeline = LandmarkPipeline(
        "hands42",
        frames=None,
        augment=AugmentConfig(
            crop=0.2, warp=0.5, affine=0, mirror=0, noise=0, drop_hand=0, drop_finger=0, time_mask=0
        ),
    )
    clip = torch.rand(1, 1, 42, 3).repeat(2, 40, 1, 1) * 0.1
    clip[..., 0] += torch.arange(40.0)[None, :, None] / 100
    clip[1, 30:] = float("nan")
    lengths = torch.tensor([40, 30])
    rows = [np.arange(n, dtype=np.float32)[:, None] for n in (40, 30)]
    stream = Stream(StreamConfig("extra", 1, "frame"), data)
    stream.read = lambda cut: (rows[cut], np.ones(len(rows[cut]), bool))
    done = pipeline.process(clip, lengths, True, torch.Generator().manual_seed(3))
    extra = stream.features([0, 1], done.positions, done.lengths)
    place = done.features[..., 21 * 6]  # of the left wrist, along x
    for i, n in enumerate(done.lengths.tolist()):
        x, t = place[i, :n], extra[i, :n, 0]
        slope = (x[-1] - x[0]) / (t[-1] - t[0])
        assert slope > 0 and torch.allclose(x - x[0], slope * (t - t[0]), atol=1e-3)
        assert t.diff().max() - t.diff().min() > 0.02  # time was bent


def test_a_stream_a_clip_stands_in_every_frame(data):
    write(data, per="clip")
    batches = [*module(data, per="clip").train_dataloader()]
    seen = {}
    for batch in batches:
        for clip, row in zip(batch["ids"], batch["features"][..., -4:]):
            assert (row == row[:1]).all() and row[0, 3] == 1
            seen[clip] = row[0, 0].item()
    assert seen == {f"train{i:03d}": float(i) for i in range(9)}


def test_one_row_and_doubles_and_integers_are_taken_as_well(data):
    write(data, per="clip", make=lambda a: a[None].astype(np.float64))
    np.save(data / "extra" / "train001.npy", np.array([1, 2, 3], dtype=np.int64))
    (batch,) = module(data, per="clip", overfit=2).train_dataloader()
    rows = batch["features"][:, 0, -4:]
    assert batch["features"].dtype == torch.float32 and sorted(rows[:, 1].tolist()) == [0.0, 2.0]


def test_any_number_of_workers_gives_the_same_stream_and_landmarks_do_not_change(data):
    write(data)
    loaders = [module(data, num_workers=n, seed=5).train_dataloader() for n in (0, 1, 2)]
    plain = LandmarkDataModule(
        loaders[0].dataset.pipeline, data_dir=str(data), batch_size=4, num_buckets=2, num_workers=0, seed=5
    ).train_dataloader()
    for one, two, three, bare in zip(*loaders, plain):
        assert one["ids"] == two["ids"] == three["ids"] == bare["ids"]
        assert all(torch.equal(one["features"], other["features"]) for other in (two, three))
        assert torch.equal(one["features"][..., :-4], bare["features"])


def test_a_cut_of_a_recording_reads_its_own_frames(data):
    write(data)
    whole = next(iter(open_cuts(data, "train")))
    fps = whole.features.sampling_rate * whole.features.frame_shift
    start = 4 * whole.features.frame_shift
    part = whole.truncate(offset=start, duration=10 * whole.features.frame_shift)
    assert part.id != whole.id and part.num_frames == 10 and fps
    stream = Stream(StreamConfig("extra", 3, "frame"), data)
    assert stream.read(part)[0][:, 0].tolist() == list(range(4, 14))
    np.save(data / "extra" / f"{part.id}.npy", np.full((10, 3), 7.0))  # a file of its own comes first
    assert (stream.read(part)[0] == 7).all()


def test_another_dimension_is_an_error_with_both_numbers_and_the_file(data):
    write(data, dim=3)
    with pytest.raises(AslError, match=r"train000.npy holds vectors of 3 numbers .*data.extra.dim is 512"):
        module(data, dim=512).train_dataloader()
    np.save(data / "extra" / "train005.npy", np.zeros((5, 4)))  # not the first: met when it is read
    with pytest.raises(AslError, match=r"train005.npy holds vectors of 4 numbers .*dim is 3"):
        list(module(data).train_dataloader())


@pytest.mark.parametrize("workers", [0, 1])
def test_another_number_of_frames_is_an_error_with_both_numbers(data, workers):
    write(data)
    np.save(data / "extra" / "train004.npy", np.zeros((7, 3)))
    frames = {cut.id: cut.num_frames for cut in open_cuts(data, "train")}["train004"]
    with pytest.raises(AslError, match=rf"train004.npy has 7 rows, not {frames}, one for each frame") as e:
        list(module(data, num_workers=workers).train_dataloader())
    assert "\n" not in str(e.value)


def test_files_that_are_no_vectors_are_named(data):
    write(data, per="clip")
    file = data / "extra" / "train000.npy"
    for content, words in (
        (np.array(["a", "b", "c"]), "no real numbers"),
        (np.array([1.0, np.inf, 0.0]), "infinite"),
        (np.array([1e300, 0.0, 0.0]), "infinite"),  # beyond float32
        (np.zeros((2, 3)), r"has 2 rows, not 1 \(per: clip\)"),
        (np.array(1.0), r"0 numbers \(shape \(\)\)"),
    ):
        np.save(file, content)
        with pytest.raises(AslError, match=f"train000.npy.*{words}"):
            module(data, per="clip").train_dataloader()
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(AslError, match="train000.npy cannot be read as .npy"):
        module(data, per="clip").train_dataloader()


def test_missing_files_are_listed_and_refused_or_counted_and_zero(data, capsys):
    write(data)
    for name in ("train002", "train007"):
        (data / "extra" / f"{name}.npy").unlink()
    with pytest.raises(AslError, match=r"train: 2 of 9 clips .*\(train002, train007\).*missing to zero"):
        module(data).train_dataloader()
    batches = [*module(data, missing="zero").train_dataloader()]
    assert "train: 2 of 9 clips have no .npy file in" in capsys.readouterr().out
    for batch in batches:
        for clip, row, n in zip(batch["ids"], batch["features"][..., -4:], batch["feature_lengths"]):
            absent = clip in ("train002", "train007")
            assert (row[:n, 3] == (0 if absent else 1)).all() and bool((row == 0).all()) == absent
    with pytest.raises(AslError, match="there is no folder .*extra"):
        (data / "extra").rename(data / "elsewhere")
        module(data, missing="zero").train_dataloader()


def test_nan_says_that_a_frame_has_no_vector(data):
    def gaps(array):
        array[4:9] = np.nan
        return array

    write(data, make=gaps)
    dm = module(data, pipeline=LandmarkPipeline("hands42", frames=None, trim=False))
    for batch in dm.val_dataloader():
        for row, n in zip(batch["features"][..., -4:], batch["feature_lengths"]):
            assert row.isfinite().all() and row[:n, 3].tolist() == [float(not 4 <= t < 9) for t in range(n)]
            assert row[:n, 0].tolist() == [0.0 if 4 <= t < 9 else float(t) for t in range(n)]
