"""From landmarks to features: gaps, time, normalisation, augmentation and their order."""

import pytest
import torch

from asl.common.errors import AslError
from asl.landmarks import augment as aug
from asl.landmarks.gaps import fill_gaps
from asl.landmarks.layouts import get_layout
from asl.landmarks.normalise import difference, part_local
from asl.landmarks.pipeline import LandmarkPipeline
from asl.landmarks.resample import positions, read_at, span_of_known

NAN = float("nan")


def clips(batch=3, frames=30, points=42, seed=0):
    """Two smooth hands in the picture, (batch, frames, 42, 3)."""
    g = torch.Generator().manual_seed(seed)
    t = torch.linspace(0, 1, frames)[None, :, None, None]
    shape = 0.05 * torch.randn(batch, 1, points, 3, generator=g)
    centre = torch.tensor([0.65, 0.5, 0.0]).repeat(21, 1), torch.tensor([0.35, 0.5, 0.0]).repeat(21, 1)
    return (
        torch.cat(centre)[None, None]
        + shape
        + 0.1 * torch.sin(6 * t + torch.randn(batch, 1, 1, 3, generator=g))
    )


def track(*values):
    """One point with one coordinate over time, as (1, frames, 1, 1)."""
    return torch.tensor(values)[None, :, None, None]


def test_short_gaps_are_filled_with_a_line_and_stay_marked():
    x, known, found = fill_gaps(
        track(0.0, NAN, NAN, 3.0, NAN, NAN, NAN, NAN, 8.0, NAN), torch.tensor([10]), 3
    )
    assert x[0, :, 0, 0].tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 8, 0]
    assert known[0, :, 0].tolist() == [True] * 4 + [False] * 4 + [True, False]
    assert found[0, :, 0].tolist() == [True, False, False, True, False, False, False, False, True, False]


def test_padding_is_never_known():
    _, known, _ = fill_gaps(track(1.0, 1.0, 1.0), torch.tensor([2]), 3)
    assert known[0, :, 0].tolist() == [True, True, False]


def test_span_is_where_something_is_known():
    known = torch.tensor([[0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0]], dtype=torch.bool)[:, :, None]
    first, last = span_of_known(known, torch.tensor([6, 5]))
    assert first.tolist() == [2, 0] and last.tolist() == [4, 4]


def test_reading_between_frames():
    x, known = track(0.0, 2.0, 4.0, 0.0), torch.tensor([[True, True, True, False]])[:, :, None]
    y, ok = read_at(x, known, torch.tensor([[0.5, 1.25, 2.5, 3.0]]))
    assert y[0, :, 0, 0].tolist() == [1.0, 2.5, 4.0, 0.0] and ok[0, :, 0].tolist() == [
        True,
        True,
        True,
        False,
    ]


def test_positions_keep_the_ends_and_their_order():
    where, lengths = positions(torch.tensor([2.0]), torch.tensor([12.0]), 11, warp=torch.tensor([0.9]))
    assert (
        where[0, 0] == 2 and where[0, -1] == 12 and (where.diff(dim=1) > 0).all() and lengths.tolist() == [11]
    )
    _, lengths = positions(torch.tensor([0.0]), torch.tensor([20.0]), None, speed=torch.tensor([2.0]))
    assert lengths.tolist() == [11]


def test_hand_shape_depends_on_neither_place_nor_size():
    x, known = clips()[:, :, :21], torch.ones(3, 30, 21, dtype=torch.bool)
    a, _ = part_local(x, known, 0)
    b, _ = part_local(x * 2.5 + 0.1, known, 0)
    assert torch.allclose(a, b, atol=1e-5)


def test_a_left_hand_looks_like_the_right_hand_it_mirrors():
    pipeline = LandmarkPipeline("hands42", frames=16, place=False)
    x = clips()
    x[:, :, :21] = x[:, :, 21:] * torch.tensor([-1.0, 1.0, 1.0]) + torch.tensor([1.0, 0.0, 0.0])
    features, _ = pipeline(x, torch.tensor([30, 30, 30]))
    left, right = features.split(list(pipeline.feature_parts.values()), dim=-1)
    assert torch.allclose(left, right, atol=1e-4)


@pytest.mark.parametrize("layout", ["hands42", "pose33", "holistic543", "hands_body51", "openpose137"])
@pytest.mark.parametrize("frames", [24, None])
def test_features_have_the_promised_widths_and_no_nan(layout, frames):
    shape = get_layout(layout)
    pipeline = LandmarkPipeline(layout, frames=frames, space=2, lags=(1, 2), augment=aug.AugmentConfig())
    x = torch.rand(2, 20, shape.num_points, shape.num_dims)
    x[0, 5:9] = NAN
    x[1, 15:] = NAN
    features, lengths = pipeline(x, torch.tensor([20, 15]), training=True, generator=torch.Generator())
    assert features.shape[-1] == pipeline.num_features == sum(pipeline.feature_parts.values())
    assert torch.isfinite(features).all() and features.shape[1] == int(lengths.max())
    for row, length in zip(features, lengths.tolist()):
        assert (row[length:] == 0).all()


def test_a_clip_without_any_hand_gives_zeros():
    features, lengths = LandmarkPipeline("hands42", frames=8)(
        torch.full((1, 5, 42, 3), NAN), torch.tensor([5])
    )
    assert (features == 0).all() and lengths.tolist() == [8]


