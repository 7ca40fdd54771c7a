"""Rules of glosses: what they do to sentences, and what is said when a rules file is wrong."""

import random

import pytest

from asl.common.errors import AslError
from asl.common.glosses import RULES, clean_sentence
from asl.lang.morphology import read_morphology


def rules(tmp_path, text):
    (tmp_path / "morphology.txt").write_text(text, encoding="utf-8")
    return read_morphology(tmp_path / "morphology.txt")


@pytest.mark.parametrize("text, sentence, expected", [
    ("delete loc- -PLUSPLUS", "loc-BERG BERG-PLUSPLUS loc-loc-TAL", "BERG BERG TAL"),
    ("delete loc-", "loc- BERG", "BERG"),  # nothing is left of the first
    ("replace A B\nreplace B C", "A B", "C C"),  # in the file's order, each once
    ("replace B C\nreplace A B", "A B", "B C"),
    ("rewrite ^(.)x+$ \\1", "ax bxx xb", "a b xb"),
    ("rewrite \\d+$", "HABEN2 X12", "HABEN X"),
    ("compound A B AB", "A B A A B B", "AB A AB B"),
    ("compound A A AA", "A A A A A", "AA AA A"),
    ("compound A B X\ncompound B C Y", "A B C B C", "X C Y"),  # from left to right
    ("replace a A\ncompound A B X", "a B", "X"),
    ("letters +", "A B WORT C D1 E", "A+B WORT C D1 E"),
    ("letters +", "A B+C D A", "A+B+C+D+A"),
    ("letters - [A-Z] SCH", "SCH U H a B", "SCH-U-H a B"),
    ("repeats", "A A B A A A", "A B A"),
    ("repeats A|C", "A A B B C C", "A B B C"),
    ("drop X", "X A X B X", "A B"),
    ("drop X\nrepeats", "A X A", "A A"),
    ("drop X\ncompound A B C", "A X B A B", "A B C"),
    ("compound A B XX\nrepeats\nletters +", "A B A B c c", "XX c+c"),
])
def test_what_a_rule_does(tmp_path, text, sentence, expected):
    assert rules(tmp_path, text).apply(sentence.split()) == expected.split()


def test_the_rules_of_phoenix_are_its_clean_up(root):
    morphology = read_morphology(root / "egs" / "phoenix2014" / "conf" / "morphology.txt")
    glosses = ("loc-BERG BERG BERG-PLUSPLUS A B SCH NN A+B WIE AUSSEHEN ZEIGEN HABEN2 S0NNE SUEDRAUM RAUM __PU__ "
               "__EMOTION__ NICHT-HABEN lh-ZEIGEN __ON__ __OFF__ loc-").split()  # fmt: skip
    random.seed(0)
    for _ in range(2000):
        sentence = random.choices(glosses, k=random.randint(0, 8))
        assert morphology.apply(sentence) == clean_sentence(sentence, RULES["phoenix2014"]), sentence


@pytest.mark.corpora
def test_every_train_sentence_of_phoenix_comes_out_as_its_clean_up_has_it(root, corpora):
    morphology = read_morphology(root / "egs" / "phoenix2014" / "conf" / "morphology.txt")
    table = corpora / "phoenix2014" / "annotations" / "manual" / "train.corpus.csv"
    sentences = [line.split("|")[3].split() for line in table.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(sentences) == 5672
    for sentence in sentences:
        assert morphology.apply(sentence) == clean_sentence(sentence, RULES["phoenix2014"]), sentence


@pytest.mark.parametrize("text, message", [
    ("delete x\n\ndelet loc-\n", "line 3: no rule 'delet'; did you mean 'delete'"),
    ("delete\n", "line 1: expected 'delete TEXT …', found nothing"),
    ("delete # x\n", "line 1: expected 'delete TEXT …'"),
    ("replace A\n", "line 1: expected 'replace GLOSS WORD', found 1 words"),
    ("replace A B\nreplace A C\n", "line 2: 'A' is replaced by 'B' already"),
    ("replace A <eps>\n", "line 1: '<eps>' is reserved"),
    ("rewrite (A B\n", r"line 1: '\(A' is no regular expression: .*unterminated"),
    ("rewrite (A) \\2\n", r"line 1: '\\\\2' is no replacement for '\(A\)'"),
    ("rewrite A B C\n", "line 1: expected 'rewrite PATTERN REPLACEMENT'"),
    ("compound A B\n", "line 1: expected 'compound FIRST SECOND WORD'"),
    ("compound A B C\ncompound A B D\n", "line 2: 'A B' is the compound 'C' already"),
    ("compound A B #0\n", "line 1: '#0' is reserved"),
    ("letters\n", "line 1: expected 'letters JOINER"),
    ("letters +\nletters -\n", "line 2: 'letters' stands twice"),
    ("letters + [\n", "line 1: '\\[' is no regular expression"),
    ("repeats A\nrepeats B\n", "line 2: 'repeats' stands twice"),
    ("drop\n", "line 1: expected 'drop GLOSS …'"),
    ("# nothing\n\n", "holds no rule"),
])
def test_a_wrong_rules_file_is_named_by_line(tmp_path, text, message):
    with pytest.raises(AslError, match=message) as error:
        rules(tmp_path, text)
    assert "morphology.txt" in str(error.value)


def test_rules_that_make_a_reserved_word_are_refused_and_an_absent_file_is_named(tmp_path):
    with pytest.raises(AslError, match="make '<x>' of the gloss 'a', which is reserved"):
        rules(tmp_path, "rewrite ^a$ <x>").apply(["a"])
    with pytest.raises(AslError, match="none.txt does not exist"):
        read_morphology(tmp_path / "none.txt")
