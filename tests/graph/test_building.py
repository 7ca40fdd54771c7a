"""L, G, L∘G and H: the files, their sizes, and what is said when an input is wrong."""

import math
import re
import time

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.graph.compile import compile_graph
from asl.graph.compose import compose_lg
from asl.graph.epsilon import count_arcs, remove_epsilons, with_null_frames
from asl.graph.fst import Fst, from_openfst
from asl.graph.grammar import write_arpa_grammar, write_grammar
from asl.graph.lexicon import write_lexicon_fsts
from asl.graph.topology import apply_topology
from asl.lang.ngram_train import train
from tests.graph.byhand import ARPA, LEXICON


def test_the_text_fsts_of_one_sign(make_lang):
    lang = make_lang(["u", "v"])
    assert (lang / "L.fst.txt").read_text() == "0 0 1 1 0\n0 0 2 2 0\n0 0\n"
    # tokens: <blk> u v #0 (3); words: <eps> u v #0 (3)
    assert (lang / "L_disambig.fst.txt").read_text() == "0 0 1 1 0\n0 0 2 2 0\n0 0 3 3 0\n0 0\n"
    rows = [line.split() for line in (lang / "G.fst.txt").read_text().splitlines()]
    assert [row[:4] for row in rows] == [["0", "1", "1", "1"], ["0", "1", "2", "2"], ["1", "0"]]
    assert float(rows[0][4]) == pytest.approx(math.log(2))


def test_words_of_several_units_and_disambiguation(make_lang):
    lang = make_lang(LEXICON)  # tokens: <blk> x y z #0 (4) #1 (5) #2 (6)
    lines = (lang / "L.fst.txt").read_text().splitlines()
    assert lines[:4] == ["0 0 1 1 0", "0 1 1 2 0", "1 0 2 0 0", "0 0 1 3 0"]
    text = (lang / "L_disambig.fst.txt").read_text()
    assert text.startswith("0 1 1 1 0\n1 0 5 0 0\n0 2 1 2 0\n2 0 2 0 0\n0 3 1 3 0\n3 0 6 0 0\n")


@pytest.mark.parametrize("topology, arcs", [("ctc", 3), ("compact", 4), ("left-to-right", 3)])
def test_the_one_sign_graph_is_linear_in_the_signs(make_lang, topology, arcs):
    lang = make_lang([f"w{n}" for n in range(2000)])
    began = time.perf_counter()
    graph = apply_topology(compose_lg(lang), topology)
    assert graph.num_arcs == arcs * 2000 + 2 and graph.num_states == 2002
    assert time.perf_counter() - began < 10
    # one frame is one arc: input labels are token id + 1, none is epsilon
    assert set(graph.ilabel.tolist()) == set(range(1, 2002))


def test_an_unknown_topology_and_a_graph_too_large_are_refused(make_lang):
    lg = compose_lg(make_lang(["u", "v"]))
    with pytest.raises(AslError, match="did you mean 'compact'"):
        apply_topology(lg, "compct")
    with pytest.raises(AslError, match="would have 8 arcs, more than 5; use --topology compact"):
        apply_topology(lg, "ctc", max_arcs=5)


def test_arpa_leaves_out_what_the_lang_folder_does_not_know(make_lang, tmp_path, caplog):
    lang = make_lang(["a", "b", "e"])
    (tmp_path / "G.arpa").write_text(ARPA)
    write_arpa_grammar(lang, tmp_path / "G.arpa")
    # c, d, 'c d' and 'd </s>'
    assert "4 n-grams left out, they hold words that are not in words.txt: c, d\n" in caplog.text
    assert "1 words are in no n-gram and cannot be recognised: e\n" in caplog.text
    assert compose_lg(lang).num_arcs > 0


def test_nothing_is_said_of_unk_that_every_n_gram_has(make_lang, tmp_path, caplog):
    (tmp_path / "train.txt").write_text("a b\nb a\na\n")
    train(text=str(tmp_path / "train.txt"), order=2, out=str(tmp_path / "G.arpa"))
    assert "<unk>" in (tmp_path / "G.arpa").read_text()
    write_arpa_grammar(make_lang(["a", "b"]), tmp_path / "G.arpa")
    assert caplog.text == ""
    write_arpa_grammar(make_lang(["a"]), tmp_path / "G.arpa")
    assert "hold words that are not in words.txt: <unk>, b\n" in caplog.text


@pytest.mark.parametrize("text, message", [
    ("", "not a whole ARPA file"),
    (ARPA[:120], "not a whole ARPA file"),
    ("\\data\\\nngram 1=2\n\n\\1-grams:\n-0.7 a b c\n\\end\\\n", "line 5 .*Invalid n-gram data line"),
    (re.sub(r"\b[ab]\b", "q", ARPA), "has no word of"),
])
def test_a_wrong_arpa_file_is_named(make_lang, tmp_path, text, message):
    lang = make_lang(["a", "b"])
    before = (lang / "G.fst.txt").read_text()
    (tmp_path / "G.arpa").write_text(text)
    with pytest.raises(AslError, match=message) as error:
        write_grammar(lang, str(tmp_path / "G.arpa"))
    assert "G.arpa" in str(error.value) and (lang / "G.fst.txt").read_text() == before
    with pytest.raises(AslError, match="no ARPA file"):
        write_grammar(lang, str(tmp_path / "none.arpa"))


