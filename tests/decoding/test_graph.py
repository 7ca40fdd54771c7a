"""Decoding in a graph: n-best with confidence and times, and searches that reach no end."""

import math
from collections import Counter

import pytest
import torch

from asl.common.errors import AslError
from asl.decoding.graph import decode_graph
from asl.graph.engine import get_engine
from asl.graph.grammar import write_grammar
from asl.graph.lexicon import write_lexicon_fsts
from asl.graph.options import SearchOptions
from asl.lang.prepare import write_lang

ENGINES = [pytest.param("k2", marks=pytest.mark.k2), "kaldi"]


@pytest.fixture
def make_graph(tmp_path):
    """``make_graph(engine, words or lexicon)`` -> the engine and its loaded one-sign graph."""

    def make(engine, words, topology="ctc"):
        write_lang(list(words), tmp_path / "lang", words if isinstance(words, dict) else None)
        write_lexicon_fsts(tmp_path / "lang")
        write_grammar(tmp_path / "lang", "one-sign")
        searcher = get_engine(engine)
        searcher.compile(tmp_path / "lang", tmp_path / "graph", topology)
        return searcher, searcher.load(tmp_path / "graph")

    return make


def along(paths, tokens, likely=0.9):
    """Log-probs in which each utterance's path has probability ``likely`` a frame."""
    frames = max(map(len, paths))
    log_probs = torch.full((len(paths), frames, tokens), math.log((1 - likely) / (tokens - 1)))
    for row, path in enumerate(paths):
        for frame, token in enumerate(path):
            log_probs[row, frame, token] = math.log(likely)
    return log_probs, torch.tensor([len(path) for path in paths])


@pytest.mark.parametrize("engine", ENGINES)
def test_best_sign_with_times_confidence_and_others_behind_it(engine, make_graph):
    searcher, graph = make_graph(engine, ["u", "v", "w"])
    log_probs, lengths = along([[0, 1, 1, 0, 0], [0, 0, 3]], 4)
    nbests = decode_graph(searcher, graph, log_probs, lengths, nbest=2, frame_shift=[0.04, 0.5])
    assert [[h.words for h in nbest][0] for nbest in nbests] == [["u"], ["w"]]
    assert nbests[0][0].times == [(pytest.approx(0.04), pytest.approx(0.12))]
    assert nbests[1][0].times == [(1.0, 1.5)]
    assert nbests[0][0].score == pytest.approx(5 * math.log(0.9) - math.log(3), abs=1e-4)
    assert [len(nbest) for nbest in nbests] == [2, 2] and nbests[0][1].times is None
    three = decode_graph(searcher, graph, log_probs, lengths, nbest=3)
    for nbest, shorter in zip(three, nbests):
        assert sum(h.confidence for h in nbest) == pytest.approx(1.0)  # all three signs share it out
        assert [h.confidence for h in nbest] == sorted((h.confidence for h in nbest), reverse=True)
        assert shorter[0].confidence == nbest[0].confidence and nbest[0].times is None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_beam_too_narrow_is_widened_counted_and_said(engine, make_graph, caplog):
    searcher, graph = make_graph(engine, ["u", "v", "w"])
    # the best path up to the last frame is all blank, which is the end of no sign
    log_probs, lengths = along([[0] * 6, [0, 2, 2, 2, 0, 0], [1]], 4, likely=0.999)
    counts = Counter()
    options = SearchOptions(beam=0.5)
    nbests = decode_graph(searcher, graph, log_probs, lengths, options, counts=counts)
    wide = decode_graph(searcher, graph, log_probs, lengths, SearchOptions(beam=100.0))
    assert counts == Counter(searched=3, widened=1, empty=0)
    assert "beam 0.5 was too narrow for 1 of 3 utterances; wider ones found 1, 0 have no path" in caplog.text
    assert nbests[0][0].score == pytest.approx(wide[0][0].score, abs=1e-4) and len(nbests[0][0].words) == 1
    assert [nbest[0].words for nbest in nbests[1:]] == [["v"], ["u"]]


@pytest.mark.parametrize("engine", ENGINES)
def test_without_any_path_the_hypothesis_is_empty_and_counted(engine, make_graph, caplog):
    searcher, graph = make_graph(engine, {"u": [["x", "x"]]})
    log_probs, lengths = along([[1, 0, 1], [1, 1]], 2)
    counts = Counter()
    lengths = torch.cat([lengths, torch.tensor([0])])
    log_probs = torch.cat([log_probs, log_probs[:1]])
    nbests = decode_graph(searcher, graph, log_probs, lengths, frame_shift=[1.0] * 3, counts=counts)
    assert nbests[0][0].words == ["u"] and nbests[0][0].times == [(0.0, 3.0)]
    for nbest in nbests[1:]:
        assert nbest[0].words == [] and nbest[0].score == -math.inf and nbest[0].confidence == 0.0
    assert counts == Counter(searched=3, widened=0, empty=2) and "2 have no path" in caplog.text


@pytest.mark.parametrize("engine", ENGINES)
def test_words_that_sound_alike_are_both_offered(engine, make_graph):
    searcher, graph = make_graph(engine, {"a": [["x"]], "c": [["x"]], "b": [["x", "y"]]})
    log_probs, lengths = along([[1, 1, 0], [1, 2, 2]], 3)
    nbests = decode_graph(searcher, graph, log_probs, lengths, nbest=3, frame_shift=[1.0, 1.0])
    assert {tuple(h.words) for h in nbests[0][:2]} == {("a",), ("c",)}
    assert nbests[0][0].score == pytest.approx(nbests[0][1].score, abs=1e-4)
    assert nbests[0][0].times == [(0.0, 2.0)] and nbests[1][0].times == [(0.0, 3.0)]
    assert nbests[1][0].words == ["b"] and sum(h.confidence for h in nbests[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_with_other_outputs_than_the_graph_has_tokens_is_refused(engine, make_graph):
    searcher, graph = make_graph(engine, ["u", "v"])
    with pytest.raises(AslError, match="4 outputs but tokens.txt has 3 tokens"):
        decode_graph(searcher, graph, *along([[0, 1]], 4))
