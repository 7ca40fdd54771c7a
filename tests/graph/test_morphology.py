"""M: it does to every sentence what the rules do to its glosses, and both engines find the words of G through it."""

import itertools
import math

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.graph.compile import compile_graph
from asl.graph.compose import read_openfst_text
from asl.graph.engine import get_engine
from asl.graph.fst import from_openfst
from asl.graph.morphology import write_morphology
from asl.graph.options import SearchOptions
from asl.lang.arpa import read_arpa
from asl.lang.folder import read_lang
from asl.lang.morphology import read_morphology
from asl.lang.prepare import write_lang
from asl.lang.tokens import read_symbols
from tests.graph.byhand import best_alignments, posteriors

ENGINES = [pytest.param("k2", marks=pytest.mark.k2), "kaldi"]
WIDE = SearchOptions(beam=1e4, lattice_beam=1e4)
RULES = {
    "one gloss": "replace a2 a\ndelete loc-\n",
    "dropped": "drop pu\n",
    "compound": "compound a b ab\ncompound b c bc\n",
    "letters": "letters + [A-Z]\n",
    "repeats": "repeats\n",
    "all": "replace a2 a\ndelete loc-\ndrop pu\ncompound a b ab\nletters + [A-Z]\nrepeats [a-z]+\n",
}
GLOSSES = ["a", "a2", "loc-b", "b", "pu", "A", "B", "A+B", "loc-"]
ARPA = """\\data\\
ngram 1=8
ngram 2=5

\\1-grams:
-0.7\t</s>
-99\t<s>\t-0.3
-0.6\ta\t-0.2
-0.9\tb\t-0.1
-0.8\tab\t-0.4
-1.1\tA\t-0.2
-1.2\tA+B\t-0.3
-1.3\tB+A+B

\\2-grams:
-0.4\t<s> a
-0.5\ta b
-0.3\ta a
-0.6\tab </s>
-0.2\tA+B a

\\end\\
"""


def make(tmp_path, glosses, rules, **options):
    lexicon = glosses if isinstance(glosses, dict) else None
    write_lang(list(glosses), tmp_path / "lang", lexicon, **options)
    (tmp_path / "rules.txt").write_text(rules)
    (tmp_path / "G.arpa").write_text(ARPA)
    return tmp_path / "lang", read_morphology(tmp_path / "rules.txt")


def outputs(fst, glosses):
    """What a transducer makes of a sequence of input labels: the output labels of each path that ends."""
    leaving = {}
    for arc in zip(*(column.tolist() for column in (fst.src, fst.dst, fst.ilabel, fst.olabel))):
        leaving.setdefault(arc[0], []).append(arc[1:])
    paths, found = [(0, 0, ())], []
    while paths:
        state, read, said = paths.pop()
        if read == len(glosses) and np.isfinite(fst.final[state]):
            found.append(said)
        for dst, label, word in leaving.get(state, ()):
            if label == 0 or (read < len(glosses) and label == glosses[read]):
                paths.append((dst, read + (label > 0), (*said, word) if word else said))
    return found


@pytest.mark.parametrize("name", RULES)
def test_m_does_what_the_rules_do_on_one_path_for_every_sentence(name, tmp_path):
    lang_dir, rules = make(tmp_path, GLOSSES, RULES[name])
    longest = 3 if name == "all" else 4
    sentences = [s for n in range(longest + 1) for s in itertools.product(GLOSSES[:8], repeat=n)]
    spelled = {word for s in sentences for word in rules.apply(s)}
    write_morphology(lang_dir, rules, sorted(spelled))
    fst = from_openfst(read_openfst_text(lang_dir / "M.fst.txt"))
    ids = read_symbols(lang_dir / "words.txt")
    words = list(read_symbols(lang_dir / "M_words.txt"))
    for sentence in sentences:
        said = [[words[i] for i in path] for path in outputs(fst, [ids[gloss] for gloss in sentence])]
        assert said == [rules.apply(sentence)], sentence


def test_back_off_passes_at_one_place_alone(tmp_path):
    lang_dir, rules = make(tmp_path, ["a", "b", "pu"], RULES["all"])
    write_morphology(lang_dir, rules, ["a", "b", "ab"])
    fst, ids = from_openfst(read_openfst_text(lang_dir / "M.fst.txt")), read_symbols(lang_dir / "words.txt")
    words = list(read_symbols(lang_dir / "M_words.txt"))

    def said(text):
        return [" ".join(words[i] for i in path) for path in outputs(fst, [ids[gloss] for gloss in text.split()])]

    assert said("#0 a pu #0 #0 b #0") == ["#0 a #0 #0 b #0"]
    assert said("a #0 pu b") == []  # what is dropped stands before the back-off symbol
    assert said("a #0 b") == [] and said("a b") == ["ab"] and said("b #0 a") == ["b #0 a"]
    assert said("a a") == ["a"] and said("a #0 a") == []  # the same word again is no word


