"""Beam search over text decoders, against a listing of every text, and batched against one by one."""

import math

import pytest
import torch

from asl.common.errors import AslError
from asl.decoding.attention import SHORTEST, BeamOptions, Part, beam_search, forbid_repeats
from asl.decoding.ctc_prefix import CtcPrefixScorer
from tests.decoding.recurrent import Recurrent, all_texts, log_probs_of, memories, part_of
from tests.decoding.test_search import probabilities
from tests.graph.byhand import posteriors

EVERYTHING = 4096  # a beam that holds every text of two tokens


def searched(decoder, memory, lengths, options, log_probs=None):
    ctc = None if log_probs is None else CtcPrefixScorer(log_probs, lengths)
    weight = 1 - options.ctc_weight
    return beam_search([part_of(decoder, memory, lengths, weight)], decoder.sos_eos, lengths, options, ctc)


def exhaustive(decoder, memory, lengths, clip, options):
    """The best texts of a clip with their scores, of all texts that the longest length allows."""
    texts = all_texts((1, 2), options.longest(lengths)[clip])
    state = decoder.start(memory[clip:clip + 1], lengths[clip:clip + 1])
    found = log_probs_of(decoder, state, decoder.sos_eos, texts)
    scores = {text: total / (len(text) + 1) ** options.length_penalty for text, total in found.items()}
    return sorted(scores.items(), key=lambda one: -one[1])[:options.nbest]


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.5, -1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_beam_that_holds_every_text_finds_the_n_best_of_all(seed, length_penalty):
    decoder = Recurrent(3, 6, seed=seed)
    memory, lengths = memories([4, 7, 5], seed=seed)
    options = BeamOptions(EVERYTHING, max_length=1.0, nbest=8, length_penalty=length_penalty)
    for clip, found in enumerate(searched(decoder, memory, lengths, options)):
        expected = exhaustive(decoder, memory, lengths, clip, options)
        assert [tuple(one.ids) for one in found] == [text for text, _ in expected]
        assert [one.score for one in found] == pytest.approx([score for _, score in expected], abs=1e-5)


def test_with_ctc_the_n_best_of_all_have_both_probabilities():
    decoder = Recurrent(3, 6, seed=4)
    log_probs, lengths = posteriors(3, 6, 3, seed=2)
    memory, _ = memories([6, 6, 6], seed=3)
    options = BeamOptions(EVERYTHING, max_length=1.0, nbest=5, length_penalty=1.0, ctc_weight=0.4)
    for clip, found in enumerate(searched(decoder, memory, lengths, options, log_probs)):
        state = decoder.start(memory[clip:clip + 1], lengths[clip:clip + 1])
        attention = log_probs_of(decoder, state, 3, all_texts((1, 2), SHORTEST))
        ctc = probabilities(log_probs[clip, :lengths[clip]].double().numpy())
        scores = {text: (0.6 * attention[text] + 0.4 * p) / (len(text) + 1) for text, p in ctc.items()}
        expected = sorted(scores.items(), key=lambda one: -one[1])[:5]
        assert [tuple(one.ids) for one in found] == [text for text, _ in expected]
        assert [one.score for one in found] == pytest.approx([score for _, score in expected], abs=1e-5)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.3])
@pytest.mark.parametrize("no_repeat", [0, 2])
def test_what_else_is_in_the_batch_changes_nothing(ctc_weight, no_repeat):
    decoder = Recurrent(30, 6, seed=5)
    lengths = [30, 4, 17, 9, 22, 12, 26]
    memory, lengths = memories(lengths, seed=6)
    log_probs = (2 * torch.randn(7, 30, 30)).log_softmax(dim=2)
    options = BeamOptions(4, nbest=3, ctc_weight=ctc_weight, no_repeat=no_repeat)

    def found_in(order, more=0):
        rows = torch.tensor(order)
        longest = int(lengths[rows].max()) + more
        frames = torch.nn.functional.pad(memory[rows, :longest], (0, 0, 0, max(0, longest - 30)), value=9.0)
        ctc = torch.nn.functional.pad(log_probs[rows, :longest], (0, 0, 0, max(0, longest - 30)), value=-1.0)
        found = searched(decoder, frames, lengths[rows], options, ctc if ctc_weight else None)
        return dict(zip(order, found))

    together, padded = found_in(list(range(7))), found_in([6, 2, 0, 1], more=11)
    for clip in range(7):
        alone = found_in([clip])[clip]
        for other in (together[clip], padded.get(clip, alone)):
            assert [one.ids for one in other] == [one.ids for one in alone]
            assert [one.score for one in other] == pytest.approx([one.score for one in alone], abs=1e-4)
            assert [one.cut for one in other] == [one.cut for one in alone]
    if no_repeat:
        for found in together.values():
            for one in found:
                pairs = list(zip(one.ids, one.ids[1:]))
                assert len(set(pairs)) == len(pairs)


@pytest.mark.parametrize("no_repeat", [0, 1, 2])
@pytest.mark.parametrize("vocab", [2, 3, 5, 8])
def test_a_beam_wider_than_the_vocabulary_tries_tokens_alone(vocab, no_repeat):
    decoder = Recurrent(vocab, 6, seed=vocab)
    memory, lengths = memories([6, 1, 3], seed=2)
    log_probs = torch.randn(3, 6, vocab, generator=torch.Generator().manual_seed(1)).log_softmax(dim=2)
    for weight in (0.0, 0.4):
        options = BeamOptions(6, nbest=4, no_repeat=no_repeat, ctc_weight=weight)
        found = searched(decoder, memory, lengths, options, log_probs if weight else None)
        for clip, nbest in enumerate(found):
            assert nbest and all(math.isfinite(one.score) and set(one.ids) <= set(range(1, vocab)) for one in nbest)
            assert not weight or all(len(one.ids) <= int(lengths[clip]) for one in nbest)
            assert no_repeat != 1 or all(len(set(one.ids)) == len(one.ids) for one in nbest)


