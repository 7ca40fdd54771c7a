"""Lattices: pruned, of words alone, rescored, and the reading nearest to the reference, against all paths listed."""

import itertools
import math

import kaldialign
import numpy as np
import pytest

from asl.common.errors import AslError
from asl.decoding.grammar import Grammar
from asl.decoding.oracle import oracle_errors
from asl.decoding.rescore import Rescoring, rescore_lattice
from asl.graph.lattice import Lattice, empty_lattice, prune
from asl.graph.words import unique_readings, word_lattice
from asl.lang.arpa import read_arpa
from asl.lang.folder import read_lang
from tests.graph.byhand import ARPA, LEXICON, arpa_score

TRIGRAM = ARPA.replace("ngram 2=6\n", "ngram 2=6\nngram 3=3\n").replace("a b\n", "a b\t-0.3\n", 1).replace(
    "\\end\\", "\\3-grams:\n-0.2\t<s> a b\n-0.7\ta b </s>\n-0.1\ta a b\n\n\\end\\"
)


def random_lattice(seed, states=7, words=4, most=2):
    """A lattice in which every state leads to later ones; arcs have up to ``most`` words."""
    rng = np.random.default_rng(seed)
    arcs = []
    for src in range(states - 1):
        for dst in rng.integers(src + 1, states, rng.integers(1, 4)).tolist():
            said = rng.integers(1, words + 1, rng.integers(0, most + 1)).tolist()
            arcs.append((src, dst, float(rng.normal(-1, 2)), said))
    final = np.full(states, -np.inf)
    final[-1], final[-2] = -0.5, float(rng.normal())
    splits = np.cumsum([0, *(len(arc[3]) for arc in arcs)])
    columns = [np.array([arc[i] for arc in arcs], np.int32) for i in (0, 1)]
    said = np.array([word for arc in arcs for word in arc[3]], np.int32)
    return Lattice(*columns, np.array([arc[2] for arc in arcs]), said, splits, final)


def all_paths(lattice):
    """(words, score) of every path that ends in a final state."""
    found = []

    def walk(state, words, score):
        if lattice.final[state] > -np.inf:
            found.append((words, score + float(lattice.final[state])))
        for arc in np.flatnonzero(lattice.src == state):
            said = tuple(lattice.words[lattice.splits[arc]:lattice.splits[arc + 1]].tolist())
            walk(lattice.dst[arc], words + said, score + float(lattice.score[arc]))

    walk(0, (), 0.0)
    return found


def best_readings(paths):
    """Best score of each word sequence."""
    best = {}
    for words, score in paths:
        best[words] = max(score, best.get(words, -math.inf))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_a_word_lattice_has_each_reading_once_with_its_best_score(seed):
    lattice = random_lattice(seed)
    expected = best_readings(all_paths(lattice))
    words = word_lattice(lattice)
    paths = all_paths(words)
    assert len(paths) == len(expected) == len({said for said, _ in paths})
    assert dict(paths) == {said: pytest.approx(score, abs=1e-3) for said, score in expected.items()}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("n", [1, 5, 1000])
def test_the_best_readings_are_those_of_all_paths(seed, n, monkeypatch, caplog):
    lattice = random_lattice(seed, states=9)
    expected = sorted(best_readings(all_paths(lattice)).items(), key=lambda reading: -reading[1])[:n]
    found = [(said, pytest.approx(score, abs=1e-3)) for said, score in expected]
    assert unique_readings(lattice, n) == found
    # too many states for all of them: the best ones are found in a part of it, or it is said that there are fewer
    monkeypatch.setattr("asl.graph.words.MOST_STATES", 4)
    few = unique_readings(lattice, n)
    assert few and few == found[:len(few)]
    assert len(few) == len(found) or "too many word sequences" in caplog.text


@pytest.mark.parametrize("seed", range(6))
def test_pruning_keeps_what_is_near_the_best_path(seed):
    lattice = random_lattice(seed)
    expected = best_readings(all_paths(lattice))
    top = max(expected.values())
    narrow, width = prune(lattice, 2.0)
    found = best_readings(all_paths(narrow))
    assert {w: s for w, s in expected.items() if s >= top - 2.0}.items() <= found.items()
    assert width <= 2.0 and len(narrow.src) <= len(lattice.src)
    assert all_paths(prune(lattice, np.inf)[0]) == all_paths(lattice)
    assert best_readings(all_paths(word_lattice(lattice, 2.0))).keys() == found.keys()


