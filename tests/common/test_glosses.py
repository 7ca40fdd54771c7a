"""The rules about written glosses, against the owner's own references of PHOENIX-2014."""

import kaldialign
import pytest

from asl.common.errors import AslError
from asl.common.glosses import RULES, clean_sentence, clean_word, clean_words, get_rules, merge_repeats
from asl.common.transcripts import read_stm

PHOENIX = RULES["phoenix2014"]


@pytest.mark.parametrize(
    "written, cleaned",
    [
        ("loc-NORD", "NORD"), ("cl-KOMMEN", "KOMMEN"), ("qu-WANN", "WANN"), ("poss-MEIN", "MEIN"),
        ("lh-WIND", "WIND"), ("loc-ORT-PLUSPLUS", "ORT"), ("S0NNE", "SONNE"), ("HABEN2", "HABEN"),
        ("NICHT-HABEN2", "NICHT-HABEN"), ("ZEIGEN", "ZEIGEN-BILDSCHIRM"), ("loc-ZEIGEN", "ZEIGEN-BILDSCHIRM"),
        ("ZEIGEN-BILDSCHIRM", "ZEIGEN-BILDSCHIRM"), ("loc-SUEDWESTRAUM", "SUEDWEST"), ("RAUM", "RAUM"),
        ("__PU__", ""), ("__EMOTION__", ""), ("__LEFTHAND__", ""), ("__EPENTHESIS__", ""), ("loc-", ""),
        ("__ON__", "__ON__"), ("__OFF__", "__OFF__"),
    ],
)  # fmt: skip
def test_one_gloss(written, cleaned):
    assert clean_word(written, PHOENIX) == cleaned


@pytest.mark.parametrize(
    "written, cleaned",
    [
        ("REGEN REGEN REGEN", "REGEN"),
        ("cl-KOMMEN KOMMEN", "KOMMEN"),
        ("NICHT-HABEN NICHT-HABEN", "NICHT-HABEN NICHT-HABEN"),  # only of capitals alone
        ("GLATT __EMOTION__ GLATT", "GLATT GLATT"),  # what is dropped stood between them
        ("WIE AUSSEHEN", "WIE-AUSSEHEN"),
        ("WETTER WIE loc-AUSSEHEN", "WETTER WIE-AUSSEHEN"),
        ("FLUSS R I E SCH NN", "FLUSS R+I+E+SCH+NN"),
        ("E REGEN E", "E REGEN E"),
        ("", ""),
    ],
)
def test_neighbours(written, cleaned):
    assert clean_sentence(written.split(), PHOENIX) == cleaned.split()


def test_a_word_a_line_knows_no_neighbours():
    words = "loc-REGEN REGEN WIE AUSSEHEN __PU__ A B".split()
    assert clean_words(words, PHOENIX) == "REGEN REGEN WIE AUSSEHEN A B".split()
    assert merge_repeats("A A A-B A-B A".split()) == "A A-B A".split()


def test_cleaning_twice_is_cleaning_once():
    for text in ("loc-NORD NORD SUEDRAUM A B ZEIGEN", "WIE AUSSEHEN WIE AUSSEHEN __PU__ REGEN-PLUSPLUS"):
        once = clean_sentence(text.split(), PHOENIX)
        assert clean_words(once, PHOENIX) == once


def test_no_such_rules():
    with pytest.raises(AslError, match="no clean-up 'phoenix'; did you mean 'phoenix2014'"):
        get_rules("phoenix")


@pytest.fixture(scope="module")
def train(corpora):
    """(reference of the owner's STM, raw annotation) of each train sentence that has both."""
    root = corpora / "phoenix2014"
    lines = (root / "annotations/manual/train.corpus.csv").read_text(encoding="utf-8").splitlines()[1:]
    raw = {line.split("|")[0]: line.split("|")[3].split() for line in lines}
    references = read_stm(root / "evaluation/phoenix2014-groundtruth-train.stm")
    assert len(raw) == 5672 and len(references) == 5671
    return [(list(words), raw[key]) for key, words in references.items()]


@pytest.mark.corpora
def test_the_references_come_out_of_the_annotations(train):
    assert all(clean_sentence(raw, PHOENIX) == reference for reference, raw in train)
    assert len({word for _, raw in train for word in raw}) == 1231
    assert len({word for reference, _ in train for word in reference}) == 1100


# Errors that a perfect recogniser of the raw annotations makes in 58,359 reference words, by what is done to them.
ORACLES = [
    (lambda raw: raw, 11321),  # 19.40 %
    (lambda raw: clean_words(raw, PHOENIX), 4648),  # 7.96 %: the owner's rules, on a word a line
    (lambda raw: merge_repeats(clean_words(raw, PHOENIX)), 293),  # 0.50 %: repeats merged after them
    (lambda raw: clean_sentence(raw, PHOENIX), 0),
]


@pytest.mark.corpora
@pytest.mark.parametrize("change, errors", ORACLES)
def test_what_a_perfect_recogniser_of_raw_labels_scores(train, change, errors):
    assert sum(len(reference) for reference, _ in train) == 58359
    assert sum(kaldialign.edit_distance(ref, change(raw))["total"] for ref, raw in train) == errors
