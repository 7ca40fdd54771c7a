"""How far landmarks can be relied on, one array at a time: against made-up clips whose faults are known."""

import itertools

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.layouts import LAYOUTS, get_layout
from asl.landmarks.quality import IMPLAUSIBLE, JITTER_UNITS, gap_lengths, jitter, measure, part_found, unjudged

# an open hand, one hand size (wrist to middle knuckle) high, fingers up: x, y
_HAND = [(0, 0), (0.4, -0.3), (0.6, -0.6), (0.8, -0.8), (0.9, -1.0)]
_HAND += [(x, -1 - 0.25 * j) for x in (0.3, 0.0, -0.2, -0.4) for j in range(4)]
HAND = np.array(_HAND, np.float32)
SIZE = 0.1


def body(frames: int = 20) -> np.ndarray:
    """``(frames, 51, 4)``, layout hands_body51: nobody moves, everything is found."""
    form = get_layout("hands_body51")
    array = np.zeros((frames, 51, 4), np.float32)
    places = dict(nose=(0.5, 0.2), left_ear=(0.55, 0.2), right_ear=(0.45, 0.2), left_shoulder=(0.65, 0.4))
    places.update(right_shoulder=(0.35, 0.4), left_elbow=(0.75, 0.6), right_elbow=(0.25, 0.6))
    places.update(left_wrist=(0.7, 0.7), right_wrist=(0.3, 0.7))
    for name, place in places.items():
        array[:, form.points.index(name), :2] = place
    for side, x, turn in (("left", 0.7, 1), ("right", 0.3, -1)):
        hand = list(form.parts[f"hand_{side}"])
        array[:, hand, 0] = x + SIZE * turn * HAND[:, 0]
        array[:, hand, 1] = 0.7 + SIZE * HAND[:, 1]
    return array


def hand(side: str):
    return list(get_layout("hands_body51").parts[f"hand_{side}"])


def counts(array, layout="hands_body51"):
    return {kind: n for kind, (n, _) in measure(array, layout).implausible.items() if n and kind != "other_shape"}


def test_a_still_signer_has_no_fault():
    array = body()
    before = array.copy()
    quality = measure(array, "hands_body51")
    assert all(there.all() for there in quality.present.values())
    assert set(quality.present) == {"pose", "hand_left", "hand_right", "any_hand"}
    assert counts(array) == {} and not quality.unreliable.any()
    assert quality.jitter == {"pose": 0, "hand_left": 0, "hand_right": 0}
    assert [len(gaps) for gaps in quality.gaps.values()] == [0, 0, 0]
    np.testing.assert_array_equal(array, before)
    of = {kind: of for kind, (_, of) in quality.implausible.items()}
    assert of == dict(size_jump=38, place_jump=38, swap=19, one_twice=20, off_wrist=40, other_wrist=40, other_shape=40)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_every_layout_is_measured(layout, dtype):
    form = get_layout(layout)
    rng = np.random.default_rng(0)
    array = rng.random((9, form.num_points, form.num_dims)).astype(dtype)
    array[rng.random((9, form.num_points)) < 0.2] = np.nan
    array[3] = np.nan
    with np.errstate(all="raise", under="ignore"):
        quality = measure(array, layout)
        lost = measure(np.full_like(array, np.nan), layout)
        measure(array[:1], layout)
    assert set(form.parts) == set(quality.gaps) == set(quality.present) - {"any_hand"}
    assert quality.unreliable[3] and lost.unreliable.all()
    assert not any(there.any() for there in lost.present.values()) and set(quality.implausible) <= set(IMPLAUSIBLE)
    assert all(np.isnan(value) for value in lost.jitter.values()) and set(quality.jitter) <= set(JITTER_UNITS)
    # what is said not to be judged is not there, and the reverse
    said = "\n".join(["", *unjudged(layout)])
    assert ("\nface: " in said) == ("face" not in form.parts) and ("\nbody: " in said) == ("pose" not in form.parts)
    assert ("implausible" in said) == (not quality.implausible)
    if quality.implausible:
        assert ("wrists" in said) == ("off_wrist" not in quality.implausible)
        assert ("no depth" in said) == ("other_shape" not in quality.implausible)
    assert ("no shoulders" in said) == ("pose" in form.parts and "pose" not in quality.jitter)


def test_what_was_found_and_the_gaps():
    array = body(30)
    array[:4][:, hand("left")] = np.nan  # before the first: no gap
    array[10:12][:, hand("left")] = np.nan
    array[20:25][:, hand("left") + hand("right")] = np.nan
    quality = measure(array, "hands_body51")
    assert {part: int(there.sum()) for part, there in quality.present.items()} == dict(
        pose=30, hand_left=19, hand_right=25, any_hand=25
    )
    assert quality.gaps["hand_left"].tolist() == [2, 5] and quality.gaps["hand_right"].tolist() == [5]
    assert np.flatnonzero(quality.unreliable).tolist() == [20, 21, 22, 23, 24]


