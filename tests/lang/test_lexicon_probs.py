"""lexiconp.txt: the probabilities of pronunciations, and what is said when they are wrong."""

import math

import pytest

from asl.common.errors import AslError
from asl.lang.folder import read_lang
from asl.lang.lexicon_probs import pronunciation_costs
from asl.lang.prepare import write_lang

LEXICON = {"a": [["x"]], "b": [["x", "y"]], "c": [["x"], ["z"]]}
PROBS = {("a", ("x",)): 1.0, ("b", ("x", "y")): 0.5, ("c", ("x",)): 0.2, ("c", ("z",)): 0.6}


def test_round_trip_and_no_file_where_nothing_is_known(tmp_path):
    write_lang(["a", "b", "c"], tmp_path, LEXICON, PROBS)
    assert (tmp_path / "lexiconp.txt").read_text() == "a 1 x\nb 0.5 x y\nc 0.2 x\nc 0.6 z\n"
    assert read_lang(tmp_path).probs == [1.0, 0.5, 0.2, 0.6]
    (tmp_path / "lexiconp.txt").write_text("c 0.6 z\nb .5 x y\n\na 1 x\nc 2e-1 x\n")  # in any order
    assert read_lang(tmp_path).probs == [1.0, 0.5, 0.2, 0.6]
    write_lang(["a", "b", "c"], tmp_path, LEXICON)
    assert read_lang(tmp_path).probs is None


def test_costs_by_kaldis_maximum_the_sum_or_as_they_are():
    entries, probs = list(PROBS), list(PROBS.values())
    assert pronunciation_costs(entries, probs) == pytest.approx([0, 0, math.log(3), 0])
    by_sum = [0, 0, -math.log(0.25), -math.log(0.75)]
    assert pronunciation_costs(entries, probs, "sum") == pytest.approx(by_sum)
    as_is = [-math.log(prob) for prob in probs]
    assert pronunciation_costs(entries, probs, "none") == pytest.approx(as_is)
    with pytest.raises(AslError, match="unknown normalisation 'maxx'; did you mean 'max'"):
        pronunciation_costs(entries, probs, "maxx")


@pytest.mark.parametrize("text, message", [
    ("a 1 x\nb 0.5 x y\nc 0.2 x\n", "1 entries of lexicon.txt are not here, the first is 'c z'"),
    ("a 1 x\nb x y\n", "line 2: 'x' is no number"),
    ("a 1\n", "line 1: expected 'word probability unit unit …', found 'a 1'"),
    ("a 0 x\n", "line 1: the probability of 'a' is 0; give one above 0 and at most 1"),
    ("a 1.01 x\n", "line 1: the probability of 'a' is 1.01"),
    ("a nan x\n", "line 1: the probability of 'a' is nan"),
    ("a -1 x\n", "line 1: the probability of 'a' is -1"),
    ("a 1 x\na 1 x\n", "line 2: the entry of 'a' stands already in line 1"),
    ("a 1 x\nb 1 y\n", "line 2: 'y' is no entry of 'b' in lexicon.txt"),
    ("q 1 x\n", "line 1: 'x' is no entry of 'q' in lexicon.txt"),
])
def test_wrong_probabilities_are_named_by_line(tmp_path, text, message):
    write_lang(["a", "b", "c"], tmp_path, LEXICON, PROBS)
    (tmp_path / "lexiconp.txt").write_text(text)
    with pytest.raises(AslError, match=message) as error:
        read_lang(tmp_path)
    assert "lexiconp.txt" in str(error.value)


def test_the_transition_is_the_last_token_and_no_unit_of_a_word(tmp_path):
    write_lang(["a", "b", "c"], tmp_path, LEXICON, transition=True)
    assert (tmp_path / "tokens.txt").read_text() == "<blk> 0\nx 1\ny 2\nz 3\n<trans> 4\n#0 5\n#1 6\n#2 7\n"
    lang = read_lang(tmp_path)
    assert lang.has_transition and len(lang.tokens) == 5 and lang.words == ["a", "b", "c"]
    (tmp_path / "lexicon.txt").write_text("a x\nb x <trans> y\nc z\n")
    with pytest.raises(AslError, match="line 2: <trans> in 'b' is the transition between signs"):
        read_lang(tmp_path)
    with pytest.raises(AslError, match="no sign has it as a unit"):
        write_lang(["a"], tmp_path, {"a": [["x", "<trans>"]]})
