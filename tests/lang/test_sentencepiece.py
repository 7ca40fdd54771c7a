"""Sentencepieces: normalisation is a choice that is kept, ids are those of tokens.txt, text comes back as text."""

import json
import pickle
import re

import pytest

from asl.cli import main
from asl.common.errors import AslError
from asl.lang.folder import read_lang
from asl.lang.prepare import write_lang
from asl.lang.sentencepiece import normalise, read_pieces, train

TEXT = [
    "Now, turn the wheel to the left.", "Don't turn it to the right!", "The wheel's on the left; that is right.",
    "  Put\tthe well-known   wheel on.", "Is it on, or isn't it?", "It costs 3.5 dollars, the #1 wheel of all: #12.",
] * 3  # fmt: skip


def make(tmp_path, *more):
    (tmp_path / "train.txt").write_text("".join(line + "\n" for line in TEXT), encoding="utf-8")
    arguments = ["lang", "sentencepiece", "--text", str(tmp_path / "train.txt"), "--out", str(tmp_path / "lang")]
    return main([*arguments, "--vocab-size", "70", *more])


@pytest.mark.parametrize(
    "case, punctuation, told",
    [
        ("keep", "keep", "Don’t  stop: “ÉCOLE” - e\u0301té, well-known 'x' 3.5!"),
        ("fold", "keep", "don’t stop: “école” - été, well-known 'x' 3.5!"),
        ("keep", "drop", "Don’t stop ÉCOLE été well-known x 3 5"),
        ("fold", "drop", "don’t stop école été well-known x 3 5"),
    ],
)
def test_normalisation_is_what_the_options_say(case, punctuation, told):
    text = normalise(" Don’t  stop: “ÉCOLE” - e\u0301té, well-known 'x' 3.5! ", case, punctuation)
    assert text == normalise(told, "keep", "keep")
    assert normalise(text, case, punctuation) == text  # again: nothing more


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_text_comes_back_from_its_ids(model):
    pieces = train(TEXT, 70, model, "keep", "keep")
    assert len(pieces) <= 70 and pieces.tokens[0] == "<unk>"
    for line in TEXT:
        ids = pieces.encode(line)
        assert min(ids) >= 2 and pieces.decode(ids) == " ".join(line.split())
    assert pieces.encode("the 世 wheel").count(1) == 1 and pieces.decode(pieces.encode("the 世 wheel")) == "the ⁇ wheel"
    assert pieces.encode(" ") == [] and pieces.decode([]) == ""
    assert train(TEXT, 70, model, "keep", "keep").model == pieces.model  # the same, byte by byte
    again = pickle.loads(pickle.dumps(pieces))  # workers that are not forked
    assert again.encode(TEXT[0]) == pieces.encode(TEXT[0])


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_the_command_writes_a_lang_folder_that_a_graph_can_be_made_of(tmp_path, capsys, model):
    assert make(tmp_path, "--type", model, "--case", "fold", "--punctuation", "drop") == 0
    said = capsys.readouterr().out
    assert "text: NFC, lower case, no punctuation (but inside words); " in said and f" {model} pieces" in said
    assert "pieces a sentence, at most" in said and "1 words are left out" not in said
    lang, pieces = read_lang(tmp_path / "lang"), read_pieces(tmp_path / "lang")
    assert lang.tokens.units == pieces.tokens and lang.tokens.units[0] == "<unk>" and len(lang.tokens) == len(pieces) + 1
    assert lang.words[:3] == ["the", "it", "on"] and "don't" in lang.words and "well-known" in lang.words
    # the words of a sentence, one after the other, are the sentence
    spelling = dict(lang.entries)
    for line in TEXT:
        spelt = [unit for word in pieces.normalise(line).split() for unit in spelling[word]]
        assert lang.tokens.encode(spelt) == pieces.encode(line)
    options = json.loads((tmp_path / "lang" / "text.json").read_text())
    assert options == {"case": "fold", "punctuation": "drop", "unicode": "NFC", "type": model}


def test_sentences_of_which_nothing_is_left_are_told_before_training_refuses_them(tmp_path, capsys):
    text = tmp_path / "train.txt"
    text.write_text("the sun shines over the north\n...\nit rains in the south and snows\n?!\n")
    words = ["lang", "sentencepiece", "--text", str(text), "--vocab-size", "60", "--out", str(tmp_path / "lang")]
    assert main([*words, "--punctuation", "drop"]) == 0
    assert "warning: 2 sentences have nothing left when they are normalised" in capsys.readouterr().out
    assert main(words) == 0 and "nothing left" not in capsys.readouterr().out


