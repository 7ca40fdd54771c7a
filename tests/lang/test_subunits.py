"""Lexicons of subunits: what each kind makes of the words, and what is said of those that sound alike."""

import pytest

from asl.cli import main
from asl.common.errors import AslError
from asl.lang.folder import read_lang
from asl.lang.phonology import Coded, PhonologyTable
from asl.lang.prepare import write_lang
from asl.lang.subunits import describe, homophones, phonology_units, sentencepiece_units
from asl.lang.subunits_command import lexicon

TABLE = PhonologyTable(["Handshape", "Movement"], {
    "book": Coded({"Handshape": "open_b", "Movement": "Curved"}),
    "drink": Coded({"Handshape": "c", "Movement": "Straight"}),
    "allow": Coded({}, "none", 0),
    "door": Coded({"Handshape": "open_b"}),
    "window": Coded({"Handshape": "open_b"}),
})  # fmt: skip
WORDS = ["book", "drink", "allow", "door", "window", "unseen"]


def test_phonology_is_one_unit_for_each_known_feature():
    made = phonology_units(WORDS, TABLE, ["Movement", "Handshape"])
    assert made.lexicon == {
        "book": [["Movement=Curved", "Handshape=open_b"]], "drink": [["Movement=Straight", "Handshape=c"]],
        "allow": [["allow"]], "door": [["Handshape=open_b"]], "window": [["Handshape=open_b"]], "unseen": [["unseen"]],
    }
    assert made.whole == ["allow", "unseen"] and homophones(made.lexicon) == [["door", "window"]]
    text = describe(made.lexicon, made.whole)
    assert "6 words, 6 pronunciations, 6 units (5 in one pronunciation only); 1 to 2 units a word, 1.33" in text
    assert "2 words have no known subunits and are one unit: allow, unseen" in text
    assert "2 words sound like another, the largest of 1 groups: door, window" in text
    with pytest.raises(AslError, match="no feature 'Handshap'; did you mean 'Handshape'"):
        phonology_units(WORDS, TABLE, ["Handshap"])
    with pytest.raises(AslError, match="knows none of the words"):
        phonology_units(["unseen"], TABLE, ["Handshape"])


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_sentencepieces_spell_every_word(model):
    words = [f"{mark}{stem}{end}" for mark in ("", "loc-", "cl-") for stem in ("BERG", "TAL", "ÖSTERREICH", "X2")
             for end in ("", "-PLUSPLUS")]  # fmt: skip
    made = sentencepiece_units(words, 45, model)
    for word, (pieces,) in made.lexicon.items():
        assert "".join(pieces).replace("▁", "", 1) == word and pieces[0].startswith("▁")
    assert len({piece for (pieces,) in made.lexicon.values() for piece in pieces}) <= 45
    assert made == sentencepiece_units(words, 45, model)  # and the same model, byte by byte
    assert any(len(pieces) < len(word) / 2 for word, (pieces,) in made.lexicon.items())
    with pytest.raises(AslError, match="--size 5 is too small: the text has 2. characters"):
        sentencepiece_units(words, 5, model)
    with pytest.raises(AslError, match="did you mean 'unigram'"):
        sentencepiece_units(words, 45, "unigramm")


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_numbers_of_readings_are_no_disambiguation_symbols(tmp_path, model):
    words = [f"{a}{b}{c}{a}#{n}" for a in "ABC" for b in "DEF" for c in "GHI" for n in (1, 2)]
    made = sentencepiece_units(words, 24, model)
    for word, (pieces,) in made.lexicon.items():
        assert "".join(pieces) == f"▁{word}" and "#" in pieces
    write_lang(words, tmp_path, made.lexicon)
    assert read_lang(tmp_path).words == words


def test_the_command_writes_another_lang_folder(tmp_path, capsys):
    write_lang(WORDS, tmp_path / "lang")
    TABLE.write(tmp_path / "lang" / "phonology.tsv")
    arguments = ["lexicon", "--lang", str(tmp_path / "lang"), "--out"]
    assert main([*arguments, str(tmp_path / "phon"), "--kind", "phonology", "--features", "Handshape"]) == 0
    lang = read_lang(tmp_path / "phon")
    assert lang.words == WORDS and lang.tokens.units == ["Handshape=open_b", "Handshape=c", "allow", "unseen"]
    assert len(lang.tokens.disambig) == 4  # book, door and window sound alike
    assert "3 words sound like another" in capsys.readouterr().out
    assert main([*arguments, str(tmp_path / "spm"), "--kind", "sentencepiece", "--size", "30"]) == 0
    assert (tmp_path / "spm" / "spm.model").stat().st_size > 100 and read_lang(tmp_path / "spm").words == WORDS
    assert main([*arguments, str(tmp_path / "trans"), "--transition", "true"]) == 0
    assert read_lang(tmp_path / "trans").tokens.units == [*WORDS, "<trans>"]


def test_what_cannot_be_is_refused(tmp_path):
    write_lang(WORDS, tmp_path / "lang")
    given = {"lang": str(tmp_path / "lang"), "out": str(tmp_path / "out")}
    with pytest.raises(AslError, match="no kind of lexicon 'phonolgy'; did you mean 'phonology'"):
        lexicon(kind="phonolgy", **given)
    with pytest.raises(AslError, match="there is no phonology table .*asl phonology"):
        lexicon(kind="phonology", **given)
    with pytest.raises(AslError, match="is the lang folder that is read; give another one"):
        lexicon(out=given["lang"], lang=given["lang"])
    for kind, other in (("words", {"size": 200}), ("phonology", {"model": "bpe"}), ("sentencepiece", {"features": ["A", "B"]}),
                        ("words", {"phonology": "t.tsv"})):  # fmt: skip
        ((name, value),) = other.items()
        shown = "A B" if name == "features" else value
        with pytest.raises(AslError, match=f"^--{name} {shown} is about kind .*, not {kind}: leave it out, or give --kind"):
            lexicon(kind=kind, **other, **given)
    assert not (tmp_path / "out").exists()
