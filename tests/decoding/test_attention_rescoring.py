"""The second pass: the same scores as a search gives the same texts, in the order of both."""

import pytest
import torch

from asl.decoding.attention import BeamOptions, Part
from asl.decoding.attention_rescoring import rescore_ctc, sum_log_probs
from asl.decoding.fusion import NGramFusion
from asl.lang.ngram import estimate
from tests.decoding.recurrent import Recurrent, all_texts, log_probs_of, memories, part_of
from tests.decoding.test_search import probabilities
from tests.graph.byhand import posteriors


@pytest.mark.parametrize("ctc_weight, penalty", [(0.0, 0.0), (0.5, 0.0), (0.3, 1.0)])
def test_with_every_text_in_the_beam_the_best_of_all_are_found(ctc_weight, penalty):
    log_probs, lengths = posteriors(3, 5, 3, seed=6)
    memory, _ = memories([5, 5, 5], seed=2)
    decoder = Recurrent(3, 6, seed=9)
    options = BeamOptions(400, nbest=4, length_penalty=penalty, ctc_weight=ctc_weight)
    part = part_of(decoder, memory, lengths, 1 - ctc_weight)
    for clip, found in enumerate(rescore_ctc(log_probs, lengths, [part], 3, options, 400)):
        state = decoder.start(memory[clip:clip + 1], lengths[clip:clip + 1])
        said = log_probs_of(decoder, state, 3, all_texts((1, 2), 5))
        ctc = probabilities(log_probs[clip, :lengths[clip]].double().numpy())
        scores = {
            text: ((1 - ctc_weight) * said[text] + ctc_weight * p) / (len(text) + 1) ** penalty
            for text, p in ctc.items()
        }
        expected = sorted(scores.items(), key=lambda one: -one[1])[:4]
        assert [tuple(one.ids) for one in found] == [text for text, _ in expected]
        assert [one.score for one in found] == pytest.approx([score for _, score in expected], abs=1e-5)
        assert not any(one.cut for one in found)


def test_only_the_first_texts_of_ctc_are_rescored():
    log_probs, lengths = posteriors(2, 6, 3, seed=1)
    memory, _ = memories([6, 6])
    part = part_of(Recurrent(3, 6, seed=1), memory, lengths)
    (one,), _ = rescore_ctc(log_probs, lengths, [part], 3, BeamOptions(400, length_penalty=0.0), 1)
    ctc = probabilities(log_probs[0, :lengths[0]].double().numpy())
    assert tuple(one.ids) == max(ctc, key=ctc.get)


def test_texts_of_many_lengths_are_read_at_once():
    texts = [[], [1, 2, 2, 1, 1], [2], [1, 1, 2], [], [2, 1]]
    owners = torch.tensor([1, 0, 1, 0, 0, 1])
    memory, lengths = memories([5, 8])
    decoder = Recurrent(3, 6, seed=5)
    lm = NGramFusion(estimate([["a", "b"], ["b"]], 2, smoothing="witten-bell").lm, ["a", "b"])
    for part in (part_of(decoder, memory, lengths, 0.5), Part(0.5, lm, lm.start(2))):
        sums = sum_log_probs(part, owners, texts, 3).tolist()
        for text, owner, total in zip(texts, owners.tolist(), sums):
            state = part.state.select(torch.tensor([owner]))
            expected = log_probs_of(part.scorer, state, 3, [tuple(text[:n]) for n in range(len(text) + 1)])
            assert total == pytest.approx(expected[tuple(text)] / 2, abs=1e-5)