def test_a_number_sign_is_a_piece_of_its_own_as_graphs_have_names_like_it(tmp_path, capsys):
    assert make(tmp_path) == 0
    lang = read_lang(tmp_path / "lang")
    assert [unit for unit in lang.tokens.units if "#" in unit] == ["#"]
    assert "1 words are left out of words.txt, as graphs use such names: #1" in capsys.readouterr().out
    pieces = read_pieces(tmp_path / "lang")
    assert pieces.decode(pieces.encode("the #1 of #12")) == "the #1 of #12"


def test_text_as_pieces_line_by_line(tmp_path, capsys):
    make(tmp_path, "--punctuation", "drop")
    (tmp_path / "some.txt").write_text("Turn the wheel.\n...\nNow\n")
    arguments = ["--lang", str(tmp_path / "lang"), "--text", str(tmp_path / "some.txt"), "--out", str(tmp_path / "p.txt")]
    assert main(["lang", "pieces", *arguments]) == 0
    lines = (tmp_path / "p.txt").read_text().split("\n")
    assert len(lines) == 4 and lines[1] == "" and lines[3] == ""
    assert lines[0].replace(" ", "").replace("▁", " ").strip() == "Turn the wheel"
    write_lang(["a"], tmp_path / "words")
    assert main(["lang", "pieces", "--lang", str(tmp_path / "words")]) == 1
    assert "has no sentencepiece.model; make it with 'asl lang sentencepiece'" in capsys.readouterr().err


def test_text_as_the_words_of_the_lexicon(tmp_path):
    make(tmp_path, "--case", "fold")
    (tmp_path / "some.txt").write_text("Turn  the #1 wheel.\n\nNow\n")
    arguments = ["--lang", str(tmp_path / "lang"), "--text", str(tmp_path / "some.txt"), "--out", str(tmp_path / "w.txt")]
    assert main(["lang", "words", *arguments]) == 0
    assert (tmp_path / "w.txt").read_text() == "turn the wheel.\n\nnow\n"


def test_words_as_tokens_leave_no_model_of_other_tokens_behind(tmp_path):
    make(tmp_path)
    write_lang(["a", "b"], tmp_path / "lang")
    assert read_pieces(tmp_path / "lang") is None
    assert {p.name for p in (tmp_path / "lang").iterdir()} == {"tokens.txt", "words.txt", "lexicon.txt"}


def test_a_model_that_does_not_fit_its_tokens_is_refused(tmp_path):
    make(tmp_path)
    lang, other = tmp_path / "lang", train(TEXT, 60, "bpe", "keep", "keep")
    size = len(read_pieces(lang))
    kept = (lang / "sentencepiece.model").read_bytes()
    (lang / "sentencepiece.model").write_bytes(other.model)
    with pytest.raises(AslError, match=r"sentencepiece.model has \d+ pieces, but .*tokens.txt \d+ .the blank"):
        read_pieces(lang)
    (lang / "sentencepiece.model").write_bytes(train(TEXT, size, "bpe", "keep", "keep").model)
    with pytest.raises(AslError, match=r"has '.+' where .*tokens.txt has '.+' \(id \d+\)"):
        read_pieces(lang)
    (lang / "sentencepiece.model").write_bytes(b"no model")
    with pytest.raises(AslError, match="cannot read .*sentencepiece.model: "):
        read_pieces(lang)
    (lang / "sentencepiece.model").write_bytes(kept)
    (lang / "text.json").write_text('{"case": "upper"}')
    with pytest.raises(AslError, match="text.json: 'case' must be one of keep, fold"):
        read_pieces(lang)
    (lang / "text.json").unlink()
    with pytest.raises(AslError, match="text.json is missing: it says how the text was normalised"):
        read_pieces(lang)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--vocab-size", "9"], "--vocab-size 9 is too small: the text has 3. characters, give 3. or more"),
        (["--type", "unigrams"], "--type unigrams is not known; did you mean 'unigram'"),
        (["--case", "lower"], "--case lower is not known; there are: keep, fold"),
        (["--punctuation", "dropp"], "--punctuation dropp is not known; did you mean 'drop'"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, capsys, options, message):
    assert make(tmp_path, *options) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "lang").exists()


def test_no_text_is_refused(tmp_path, capsys):
    (tmp_path / "train.txt").write_text("\n...\n")
    arguments = ["lang", "sentencepiece", "--text", str(tmp_path / "train.txt"), "--out", str(tmp_path / "lang")]
    assert main([*arguments, "--punctuation", "drop"]) == 1
    assert "there is no sentence to learn pieces from" in capsys.readouterr().err
