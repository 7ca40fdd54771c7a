"""Tracking: shuffled hand slots become the signer's left and right hand, and nothing is lost on the way."""

import time

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.reading import Clip, read_landmarks
from asl.landmarks.tracking import (
    PALM,
    chirality,
    drop_duplicates,
    hand_size,
    mask_stale_start,
    settle_hands,
    track_hands,
)


def right_hand() -> np.ndarray:
    """``(21, 3)`` a right hand seen from its back, fingers up and bent a little away from the camera."""
    hand = np.zeros((21, 3))
    knuckles = [(-0.05, -0.03), (-0.03, -0.09), (-0.01, -0.1), (0.01, -0.09), (0.03, -0.08)]
    for finger, (x, y) in enumerate(knuckles):
        for joint in range(4):
            reach = 0.35 + 0.22 * joint if finger == 0 else 1 + 0.28 * joint
            hand[1 + 4 * finger + joint] = [x * reach, y * reach, 0.012 * joint]
    return hand


def two_hands(frames: int = 40) -> np.ndarray:
    """``(frames, 2, 21, 3)`` left and right hand of a signer in front of the camera; they move and cross."""
    t = np.linspace(0, 2 * np.pi, frames)[:, None]
    right = right_hand()[None] + np.stack([0.4 + 0.18 * np.sin(t), 0.6 - 0.1 * np.cos(t), 0 * t], -1)
    left = right_hand()[None] * [-1, 1, 1] + np.stack([0.6 + 0.02 * np.sin(t), 0.75 + 0 * t, 0 * t], -1)
    return np.stack([left, right], axis=1).astype(np.float32)


def shuffled(hands: np.ndarray, seed: int = 0) -> np.ndarray:
    """The hands in random slots, a lone one in slot 0."""
    flip = np.random.default_rng(seed).random(len(hands)) < 0.5
    flip &= np.isfinite(hands[:, :, 0, 0]).all(axis=1)
    out = np.where(flip[:, None, None, None], hands[:, ::-1], hands)
    alone = np.isnan(out[:, 0, 0, 0])
    out[alone] = out[alone][:, ::-1]
    return out


def share_right(tracked: np.ndarray, truth: np.ndarray) -> float:
    """Share of the hands of ``truth`` that stand where they belong."""
    tracked, there = tracked.reshape(truth.shape), np.isfinite(truth[..., 0, 0])
    return float((tracked[..., 0, 0] == truth[..., 0, 0])[there].mean())


def test_chirality_has_one_sign_whatever_the_view():
    hand, rng = right_hand(), np.random.default_rng(0)
    for _ in range(50):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        turn = turn * np.sign(np.linalg.det(turn))
        assert chirality(hand @ turn.T) < 0 < chirality((hand * [-1, 1, 1]) @ turn.T)


def test_shuffled_slots_come_out_left_and_right():
    truth = two_hands()
    tracked, counts = track_hands(shuffled(truth))
    np.testing.assert_array_equal(tracked, truth.reshape(40, 42, 3))
    assert counts["frames"] == counts["two_hands"] == counts["left"] == counts["right"] == 40
    assert counts["switches"] > 5 and counts["duplicates"] == counts["one_hand"] == counts["no_hand"] == 0


def test_a_hand_that_is_lost_for_a_while_keeps_its_name():
    truth = two_hands()
    truth[5:9, 0] = truth[20:32, 1] = truth[14:17] = np.nan
    given = shuffled(truth)
    before = given.copy()
    tracked, counts = track_hands(given)
    np.testing.assert_array_equal(tracked, truth.reshape(40, 42, 3))
    np.testing.assert_array_equal(given, before)
    assert (counts["one_hand"], counts["no_hand"]) == (16, 3)


@pytest.mark.parametrize("side", [0, 1])
def test_a_single_hand_is_named_by_its_shape(side):
    truth = two_hands().astype(np.float16)
    truth[:, 1 - side] = np.nan
    tracked, counts = track_hands(shuffled(truth))
    assert tracked.dtype == np.float16 and share_right(tracked, truth) == 1
    assert (counts["left"], counts["right"]) == ((40, 0), (0, 40))[side]


def test_a_hand_that_was_detected_twice_is_counted_once():
    hands = two_hands()
    hands[3:6, 0] = hands[3:6, 1] + 0.002
    kept, dropped = drop_duplicates(hands)
    assert dropped == 3 and np.isnan(kept[3:6, 1]).all() and np.isfinite(kept[:, 0]).all()
    assert track_hands(shuffled(hands))[1]["duplicates"] == 3


