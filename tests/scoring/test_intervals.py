"""Intervals and p values, held to closed forms, to scipy and to brute force."""

import itertools
import random

import numpy as np
import pytest
from kaldialign import bootstrap_wer_ci

from asl.common.errors import AslError
from asl.scoring.intervals import bootstrap, class_means, means, ratio, resamples, sign_flip_p


def test_resamples_draw_n_of_n_and_are_seeded():
    weights = np.concatenate(list(resamples(30, 70_000, seed=1)))  # more than one chunk
    assert weights.shape == (70_000, 30) and (weights.sum(axis=1) == 30).all()
    assert abs(weights.mean(axis=0) - 1).max() < 0.03
    assert np.array_equal(weights, np.concatenate(list(resamples(30, 70_000, seed=1))))
    assert not np.array_equal(weights, np.concatenate(list(resamples(30, 70_000, seed=2))))


def test_interval_of_an_accuracy_is_the_binomial_one():
    from scipy.stats import binom

    hits = np.array([1.0] * 115 + [0.0] * 50)[:, None]  # WLASL100 val has 165 clips
    ((low, high),) = bootstrap(165, means(hits), seed=3)
    assert abs(low - binom.ppf(0.025, 165, 115 / 165) / 165) <= 1.01 / 165
    assert abs(high - binom.ppf(0.975, 165, 115 / 165) / 165) <= 1.01 / 165


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng, covered = np.random.default_rng(0), 0
    for seed in range(300):
        hits = (rng.random(165) < 0.7).astype(float)[:, None]
        ((low, high),) = bootstrap(165, means(hits), replications=1000, seed=seed)
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / 300 <= 0.99


def test_class_means_by_hand_and_when_a_class_is_not_drawn():
    hits = np.array([[1.0], [0.0], [1.0], [1.0]])
    statistic = class_means(hits, [2, 0, 2, 1])
    values = statistic(np.array([[1.0, 1, 1, 1], [0, 2, 0, 2], [4, 0, 0, 0], [1, 3, 0, 0]]))
    assert values[:, 0].tolist() == [2 / 3, 1 / 2, 1.0, 1 / 2]


def test_wer_interval_agrees_with_kaldialign():
    rng = random.Random(5)
    refs = [[rng.randrange(20) for _ in range(rng.randrange(3, 15))] for _ in range(300)]
    hyps = [[w if rng.random() < 0.75 else rng.randrange(20) for w in ref] for ref in refs]
    errors = np.array([sum(a != b for a, b in zip(r, h)) for r, h in zip(refs, hyps)])
    ((low, high),) = bootstrap(300, ratio(errors, np.array([len(r) for r in refs])))
    theirs = bootstrap_wer_ci(refs, hyps)
    assert abs(low - theirs["ci95min"]) < 0.003 and abs(high - theirs["ci95max"]) < 0.003


def test_ratio_without_words():
    statistic = ratio(np.array([0, 2]), np.array([0, 0]))
    assert statistic(np.array([[2.0, 0.0], [0.0, 2.0]]))[:, 0].tolist() == [0.0, float("inf")]


def test_no_replications():
    with pytest.raises(AslError, match="0 replications make no interval"):
        bootstrap(3, means(np.ones((3, 1))), replications=0)


@pytest.mark.parametrize("seed", range(5))
def test_p_equals_brute_force_over_all_swaps(seed):
    rng = random.Random(seed)
    differences = [rng.randrange(-3, 4) for _ in range(11)]
    swapped = [abs(sum(s * d for s, d in zip(signs, differences))) for signs in
               itertools.product((1, -1), repeat=11)]  # fmt: skip
    expected = np.mean([s >= abs(sum(differences)) for s in swapped])
    assert sign_flip_p(differences) == pytest.approx(expected)


@pytest.mark.parametrize("only_a, only_b", [(0, 0), (1, 0), (5, 5), (3, 12), (40, 17), (700, 600)])
def test_p_of_hits_is_mcnemars_exact_test(only_a, only_b):
    from scipy.stats import binomtest

    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert sign_flip_p([-1] * only_a + [1] * only_b + [0] * 30) == pytest.approx(expected)
