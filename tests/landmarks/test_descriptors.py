"""Handshape, location, movement and orientation: each changes with its own thing and with nothing else."""

import math

import pytest
import torch

from asl.common.errors import AslError
from asl.landmarks.augment import AugmentConfig
from asl.landmarks.descriptors import DESCRIPTORS, MOVEMENT_LAGS, describe
from asl.landmarks.layouts import get_layout
from asl.landmarks.pipeline import LandmarkPipeline

HANDS42 = get_layout("hands42")
NAN = float("nan")


def hands(frames=20, seed=0):
    """Two hands of 21 points that move through the picture, (1, frames, 42, 3)."""
    g = torch.Generator().manual_seed(seed)
    shape = 0.05 * torch.randn(1, 1, 42, 3, generator=g)
    path = 0.1 * torch.randn(1, frames, 2, 3, generator=g).cumsum(1) / 5
    return 0.5 + shape + path.repeat_interleave(21, dim=2)


def parts(x, known=None, layout=HANDS42):
    """Name -> (values, known) of both hands."""
    known = torch.ones(x.shape[:3], dtype=torch.bool) if known is None else known
    values, mask = describe(x, known, layout)
    split = values.split(list(DESCRIPTORS.values()), dim=-1)
    return {name: (part, mask[..., i]) for i, (name, part) in enumerate(zip(DESCRIPTORS, split))}


def rotation(x, y, z):
    """Rotation matrix about the three axes, degrees."""
    out = torch.eye(3)
    for axis, angle in enumerate((x, y, z)):
        a, b = [i for i in range(3) if i != axis]
        turn, r = torch.eye(3), math.radians(angle)
        turn[a, a] = turn[b, b] = math.cos(r)
        turn[a, b], turn[b, a] = -math.sin(r), math.sin(r)
        out = turn @ out
    return out


def test_widths_are_as_told():
    values, known = describe(hands(), torch.ones(1, 20, 42, dtype=torch.bool), HANDS42)
    assert values.shape == (1, 20, 2, sum(DESCRIPTORS.values())) and known.shape == (1, 20, 2, 4)
    assert DESCRIPTORS["movement"] == 3 * len(MOVEMENT_LAGS) and len(MOVEMENT_LAGS) > 1


def test_turning_a_hand_changes_its_orientation_and_nothing_of_its_shape():
    x = hands()
    right, turned = x[:, :, 21:], x.clone()
    turned[:, :, 21:] = (right - right[:, :, :1]) @ rotation(30, -50, 110).t() * 1.7 + right[:, :, :1]
    a, b = parts(x), parts(turned)
    assert torch.allclose(a["handshape"][0], b["handshape"][0], atol=1e-4)
    assert (a["orientation"][0][:, :, 1] - b["orientation"][0][:, :, 1]).norm(dim=-1).min() > 0.5
    assert torch.equal(a["orientation"][0][:, :, 0], b["orientation"][0][:, :, 0])


def test_bending_a_finger_changes_the_shape_and_nothing_else():
    x = hands()
    bent = x.clone()
    bent[:, :, 21 + 8] += 0.03  # the tip of the index finger
    a, b = parts(x), parts(bent)
    assert not torch.allclose(a["handshape"][0], b["handshape"][0], atol=1e-2)
    assert torch.equal(a["orientation"][0], b["orientation"][0])
    for name in ("location", "movement"):  # the hand is a little larger, and its size is the unit
        assert torch.allclose(a[name][0], b[name][0], rtol=0.1, atol=1e-3)


def test_orientation_is_two_unit_vectors_at_right_angles():
    normal, pointing = parts(hands())["orientation"][0].split(3, dim=-1)
    assert torch.allclose(normal.norm(dim=-1), torch.ones(1, 20, 2), atol=1e-5)
    assert torch.allclose(pointing.norm(dim=-1), torch.ones(1, 20, 2), atol=1e-5)
    assert (normal * pointing).sum(-1).abs().max() < 1e-5


def test_a_hand_that_lies_in_the_picture_faces_the_camera_or_turns_away():
    x = hands()
    x[..., 2] = 0
    normal = parts(x)["orientation"][0][..., :3]
    assert torch.allclose(normal.abs(), torch.tensor([0.0, 0.0, 1.0]).expand_as(normal), atol=1e-5)


def test_a_left_hand_is_described_as_the_right_hand_it_mirrors():
    x = hands()
    x[:, :, :21] = x[:, :, 21:] * torch.tensor([-1.0, 1.0, 1.0]) + torch.tensor([1.0, 0.0, 0.0])
    for name, (values, _) in parts(x).items():
        assert torch.allclose(values[:, :, 0], values[:, :, 1], atol=1e-4), name


def test_movement_is_the_direction_of_the_path_whatever_the_lag():
    x = hands(frames=1).expand(1, 20, 42, 3).clone()
    x[..., 0] += torch.linspace(0, 0.2, 20)[None, :, None]
    x[..., 1] -= torch.linspace(0, 0.1, 20)[None, :, None]
    values, known = parts(x)["movement"]
    longest = max(MOVEMENT_LAGS)
    assert known[0, :, 1].tolist() == [False] * longest + [True] * (20 - 2 * longest) + [False] * longest
    steps = values[0, longest:-longest, 1].view(-1, len(MOVEMENT_LAGS), 3)
    wanted = torch.tensor([2.0, -1.0, 0.0]) / 5**0.5
    assert torch.allclose(steps / steps.norm(dim=-1, keepdim=True), wanted.expand_as(steps), atol=1e-3)
    assert torch.allclose(steps[:, 0], steps[:, 1], atol=1e-4) and (values.norm(dim=-1) < 2**0.5).all()
    still = parts(hands(frames=1).expand(1, 20, 42, 3))["movement"][0]
    assert still.abs().max() < 1e-4


