"""PHOENIX's glosses as signs: marks change a sign and not which word it is; no two words look the same."""

import numpy as np
import pytest

from asl.common.glosses import clean_word, get_rules
from asl.corpora.signer.glosses import acts_of, bare_words, make_signs
from asl.corpora.signer.hand import HANDSHAPES

GLOSSES = (
    "NORD loc-NORD NORDRAUM cl-KOMMEN KOMMEN REGEN REGEN-PLUSPLUS loc-ORT-PLUSPLUS lh-SUED poss-EUCH qu-WO HABEN2 "
    "S0NNE SONNE WIE-AUSSEHEN WIE AUSSEHEN IX E+R+Z A+SCH __ON__ __OFF__ __PU__ __EMOTION__ __LEFTHAND__ ZEIGEN"
).split()


@pytest.fixture(scope="module")
def signs():
    return make_signs(GLOSSES, seed=0)


def _acts(gloss, signs, **options):
    return acts_of(gloss, signs, 0, np.random.default_rng(0), **options)


def test_bare_words_are_what_the_official_clean_up_leaves():
    rules = get_rules("phoenix2014")
    for gloss in set(GLOSSES) - {
        "WIE-AUSSEHEN",
        "E+R+Z",
        "A+SCH",
        "__ON__",
        "__OFF__",
        "__PU__",
        "__LEFTHAND__",
    }:
        assert bare_words(gloss) == [word for word in [clean_word(gloss, rules)] if word], gloss
    assert bare_words("E+R+Z") == ["E", "R", "Z"] and bare_words("WIE-AUSSEHEN") == ["WIE", "AUSSEHEN"]


def test_every_gloss_can_be_signed_and_marks_change_what_they_say(signs):
    acts = {gloss: _acts(gloss, signs) for gloss in GLOSSES}
    assert acts["__EMOTION__"] == [] and acts["__ON__"][0].sign is None and len(acts["E+R+Z"]) == 3
    assert acts["REGEN"][0].repeats == 1 < acts["REGEN-PLUSPLUS"][0].repeats
    assert (
        acts["loc-NORD"][0].sign == acts["NORD"][0].sign
        and acts["loc-NORD"][0].where != acts["NORD"][0].where
    )
    assert acts["cl-KOMMEN"][0].sign.shape != acts["KOMMEN"][0].sign.shape
    assert acts["NORDRAUM"][0].sign.location == acts["NORD"][0].sign.location
    assert (
        acts["S0NNE"] == acts["SONNE"]
        and acts["lh-SUED"][0].other_hand
        and acts["__LEFTHAND__"][0].other_hand
    )
    assert acts["HABEN2"][0].sign.phonology != signs["HABEN"].phonology
    for row in acts.values():
        for act in row:
            assert act.sign is None or act.sign.shape in HANDSHAPES


def test_pointing_goes_where_a_referent_was_set_up(signs):
    assert _acts("IX", signs, where=(0.3, 0.1, 0.0))[0].where == (0.3, 0.1, 0.0)
    assert _acts("IX", signs)[0].where[0] != 0.0


def test_no_two_words_have_one_sign_and_some_differ_in_one_parameter_only():
    signs = make_signs([f"WORT{i}" for i in range(600)], seed=0)
    codes = [sign.phonology for sign in signs.values()]
    assert len(set(codes)) == len(codes)
    array = np.array([[str(part) for part in code] for code in codes])
    apart = (array[:, None] != array[None]).sum(-1) + 99 * np.eye(len(array), dtype=int)
    assert apart.min() == 1 and (apart.min(1) == 1).mean() > 0.1


def test_a_words_sign_does_not_depend_on_the_other_words():
    few, many = make_signs(["REGEN", "SONNE"], 3), make_signs(["REGEN", "SONNE", "SCHNEE", "WIND"], 3)
    assert few["REGEN"] == many["REGEN"] and few["SONNE"] == many["SONNE"]
    assert make_signs(["REGEN"], 4)["REGEN"] != few["REGEN"]
