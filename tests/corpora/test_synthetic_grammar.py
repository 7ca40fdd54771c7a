"""The grammar of the synthetic reports: structure for a language model to learn, translations in other order."""

import math
from collections import Counter

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.corpora.synthetic_grammar import FUNCTION_WORDS, LEAST, make_report, make_sentence, make_vocabulary


def _reports(count=150, size=40, seed=0):
    words = make_vocabulary(size)
    rng = np.random.default_rng(seed)
    return words, [make_report(rng, words, 6) for _ in range(count)]


@pytest.mark.parametrize("size", [LEAST, 40, 60, 300])
def test_a_vocabulary_has_so_many_different_glosses_and_sentences_use_no_others(size):
    words, reports = _reports(30, size)
    assert len(words.glosses) == len(set(words.glosses)) == size
    assert not any(" " in gloss for gloss in words.glosses)
    used = {gloss for report in reports for sentence in report for gloss in sentence.glosses}
    assert used <= set(words.glosses) and set(FUNCTION_WORDS) <= set(words.glosses)


def test_too_small_a_vocabulary_is_refused():
    with pytest.raises(AslError, match=f"give {LEAST} or more"):
        make_vocabulary(LEAST - 1)


def test_a_bigram_knows_much_that_a_unigram_does_not():
    _, reports = _reports(300)
    lines = [("<s>", *s.glosses, "</s>") for report in reports for s in report]
    train, held_out = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    one = Counter(word for line in train for word in line[1:])
    two = Counter(pair for line in train for pair in zip(line, line[1:]))
    before = Counter(word for line in train for word in line[:-1])
    total, bits = sum(one.values()), {"one": 0.0, "two": 0.0}
    pairs = [pair for line in held_out for pair in zip(line, line[1:])]
    for a, b in pairs:
        unigram = (one[b] + 0.1) / (total + 4)
        bits["one"] -= math.log(unigram)
        bits["two"] -= math.log((two[a, b] + 2 * unigram) / (before[a] + 2))
    unigram, bigram = (math.exp(bits[k] / len(pairs)) for k in ("one", "two"))
    assert 15 < unigram < 40 and bigram < 0.5 * unigram


def test_pointing_back_is_to_a_place_that_was_set_up_before():
    _, reports = _reports()
    back = 0
    for report in reports:
        known = set()
        for sentence in report:
            for before, token in zip((None, *sentence.tokens), sentence.tokens):
                if token.gloss != "IX":
                    continue
                assert token.place is not None
                names = before is not None and before.place == token.place and before.gloss != "IX"
                if not names:
                    back += 1
                    assert token.place in known, "IX alone points to what stands there"
                known.add(token.place)
    assert back > 100


def test_words_come_again_within_a_report():
    """What a cache can use: a word of one sentence is likelier in the next of the same report than elsewhere."""
    _, reports = _reports()
    content = [[set(s.glosses) - set(FUNCTION_WORDS) for s in report] for report in reports]
    near = np.mean([len(a & b) / len(b) for r in content for a, b in zip(r, r[1:]) if b])
    far = np.mean([len(r[0] & q[1]) / len(q[1]) for r, q in zip(content, content[1:]) if q[1]])
    assert near > 1.5 * far


ENGLISH = {
    "REGEN": "rain",
    "NORD": "north",
    "MORGEN": "tomorrow",
    "SUED": "south",
    "SCHNEE": "snow",
    "WOLKE": "cloud",
}


def test_translations_say_the_same_in_another_order():
    _, reports = _reports()
    same = other = 0
    for sentence in (s for report in reports for s in report):
        assert sentence.english[0].isupper() and sentence.english.endswith(".")
        glosses = [g for g in sentence.glosses if g in ENGLISH]
        if len(set(glosses)) != len(glosses) or len(glosses) < 2:
            continue
        at = [sentence.english.lower().find(ENGLISH[gloss]) for gloss in glosses]
        assert min(at) >= 0, sentence
        same, other = same + (at == sorted(at)), other + (at != sorted(at))
    assert other > 1.5 * same


def test_negation_and_degree_are_translated():
    _, reports = _reports()
    for sentence in (s for report in reports for s in report):
        english = f" {sentence.english.lower()} "
        assert ("NICHT" in sentence.glosses) == (" no " in english or " not " in english), sentence
        assert ("GRAD" in sentence.glosses) == ("degrees" in english)


def test_one_meaning_has_more_than_one_translation():
    words, rng = make_vocabulary(LEAST), np.random.default_rng(0)
    ways = {}
    for _ in range(2000):
        glosses, english = make_sentence(rng, words)
        ways.setdefault(glosses, set()).add(english)
    assert max(map(len, ways.values())) >= 2
