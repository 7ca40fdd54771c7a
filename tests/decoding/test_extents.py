"""How far signs reach: midpoints by hand, tags against trying every segmentation."""

import itertools

import numpy as np
import pytest

from asl.decoding.extents import extend


def test_spikes_are_left_as_they_are():
    assert extend([(2, 3), (7, 9)], 12, "spikes") == [(2, 3), (7, 9)]
    assert extend([], 12, "midpoints") == []


def test_midpoints_halve_the_blanks_and_mirror_them_at_the_ends():
    # 4 blanks between: halved at 5; before the first 2 frames as behind it, behind the last 2 as before it
    assert extend([(2, 3), (7, 9)], 20, "midpoints") == [(0, 5), (5, 11)]
    assert extend([(1, 3), (7, 9)], 10, "midpoints") == [(0, 5), (5, 10)]  # never beyond the clip
    assert extend([(4, 5)], 9, "midpoints") == [(0, 9)]


def brute_force(middles, tags):
    """The best of all segmentations with one sign over each middle."""
    frames, best = len(tags), (-np.inf, None)
    ends = [range(m + 1, frames + 1) for m in middles]
    begins = [range(0, m + 1) for m in middles]
    for begin in itertools.product(*begins):
        for end in itertools.product(*ends):
            if any(e > b for e, b in zip(end, begin[1:])):
                continue
            kind = np.zeros(frames, dtype=int)
            for b, e in zip(begin, end):
                kind[b:e], kind[b] = 1, 2
            score = tags[np.arange(frames), kind].sum()
            if score > best[0]:
                best = score, list(zip(begin, end))
    return best[1]


@pytest.mark.parametrize("seed", range(6))
def test_tags_give_the_best_of_all_segmentations(seed):
    rng = np.random.default_rng(seed)
    tags = np.log(rng.dirichlet([1, 1, 1], 9))
    spikes = [(2, 3), (5, 7)] if seed % 2 else [(0, 1), (1, 2), (8, 9)]
    middles = [(a + b - 1) // 2 for a, b in spikes]
    assert extend(spikes, 9, "tags", tags) == brute_force(middles, tags)


def test_tags_must_be_of_every_frame():
    with pytest.raises(ValueError, match="log-probs"):
        extend([(0, 1)], 5, "tags", np.zeros((4, 3)))
