"""CTMs with times."""

import pytest

from asl.common.ctm import TimedWord, read_timed, write_timed
from asl.common.errors import AslError


def test_what_is_written_is_read(tmp_path):
    words = {"b": [TimedWord("X", 0.0333, 0.1, 0.5)], "a": [TimedWord("Y", 1.0, 0.25), TimedWord("Z", 1.5, 0.0)]}
    write_timed(tmp_path / "a.ctm", words)
    assert read_timed(tmp_path / "a.ctm") == words
    assert words["a"][0].end == 1.25


def test_words_come_in_the_order_of_their_begin(tmp_path):
    (tmp_path / "a.ctm").write_text(";; comment\nu 1 0.5 0.1 B\nu 1 0.1 0.1 A\n")
    assert [w.word for w in read_timed(tmp_path / "a.ctm")["u"]] == ["A", "B"]


@pytest.mark.parametrize("line", ["u 1 0.5 A", "u 1 -0.5 0.1 A", "u 1 x 0.1 A", "u 1 0 1 A 1.5", "u 1 0 nan A"])
def test_wrong_lines_are_named(tmp_path, line):
    (tmp_path / "a.ctm").write_text(f"u 1 0.0 0.1 A\n{line}\n")
    with pytest.raises(AslError, match="line 2: expected"):
        read_timed(tmp_path / "a.ctm")


def test_no_file_and_no_word(tmp_path):
    with pytest.raises(AslError, match="does not exist"):
        read_timed(tmp_path / "a.ctm")
    (tmp_path / "a.ctm").write_text("\n")
    with pytest.raises(AslError, match="holds no word"):
        read_timed(tmp_path / "a.ctm")
