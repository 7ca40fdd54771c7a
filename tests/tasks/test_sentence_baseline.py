"""The best constant sentence: its BLEU is sacreBLEU's, no candidate is better, a folder that `asl score` takes."""

import json
import random

import numpy as np
import pytest

from asl.cli import main
from asl.common.errors import AslError
from asl.common.jsonl import write_jsonl
from asl.scoring.bleu import Setting
from asl.scoring.score import score
from asl.tasks.sentence_baseline import best_constant, constant_scores, sentence

WORDS = "So we are going to show you how the hand the hand moves , and now . I'm don't 3.5".split()


@pytest.fixture(scope="module")
def texts():
    rng = random.Random(5)
    return [[" ".join(rng.choices(WORDS, k=rng.randint(1, 14))) for _ in range(40)] for _ in range(2)]


@pytest.mark.parametrize("setting", [Setting(), Setting("fold", "none"), Setting("keep", "char")])
def test_the_figure_of_every_candidate_is_sacrebleus(texts, setting):
    from sacrebleu.metrics import BLEU

    training, references = texts
    metric = BLEU(lowercase=setting.lowercase, tokenize=setting.tokenize, force=True)
    said = [metric.corpus_score([text] * len(references), [references]).score for text in training]
    np.testing.assert_allclose(constant_scores(training, references, setting), said, atol=1e-9)


def test_the_best_is_a_training_sentence_or_frequent_words(texts):
    training, references = texts
    best, tried = best_constant(training, references, Setting())
    assert best.bleu == pytest.approx(constant_scores([best.text], references, Setting())[0])
    assert tried > 40 and best.bleu >= constant_scores(training, references, Setting()).max()
    best, _ = best_constant(["b b b", "a a a c"], ["b a c x"] * 9, Setting("keep", "none"))
    assert best.of in ("training sentence", "most frequent words")
    best, _ = best_constant(["x q", "x r", "y q", "x s", "y t"], ["x y x y"], Setting("keep", "none"))
    assert best.of == "most frequent words" and best.text.startswith("x")


def write_split(data, split, texts):
    rows = [{"id": f"{split}{i:03d}", "recording_id": f"{split}{i:03d}", "text": text} for i, text in enumerate(texts)]
    write_jsonl(data / split / "supervisions.jsonl.gz", rows)


def test_its_folder_is_scored_like_any_systems(texts, tmp_path, monkeypatch, capsys):
    data = tmp_path / "data"
    write_split(data, "train", texts[0])
    write_split(data, "val", texts[1])
    monkeypatch.chdir(tmp_path)
    assert main(["baseline", "sentence", "--case", "fold"]) == 0
    shown = capsys.readouterr().out
    assert "for each of 40 clips of val: BLEU-4" in shown and "chosen by val itself" in shown
    folder = tmp_path / "exp/constant/decode_val_constant"
    about = json.loads((folder / "decode.json").read_text())
    result = score(str(folder), metric="bleu", case="fold", replications=50)
    assert (result["system"], result["method"], result["n"]) == ("best constant sentence", "constant", 40)
    assert result["counts"]["different_hypotheses"] == 1 and result["parameters"] == 0
    best, _ = best_constant(texts[0], texts[1], Setting("fold"))
    assert result["metrics"]["bleu"]["value"] == pytest.approx(best.bleu, abs=1e-4)
    assert about["options"]["sentence"] == best.text


def test_a_split_without_text_is_refused(tmp_path):
    write_split(tmp_path / "data", "train", ["", ""])
    write_split(tmp_path / "data", "val", ["a"])
    for train, said in (("train", "holds empty sentences alone"), ("other", "no split 'other'")):
        with pytest.raises(AslError, match=said):
            sentence(data=str(tmp_path / "data"), train_split=train)
