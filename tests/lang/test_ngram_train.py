"""asl lm train: from a split or a file to an ARPA file, and what it says of it."""

import pytest

from asl.cli import main
from asl.common.errors import AslError
from asl.common.jsonl import write_jsonl
from asl.lang.arpa import read_arpa
from asl.lang.ngram import estimate
from asl.lang.ngram_text import read_text, read_words
from asl.lang.ngram_train import train
from asl.lang.prepare import write_lang

SENTENCES = ["TOMORROW RAIN", "TOMORROW SNOW RAIN", "RAIN", "TODAY RAIN RAIN SNOW"]


@pytest.fixture
def data(tmp_path):
    rows = [{"id": f"c{i}", "recording_id": f"c{i}", "text": text} for i, text in enumerate(SENTENCES)]
    write_jsonl(tmp_path / "data/train/supervisions.jsonl.gz", rows)
    write_lang(["TOMORROW", "RAIN", "SNOW", "HAIL"], tmp_path / "data/lang")
    return tmp_path / "data"


def test_a_split_becomes_an_arpa_file(data, capsys):
    out = data / "lang/G.arpa"
    assert main(["lm", "train", "--data", str(data), "--order", "2", "--out", str(out)]) == 0
    lm = read_arpa(out)
    expected = estimate([s.split() for s in SENTENCES], 2).lm
    assert lm.words == ["RAIN", "SNOW", "TOMORROW", "TODAY"] and lm.counts == expected.counts
    assert lm.score(["TOMORROW", "RAIN"]) == pytest.approx(expected.score(["TOMORROW", "RAIN"]), abs=1e-6)
    said = capsys.readouterr().out
    assert "2-gram, kneser-ney, 4 words and <unk>" in said and "4 sentences, 10 words" in said
    assert "discounts of order 1: 0.500 1.000 1.500: not from the text" in said
    before = out.read_bytes()
    train(str(data), order=2, out=str(out))
    assert out.read_bytes() == before


def test_a_given_vocabulary(data, capsys):
    words, out = str(data / "lang/words.txt"), str(data / "lang/G.arpa")
    train(str(data), words=words, smoothing="witten-bell", out=out)
    lm, said = read_arpa(out), capsys.readouterr().out
    assert lm.words == ["TOMORROW", "RAIN", "SNOW", "HAIL"] == read_words(words)
    assert "1 words of the vocabulary are not in the text" in said
    assert "1 words of the text (1 different) are not in the vocabulary and count as <unk>, 'TODAY'" in said
    with pytest.raises(AslError, match="word 'TODAY' is not in the vocabulary"):
        train(str(data), words=words, unk=False, out=out)


def test_text_files(data, tmp_path, capsys):
    (tmp_path / "text").write_text("\n".join([*SENTENCES, "TOMORROW RAIN"]) + "\n\n")
    out = str(tmp_path / "G.arpa")
    text = str(tmp_path / "text")
    assert main(["lm", "train", "--text", text, "--prune", "0", "0", "1", "--out", out]) == 0
    assert "3-grams 2 of" in capsys.readouterr().out
    (tmp_path / "a.stm").write_text("v-0 1 ann 0.0 1.0 TOMORROW RAIN\nv-1 1 ann 0.0 1.0 RAIN\n")
    read = read_text(text=tmp_path / "a.stm")
    assert read.ids == ["v-0", "v-1"] and read.sentences == [("TOMORROW", "RAIN"), ("RAIN",)]


def test_what_is_not_there_is_said(data, tmp_path):
    with pytest.raises(AslError, match="no split 'dev' in .*; there are train"):
        read_text(data, "dev")
    with pytest.raises(AslError, match="run stage 1 of the recipe, or give --text"):
        read_text(tmp_path / "nowhere", "train")
    (tmp_path / "empty").write_text("\n\n")
    with pytest.raises(AslError, match="holds no word"):
        read_text(text=tmp_path / "empty")
    write_jsonl(data / "val/supervisions.jsonl.gz", [{"id": "c7", "recording_id": "c7"}])
    with pytest.raises(AslError, match="supervision 'c7' has no text"):
        read_text(data, "val")