def test_location_is_relative_to_the_shoulders_where_there_are_some():
    layout = get_layout("hands_body51")
    x = torch.rand(1, 6, layout.num_points, 3, generator=torch.Generator().manual_seed(0))
    ends = [layout.points.index(f"{side}_shoulder") for side in ("left", "right")]
    x[:, :, ends[0]], x[:, :, ends[1]] = torch.tensor([0.7, 0.5, 0.0]), torch.tensor([0.3, 0.5, 0.0])
    points = list(layout.parts["hand_right"])
    palm = x[:, :, [points[i] for i in (0, 5, 9, 13, 17)]].mean(2, True)
    x[:, :, points] += torch.tensor([0.5, 1.1, 0.0]) - palm
    place, known = parts(x, layout=layout)["location"]
    assert known.all()
    assert torch.allclose(place[0, :, 1, :2], torch.tensor([0.0, 1.5]).expand(6, 2), atol=1e-5)
    seen = torch.ones(1, 6, layout.num_points, dtype=torch.bool)
    seen[:, :, ends[0]] = False
    _, known = parts(x * seen[..., None], seen, layout)["location"]
    assert not known.any()


def test_without_shoulders_the_place_of_the_signer_in_the_picture_does_not_matter():
    x = hands()
    a, b = parts(x)["location"][0], parts(2 * x + 0.3)["location"][0]
    assert torch.allclose(a, b, atol=1e-3) and a.abs().max() > 0.1


def test_what_is_not_seen_is_zero_and_said_to_be_unknown():
    x, known = hands(), torch.ones(1, 20, 42, dtype=torch.bool)
    known[:, 10:12, 21:] = False  # the right hand is lost
    known[:, 5, 4] = False  # the left thumb's tip
    described = parts(x * known[..., None], known)
    lost = lambda name, hand: (~described[name][1][0, :, hand]).nonzero().flatten().tolist()
    assert lost("handshape", 1) == lost("location", 1) == lost("orientation", 1) == [10, 11]
    assert lost("handshape", 0) == [5] and lost("location", 0) == []
    longest = max(MOVEMENT_LAGS)
    assert set(range(10 - longest, 12 + longest)) - set(lost("movement", 1)) == set()
    for values, mask in described.values():
        assert torch.isfinite(values).all() and (values[~mask] == 0).all()


@pytest.mark.parametrize("layout", ["openpose137", "holistic178", "hands_body51"])
def test_every_layout_with_hands_is_described(layout):
    shape = get_layout(layout)
    x = torch.rand(2, 12, shape.num_points, shape.num_dims)
    x[0, 4:6] = NAN
    pipeline = LandmarkPipeline(layout, frames=None, space=2, descriptors=True, augment=AugmentConfig())
    done = pipeline.process(x, torch.tensor([12, 9]), True, torch.Generator())
    features, lengths, (values, known) = done.features, done.lengths, done.described
    assert values.shape[:3] == (*features.shape[:2], 2) and torch.isfinite(values).all() and known.any()
    for row, length in zip(known, lengths.tolist()):
        assert not row[length:].any()


def test_a_layout_without_hands_is_refused_by_name():
    with pytest.raises(AslError, match="pose33 has no hand_left"):
        parts(torch.rand(1, 4, 33, 3), layout=get_layout("pose33"))


def test_the_camera_is_seen_through_and_the_sides_are_not():
    x, lengths = hands(), torch.tensor([20])
    still = dict(crop=0.0, warp=0.0, mirror=0.0)
    clean = LandmarkPipeline(descriptors=True)
    moved = LandmarkPipeline(descriptors=True, augment=AugmentConfig(affine=1.0, time_mask=1.0, **still))
    done = clean.process(x, lengths)
    other = moved.process(x, lengths, True, torch.Generator().manual_seed(1))
    assert all(torch.equal(a, b) for a, b in zip(done.described, other.described))
    assert not torch.allclose(done.features, other.features)
    swapped = LandmarkPipeline(
        descriptors=True,
        augment=AugmentConfig(crop=0.0, warp=0.0, mirror=1.0, affine=0.0, noise=0.0, time_mask=0.0,
                              drop_hand=0.0, drop_finger=0.0),
    )  # fmt: skip
    mirrored = swapped.process(x, lengths, True, torch.Generator()).described[0]
    assert torch.allclose(mirrored, done.described[0][:, :, [1, 0]], atol=1e-3)


def test_features_are_the_same_with_and_without_descriptors():
    x, lengths = hands(), torch.tensor([20])
    draw = lambda pipeline: pipeline(x, lengths, True, torch.Generator().manual_seed(3))[0]
    augment = AugmentConfig()
    described = LandmarkPipeline(augment=augment, descriptors=True)
    assert torch.equal(draw(LandmarkPipeline(augment=augment)), draw(described))
    assert LandmarkPipeline().process(x, lengths).described is None
