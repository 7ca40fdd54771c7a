"""asl.lang: tables, lexicon and the lang folder, and what is said when they are wrong."""

import pytest

from asl.common.errors import AslError
from asl.lang.lexicon import disambiguate, read_lexicon, write_lexicon
from asl.lang.prepare import gloss_word, write_lang
from asl.lang.tokens import TokenTable, read_symbols

LEXICON = {"a": [["x"]], "b": [["x", "y"]], "c": [["x"], ["z"]]}


def test_a_word_is_its_own_token_and_class_i_is_token_i_plus_1(tmp_path):
    write_lang(["drink", "book", "thank_you"], tmp_path)
    table = TokenTable.read(tmp_path / "tokens.txt")
    assert (tmp_path / "tokens.txt").read_text() == "<blk> 0\ndrink 1\nbook 2\nthank_you 3\n#0 4\n"
    words = ["<eps>", "drink", "book", "thank_you", "#0", "<s>", "</s>"]
    assert list(read_symbols(tmp_path / "words.txt")) == words
    assert (tmp_path / "lexicon.txt").read_text() == "drink drink\nbook book\nthank_you thank_you\n"
    assert len(table) == 4 and table.units == ["drink", "book", "thank_you"]
    assert table.encode(["book", "drink"]) == [2, 1] and table.decode([3, 0]) == ["thank_you", "<blk>"]
    assert "book" in table and "#0" not in table and "cook" not in table


def test_unknown_token_names_the_nearest():
    with pytest.raises(AslError, match="'bok' is not in the token table; did you mean 'book'"):
        TokenTable(["book", "drink"]).encode(["bok"])
    with pytest.raises(AslError, match="ids 0 to 2"):
        TokenTable(["book", "drink"]).token(3)


@pytest.mark.parametrize("units, message", [
    (["a", "a"], "'a' stands twice"), (["<blk>"], "stands twice"),
    (["#1"], "cannot be used"), (["a b"], "cannot be used"),
])
def test_tokens_that_cannot_be_are_refused(units, message):
    with pytest.raises(AslError, match=message):
        TokenTable(units)


@pytest.mark.parametrize("text, message", [
    ("a 0\n#0 1\n", "line 1: expected '<blk> 0'"),
    ("<blk> 0\na\n#0 2\n", "line 2: expected 'symbol id'"),
    ("<blk> 0\na 2\n#0 3\n", "line 2: expected id 1, found 2"),
    ("<blk> 0\na 1\n\na 2\n", "line 4: symbol 'a' stands twice"),
    ("<blk> 0\n#0 1\na 2\n", "must stand after all units"),
    ("<blk> 0\na 1\n", "must stand after all units"),
    ("\n", "holds no symbol"),
])
def test_a_damaged_table_is_named_by_file_and_line(tmp_path, text, message):
    path = tmp_path / "tokens.txt"
    path.write_text(text)
    with pytest.raises(AslError, match=message) as error:
        TokenTable.read(path)
    assert "tokens.txt" in str(error.value)


def test_absent_and_binary_files_are_named(tmp_path):
    with pytest.raises(AslError, match="does not exist"):
        TokenTable.read(tmp_path / "tokens.txt")
    (tmp_path / "tokens.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(AslError, match="UTF-8"):
        TokenTable.read(tmp_path / "tokens.txt")


def test_gloss_word():
    assert gloss_word(" thank  you\t") == "thank_you"
    for bad in ("", " \n", "<eps>", "#0", "<my thing>"):
        with pytest.raises(AslError):
            gloss_word(bad)


@pytest.mark.parametrize("words, lexicon, message", [
    ([], None, "no words"),
    (["a", "a"], None, "'a' stands twice"),
    (["a b"], None, "whitespace"),
    (["#0"], None, "reserved"),
    (["bok"], {"book": [["x"]]}, "'bok' is not in the lexicon; did you mean 'book'"),
    (["a"], {"a": []}, "no units"),
    (["a"], {"a": [["x"], []]}, "no units"),
])
def test_words_that_make_no_lang_folder_are_refused(tmp_path, words, lexicon, message):
    with pytest.raises(AslError, match=message):
        write_lang(words, tmp_path / "lang", lexicon)
    assert not (tmp_path / "lang").exists()


def test_disambiguation_as_kaldi_does_it():
    entries = [(word, tuple(units)) for word in LEXICON for units in LEXICON[word]]
    out, highest = disambiguate(entries)
    # 'x' is spoken by two words and begins a third: each of its entries gets its own mark; the rest need none
    assert out == [("a", ("x", "#1")), ("b", ("x", "y")), ("c", ("x", "#2")), ("c", ("z",))] and highest == 2


def test_lexicon_round_trip_and_room_for_its_disambiguation_symbols(tmp_path):
    write_lang(["a", "b", "c"], tmp_path, LEXICON)
    table = TokenTable.read(tmp_path / "tokens.txt")
    assert table.units == ["x", "y", "z"] and table.disambig == ["#0", "#1", "#2"]
    entries = read_lexicon(tmp_path / "lexicon.txt", table, read_symbols(tmp_path / "words.txt"))
    assert entries == [("a", ("x",)), ("b", ("x", "y")), ("c", ("x",)), ("c", ("z",))]
    write_lexicon(tmp_path / "again.txt", entries)
    assert (tmp_path / "again.txt").read_bytes() == (tmp_path / "lexicon.txt").read_bytes()


@pytest.mark.parametrize("text, message", [
    ("a x\nb\nc z\n", "line 2: word 'b' has no units"),
    ("a x\nb x q\nc z\n", "line 2: unit 'q' of 'b' is not in tokens.txt"),
    ("a x\na x\nb y\nc z\n", "line 2: the entry of 'a' stands already in line 1"),
    ("a x\nd x\n", "line 2: word 'd' is not in words.txt"),
    ("a x\nb #1\n", "line 2: unit '#1' of 'b' is not in tokens.txt"),
    ("a x\nb <blk>\n", "line 2: unit '<blk>' of 'b' is not in tokens.txt"),
    ("a x\n", "2 words of words.txt have no entry, the first is 'b'"),
])
def test_a_wrong_lexicon_is_named_by_line(tmp_path, text, message):
    write_lang(["a", "b", "c"], tmp_path, LEXICON)
    (tmp_path / "lexicon.txt").write_text(text)
    with pytest.raises(AslError, match=message):
        table = TokenTable.read(tmp_path / "tokens.txt")
        read_lexicon(tmp_path / "lexicon.txt", table, read_symbols(tmp_path / "words.txt"))
