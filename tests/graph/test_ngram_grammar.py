"""G made of an estimated n-gram (kaldilm) gives each sentence the probability that the n-gram gives it."""

import pytest

from asl.graph.grammar import write_grammar
from asl.lang.arpa import write_arpa
from asl.lang.ngram import estimate
from asl.lang.prepare import write_lang
from asl.lang.tokens import read_symbols

TEXT = [s.split() for s in ("a b a", "a b b c", "b a", "c", "a b a c a b", "d d a b", "a b a", "c a b c")]


def scorer(lang):
    """From words to the log-probability of their path in ``G.fst.txt``, by back-off where nothing else is."""
    ids, arcs, final, start = read_symbols(lang / "words.txt"), {}, {}, None
    for fields in map(str.split, (lang / "G.fst.txt").read_text().splitlines()):
        state = int(fields[0])
        start = state if start is None else start
        if len(fields) >= 4:
            cost = float(fields[4]) if len(fields) > 4 else 0.0
            arcs.setdefault(state, {})[int(fields[2])] = (int(fields[1]), cost)
        else:
            final[state] = float(fields[1]) if len(fields) > 1 else 0.0

    def score(words):
        state, total = start, 0.0
        for word in words:
            while ids[word] not in arcs[state]:
                state, cost = arcs[state][ids["#0"]]
                total -= cost
            state, cost = arcs[state][ids[word]]
            total -= cost
        while state not in final:
            state, cost = arcs[state][ids["#0"]]
            total -= cost
        return total - final[state]

    return score


@pytest.mark.parametrize("smoothing", ["kneser-ney", "witten-bell"])
@pytest.mark.parametrize(
    "order, options", [(1, {}), (2, {}), (3, {}), (3, {"entropy": 1e-3}), (5, {"cutoffs": [0, 0, 1]})]
)
def test_the_graph_has_the_models_probabilities(smoothing, order, options, tmp_path):
    lm = estimate(TEXT, order, smoothing, vocabulary=["a", "b", "c", "d", "never"], **options).lm
    write_lang(lm.words, tmp_path)
    write_arpa(tmp_path / "G.arpa", lm)
    write_grammar(tmp_path, str(tmp_path / "G.arpa"))
    score = scorer(tmp_path)
    for words in [*TEXT, ["never", "a", "b"], ["d", "d", "d", "never"], ["b"]]:
        assert score(words) == pytest.approx(lm.score(words), abs=1e-4)