def late_hands(stale: int, gap: int, jump: float) -> np.ndarray:
    """Hands in the first ``stale`` frames, none for ``gap`` frames, then hands ``jump`` lower."""
    hands = two_hands()
    hands[: stale + gap] = np.nan
    first = hands[stale + gap, 1] - np.float32([0, jump, 0])
    hands[:stale, 0] = first
    return hands


def test_a_leftover_hand_is_masked_and_counted():
    hands = late_hands(stale=2, gap=8, jump=0.4)
    masked, count = mask_stale_start(hands)
    assert count == 2 and np.isnan(masked[:10]).all() and np.isfinite(hands[0, 0]).all()
    np.testing.assert_array_equal(masked[10:], hands[10:])
    array, counts = settle_hands(Clip(hands, "hands42", slots=True))
    assert counts["stale"] == 2 and np.isnan(array[:10]).all() and np.isfinite(array[10:]).all()


@pytest.mark.parametrize(
    "stale, gap, jump",
    [(2, 3, 0.4), (2, 8, 0.01), (6, 20, 0.4)],
    ids=["the gap is short", "it comes back where it was", "it was there for long"],
)
def test_what_may_be_a_real_hand_is_kept(stale, gap, jump):
    hands = late_hands(stale, gap, jump)
    assert mask_stale_start(hands)[1] == 0
    hands[stale + gap :] = np.nan
    assert mask_stale_start(hands)[1] == 0  # the only hand of the clip


def test_known_hands_are_left_alone():
    array = two_hands().reshape(40, 42, 3)
    clip = Clip(array, "hands42")
    assert settle_hands(clip)[0] is array and settle_hands(clip)[1] == {}


def test_clips_without_hands_and_of_one_frame():
    assert np.isnan(track_hands(np.full((3, 2, 21, 3), np.nan, np.float32))[0]).all()
    assert share_right(track_hands(two_hands()[:1, ::-1])[0], two_hands()[:1]) == 1
    for wrong in (track_hands, mask_stale_start):
        with pytest.raises(AslError, match=r"\(5, 42, 3\) where \(frames, 2, 21, 3\)"):
            wrong(np.zeros((5, 42, 3), np.float32))


@pytest.mark.corpora
def test_real_hands_whose_names_are_known(corpora):
    """How2Sign's hands, with holes made in them and slots shuffled, get their names back."""
    rng, shares, sizes = np.random.default_rng(0), [], []
    for path in sorted((corpora / "how2sign" / "landmarks").glob("*.npz"))[::3]:
        array = read_landmarks(path, "hands42").array
        truth = (array * np.float32([1, 9 / 16, 1])).reshape(len(array), 2, 21, 3)
        for _ in range(len(truth) // 20):
            start, hand = rng.integers(len(truth)), rng.integers(2)
            truth[start : start + rng.integers(1, 10), hand] = np.nan
        shares.append(share_right(track_hands(shuffled(truth))[0], truth))
        sizes.append(len(truth))
    assert np.average(shares, weights=sizes) > 0.975


@pytest.mark.corpora
def test_real_slots_jump_less_and_stay_fast(corpora):
    """WLASL: steps of more than a hand size between neighbouring frames, before and after tracking."""

    def jumps(hands):
        hands = hands.astype(np.float32)
        palm = hands[:, :, PALM, :2].mean(axis=2)
        steps = np.linalg.norm(palm[1:] - palm[:-1], axis=-1) / hand_size(hands[1:])
        return np.array([(steps > 1).sum(), np.isfinite(steps).sum()])

    paths = sorted((corpora / "wlasl" / "hands").glob("*.npy"))[::40]
    clips = [read_landmarks(path) for path in paths]
    start = time.process_time()
    settled = [settle_hands(clip) for clip in clips]
    spent = time.process_time() - start
    before = sum(jumps(clip.array) for clip in clips)
    after = sum(jumps(array.reshape(-1, 2, 21, 3)) for array, _ in settled)
    assert after[0] / after[1] < 0.4 * before[0] / before[1]
    assert spent / len(clips) < 0.01  # about 0.001 s a clip on a free core


@pytest.mark.corpora
def test_leftovers_in_real_clips_are_found_and_real_hands_are_not_taken_for_them(corpora):
    hands = corpora / "wlasl" / "hands"
    for clip_id, masked in {"17014": 1, "24917": 1, "58784": 0, "61057": 0, "53024": 0, "69531": 0}.items():
        assert mask_stale_start(read_landmarks(hands / f"{clip_id}.npy").array)[1] == masked
