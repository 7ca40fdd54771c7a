"""Sentences: as many frames as asked, no jump in place or speed, no rest between, hands as needed."""

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.corpora.signer import motion, sentences
from asl.corpora.signer.lexicon import Sign, make_lexicon
from asl.corpora.signer.people import Style, draw_signers
from asl.corpora.signer.sentences import Act, perform_sentence

CIRCLES = [
    Sign("a", "one", "1", "chin", "circle-front", "up-in"),
    Sign("b", "symmetric", "B", "neutral", "circle-side", "out-down"),
    Sign("c", "one", "V", "neutral-low", "arc-out", "up-out"),
]


def _signer(left_handed=False):
    return [s for s in draw_signers(8, Style(), 0) if s.left_handed == left_handed][0]


def _acts(count=10, seed=1):
    return [Act(sign) for sign in make_lexicon(count, np.random.default_rng(seed))]


@pytest.mark.parametrize("frames", [2, 3, 16, 57, 141, 299, 900])
def test_a_sentence_has_exactly_the_frames_that_are_asked_for(frames):
    done = perform_sentence(_acts(), _signer(), np.random.default_rng(0), 25.0, frames)
    assert done.hands.shape == (frames, 2, 21, 3) and np.isfinite(done.hands).all()
    assert done.body.shape[0] == frames and np.isfinite(done.body).all()
    assert done.bounds.shape == (10, 2)
    assert (done.bounds[:, 1] > done.bounds[:, 0]).all() and (done.bounds >= 0).all()
    assert (np.diff(done.bounds, axis=0) >= 0).all() and done.bounds.max() <= frames


def test_a_signer_has_a_pace_of_their_own():
    slow, quick = (perform_sentence(_acts(), s, np.random.default_rng(0), 25.0) for s in sorted(
        draw_signers(8, Style(), 0), key=lambda s: s.speed)[:: 7])  # fmt: skip
    assert len(slow.hands) > 1.2 * len(quick.hands)
    assert 6 < len(quick.hands) / 10 < 20, "frames a sign, as in running signing"


def _wrists_without_smoothing(monkeypatch, acts, fps):
    monkeypatch.setattr(sentences, "SMOOTHING", 1e-5)
    monkeypatch.setattr(motion, "_TREMOR", 0.0)
    done = perform_sentence(acts, _signer(), np.random.default_rng(3), fps)
    return done.hands[:, 0, 0], done.bounds


def test_speed_is_continuous_where_signs_join(monkeypatch):
    """Joins are smooth by themselves, not by the smoothing that muscles do: a circle is left at its speed."""
    wrist, bounds = _wrists_without_smoothing(monkeypatch, [Act(s) for s in CIRCLES * 3], fps=500.0)
    velocity = np.diff(wrist, axis=0) * 500.0
    speed = np.linalg.norm(velocity, axis=-1)
    change = np.linalg.norm(np.diff(velocity, axis=0), axis=-1)
    at_joins = max(change[max(edge - 4, 0) : edge + 4].max() for edge in bounds.ravel().tolist())
    assert speed.max() > 0.5, "metres a second"
    assert at_joins < 0.08 * speed.max(), "of one five-hundredth of a second to the next"


def test_hands_do_not_rest_between_signs():
    done = perform_sentence(_acts(), _signer(), np.random.default_rng(0), 25.0)
    dominant = done.hands[:, 0, 0]
    inner = slice(done.bounds[0, 1], done.bounds[-1, 0])
    assert dominant[inner, 1].max() < 0.9 * done.body[0, 9, 1], "never as low as the hips"
    still = np.linalg.norm(np.diff(dominant[inner], axis=0), axis=-1) < 0.002
    runs = "".join("x" if s else " " for s in still).split()
    assert max(map(len, runs), default=0) < 10


def test_the_other_hand_stays_up_where_it_is_needed_again_soon():
    one, two = CIRCLES[0], CIRCLES[1]
    heights = {}
    for between in (1, 6):
        acts = [Act(two), *[Act(one)] * between, Act(two)]
        done = perform_sentence(acts, _signer(), np.random.default_rng(4), 25.0)
        start, end = done.bounds[1, 0], done.bounds[between, 1]
        heights[between] = done.hands[start:end, 1, 0, 1].max()  # y is down
    assert heights[1] < heights[6] - 0.1


@pytest.mark.parametrize("left_handed", [False, True])
def test_a_one_handed_sign_is_made_with_the_dominant_hand_and_by_mark_with_the_other(left_handed):
    for other_hand in (False, True):
        act = Act(CIRCLES[0], other_hand=other_hand)
        done = perform_sentence([act], _signer(left_handed), np.random.default_rng(0), 25.0)
        height = done.hands[slice(*done.bounds[0]), :, 0, 1].mean(0)
        assert (height[1] < height[0]) == (left_handed != other_hand)


def test_a_repeated_sign_is_made_again_a_step_to_the_side():
    tap = Sign("a", "one", "1", "neutral", "tap", "up-in")
    once, thrice = (
        perform_sentence([Act(tap, repeats=n)], _signer(), np.random.default_rng(0), 25.0) for n in (1, 3)
    )
    assert len(once.bounds) == len(thrice.bounds) == 1
    assert np.diff(thrice.bounds[0]) > 2 * np.diff(once.bounds[0])
    first, last = thrice.bounds[0]
    moved = thrice.hands[last - 2, 0, 0, 0] - thrice.hands[first + 1, 0, 0, 0]
    assert moved < -0.05, "metres to the hand's own side"


def test_a_place_that_was_set_up_is_signed_at():
    point = Sign("IX", "one", "1", "neutral", "out", "out-down")
    x = []
    for side in (-0.6, 0.6):
        act = Act(point, where=(side, 0.0, 0.0))
        done = perform_sentence([act], _signer(), np.random.default_rng(0), 25.0)
        x.append(done.hands[slice(*done.bounds[0]), 0, 0, 0].mean())
    assert x[1] - x[0] > 0.2


def test_a_rest_within_a_sentence_is_at_rest():
    acts = [Act(None), Act(CIRCLES[0]), Act(None)]
    done = perform_sentence(acts, _signer(), np.random.default_rng(0), 25.0)
    height = done.hands[:, 0, 0, 1]
    rest = [height[slice(*bounds)].mean() for bounds in done.bounds]
    assert rest[0] > rest[1] + 0.3 < rest[2]


def test_the_same_seed_signs_the_same():
    a, b = (perform_sentence(_acts(), _signer(), np.random.default_rng(5), 25.0, 100) for _ in range(2))
    assert np.array_equal(a.hands, b.hands) and np.array_equal(a.body, b.body)


@pytest.mark.parametrize("acts, frames", [([], 10), ([Act(None)], 1)])
def test_nothing_to_sign_or_no_time_for_it_is_refused(acts, frames):
    with pytest.raises(AslError, match="needs a sign and 2 frames"):
        perform_sentence(acts, _signer(), np.random.default_rng(0), 25.0, frames)
