"""Streaming: the same result as offline, partial hypotheses on the way, an end where the rules say."""

import math

import pytest
import torch
from torch import nn

from asl.common.errors import AslError
from asl.decoding.streaming import EndPointing, StreamingDecoder, look_ahead
from asl.graph.engine import get_engine
from asl.graph.options import SearchOptions
from asl.models import BiLstm
from tests.graph.byhand import LEXICON, posteriors
from tests.graph.conftest import make_lang  # noqa: F401 (fixture)

NEVER = EndPointing(None, None, None)


@pytest.fixture
def make_graph(make_lang, tmp_path):  # noqa: F811
    """``make_graph(lexicon, engine)`` -> the engine and its loaded graph with an n-gram."""

    def make(lexicon=LEXICON, engine="kaldi", grammar="arpa"):
        searcher = get_engine(engine)
        searcher.compile(make_lang(lexicon, grammar), tmp_path / "graph")
        return searcher, searcher.load(tmp_path / "graph")

    return make


def along(path, tokens, likely=0.9):
    log_probs = torch.full((len(path), tokens), math.log((1 - likely) / (tokens - 1)))
    log_probs[torch.arange(len(path)), torch.tensor(path)] = math.log(likely)
    return log_probs


@pytest.mark.parametrize("chunk", [1, 3, 8, 100])
@pytest.mark.parametrize("options", [
    SearchOptions(beam=12.0), SearchOptions(beam=15.0, max_active=30, lm_scale=1.5, insertion_penalty=0.5),
    SearchOptions(beam=6.0, acoustic_scale=0.6, min_active=4),
])
def test_the_final_result_is_the_offline_one(chunk, options, make_graph):
    engine, graph = make_graph()
    log_probs, lengths = posteriors(8, 30, len(graph.lang.tokens), seed=21, peak=3.0)
    offline = engine.search(graph, log_probs, lengths, options)
    decoder = StreamingDecoder(graph, engine.weighted(graph, options), options, NEVER)
    for row, expected in enumerate(offline):
        decoder.reset()
        for first in range(0, int(lengths[row]), chunk):
            partial = decoder.accept(log_probs[row, first:min(first + chunk, int(lengths[row]))])
            assert partial.ended is None
        path = decoder.finish()
        assert partial.frames == int(lengths[row]) and len(decoder.seconds) == -(-int(lengths[row]) // chunk)
        assert (path is None) == (expected is None)
        if path is not None:
            assert path.words == expected.words and path.tokens == expected.tokens
            assert path.score == pytest.approx(expected.score, abs=1e-3)


def test_partial_hypotheses_grow_and_settle(make_graph):
    engine, graph = make_graph(["a", "b", "c", "d"])
    decoder = StreamingDecoder(graph, graph.fst, SearchOptions(beam=15.0), NEVER, settle=2)
    said, blanks, stable = [], [], []
    for frame in along([0, 1, 1, 0, 2, 0, 0, 4, 0], 5):
        partial = decoder.accept(frame[None])
        said.append(" ".join(partial.words))
        blanks.append(partial.trailing_blanks)
        stable.append(partial.stable)
    assert said == ["", "a", "a", "a", "a b", "a b", "a b", "a b d", "a b d"]
    assert blanks == [1, 0, 0, 1, 0, 1, 2, 0, 1]
    assert stable == [0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert decoder.accept(torch.zeros(0, 5)).words == ["a", "b", "d"]  # a chunk of nothing changes nothing
    assert decoder.finish().words == ["a", "b", "d"]


def test_utterances_end_by_blanks_behind_a_word_or_by_their_length(make_graph):
    engine, graph = make_graph(["a", "b", "c", "d"])
    frames = along([0] * 6 + [1] + [0] * 9, 5)

    def ends(rules):
        decoder = StreamingDecoder(graph, graph.fst, SearchOptions(beam=15.0), rules)
        for frame in frames:
            partial = decoder.accept(frame[None])
            if partial.ended:
                return partial.ended, partial.frames
        return None

    assert ends(EndPointing(blank=4)) == ("blank", 11)
    assert ends(EndPointing(blank=None)) is None
    assert ends(EndPointing(blank=4, blank_alone=5)) == ("blank_alone", 5)
    assert ends(EndPointing(blank=20, longest=9)) == ("longest", 9)
    with pytest.raises(AslError, match="blank is 0 frames"):
        EndPointing(blank=0)


def test_nothing_and_too_little_have_no_result_as_offline(make_graph):
    engine, graph = make_graph({"u": [["x", "x"]]}, grammar="one-sign")
    decoder = StreamingDecoder(graph, graph.fst)
    assert decoder.finish() is None
    partial = decoder.accept(along([1], 2))
    assert partial.trailing_blanks in (0, 1) and decoder.finish() is None
    decoder.reset()
    decoder.accept(along([1, 0, 1], 2))
    assert decoder.finish().words == ["u"]


def test_what_is_no_chunk_of_this_network_is_refused(make_graph):
    engine, graph = make_graph()
    decoder = StreamingDecoder(graph, graph.fst)
    with pytest.raises(AslError, match="7 outputs but tokens.txt has 4 tokens"):
        decoder.accept(torch.zeros(3, 7))
    with pytest.raises(AslError, match="NaN"):
        decoder.accept(torch.full((3, 4), math.nan))


@pytest.mark.k2
def test_k2_does_not_stream(make_graph):
    _, graph = make_graph(engine="k2")
    with pytest.raises(AslError, match="streaming is the kaldi engine's alone"):
        StreamingDecoder(graph, graph.fst)


def test_look_ahead_is_measured():
    torch.manual_seed(0)
    inputs = torch.randn(60, 3)

    def convolve(*layers):
        chain = nn.Sequential(*layers).eval()
        return lambda x: chain(x.transpose(1, 2)).transpose(1, 2)

    two = convolve(nn.Conv1d(3, 4, 5, padding=2), nn.Conv1d(4, 2, 3, padding=1))
    assert look_ahead(two, inputs) == 3
    causal = convolve(nn.ConstantPad1d((4, 0), 0.0), nn.Conv1d(3, 2, 5))
    assert look_ahead(causal, inputs) == 0
    pooled = convolve(nn.Conv1d(3, 4, 5, padding=2), nn.AvgPool1d(4))
    assert look_ahead(pooled, inputs, subsampling=4) == 3 + 2
    lstm = BiLstm({"hand_left": 3}, hidden=4, layers=1, part_dim=4).eval()
    assert look_ahead(lambda x: lstm(x, torch.tensor([x.shape[1]]))[0], inputs) is None
