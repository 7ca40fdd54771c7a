"""What is done beside the search: rescoring, minimum Bayes risk, oracle, processes, times of any reading."""

import math
from collections import Counter

import pytest
import torch

from asl.common.errors import AslError
from asl.decoding.grammar import Grammar
from asl.decoding.graph import Passes, decode_graph, search_readings
from asl.decoding.parallel import Searcher
from asl.decoding.rescore import Rescoring
from asl.decoding.times import aligned_times, spelling_of
from asl.graph.engine import get_engine
from asl.graph.options import SearchOptions
from asl.lang.arpa import read_arpa
from tests.graph.byhand import LEXICON, arpa_score, posteriors
from tests.graph.conftest import make_lang  # noqa: F401 (fixture)
from tests.graph.test_lattices import TRIGRAM

ENGINES = [pytest.param("k2", marks=pytest.mark.k2), "kaldi"]
WIDE = SearchOptions(beam=200.0, lattice_beam=60.0)


@pytest.fixture
def make_graph(make_lang, tmp_path):  # noqa: F811
    """``make_graph(engine, lexicon)`` -> the engine and its loaded graph with ARPA as grammar."""

    def make(engine, lexicon=LEXICON, topology="ctc"):
        searcher = get_engine(engine)
        searcher.compile(make_lang(lexicon, "arpa"), tmp_path / "graph", topology)
        return searcher, searcher.load(tmp_path / "graph")

    return make


@pytest.fixture
def trigram(tmp_path):
    (tmp_path / "new.arpa").write_text(TRIGRAM)
    return read_arpa(tmp_path / "new.arpa")


@pytest.mark.parametrize("engine", ENGINES)
def test_rescored_scores_have_the_new_model_in_place_of_the_grammar(engine, make_graph, trigram):
    searcher, graph = make_graph(engine)
    log_probs, lengths = posteriors(4, 5, len(graph.lang.tokens), seed=11)
    grammar = Grammar(graph.folder / "G.fst.txt", graph.lang.symbols)
    plain = decode_graph(searcher, graph, log_probs, lengths, WIDE, nbest=40)
    passes = Passes(rescoring=Rescoring(grammar, trigram, 1.0, 1.4, graph.lang.symbols), nbest=40)
    again = decode_graph(searcher, graph, log_probs, lengths, WIDE, passes=passes, frame_shift=[1.0] * 4)
    for before, after in zip(plain, again):
        expected = {tuple(h.words): h.score - arpa_score(h.words) + 1.4 * trigram.score(h.words) for h in before}
        common = [h for h in after if tuple(h.words) in expected]
        assert len(common) > 10
        for h in common:
            assert h.score == pytest.approx(expected[tuple(h.words)], abs=1e-3)
        assert [h.score for h in after] == sorted((h.score for h in after), reverse=True)
        assert len(after[0].times) == len(after[0].words) == len(after[0].word_confidences)


def test_lattices_without_a_reading_that_the_new_model_allows_keep_their_scores(make_graph, tmp_path, caplog):
    searcher, graph = make_graph("kaldi", ["a", "b", "c", "d"])
    none = "\\data\\\nngram 1=3\n\n\\1-grams:\n-0.3\t</s>\n-99\t<s>\n-0.3\tq\n\n\\end\\\n"
    (tmp_path / "none.arpa").write_text(none)
    grammar = Grammar(graph.folder / "G.fst.txt", graph.lang.symbols)
    log_probs = torch.full((1, 3, 5), math.log(0.01))
    log_probs[:, :, 1] = math.log(0.96)
    passes = Passes(rescoring=Rescoring(grammar, read_arpa(tmp_path / "none.arpa"), 1.0, 1.0, graph.lang.symbols))
    narrow, counts = SearchOptions(beam=20.0, lattice_beam=1.0), Counter()
    (nbest,) = decode_graph(searcher, graph, log_probs, torch.tensor([3]), narrow, counts=counts, passes=passes)
    assert nbest[0].words == ["a"] and counts["not_rescored"] == 1 and "keep their first scores" in caplog.text


class Endless:
    """A language model in which every word may follow and no sentence ends."""

    def start(self):
        return ()

    def step(self, state, word):
        return -1.0, ()

    def finish(self, state):
        return -math.inf


