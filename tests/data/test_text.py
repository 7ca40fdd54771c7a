"""Token ids of what is written in a cut, with variants and transitions; and what the lexicon lacks."""

from types import SimpleNamespace

import pytest

from asl.common.errors import AslError
from asl.data.module import LandmarkDataModule
from asl.data.oov import out_of_vocabulary
from asl.data.text import CutText, frames_needed
from asl.landmarks.pipeline import LandmarkPipeline
from asl.lang.prepare import write_lang
from asl.lang.sentencepiece import train
from asl.lang.sentencepiece_command import write_pieces

LEXICON = {"a": [["x"]], "b": [["x", "y"]], "c": [["x"], ["z"]]}  # tokens: x 1, y 2, z 3


def cut(text):
    return SimpleNamespace(id="clip", supervisions=[SimpleNamespace(text=text)])


def test_units_of_words_and_the_most_probable_pronunciation(tmp_path):
    write_lang(["a", "b", "c"], tmp_path, LEXICON)
    assert CutText(tmp_path).tokens(cut("c b a"), training=True) == [1, 1, 2, 1]
    probs = {("a", ("x",)): 1.0, ("b", ("x", "y")): 1.0, ("c", ("x",)): 0.2, ("c", ("z",)): 0.8}
    write_lang(["a", "b", "c"], tmp_path, LEXICON, probs)
    assert CutText(tmp_path).tokens(cut("c b a"), training=True) == [3, 1, 2, 1]


def test_a_transition_stands_between_words_alone(tmp_path):
    write_lang(["a", "b", "c"], tmp_path, LEXICON, transition=True)  # <trans> is 4
    text = CutText(tmp_path)
    assert text.tokens(cut("a b a"), training=True) == [1, 4, 1, 2, 4, 1]
    assert text.tokens(cut("b"), training=True) == [1, 2] and text.tokens(cut(""), training=True) == []
    # a word that is passed over leaves no transition behind
    assert text.tokens(cut("q a q q b q"), training=False) == [1, 4, 1, 2]
    assert frames_needed(text.tokens(cut("a a"), training=True)) == 3  # no blank between: the transition is


def test_unknown_words_are_refused_in_training_and_counted_elsewhere(tmp_path):
    write_lang(["a", "b", "c"], tmp_path, LEXICON)
    text = CutText(tmp_path)
    with pytest.raises(AslError, match="cut clip: word 'q' is not in"):
        text.tokens(cut("a q"), training=True)
    assert text.unknown_words([cut("a q"), cut("q r b")]) == {"q": 2, "r": 1}


def test_another_lang_folder_by_its_name_or_path(imported, tmp_path):
    data = imported(train=4, val=2)
    lexicon = {word: [list(word)] for word in ("book", "drink", "go", "home")}
    write_lang(list(lexicon), data / "lang_letters", lexicon)
    pipeline = LandmarkPipeline("hands42", frames=16)
    for lang in ("lang_letters", str(data / "lang_letters")):
        module = LandmarkDataModule(pipeline, data_dir=str(data), lang=lang, num_workers=0)
        batch = next(iter(module.val_dataloader()))
        assert batch["token_lengths"].tolist() == [len(text) for text in batch["texts"]]
    assert LandmarkDataModule(pipeline, data_dir=str(data)).lang_dir == data / "lang"
    with pytest.raises(AslError, match="lang_leters/tokens.txt does not exist"):
        LandmarkDataModule(pipeline, data_dir=str(data), lang="lang_leters").text


def test_words_of_a_split_that_the_lexicon_lacks_are_listed(imported, tmp_path, capsys):
    data = imported(train=4, val=4, texts=lambda i: ["book drink", "go", "home book", "go go"][i])
    write_lang(["drink", "home"], tmp_path / "small")
    out_of_vocabulary(str(data), "val", str(tmp_path / "small"), show=1)
    printed = capsys.readouterr().out
    assert "2 words are not in" in printed and "5 times in 7 running words (71.43 %)" in printed
    assert "   3 go\n  and 1 more (--show 2)" in printed
    out_of_vocabulary(str(data), "val")
    assert "val: 0 words are not in" in capsys.readouterr().out


def test_pieces_of_whole_sentences_and_none_is_no_training_sentence(tmp_path):
    pieces = train(["Go home now.", "Drink at home!"] * 5, 30, "bpe", "fold", "drop")
    write_pieces(tmp_path, pieces, ["go", "home", "now", "drink", "at"])
    text = CutText(tmp_path)
    two = SimpleNamespace(id="clip", supervisions=[SimpleNamespace(text="Go home,"), SimpleNamespace(text="drink!")])
    assert text.tokens(two, training=True) == pieces.encode("go home drink")
    assert text.tokens(cut("gone"), training=True) and text.tokens(cut("..."), training=False) == []
    with pytest.raises(AslError, match=r"cut clip: nothing is left of its sentence ' \.\.\. ' .*no punctuation"):
        text.tokens(cut(" ... "), training=True)
    assert text.unknown_words([cut("Gone home."), cut("...")]) == {"gone": 1}
    assert text.spelling["home"] == pieces.encode("home")