class Endless(Recurrent):
    """Never wants to end."""

    def step(self, tokens, state):
        log_probs, state = super().step(tokens, state)
        return log_probs.index_fill(1, torch.tensor([self.sos_eos]), -20.0), state


def test_the_longest_length_goes_by_the_frames_and_what_was_cut_off_is_told():
    decoder = Endless(5, 6, seed=1)
    memory, lengths = memories([40, 4, 25])
    for ratio, expected in ((1.0, [40, 10, 25]), (0.5, [20, 10, 13]), (2.0, [80, 10, 50])):
        found = searched(decoder, memory, lengths, BeamOptions(3, max_length=ratio))
        assert [len(nbest[0].ids) for nbest in found] == expected
        assert all(nbest[0].cut for nbest in found)
    ends = Recurrent(5, 6, seed=2)
    with torch.no_grad():
        ends.out.bias[5] += 2.0
    assert not any(nbest[0].cut for nbest in searched(ends, memory, lengths, BeamOptions(3)))


def test_a_beam_of_one_is_greedy_and_a_higher_penalty_gives_longer_texts():
    decoder = Recurrent(8, 6, seed=7)
    memory, lengths = memories([9, 30, 12, 21, 14, 11])
    for clip, (found,) in enumerate(searched(decoder, memory, lengths, BeamOptions(1, max_length=1.0))):
        state, token, ids = decoder.start(memory[clip:clip + 1], lengths[clip:clip + 1]), 8, []
        while len(ids) < int(lengths[clip]) or len(ids) < SHORTEST:
            log_probs, state = decoder.step(torch.tensor([token]), state)
            token = int(log_probs.argmax())
            if token == 8:
                break
            ids.append(token)
        assert found.ids == ids
    short, long = (
        sum(len(nbest[0].ids) for nbest in searched(decoder, memory, lengths, BeamOptions(6, length_penalty=penalty)))
        for penalty in (0.0, 3.0)
    )
    assert short < long


def test_weights_of_several_decoders_average_their_log_probs():
    one, other = Recurrent(3, 6, seed=1), Recurrent(3, 6, seed=2)
    memory, lengths = memories([5, 8])
    parts = [part_of(one, memory, lengths, 0.5), part_of(other, memory, lengths, 0.5)]
    options = BeamOptions(EVERYTHING, max_length=1.0, nbest=4)
    for clip, found in enumerate(beam_search(parts, 3, lengths, options)):
        texts = list(all_texts((1, 2), SHORTEST))
        first, second = (
            log_probs_of(d, d.start(memory[clip:clip + 1], lengths[clip:clip + 1]), 3, texts) for d in (one, other)
        )
        scores = {text: (first[text] + second[text]) / 2 / (len(text) + 1) for text in texts}
        expected = sorted(scores.items(), key=lambda pair: -pair[1])[:4]
        assert [tuple(f.ids) for f in found] == [text for text, _ in expected]
        assert [f.score for f in found] == pytest.approx([score for _, score in expected], abs=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_stands_twice(size):
    generator = torch.Generator().manual_seed(size)
    tokens = torch.randint(1, 4, (50, 8), generator=generator)
    log_probs = torch.zeros(50, 5).index_fill(1, torch.tensor([0]), -math.inf)
    forbid_repeats(log_probs, tokens, size)
    for row, text in enumerate(tokens.tolist()):
        seen = {tuple(text[i:i + size]) for i in range(9 - size)}
        for token in range(1, 4):
            again = (*text[9 - size:], token)[-size:] in seen
            assert (log_probs[row, token] == -math.inf) == again
    assert log_probs[:, 4].eq(0).all()
    short = torch.zeros(2, 5)
    forbid_repeats(short, tokens[:2, :size - 1], size)
    assert short.eq(0).all()


@pytest.mark.parametrize(
    "values, named",
    [
        ({"beam_size": 0, "nbest": 0}, "^--beam-size 0: give 1"),
        ({"nbest": 6}, "--nbest 6 --beam-size 5"),
        ({"nbest": 0}, "--nbest 0"),
        ({"length_penalty": math.nan}, "--length-penalty nan"),
        ({"max_length": 0.0}, "--max-length 0"),
        ({"no_repeat": -1}, "--no-repeat -1"),
        ({"ctc_weight": 1.0}, "--ctc-weight 1"),
    ],
)
def test_options_out_of_range_are_named(values, named):
    with pytest.raises(AslError, match=named):
        BeamOptions(**values)


def test_nan_is_named_with_its_place():
    decoder = Recurrent(4, 6)
    memory, lengths = memories([5, 6, 7])
    memory[1] = math.nan
    with pytest.raises(AslError, match="utterance 1 of the batch are NaN"):
        searched(decoder, memory, lengths, BeamOptions(2))
    memory, _ = memories([5, 6, 7])
    log_probs = torch.randn(3, 7, 4).log_softmax(dim=2)
    log_probs[2, 6] = math.nan
    with pytest.raises(AslError, match="utterance 2 of the batch are NaN"):
        searched(decoder, memory, lengths, BeamOptions(2, ctc_weight=0.3), log_probs)
    with pytest.raises(ValueError, match="go together"):
        beam_search([Part(1.0, decoder, None)], 4, lengths, BeamOptions(ctc_weight=0.5))