def test_gaps_against_runs():
    rng = np.random.default_rng(1)
    for _ in range(50):
        found = rng.random(rng.integers(1, 40)) < rng.random()
        runs = [(there, len(list(run))) for there, run in itertools.groupby(found)]
        inner = runs[bool(runs and not runs[0][0]) : len(runs) - (not runs[-1][0])]
        assert gap_lengths(found).tolist() == [n for there, n in inner if not there]


def test_points_that_are_never_in_the_picture_do_not_count_against_a_part():
    array = np.full((4, 25, 2), 0.5, np.float32)
    array[:, 8:] = np.nan  # legs
    assert part_found(array).all()
    array[1, 3:8] = np.nan
    assert part_found(array).tolist() == [True, False, True, True]


def test_jitter_against_the_definition_and_in_units_of_the_signer():
    rng = np.random.default_rng(2)
    place = rng.random((12, 5, 2))
    place[4, 2] = np.nan
    bends = [
        np.hypot(*(place[t + 1, p] - 2 * place[t, p] + place[t - 1, p])) for t in range(1, 11) for p in range(5)
    ]
    assert jitter(place, 0.5) == pytest.approx(np.median([b for b in bends if b == b]) / 0.5)
    assert np.isnan(jitter(place[:2], 0.5)) and np.isnan(jitter(place, float("nan")))
    array = body() + 0
    array[:, :, :2] += 0.001 * rng.standard_normal((20, 51, 2)).astype(np.float32)
    one, two = (measure(a, "hands_body51").jitter for a in (array, array * np.float32([0.5, 0.5, 1, 1])))
    assert one == pytest.approx(two, rel=1e-3)  # half as large in the picture: the same
    moving = body()
    moving[..., 0] += 0.01 * np.arange(20, dtype=np.float32)[:, None]
    assert max(measure(moving, "hands_body51").jitter.values()) < 1e-4  # steady movement is none


def test_a_hand_that_jumps_in_size_or_place():
    array = body()
    wrist = array[7, hand("right")[0], :2].copy()
    array[7][hand("right"), :2] = wrist + 1.8 * (array[7][hand("right"), :2] - wrist)
    quality = measure(array, "hands_body51")
    assert counts(array) == {"size_jump": 2}  # there and back
    assert np.flatnonzero(quality.unreliable).tolist() == [7, 8]
    array = body()
    whole = hand("right") + [get_layout("hands_body51").points.index("right_wrist")]  # the body's wrist goes along
    array[7:, whole, 1] -= 1.3 * SIZE
    assert counts(array) == {}
    array[7:, whole, 1] -= 0.4 * SIZE
    assert counts(array) == {"place_jump": 1}


def test_hands_that_change_their_names():
    array = body()[:, hand("left") + hand("right"), :3]
    array[8:] = np.concatenate([array[8:, 21:], array[8:, :21]], axis=1)
    assert counts(array, "hands42") == {"swap": 1, "place_jump": 2}
    alone = body()[:, hand("left") + hand("right"), :3]
    alone[:, 21:] = np.nan
    alone[5:, 21:], alone[5:, :21] = alone[5:, :21].copy(), np.nan
    assert counts(alone, "hands42") == {"swap": 1}
    away = alone.copy()
    away[5:, 21:, 0] += 0.3  # another hand, elsewhere
    assert counts(away, "hands42") == {}


def test_one_hand_found_as_both_and_hands_off_their_wrists():
    array = body()
    array[5][hand("left")] = array[5][hand("right")] + 0.01 * SIZE
    found = counts(array)
    assert found["one_twice"] == 1 and found["off_wrist"] == 1 and found["other_wrist"] == 1
    array = body()
    array[:, hand("left"), 1] -= 1.2 * SIZE
    assert counts(array) == {"off_wrist": 20} and measure(array, "hands_body51").unreliable.all()
    crossed = body()  # the signer's hands cross: so do the body's wrists
    form = get_layout("hands_body51")
    for side, x in (("left", -0.4), ("right", 0.4)):
        crossed[..., hand(side) + [form.points.index(f"{side}_wrist")], 0] += x
    assert counts(crossed) == {}


def test_the_shape_of_the_other_hand():
    rng = np.random.default_rng(3)
    array = body()[:, hand("left") + hand("right"), :3]
    array[:, [8, 12, 16, 20], 2] = array[:, [29, 33, 37, 41], 2] = 0.8 * SIZE  # seen from the back, fingers bent
    array[..., :2] += 1e-4 * rng.standard_normal(array[..., :2].shape).astype(np.float32)
    right = measure(array, "hands42").implausible["other_shape"][0]
    wrong = measure(np.concatenate([array[:, 21:], array[:, :21]], axis=1), "hands42").implausible["other_shape"][0]
    assert (right, wrong) == (0, 40)
    assert not measure(array, "hands42").unreliable.any()  # a hint only


def test_another_shape_is_an_error():
    with pytest.raises(AslError, match=r"cannot measure an array of \(3, 42, 3\) as pose33"):
        measure(np.zeros((3, 42, 3)), "pose33")
    with pytest.raises(AslError, match="at least one frame"):
        measure(np.zeros((0, 42, 3)), "hands42")
