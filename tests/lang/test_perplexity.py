"""Perplexity by hand; words that the model does not know are told apart."""

import math

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.lang.arpa import NGram
from asl.lang.ngram import estimate
from asl.lang.perplexity import measure

LN = {p: math.log(p) for p in (0.1, 0.2, 0.3, 0.4)}
UNIGRAM = {("<s>",): -math.inf, ("</s>",): LN[0.4], ("<unk>",): LN[0.1]}
UNIGRAM.update({("rain",): LN[0.3], ("snow",): LN[0.2]})


def test_by_hand():
    found = measure(NGram([UNIGRAM], {}), [["rain", "hail"], [], ["snow", "sleet", "hail"]])
    assert (found.sentences, found.words, found.oov_count) == (3, 5, 3) and found.oov_rate == 0.6
    assert list(found.oov.items()) == [("hail", 2), ("sleet", 1)]
    known = [0.3, 0.4, 0.4, 0.2, 0.4]
    assert found.perplexity == pytest.approx(np.prod(known) ** (-1 / 5))
    assert found.perplexity_with_oov == pytest.approx(np.prod([*known, 0.1, 0.1, 0.1]) ** (-1 / 8))
    assert list(found.events) == [2, 1, 2]
    assert found.log_prob == pytest.approx([math.log(0.12), LN[0.4], math.log(0.08)])
    assert found.as_dict()["oov"] == {"hail": 2, "sleet": 1}


def test_without_unk_there_is_no_perplexity_of_unknown_words():
    lm = estimate([["a", "b"], ["b"]], 2, unknown=False).lm
    found = measure(lm, [["a", "c", "b"]])
    assert found.perplexity_with_oov is None and found.oov == {"c": 1} and math.isfinite(found.perplexity)
    assert measure(lm, [["a"]]).perplexity_with_oov == pytest.approx(measure(lm, [["a"]]).perplexity)


def test_a_uniform_model_has_the_perplexity_of_its_size():
    share = math.log(1 / 4)
    lm = NGram([{("<s>",): -math.inf, **{(w,): share for w in ("</s>", "a", "b", "c")}}], {})
    assert measure(lm, [["a", "b", "a"], ["c"]]).perplexity == pytest.approx(4)


def test_faults():
    with pytest.raises(AslError, match="no sentences"):
        measure(NGram([UNIGRAM], {}), [])
    with pytest.raises(AslError, match="gives the sentence 'rain' no probability"):
        measure(NGram([{**UNIGRAM, ("rain",): -math.inf}], {}), [["rain"]])