def by_hand(lang, log_probs, topology, rules, lm, longest):
    """Every word sequence with its best score: over the sentences of glosses that the rules make it of."""
    scores, best = best_alignments(log_probs.double().numpy(), topology), {}
    spelling = {}
    for word, units in lang.entries:
        spelling.setdefault(word, []).append(lang.tokens.encode(units))
    for count in range(longest + 1):
        for glosses in itertools.product(spelling, repeat=count):
            words = tuple(rules.apply(glosses))
            for units in itertools.product(*(spelling[gloss] for gloss in glosses)):
                score = scores.get(tuple(itertools.chain(*units)), -math.inf) + lm(words)
                if score > max(best.get(words, -math.inf), -1e9):
                    best[words] = score
    return best


def best_path_of(lm):
    """An n-gram's score of words where backing off may be chosen at each step, as G's arcs allow."""

    def score(words):
        states = {lm.start(): 0.0}
        for word in [*words, None]:
            after = {}
            for state, total in states.items():
                backed = total
                for first in range(len(state) + 1):
                    history = state[first:]
                    if first:
                        backed += lm.backoffs.get(state[first - 1:], 0.0)
                    ngram = (*history, "</s>" if word is None else word)
                    value = lm.ngrams[len(history)].get(ngram)
                    if value is not None:
                        reached = ngram[-(lm.order - 1):]
                        after[reached] = max(after.get(reached, -math.inf), backed + value)
            states = after
        return max(states.values(), default=-math.inf)

    return score


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("topology", ["ctc", "compact"])
def test_both_engines_find_the_words_of_g_through_all_rules(engine, topology, tmp_path):
    glosses = {"a": [["x"]], "a2": [["y"]], "b": [["z"], ["x", "y"]], "pu": [["y", "z"]], "A": [["w"]]}
    glosses["B"] = [["w", "z"]]
    rules_text = RULES["all"].replace("delete loc-\n", "")
    lang_dir, rules = make(tmp_path, glosses, rules_text)
    compile_graph(str(lang_dir), str(tmp_path / "graph"), str(tmp_path / "G.arpa"), engine, topology,
                  morphology=str(tmp_path / "rules.txt"))  # fmt: skip
    lang, searcher = read_lang(lang_dir), get_engine(engine)
    graph = searcher.load(tmp_path / "graph")
    assert graph.lang.words == ["a", "b", "ab", "A", "B", "A+B", "B+A+B"]
    log_probs, lengths = posteriors(3, 5, len(lang.tokens), seed=7)
    lattices = searcher.decode(graph, log_probs, lengths, WIDE)
    lm = best_path_of(read_arpa(tmp_path / "G.arpa"))
    for row, (path, nbest) in enumerate(zip(searcher.best_path(lattices), searcher.nbest(lattices, 10_000))):
        expected = by_hand(lang, log_probs[row, :lengths[row]], topology, rules, lm, longest=5)
        found = {tuple(reading.words): reading.score for reading in nbest}
        assert found == {words: pytest.approx(score, abs=1e-3) for words, score in expected.items()}
        assert path.score == pytest.approx(max(expected.values()), abs=1e-3)


def test_what_m_does_is_reported_and_a_graph_without_it_made_again(tmp_path, capsys, caplog):
    lang_dir, _ = make(tmp_path, ["a", "a2", "b", "pu", "q", "A"], RULES["all"] + "compound x y z\n")
    arguments = (str(lang_dir), str(tmp_path / "graph"), str(tmp_path / "G.arpa"), "kaldi", "compact")
    rules = str(tmp_path / "rules.txt")
    compile_graph(*arguments, morphology=rules)
    printed = capsys.readouterr().out
    assert "M: 6 glosses, 5 words; the rules change 1 glosses, drop 1 (pu)" in printed
    assert "compounds whose parts are no glosses: x y" in printed
    assert "M: 2 words of the grammar that no gloss gives: A+B, B+A+B" in printed
    assert "1 words are in no n-gram and cannot be recognised: q" in caplog.text
    compile_graph(*arguments, morphology=rules)
    assert "up to date" in capsys.readouterr().out
    (tmp_path / "rules.txt").write_text("replace a2 a\n")
    compile_graph(*arguments, morphology=rules)
    assert "up to date" not in capsys.readouterr().out
    compile_graph(*arguments)
    assert "M:" not in capsys.readouterr().out and not (lang_dir / "M.fst.txt").exists()
    assert get_engine("kaldi").load(tmp_path / "graph").lang.words == ["a", "a2", "b", "pu", "q", "A"]


def test_rules_that_cannot_be_a_transducer_are_refused(tmp_path, monkeypatch):
    lang_dir, rules = make(tmp_path, ["a", "b"], "drop a b\n")
    with pytest.raises(AslError, match="leave no word of the 2 glosses"):
        write_morphology(lang_dir, rules)
    lang_dir, rules = make(tmp_path, ["a", "b"], "repeats\n")
    monkeypatch.setattr("asl.graph.morphology.MOST_ARCS", 5)
    with pytest.raises(AslError, match="'repeats' for 2 of 2 words would take 6 arcs; let it name fewer"):
        write_morphology(lang_dir, rules)