@pytest.mark.parametrize("text, message", [
    ("0 1 1 1 0\n1 x\n", "line 2"), ("0 1 1\n", "line 1"), ("0 1 1 1 nan\n", "line 1"), ("", "is empty"),
    ("0 1 9 9 0\n1 0\n", "can spell nothing"),
])
def test_a_wrong_text_fst_is_named(make_lang, text, message):
    lang = make_lang(["a", "b"])
    (lang / "G.fst.txt").write_text(text)
    with pytest.raises(AslError, match=message):
        compose_lg(lang)
    (lang / "G.fst.txt").unlink()
    with pytest.raises(AslError, match="G.fst.txt does not exist"):
        compose_lg(lang)


@pytest.mark.parametrize("in_memory", [True, False])
def test_arrays_to_openfst_and_back(in_memory, monkeypatch):
    if not in_memory:  # as on a Mac
        monkeypatch.delattr("os.memfd_create", raising=False)
    fst = Fst(
        np.array([0, 0, 1], np.int32), np.array([1, 2, 2], np.int32), np.array([1, 0, 3], np.int32),
        np.array([0, 2, 0], np.int32), np.array([0.123456789, 0.0, 1e-9], np.float32),
        np.array([np.inf, 0.5, 0.0], np.float32),
    )
    again = from_openfst(fst.openfst())
    for name in ("src", "dst", "ilabel", "olabel", "cost", "final"):
        assert np.array_equal(getattr(fst, name), getattr(again, name)), name
    import kaldifst

    assert from_openfst(kaldifst.StdVectorFst()).num_states == 0
    swapped = from_openfst(kaldifst.compile("2 0 1 1 0.25\n0 1 2 2 0.5\n1 3\n", keep_state_numbering=True))
    assert swapped.src.tolist() == [0, 2] and swapped.dst.tolist() == [2, 1]  # the start is state 0
    assert swapped.cost.tolist() == [0.25, 0.5] and swapped.final.tolist() == [np.inf, 3.0, np.inf]
    assert swapped.openfst().to_str(show_weight_one=True).split() == "0 2 1 1 0.25 1 3 2 1 2 2 0.5".split()


def test_removing_epsilons_keeps_every_path_and_word():
    # two epsilon paths between the same states, with different words; a word at the very end
    fst = Fst(
        np.array([0, 0, 1, 2], np.int32), np.array([1, 1, 2, 3], np.int32), np.array([0, 0, 5, 0], np.int32),
        np.array([7, 8, 9, 6], np.int32), np.array([0.5, 1.0, 0.25, 2.0], np.float32),
        np.array([np.inf, np.inf, np.inf, 0.125], np.float32),
    )
    free = remove_epsilons(fst)
    words = [free.words[a:b].tolist() for a, b in zip(free.splits, free.splits[1:])]
    arcs = list(zip(free.src.tolist(), free.dst.tolist(), free.label.tolist(), free.cost.tolist(), words))
    assert arcs[:2] == [(0, 2, 5, 0.75, [7, 9]), (0, 2, 5, 1.25, [8, 9])]
    assert (2, 4, -1, 2.125, [6]) in arcs and (3, 4, -1, 0.125, []) in arcs
    cycle = Fst(*(np.array(column, np.int32) for column in ([0, 1], [1, 0], [0, 0], [0, 0])),
                np.zeros(2, np.float32), np.zeros(2, np.float32))
    for remove in (remove_epsilons, with_null_frames, count_arcs):
        with pytest.raises(AslError, match="cycle of epsilon arcs"):
            remove(cycle)
    assert count_arcs(fst) == len(free.src)
    held = with_null_frames(fst)  # states 0 to 3 before a null frame, 4 to 7 before a real one, 8 the end
    words = [held.words[a:b].tolist() for a, b in zip(held.splits, held.splits[1:])]
    arcs = list(zip(held.src.tolist(), held.dst.tolist(), held.label.tolist(), held.cost.tolist(), words))
    assert arcs == [
        (0, 4, 0, 0.0, []), (0, 5, 0, 0.5, [7]), (0, 5, 0, 1.0, [8]), (1, 5, 0, 0.0, []), (2, 6, 0, 0.0, []),
        (2, 7, 0, 2.0, [6]), (3, 7, 0, 0.0, []), (5, 2, 5, 0.25, [9]), (7, 8, -1, 0.125, []),
    ]


def test_compiling_as_the_command_does_it(make_lang, tmp_path, capsys):
    lang, out = make_lang(["u", "v"]), tmp_path / "exp" / "graph"
    for name in ("L.fst.txt", "L_disambig.fst.txt", "G.fst.txt"):
        (lang / name).unlink()
    compile_graph(str(lang), str(out), engine="kaldi")
    printed = capsys.readouterr().out
    assert "kaldi graph, ctc topology, 2 words, 3 tokens" in printed
    sizes = {line[:16].strip(): line[16:].split()[:4] for line in printed.splitlines()[1:]}
    assert list(sizes) == ["G", "L", "L∘G", "determinized", "minimal", "H applied", "H∘L∘G"]
    assert sizes["L"] == ["1", "states", "3", "arcs"] and sizes["H∘L∘G"] == ["4", "states", "8", "arcs"]
    compile_graph(str(lang), str(out), engine="kaldi")
    assert "up to date" in capsys.readouterr().out
    (tmp_path / "G.arpa").write_text(ARPA.replace("\ta", "\tu").replace(" a", " u"))
    compile_graph(str(lang), str(out), grammar=str(tmp_path / "G.arpa"), engine="kaldi")
    assert "kaldi graph" in capsys.readouterr().out
    with pytest.raises(AslError, match="no lang folder"):
        compile_graph(str(tmp_path / "nowhere"), str(out))
    (lang / "lexicon.txt").write_text("u u\nv\n")
    with pytest.raises(AslError, match="line 2: word 'v' has no units"):
        write_lexicon_fsts(lang)
