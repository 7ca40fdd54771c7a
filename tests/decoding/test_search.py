"""Greedy and prefix beam search, alignments and times, against a listing of every alignment."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch

from asl.common.errors import AslError
from asl.decoding.align import viterbi_alignment
from asl.decoding.beam import prefix_beam_search, search_prefixes
from asl.decoding.greedy import greedy_search
from asl.decoding.times import token_runs, word_times
from asl.lang.tokens import TokenTable
from tests.graph.byhand import best_alignments, posteriors

TABLE = TokenTable(["u", "v"])


def probabilities(log_probs):
    """Log-probability of each token sequence: the sum over all alignments, each listed."""
    total = defaultdict(float)
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        said = tuple(token for token, _ in itertools.groupby(path) if token)
        total[said] += math.exp(sum(log_probs[t, k] for t, k in enumerate(path)))
    return {said: math.log(p) for said, p in total.items()}


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_that_holds_every_prefix_gives_exact_probabilities(seed):
    log_probs, lengths = posteriors(3, 5, 3, seed=seed)
    nbests = prefix_beam_search(log_probs, lengths, TABLE, beam=400, nbest=400)
    for row, nbest in enumerate(nbests):
        expected = probabilities(log_probs[row, :lengths[row]].double().numpy())
        found = {tuple(TABLE.encode(h.words)): h.score for h in nbest}
        assert found == pytest.approx(expected, abs=1e-9)
        assert nbest == sorted(nbest, key=lambda hypothesis: -hypothesis.score)
        assert sum(h.confidence for h in nbest) == pytest.approx(1.0)
        losses = torch.nn.functional.ctc_loss(
            log_probs[row, :lengths[row], None], torch.tensor([[1, 2]]), lengths[row:row + 1],
            torch.tensor([2]),
            reduction="sum",
        )
        assert found[(1, 2)] == pytest.approx(-float(losses), abs=1e-4)


def test_transitions_are_no_words_and_readings_that_differ_in_them_are_one():
    table = TokenTable(["u", "<trans>"])
    log_probs, lengths = posteriors(2, 5, 3, seed=11)
    nbests = prefix_beam_search(log_probs, lengths, table, beam=400, nbest=400, frame_shift=[0.1, 0.1])
    greedy = greedy_search(log_probs, lengths, table, frame_shift=[0.1, 0.1])
    for row, nbest in enumerate(nbests):
        expected = defaultdict(float)
        for said, score in probabilities(log_probs[row, :lengths[row]].double().numpy()).items():
            expected[tuple(token for token in said if token != 2)] += math.exp(score)
        assert {tuple(table.encode(h.words)): math.exp(h.score) for h in nbest} == pytest.approx(dict(expected))
        assert nbest == sorted(nbest, key=lambda hypothesis: -hypothesis.score)
        for hypothesis in (nbest[0], greedy[row][0]):
            assert set(hypothesis.words) <= {"u"} and len(hypothesis.times) == len(hypothesis.words)
    # u, a transition, u again: two words, and of the transition's frames none
    assert word_times([1, 1, 0, 2, 1], ["u", "u"], {"u": [(1,)]}, 1.0) == [(0.0, 2.0), (4.0, 5.0)]


def test_a_narrow_beam_finds_the_best_of_peaked_posteriors():
    log_probs, lengths = posteriors(4, 6, 3, seed=7, peak=6.0)
    for row, nbest in enumerate(prefix_beam_search(log_probs, lengths, TABLE, beam=4, nbest=3)):
        expected = probabilities(log_probs[row, :lengths[row]].double().numpy())
        best = max(expected, key=expected.get)
        assert tuple(TABLE.encode(nbest[0].words)) == best and len(nbest) == 3
        assert nbest[0].score <= expected[best] + 1e-9


def test_beam_search_with_many_tokens_is_fast_and_finds_what_greedy_finds_where_it_is_sure():
    log_probs, lengths = posteriors(4, 24, 1001, seed=1, peak=1.0)
    log_probs = torch.full_like(log_probs, -12.0)
    for row in range(4):
        for frame in range(24):
            log_probs[row, frame, (row * 7 + frame // 4) % 3 * 100] = -0.01
    table = TokenTable([f"w{n}" for n in range(1000)])
    beams = prefix_beam_search(log_probs, lengths, table, beam=20, nbest=5)
    greedy = greedy_search(log_probs, lengths, table)
    assert [nbest[0].words for nbest in beams] == [nbest[0].words for nbest in greedy]


def test_impossible_tokens_and_no_frames():
    log_probs = torch.tensor([[[0.0, -math.inf, -math.inf]], [[-math.inf, 0.0, -math.inf]]])
    nbests = prefix_beam_search(log_probs, torch.tensor([1, 1]), TABLE, frame_shift=[1.0, 1.0])
    assert [[h.words for h in nbest] for nbest in nbests] == [[[]], [["u"]]]
    assert nbests[1][0].times == [(0.0, 1.0)] and nbests[0][0].times == []
    for search in (prefix_beam_search, greedy_search):
        best = search(log_probs, torch.tensor([0, 1]), TABLE)[0][0]
        assert best.words == [] and best.score == 0.0
    assert search_prefixes(np.empty((0, 3)), 5) == [([], 0.0)]


def test_an_nbest_larger_than_its_beam_is_refused():
    with pytest.raises(AslError, match="nbest is 10 and the beam 5"):
        prefix_beam_search(*posteriors(1, 4, 3), TABLE, beam=5, nbest=10)


def test_greedy_merges_repeats_drops_blanks_and_gives_times():
    path = [0, 1, 1, 0, 1, 2, 2, 0]
    log_probs = torch.full((2, 8, 3), math.log(0.1))
    for frame, token in enumerate(path):
        log_probs[:, frame, token] = math.log(0.8)
    first, second = greedy_search(log_probs, torch.tensor([8, 3]), TABLE, frame_shift=[0.5, 0.25])
    assert first[0].words == ["u", "u", "v"] and second[0].words == ["u"]
    assert first[0].times == [(0.5, 1.5), (2.0, 2.5), (2.5, 3.5)] and second[0].times == [(0.25, 0.75)]
    assert first[0].score == pytest.approx(8 * math.log(0.8))
    assert second[0].score == pytest.approx(3 * math.log(0.8))


@pytest.mark.parametrize("seed", range(3))
def test_forced_alignment_is_the_best_of_all(seed):
    log_probs = posteriors(1, 5, 3, seed=seed)[0][0].double().numpy()
    best = best_alignments(log_probs)
    for tokens in [(), (1,), (1, 1), (1, 2), (2, 1, 2), (1, 1, 1), (1, 1, 2, 2)]:
        path, score = viterbi_alignment(log_probs, tokens)
        assert score == pytest.approx(best.get(tokens, -math.inf))
        if path:
            assert [token for token, _ in token_runs(path)] == list(tokens)
            assert sum(log_probs[t, k] for t, k in enumerate(path)) == pytest.approx(score)
        else:
            assert tokens not in best


def test_times_of_words_of_several_tokens():
    spelling = {"a": [(1,), (3,)], "b": [(1, 2)], "d": [(3, 3)], "e": [(3,)]}
    assert word_times([1, 1, 0, 2, 2, 1], ["b", "a"], spelling, 0.5) == [(0.0, 2.5), (2.5, 3.0)]
    assert word_times([1, 0, 3], ["a", "a"], spelling, 1.0) == [(0.0, 1.0), (2.0, 3.0)]
    assert word_times([3, 0, 3, 3], ["d"], spelling, 1.0) == [(0.0, 4.0)]
    # without a blank between (compact topology) equal tokens share the run
    assert word_times([0, 3, 3, 3, 3], ["e", "e"], spelling, 1.0) == [(1.0, 3.0), (3.0, 5.0)]
    assert word_times([0, 0], [], spelling, 1.0) == []
    assert word_times([1, 2], ["d"], spelling, 1.0) is None
    assert word_times([3], ["d"], spelling, 1.0) is None
