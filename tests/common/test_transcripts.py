"""STM and CTM files: what is read, and by its line what cannot be."""

import pytest

from asl.common.ctm import read_timed
from asl.common.errors import AslError
from asl.common.transcripts import read_ctm, read_stm


def write(tmp_path, text):
    path = tmp_path / "file"
    path.write_text(text)
    return path


def test_stm(tmp_path):
    text = ";; a comment\na-1 1 signer05 0.0 1.79769e+308 REGEN  WIND\n\nb-2 1 s 0 1 <o,f0>  SONNE\nc-3 1 s 0 1\n"
    assert read_stm(write(tmp_path, text)) == {"a-1": ("REGEN", "WIND"), "b-2": ("SONNE",), "c-3": ()}


def test_ctm_words_stand_in_order_of_time(tmp_path):
    text = "a-1 1 0.20 0.1 WIND 0.93\na-1 1 0.00 0.1 REGEN 0.5\nb 1 0 0.01 X\nb 1 0 0.01 Y\n"
    assert read_ctm(write(tmp_path, text)) == {"a-1": ("REGEN", "WIND"), "b": ("X", "Y")}


@pytest.mark.parametrize(
    "read, text, said",
    [
        (read_stm, "a 1 s 0.0\n", r"line 1: expected 'id channel speaker begin end words'"),
        (read_stm, "a 1 s 0 1 X\nb 1 s zero 1 X\n", "line 2: expected"),
        (read_stm, "a 1 s 0 1 X\na 1 s 0 1 Y\n", "line 2: id 'a' stands in line 1 already"),
        (read_stm, ";; nothing\n", "holds no utterance"),
        (read_ctm, "a 1 0.0 0.1\n", r"line 1: expected 'id channel begin duration word"),
        (read_ctm, "a 1 0.0 long X\n", "line 1: expected"),
        (read_ctm, "a 1 nan 0.1 X\n", "line 1: expected"),
        (read_ctm, "a 1 0.0 0.1 X 0.9 more\n", "line 1: expected"),
        (read_ctm, "a 1 0.0 0.1 X\na 1 * * <ALT_BEGIN>\n", "line 2: alternatives .* are not read"),
        (read_ctm, "a 1 0.0 0.1 <ALT>\n", "alternatives .* are not read"),
        (read_ctm, "", "holds no word"),
    ],
)
def test_bad_lines(tmp_path, read, text, said):
    with pytest.raises(AslError, match=said):
        read(write(tmp_path, text))


def test_no_file(tmp_path):
    for read in (read_stm, read_ctm):
        with pytest.raises(AslError, match="does not exist"):
            read(tmp_path / "none")
        (tmp_path / "latin").write_bytes("a 1 s 0 1 SÜD\n".encode("latin-1"))
        with pytest.raises(AslError, match="must be UTF-8"):
            read(tmp_path / "latin")


@pytest.mark.parametrize("read", [read_ctm, read_timed])
@pytest.mark.parametrize(
    "line",
    ["a 1 0.1 X", "a 1 x 0.1 X", "a 1 -0.1 0.1 X", "a 1 0 -0.1 X", "a 1 nan 0.1 X", "a 1 0 inf X", "a 1 0 1 X 0.9 more",
     "a 1 0 0.1 <ALT>", "a 1 * * <alt_begin>"],
)  # fmt: skip
def test_both_readers_of_ctms_refuse_the_same_lines(tmp_path, read, line):
    """One is for words alone, one for their times, too; what a CTM is is the same for both."""
    with pytest.raises(AslError, match="line 2: (expected|alternatives)"):
        read(write(tmp_path, f"a 1 0.0 0.1 X\n{line}\n"))


def test_a_confidence_matters_to_those_who_read_it(tmp_path):
    path = write(tmp_path, "a 1 0.0 0.1 X NA\n")
    assert read_ctm(path) == {"a": ("X",)}
    with pytest.raises(AslError, match="line 1: expected a confidence from 0 to 1 behind 'X', found 'NA'"):
        read_timed(path)
