"""L with probabilities of pronunciations and transitions between signs, searched by both engines."""

import itertools
import math

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.graph.compose import compose_lg
from asl.graph.engine import get_engine
from asl.graph.grammar import write_grammar
from asl.graph.lexicon import write_lexicon_fsts
from asl.graph.options import SearchOptions
from asl.lang.folder import read_lang
from asl.lang.prepare import write_lang
from tests.graph.byhand import ARPA, LEXICON, arpa_score, best_alignments, posteriors

PROBS = {("a", ("x",)): 1.0, ("b", ("x", "y")): 0.7, ("c", ("x",)): 0.2, ("c", ("z",)): 0.5, ("d", ("z", "z")): 1.0}
ENGINES = [pytest.param("k2", marks=pytest.mark.k2), "kaldi"]
WIDE = SearchOptions(beam=1e4, lattice_beam=1e4)


def make(tmp_path, lexicon=LEXICON, probs=None, transition=False, grammar="arpa", **options):
    write_lang(list(lexicon), tmp_path / "lang", lexicon, probs, transition)
    (tmp_path / "G.arpa").write_text(ARPA)
    write_lexicon_fsts(tmp_path / "lang", **options)
    write_grammar(tmp_path / "lang", str(tmp_path / "G.arpa") if grammar == "arpa" else grammar)
    return tmp_path / "lang"


def listed(lang, log_probs, topology, probs, transition_prob, longest=3):
    """Every word sequence with its best score, by listing alignments, pronunciations and transitions."""
    scores = best_alignments(log_probs.double().numpy(), topology)
    spelling, best = {}, {}
    for word, units in lang.entries:
        spelling.setdefault(word, []).append((lang.tokens.encode(units), probs[word, units]))
    most = {word: max(prob for _, prob in variants) for word, variants in spelling.items()}
    between = [((), 1 - transition_prob), ((len(lang.tokens) - 1,), transition_prob)]
    for count in range(longest + 1):
        for words in itertools.product(spelling, repeat=count):
            variants = itertools.product(*(spelling[word] for word in words))
            for chosen, gaps in itertools.product(variants, itertools.product(between, repeat=max(count - 1, 0))):
                prob = math.prod(p / most[w] for w, (_, p) in zip(words, chosen)) * math.prod(p for _, p in gaps)
                parts = [list(gap) + units for gap, (units, _) in zip([(), *(g for g, _ in gaps)], chosen)]
                said = tuple(itertools.chain(*parts))
                if prob > 0 and said in scores:
                    score = scores[said] + math.log(prob) + arpa_score(words)
                    best[words] = max(best.get(words, -math.inf), score)
    return best


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("topology", ["ctc", "compact", "left-to-right"])
@pytest.mark.parametrize("transition_prob", [None, 0.25, 0.0, 1.0])
def test_variants_and_transitions_score_as_when_all_are_listed(engine, topology, transition_prob, tmp_path):
    transition = transition_prob is not None
    lang_dir = make(tmp_path, probs=PROBS, transition=transition, transition_prob=transition_prob)
    lang, searcher = read_lang(lang_dir), get_engine(engine)
    log_probs, lengths = posteriors(2, 5, len(lang.tokens), seed=3)
    searcher.compile(lang_dir, tmp_path / "graph", topology)
    lattices = searcher.decode(searcher.load(tmp_path / "graph"), log_probs, lengths, WIDE)
    for row, nbest in enumerate(searcher.nbest(lattices, 1000)):
        found = {tuple(reading.words): reading.score for reading in nbest if len(reading.words) <= 3}
        expected = listed(lang, log_probs[row, :lengths[row]], topology, PROBS, transition_prob or 0.0)
        assert found == {words: pytest.approx(score, abs=1e-3) for words, score in expected.items()}


def test_the_text_of_l_with_a_transition(tmp_path):
    lang = make(tmp_path, {"a": [["x"]], "b": [["x", "y"]]}, transition=True, grammar="one-sign", transition_prob=0.25)
    # tokens: <blk> x y <trans> (3) #0 (4) #1 (5); words: <eps> a b #0 (3)
    between = f"0 1 0 0 0\n2 1 0 0 {-math.log(0.75):.9g}\n2 1 3 0 {-math.log(0.25):.9g}\n"
    assert (lang / "L.fst.txt").read_text() == f"{between}1 2 1 1 0\n1 3 1 2 0\n3 2 2 0 0\n0 0\n2 0\n"
    text = f"{between}1 3 1 1 0\n3 2 5 0 0\n1 4 1 2 0\n4 2 2 0 0\n0 0 4 3 0\n2 2 4 3 0\n0 0\n2 0\n"
    assert (lang / "L_disambig.fst.txt").read_text() == text


def test_many_homophones_and_prefixes_stay_apart(tmp_path):
    # every word sounds like another or begins one, some three times over
    lexicon = {"a": [["x"], ["x", "y"]], "b": [["x"], ["y"]], "c": [["x", "y"]], "d": [["x", "y", "x"], ["x"]]}
    lang_dir = make(tmp_path, lexicon, transition=True)
    lang, searcher = read_lang(lang_dir), get_engine("kaldi")
    log_probs, lengths = posteriors(1, 5, len(lang.tokens), seed=5)
    searcher.compile(lang_dir, tmp_path / "graph", "ctc")
    lattices = searcher.decode(searcher.load(tmp_path / "graph"), log_probs, lengths, WIDE)
    found = {tuple(reading.words): reading.score for reading in searcher.nbest(lattices, 1000)[0]}
    probs = {entry: 1.0 for entry in lang.entries}
    expected = listed(lang, log_probs[0], "ctc", probs, 0.5)
    assert {words: score for words, score in found.items() if len(words) < 4} == {
        words: pytest.approx(score, abs=1e-3) for words, score in expected.items()
    }


def test_a_transition_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(AslError, match="tokens.txt has no <trans>; make a lang folder with it by 'asl lexicon"):
        make(tmp_path, transition_prob=0.5)
    for wrong in (-0.1, 1.5, math.nan):
        with pytest.raises(AslError, match="--transition-prob is .*; give a probability from 0"):
            make(tmp_path, transition=True, transition_prob=wrong)


def test_missing_disambiguation_symbols_are_named(tmp_path):
    lang = make(tmp_path)
    tokens = (lang / "tokens.txt").read_text()
    (lang / "tokens.txt").write_text(tokens.replace("#2 6\n", ""))
    with pytest.raises(AslError, match="tokens.txt: '#2' is missing; words that sound alike need"):
        write_lexicon_fsts(lang)
    (lang / "tokens.txt").write_text(tokens)
    whole = (lang / "L_disambig.fst.txt").read_text()
    (lang / "L_disambig.fst.txt").write_text(whole.replace("0 0 4 5 0\n", ""))
    with pytest.raises(AslError, match="L_disambig.fst.txt has no '#0', by which G backs off"):
        compose_lg(lang)
    (lang / "L_disambig.fst.txt").write_text(whole.replace(" 6 0 0\n", " 0 0 0\n"))
    with pytest.raises(AslError, match="L_disambig.fst.txt has no '#2'"):
        compose_lg(lang)
    (lang / "L_disambig.fst.txt").write_text(whole.replace("0 1 1 1 0", "0 1 9 1 0"))
    with pytest.raises(AslError, match="L_disambig.fst.txt has the label 9, and tokens.txt ends at 6"):
        compose_lg(lang)
    assert np.isfinite(compose_lg(make(tmp_path)).cost).all()
