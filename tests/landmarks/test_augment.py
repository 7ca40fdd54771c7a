"""Augmentation in time: frames left out and shown twice, several stretches that vanish, each by its switch."""

import pytest
import torch

from asl.landmarks import augment as aug
from asl.landmarks.pipeline import LandmarkPipeline

STILL = {"crop": 0.0, "warp": 0.0, "speed": 1.0, "mirror": 0.0, "affine": 0.0, "noise": 0.0, "drop_hand": 0.0,
         "drop_finger": 0.0, "time_mask": 0.0}  # fmt: skip


def clock(frames, batch=1):
    """Clips whose points say which frame they stand in, as x of both hands ``(batch, frames, 42, 3)``."""
    x = torch.rand(1, 1, 42, 3, generator=torch.Generator().manual_seed(0)).repeat(batch, frames, 1, 1)
    x[..., 0] += torch.arange(frames)[None, :, None]
    return x


def seeds(*values):
    return [torch.Generator().manual_seed(value) for value in values]


def pipeline(**changes):
    return LandmarkPipeline("hands42", frames=None, trim=False, augment=aug.AugmentConfig(**{**STILL, **changes}))


def test_frames_are_left_out_and_shown_twice_in_their_order():
    done = pipeline(jitter=0.4).process(clock(400), torch.tensor([400]), True, seeds(1))
    assert done.features.shape[1] == int(done.lengths) == done.positions.shape[1]
    steps = done.positions[0].diff().round().long()
    shares = torch.bincount(steps, minlength=4) / 400
    assert steps.min() == 0 and 0.12 < shares[0] < 0.28 and 0.09 < shares[2] < 0.24  # 0.2 twice, 0.2 left out
    assert 360 < int(done.lengths) < 440


def test_a_clip_of_a_fixed_number_of_frames_keeps_it():
    moving = LandmarkPipeline("hands42", frames=32, trim=False, augment=aug.AugmentConfig(**{**STILL, "jitter": 0.5}))
    done = moving.process(clock(32), torch.tensor([32]), True, seeds(2))
    assert done.lengths.tolist() == [32] and (done.positions[0].diff() >= 0).all()
    assert len(done.positions[0].unique()) < 32


def test_what_a_clip_loses_is_its_own_draw_whatever_stands_beside_it():
    many, lengths = clock(60, batch=3), torch.tensor([60, 25, 1])
    for row, n in enumerate(lengths.tolist()):
        many[row, n:] = float("nan")
    together = pipeline(jitter=0.3).process(many, lengths, True, seeds(5, 6, 7))
    for row, n in enumerate(lengths.tolist()):
        alone = pipeline(jitter=0.3).process(many[row : row + 1, :n], lengths[row : row + 1], True, seeds(5 + row))
        assert int(alone.lengths) == int(together.lengths[row])
        assert torch.equal(alone.positions[0], together.positions[row, : int(alone.lengths)])
        assert torch.allclose(alone.features[0], together.features[row, : int(alone.lengths)], atol=1e-6)
    assert int(together.lengths[2]) >= 1  # one frame at least


def test_each_is_off_by_its_switch_and_then_draws_nothing():
    still, seed = pipeline(), seeds(3)
    done = still.process(clock(20), torch.tensor([20]), True, seed)
    assert torch.allclose(done.positions[0], torch.arange(20.0), atol=1e-4)
    assert torch.allclose(done.features, still.process(clock(20), torch.tensor([20])).features, atol=1e-3)
    position, lengths = torch.arange(4.0)[None], torch.tensor([4])
    before = seed[0].get_state()
    assert aug.skip_and_repeat(position, lengths, False, aug.AugmentConfig(), aug.Draw(seed, position.device))[0] is position
    assert torch.equal(before, seed[0].get_state())
    changed = {"noise": 0.01, "speed": 1.5, "jitter": 0.3, "warp": 0.3}
    for name, value in changed.items():
        one = pipeline(**{name: value}).process(clock(20), torch.tensor([20]), True, seeds(3))
        assert one.features.shape != done.features.shape or not torch.equal(one.features, done.features), name


@pytest.mark.parametrize("times", [1, 4])
def test_several_stretches_vanish(times):
    config = aug.AugmentConfig(**{**STILL, "time_mask": 1.0, "time_masks": times, "mask_share": 0.1})
    known = torch.ones(200, 100, 42, dtype=torch.bool)
    left = aug.drop(known, torch.full((200,), 100), [], config, aug.Draw(torch.Generator().manual_seed(0), known.device))
    lost = (~left[..., 0]).float().mean().item()
    assert lost == pytest.approx(1 - (1 - 0.05) ** times, abs=0.015)
    runs = (left[..., 0].long().diff(dim=1) == -1).sum(dim=1)
    assert runs.max() <= times and runs.float().mean() > 0.6 * times