def test_what_would_need_too_many_states_is_pruned_and_said(monkeypatch, caplog):
    lattice = random_lattice(3, states=10)
    monkeypatch.setattr("asl.graph.words.MOST_STATES", 6)
    words = word_lattice(lattice)
    assert len(words.final) <= 7 and "too many word sequences" in caplog.text
    assert unique_readings(words, 1)[0][0] == unique_readings(lattice, 1)[0][0]


def test_no_lattice_has_no_words():
    assert len(word_lattice(empty_lattice()).final) == 0 and prune(empty_lattice(), 1.0)[1] == 0.0
    assert unique_readings(empty_lattice(), 3) == []
    assert oracle_errors(empty_lattice(), [1, 2, 3]) == 3


@pytest.mark.parametrize("seed", range(12))
def test_oracle_errors_are_those_of_the_nearest_of_all_paths(seed):
    lattice = random_lattice(seed)
    rng = np.random.default_rng(seed + 100)
    for length in (0, 1, 3, 6):
        reference = rng.integers(1, 6, length).tolist()  # 5 is in no lattice
        expected = min(kaldialign.edit_distance(reference, list(w))["total"] for w, _ in all_paths(lattice))
        assert oracle_errors(lattice, reference) == expected
        assert oracle_errors(word_lattice(lattice), reference) == expected


@pytest.fixture
def models(make_lang, tmp_path):
    """Old grammar, new trigram, and the symbols, over the words a, b, c, d (ids 1 to 4)."""
    lang_dir = make_lang(LEXICON, "arpa")
    (tmp_path / "new.arpa").write_text(TRIGRAM)
    symbols = read_lang(lang_dir).symbols
    return Grammar(lang_dir / "G.fst.txt", symbols), read_arpa(tmp_path / "new.arpa"), symbols


def test_the_grammar_is_read_as_the_search_sees_it(models, make_lang):
    grammar, _, symbols = models
    for count in range(4):
        for words in itertools.product(range(1, 5), repeat=count):
            expected = arpa_score([symbols[word] for word in words])
            assert grammar.score(words) == pytest.approx(expected, abs=1e-4), words
    one = Grammar(make_lang(LEXICON, name="one") / "G.fst.txt", symbols)
    assert one.score([3]) == pytest.approx(-math.log(4)) and one.score([]) == one.score([1, 2]) == -math.inf


def test_a_grammar_that_is_none_is_named(models, tmp_path):
    (tmp_path / "bad.txt").write_text("0 1 2 2 0.5\n0 one\n")
    with pytest.raises(AslError, match="bad.txt line 2"):
        Grammar(tmp_path / "bad.txt", models[2])
    (tmp_path / "bad.txt").write_text("")
    with pytest.raises(AslError, match="is empty"):
        Grammar(tmp_path / "bad.txt", models[2])
    with pytest.raises(AslError, match="compile the graph again"):
        Grammar(tmp_path / "absent.txt", models[2])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.7, 1.3), (0.0, 0.4)])
def test_a_rescored_lattice_has_every_path_with_its_new_score(seed, scales, models):
    old, new, symbols = models
    lattice = random_lattice(seed)
    rescoring = Rescoring(old, new, *scales, symbols)
    expected = {
        words: score - scales[0] * old.score(words) + scales[1] * new.score([symbols[word] for word in words])
        for words, score in best_readings(all_paths(lattice)).items()
    }
    for before in (lattice, word_lattice(lattice)):
        found = best_readings(all_paths(rescore_lattice(before, rescoring)))
        assert found == {words: pytest.approx(score, abs=1e-3) for words, score in expected.items()}


def test_words_that_the_new_model_excludes_are_gone(models, tmp_path):
    old, _, symbols = models
    (tmp_path / "few.arpa").write_text("\\data\\\nngram 1=3\n\n\\1-grams:\n-0.3\t</s>\n-99\t<s>\n-0.3\ta\n\n\\end\\\n")
    lattice = random_lattice(1)
    rescored = rescore_lattice(lattice, Rescoring(old, read_arpa(tmp_path / "few.arpa"), 1.0, 1.0, symbols))
    kept = {words for words, _ in all_paths(lattice) if set(words) <= {1}}
    assert {words for words, _ in all_paths(rescored)} == kept
