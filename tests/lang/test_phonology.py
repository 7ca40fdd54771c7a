"""The phonology table: what is written is read, classes are positions, errors name file, line and command."""

import pytest

from asl.common.errors import AslError
from asl.lang.phonology import Coded, PhonologyTable, read_phonology

TABLE = PhonologyTable(
    ["Handshape", "Contact"],
    {
        "book": Coded({"Handshape": "open_b", "Contact": "1"}, "entry", 1, "book"),
        "dog": Coded({"Handshape": "g"}, "variant", 4, "dog_1"),
        "asl": Coded({}, "none", 0),
    },
)


def test_what_is_written_is_read(tmp_path):
    TABLE.write(tmp_path / "phonology.tsv")
    assert read_phonology(tmp_path / "phonology.tsv") == TABLE


def test_a_class_is_the_place_of_a_value_and_unknown_is_minus_one():
    assert TABLE.classes("Handshape") == ["g", "open_b"] and TABLE.classes("Contact") == ["1"]
    glosses = ["book", "dog", "asl", "not in the table"]
    assert TABLE.targets(glosses, ["Contact", "Handshape"]) == [[0, 1], [-1, 0], [-1, -1], [-1, -1]]


def test_features_that_are_not_there_are_named():
    with pytest.raises(AslError, match="no feature 'Handshap'; did you mean 'Handshape'"):
        TABLE.classes("Handshap")
    with pytest.raises(AslError, match="no gloss .* value for 'Flexion'"):
        PhonologyTable(["Flexion"], TABLE.rows).classes("Flexion")


@pytest.mark.parametrize(
    "text, message",
    [
        ("gloss\tHandshape\n", "line 1: expected the columns gloss rule"),
        ("gloss\trule\tcandidates\tentry\tH\nbook\tentry\t1\tbook\n", "line 2: expected 5 columns"),
        ("gloss\trule\tcandidates\tentry\tH\na\te\t1\ta\t1\na\te\t1\ta\t1\n", "line 3: gloss 'a' stands twice"),
    ],
)
def test_malformed_tables_are_refused(tmp_path, text, message):
    path = tmp_path / "phonology.tsv"
    path.write_text(text)
    with pytest.raises(AslError, match=message):
        read_phonology(path)


def test_an_absent_table_names_the_command(tmp_path):
    with pytest.raises(AslError, match="asl phonology --asl-lex CSV --lang .*lang"):
        read_phonology(tmp_path / "lang" / "phonology.tsv")
