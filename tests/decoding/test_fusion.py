"""Language models beside the decoder: the same log-probabilities as they give whole sentences, and their part of the search."""

import math

import numpy as np
import pytest
import torch

from asl.common.errors import AslError
from asl.decoding.attention import BeamOptions, Part, beam_search
from asl.decoding.fusion import NeuralFusion, NGramFusion
from asl.lang.arpa import NGram, read_arpa, write_arpa
from asl.lang.ngram import estimate
from asl.lang.ngram_counts import Vocabulary
from asl.models.word_lm import WordLm
from tests.decoding.recurrent import Recurrent, all_texts, log_probs_of, memories, part_of

PIECES = ["<unk>", "▁a", "▁go", "es", "▁home", "s"]
TEXTS = ["▁a ▁home", "▁go es ▁home", "▁go ▁home s", "▁a ▁go es", "▁home s ▁go", "▁a ▁a ▁home ▁go es"]


@pytest.fixture(params=[1, 2, 3])
def ngram(request, tmp_path):
    write_arpa(tmp_path / "lm.arpa", estimate([text.split() for text in TEXTS], request.param, smoothing="witten-bell").lm)
    return read_arpa(tmp_path / "lm.arpa")


def network(seed=0):
    torch.manual_seed(seed)
    vocabulary = Vocabulary(PIECES[2:])  # ▁a is unknown to it
    lm = WordLm(len(vocabulary), dim=8, hidden=12, layers=2)
    torch.nn.init.normal_(lm.embedding.weight)
    return lm.eval(), vocabulary


def score_of(scorer, ids):
    """Of a sentence, token by token."""
    state, total, end = scorer.start(1), 0.0, len(PIECES) + 1
    for before, token in zip([end, *ids], [*ids, end]):
        log_probs, state = scorer.step(torch.tensor([before]), state)
        assert log_probs.shape == (1, len(PIECES) + 2) and log_probs[0, 0] == -math.inf
        total += float(log_probs[0, token])
    return total


SENTENCES = [[], [2], [3, 4, 5], [5, 6, 6, 2, 3], [4, 4, 2, 5], [2, 2, 5, 3, 4, 6, 6, 6], [1], [4, 1, 3, 1, 1, 5]]


def test_an_ngram_gives_what_it_gives_whole_sentences(ngram):
    scorer = NGramFusion(ngram, PIECES)
    assert scorer.unknown == []
    for ids in SENTENCES:
        assert score_of(scorer, ids) == pytest.approx(ngram.score([PIECES[i - 1] for i in ids]), abs=1e-4)


def test_what_an_ngram_does_not_know_goes_by_its_unk_or_is_impossible(ngram):
    scorer = NGramFusion(ngram, [*PIECES, "▁new"])
    assert scorer.unknown == ["▁new"]
    log_probs, state = scorer.step(torch.tensor([8]), scorer.start(1))
    expected = ngram.score(["▁new"]) - ngram.finish(ngram.step(ngram.start(), "▁new")[1])
    assert float(log_probs[0, 7]) == pytest.approx(expected, abs=1e-5)
    quarters = {word: math.log(0.25) for word in ("</s>", "▁a", "es", "s")}
    bare = NGramFusion(NGram([{("<s>",): -math.inf, **{(word,): p for word, p in quarters.items()}}], {}), PIECES)
    log_probs, _ = bare.step(torch.tensor([7]), bare.start(1))
    assert torch.isfinite(log_probs[0]).tolist() == [False, False, True, False, True, False, True, True]


def test_a_neural_one_gives_what_it_gives_whole_sentences():
    lm, vocabulary = network()
    scorer = NeuralFusion(lm, vocabulary.ids, PIECES)
    assert scorer.unknown == ["▁a"]
    for ids in SENTENCES:
        coded = vocabulary.encode([PIECES[i - 1] for i in ids])
        log_probs = lm(torch.tensor([[0, *coded]]))[0].detach()
        expected = float(sum(log_probs[i, word] for i, word in enumerate([*coded, 1])))
        assert score_of(scorer, ids) == pytest.approx(expected, abs=1e-5)


def test_rows_are_repeated_dropped_and_reordered(ngram):
    lm, vocabulary = network()
    for scorer in (NGramFusion(ngram, PIECES), NeuralFusion(lm, vocabulary.ids, PIECES)):
        _, state = scorer.step(torch.tensor([7, 7, 7]), scorer.start(3))
        _, state = scorer.step(torch.tensor([2, 3, 5]), state)
        rows = torch.tensor([2, 0, 0])
        chosen, _ = scorer.step(torch.tensor([4, 4, 6]), state.select(rows))
        for row, (first, second) in enumerate([(5, 4), (2, 4), (2, 6)]):
            state_ = scorer.start(1)
            for token in (7, first, second):
                alone, state_ = scorer.step(torch.tensor([token]), state_)
            assert np.allclose(chosen[row], alone[0], atol=1e-6)


@pytest.mark.parametrize("kind", ["ngram", "neural"])
def test_the_best_of_all_texts_have_both_scores(kind):
    if kind == "ngram":
        scorer = NGramFusion(estimate([t.split() for t in ("b a", "a", "b b a")], 2, smoothing="witten-bell").lm, ["a", "b"])
    else:
        torch.manual_seed(1)
        vocabulary = Vocabulary(["a", "b"])
        lm = WordLm(len(vocabulary), dim=8, hidden=12)
        torch.nn.init.normal_(lm.embedding.weight)
        scorer = NeuralFusion(lm, vocabulary.ids, ["a", "b"])
    decoder = Recurrent(3, 6, seed=3)
    memory, lengths = memories([4, 7])
    parts = [part_of(decoder, memory, lengths), Part(0.7, scorer, scorer.start(2))]
    options = BeamOptions(4096, max_length=1.0, nbest=6)
    texts = list(all_texts((1, 2), 10))
    language = log_probs_of(scorer, scorer.start(1), 3, texts)
    for clip, found in enumerate(beam_search(parts, 3, lengths, options)):
        said = log_probs_of(decoder, decoder.start(memory[clip:clip + 1], lengths[clip:clip + 1]), 3, texts)
        scores = {text: (said[text] + 0.7 * language[text]) / (len(text) + 1) for text in texts}
        expected = sorted(scores.items(), key=lambda one: -one[1])[:6]
        assert [tuple(one.ids) for one in found] == [text for text, _ in expected]
        assert [one.score for one in found] == pytest.approx([score for _, score in expected], abs=1e-4)


def test_a_model_of_words_is_refused(ngram):
    lm, vocabulary = network()
    for make in (lambda: NGramFusion(ngram, ["▁dog", "▁cat"]), lambda: NeuralFusion(lm, vocabulary.ids, ["▁dog", "▁cat"])):
        with pytest.raises(AslError, match="does not know 2 of the 2 tokens, such as '▁cat'.*asl lang pieces"):
            make()