@pytest.mark.parametrize("frames", [16, None])
def test_a_clip_gives_the_same_features_alone_and_in_a_batch(frames):
    pipeline = LandmarkPipeline("hands42", frames=frames)
    x = clips(2)
    x[1, 18:] = NAN
    together, lengths = pipeline(x, torch.tensor([30, 18]))
    alone, _ = pipeline(x[1:, :18], torch.tensor([18]))
    assert torch.allclose(together[1, : int(lengths[1])], alone[0], atol=1e-5)


def test_augmentation_is_a_function_of_its_seed():
    pipeline = LandmarkPipeline("hands42", augment=aug.AugmentConfig())
    x, lengths = clips(), torch.tensor([30, 30, 30])
    draw = lambda seed: pipeline(x, lengths, True, torch.Generator().manual_seed(seed))[0]
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))
    assert torch.equal(pipeline(x, lengths)[0], pipeline(x, lengths)[0])


def test_mirror_twice_is_nothing_and_swaps_hands():
    x, known = clips(), torch.ones(3, 30, 42, dtype=torch.bool)
    swap, chosen = torch.tensor(get_layout("hands42").mirror), torch.tensor([True, False, True])
    once, _ = aug.mirror(x, known, swap, chosen)
    assert torch.allclose(once[0, :, :21, 0], 1 - x[0, :, 21:, 0]) and torch.equal(once[1], x[1])
    assert torch.allclose(aug.mirror(once, known, swap, chosen)[0], x, atol=1e-6)


def test_affine_moves_only_what_is_known():
    x, known = clips(), torch.rand(3, 30, 42) < 0.5
    x = x * known[..., None]
    moved = aug.affine(
        x, known, aug.AugmentConfig(affine=1.0), aug.Draw(torch.Generator().manual_seed(0), x.device)
    )
    assert (moved[~known] == 0).all() and not torch.allclose(moved[known], x[known])


def test_dropping_loses_whole_fingers_and_stretches():
    config = aug.AugmentConfig(time_mask=0.0, drop_hand=0.0, drop_finger=1.0)
    hands = [list(range(21)), list(range(21, 42))]
    left = aug.drop(
        torch.ones(4, 10, 42, dtype=torch.bool),
        torch.full((4,), 10),
        hands,
        config,
        aug.Draw(torch.Generator(), torch.device("cpu")),
    )
    assert (left.sum(dim=2) == 42 - 2 * 4).all() and left[:, :, [0, 21]].all()
    config = aug.AugmentConfig(time_mask=1.0, drop_hand=0.0, drop_finger=0.0, mask_share=0.5)
    left = aug.drop(
        torch.ones(50, 20, 42, dtype=torch.bool),
        torch.full((50,), 20),
        hands,
        config,
        aug.Draw(torch.Generator(), torch.device("cpu")),
    )
    lost = (~left.any(dim=2)).sum(dim=1)
    assert lost.max() <= 11 and 3 < lost.float().mean() < 7


def test_a_short_clip_is_masked_as_much_whatever_stands_beside_it():
    config = aug.AugmentConfig(time_mask=1.0, drop_hand=0.0, drop_finger=0.0, mask_share=0.5)
    known = torch.ones(200, 40, 42, dtype=torch.bool)
    left = aug.drop(known, torch.full((200,), 10), [], config, aug.Draw(torch.Generator(), known.device))
    lost = (~left[:, :10].any(dim=2)).sum(dim=1)
    assert 1.5 < lost.float().mean() < 3.5 and left[:, 11:].all()


def test_without_shoulders_places_are_zero_not_huge():
    x = torch.rand(1, 12, 51, 4)
    x[:, :, [get_layout("hands_body51").points.index(f"{side}_shoulder") for side in ("left", "right")]] = NAN
    features, _ = LandmarkPipeline("hands_body51", frames=8)(x, torch.tensor([12]))
    assert torch.isfinite(features).all() and features.abs().max() < 100


def test_trimming_goes_by_the_hands_where_there_are_some():
    layout = get_layout("hands_body51")
    x = torch.rand(1, 20, 51, 4)
    hands = [p for part in ("hand_left", "hand_right") for p in layout.parts[part]]
    for frames in (slice(0, 6), slice(14, 20)):
        x[:, frames, hands] = NAN
    _, lengths = LandmarkPipeline("hands_body51", frames=None)(x, torch.tensor([20]))
    assert lengths.tolist() == [8]


def test_difference_is_zero_at_gaps():
    x = track(0.0, 1.0, 0.0, 5.0)
    known = torch.tensor([[True, True, False, True]])[:, :, None]
    assert difference(x, known, 1)[0, :, 0, 0].tolist() == [0, 1, 0, 0]


def test_wrong_arguments_are_named():
    with pytest.raises(AslError, match="space=4"):
        LandmarkPipeline("hands42", space=4)
    with pytest.raises(AslError, match="frames=1"):
        LandmarkPipeline("hands42", frames=1)
    with pytest.raises(AslError, match="max_gap=-1"):
        LandmarkPipeline("hands42", max_gap=-1)
    with pytest.raises(AslError, match=r"lags=\[1, 0\]"):
        LandmarkPipeline("hands42", lags=(1, 0))