def test_lattices_in_which_no_reading_ends_after_rescoring_keep_their_scores(make_graph):
    searcher, graph = make_graph("kaldi")
    log_probs, lengths = posteriors(2, 5, len(graph.lang.tokens), seed=13)
    grammar = Grammar(graph.folder / "G.fst.txt", graph.lang.symbols)
    plain, counts = decode_graph(searcher, graph, log_probs, lengths, WIDE), Counter()
    passes = Passes(rescoring=Rescoring(grammar, Endless(), 1.0, 1.0, graph.lang.symbols))
    again = decode_graph(searcher, graph, log_probs, lengths, WIDE, counts=counts, passes=passes)
    assert [nbest[0].words for nbest in again] == [nbest[0].words for nbest in plain]
    assert counts["not_rescored"] == 2


@pytest.mark.parametrize("engine", ENGINES)
def test_the_best_path_alone_has_no_confidence(engine, make_graph):
    searcher, graph = make_graph(engine)
    log_probs, lengths = posteriors(6, 8, len(graph.lang.tokens), seed=12)
    lattice = decode_graph(searcher, graph, log_probs, lengths, WIDE, frame_shift=[0.5] * 6)
    alone = decode_graph(searcher, graph, log_probs, lengths, WIDE, passes=Passes(lattice=False), frame_shift=[0.5] * 6)
    for (one,), (other,) in zip(lattice, alone):
        assert other.score == pytest.approx(one.score, abs=1e-3)
        assert other.confidence is None and other.word_confidences is None and one.word_confidences is not None
        assert len(other.times) == len(other.words)


def test_oracle_errors_are_counted_before_rescoring(make_graph):
    searcher, graph = make_graph("kaldi")
    log_probs, lengths = posteriors(3, 6, len(graph.lang.tokens), seed=13)
    lengths[2] = 0
    counts = Counter()
    references = [["b", "c", "unknown"], ["a"], ["a", "b"]]
    search_readings(searcher, graph, log_probs, lengths, WIDE, Passes(), counts, references)
    # all of one to three words is in the lattices but for the unknown one; the last has no frames
    assert counts["oracle_errors"] == 1 + 0 + 2 and counts["reference_words"] == 6


def test_processes_find_what_one_finds(make_graph, trigram):
    _, graph = make_graph("kaldi")
    log_probs, lengths = posteriors(11, 10, len(graph.lang.tokens), seed=14)
    lengths[4] = 0
    references = [["a", "b"]] * 11
    grammar = Grammar(graph.folder / "G.fst.txt", graph.lang.symbols)
    passes = Passes(rescoring=Rescoring(grammar, trigram, 1.0, 1.0, graph.lang.symbols), nbest=5)
    narrow, outs, counts = SearchOptions(beam=15.0, lattice_beam=4.0, lm_scale=1.3), [], []
    for nj in (1, 2):
        with Searcher("kaldi", graph.folder, narrow, passes, nj) as searcher:
            found = searcher.search(log_probs, lengths, references)
            outs.append([one.hypotheses(5, False, spelling_of(graph.lang), 0.1) for one in found])
            counts.append(searcher.counts)
    assert outs[0] == outs[1] and counts[0] == counts[1] and counts[0]["searched"] == 11
    assert outs[1][4][0].words == [] and counts[1]["empty"] == 1


@pytest.mark.k2
def test_k2_searches_in_one_process(make_graph):
    _, graph = make_graph("k2")
    with pytest.raises(AslError, match="--nj 2: the k2 engine searches a batch at once"):
        Searcher("k2", graph.folder, WIDE, nj=2)


def test_a_number_of_processes_is_one_or_more(make_graph):
    _, graph = make_graph("kaldi")
    with pytest.raises(AslError, match="--nj 0"):
        Searcher("kaldi", graph.folder, WIDE, nj=0)


def test_any_reading_gets_the_times_of_its_best_alignment():
    spelling = {"u": [(1,)], "v": [(2, 2)], "w": [(1, 2), (2, 1)]}
    log_probs = torch.full((6, 3), math.log(0.05))
    for frame, token in enumerate([0, 2, 0, 2, 1, 1]):
        log_probs[frame, token] = math.log(0.9)
    log_probs = log_probs.numpy()
    assert aligned_times(log_probs, ["v", "u"], spelling, 0.5) == [(0.5, 2.0), (2.0, 3.0)]
    # of two pronunciations the better one
    assert aligned_times(log_probs[3:], ["w"], spelling, 1.0) == [(0.0, 3.0)]
    # too few frames for a blank between: the two tokens share their run
    assert aligned_times(log_probs[[1, 3]], ["v"], spelling, 1.0) == [(0.0, 2.0)]
    assert aligned_times(log_probs[:1], ["w"], spelling, 1.0) is None
