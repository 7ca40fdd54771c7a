"""Readings become hypotheses: shares of the probability, the least expected errors, and how sure each word is."""

import itertools
import math

import kaldialign
import numpy as np
import pytest

from asl.decoding.readings import edit_distances, hypotheses_of, least_risk, posteriors, word_confidences
from asl.graph.engine import Reading


def random_readings(seed, count=12, words="ABC"):
    rng = np.random.default_rng(seed)
    said = {tuple(rng.choice(list(words), rng.integers(0, 6)).tolist()) for _ in range(count)}
    scores = np.sort(rng.normal(0, 1.5, len(said)))[::-1]
    return [Reading(list(one), float(score)) for one, score in zip(sorted(said), scores)]


@pytest.mark.parametrize("seed", range(8))
def test_the_risk_is_the_expected_number_of_errors(seed):
    readings = random_readings(seed)
    scores = [math.exp(r.score) for r in readings]
    shares = posteriors(readings)
    assert shares.tolist() == pytest.approx([score / sum(scores) for score in scores])
    expected = [
        sum(p * kaldialign.edit_distance(other.words, mine.words)["total"] for other, p in zip(readings, shares))
        for mine in readings
    ]
    words = [r.words for r in readings]
    assert (edit_distances(words, range(len(words))) @ shares).tolist() == pytest.approx(expected)
    assert expected[least_risk(words, shares)] == pytest.approx(min(expected))


def test_the_reading_of_least_risk_may_be_another_than_the_most_probable_one():
    # three agree in two words of three, in none of which the best one has its way
    readings = [Reading(list(words), math.log(p)) for words, p in [("XYZ", 0.3), ("ABC", 0.25), ("ABD", 0.25), ("AEC", 0.2)]]
    best, risk = hypotheses_of(readings, 2), hypotheses_of(readings, 2, mbr=True)
    assert best[0].words == list("XYZ") and risk[0].words == list("ABC") and risk[1].words == list("XYZ")
    assert risk[0].confidence == pytest.approx(0.25)
    assert risk[0].word_confidences == pytest.approx([0.7, 0.5, 0.45])
    # no sequence of these words at all has fewer expected errors
    shares = [0.3, 0.25, 0.25, 0.2]
    least = min(
        sum(p * kaldialign.edit_distance(r.words, list(said))["total"] for r, p in zip(readings, shares))
        for said in itertools.product("ABCDEXYZ", repeat=3)
    )
    assert edit_distances([r.words for r in readings], [1])[0] @ shares == pytest.approx(least)


def test_of_equal_risks_the_most_probable_reading_is_taken():
    readings = [Reading(["A"], 0.0), Reading(["B"], 0.0)]
    assert hypotheses_of(readings, 1, mbr=True)[0].words == ["A"]


def test_a_word_is_as_sure_as_the_readings_that_have_it_at_its_place():
    readings = [Reading(["A", "B"], math.log(0.5)), Reading(["A", "C", "B"], math.log(0.3)), Reading([], math.log(0.2))]
    assert word_confidences(["A", "B"], readings, posteriors(readings)) == pytest.approx([0.8, 0.8])
    assert word_confidences(["C"], readings, posteriors(readings)) == pytest.approx([0.3])
    assert word_confidences([], readings, posteriors(readings)) == []


def test_no_reading_is_the_empty_hypothesis():
    (only,) = hypotheses_of([], 5, times=lambda words: None)
    assert only.words == [] and only.score == -math.inf and only.times == [] and only.confidence == 0.0
