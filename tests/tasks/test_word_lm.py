"""asl lm neural: it learns, a seed gives the same weights, scores are probabilities; load_lm."""

import dataclasses
import math
import random

import pytest
import torch

from asl.cli import main
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.lang.arpa import NGram, write_arpa
from asl.lang.cache import CacheConfig, CacheLM
from asl.lang.cache_tune import write_cache
from asl.lang.ngram import estimate
from asl.lang.perplexity import measure
from asl.tasks import word_lm
from asl.tasks.word_lm import NeuralLM, load_lm, neural

SMALL = {"dim": 16, "hidden": 32, "epochs": 16, "batch_size": 16, "dropout": 0.1, "lr": 0.01}


def sentences(n, seed):
    """``a x .. x A``: the last word is told by the first, which no bigram sees."""
    rng = random.Random(seed)
    pairs = {"a": "A", "b": "B", "c": "C"}
    return [[first, *["x"] * rng.randint(2, 4), pairs[first]] for first in rng.choices(sorted(pairs), k=n)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    for name, seed, n in (("train", 0, 300), ("val", 1, 60)):
        (folder / name).write_text("".join(" ".join(s) + "\n" for s in sentences(n, seed)))
    neural(text=str(folder / "train"), val_text=str(folder / "val"), out=str(folder / "exp"), **SMALL)
    return folder


def test_it_learns_what_a_bigram_cannot(files):
    lm, held_out = load_lm(files / "exp"), sentences(60, 1)
    bigram = measure(estimate(sentences(300, 0), 2).lm, held_out).perplexity
    found = measure(lm, held_out).perplexity
    assert isinstance(lm, NeuralLM) and found < 0.9 * bigram
    result = read_json(files / "exp/train.json")
    assert result["val"]["perplexity"] == pytest.approx(found, rel=1e-5) and len(result["epochs"]) == 16
    best = min(result["epochs"], key=lambda row: row["val_perplexity"])
    assert best["epoch"] == result["best_epoch"] and best["val_perplexity"] == pytest.approx(found, rel=1e-5)


def test_scores_are_probabilities_and_do_not_depend_on_company(files):
    lm = load_lm(files / "exp")
    words = [*lm.vocabulary.symbols[3:], "<unk>"]
    of_next = [values[1] for values in lm.word_log_probs([["a", word] for word in words])]
    end = lm.word_log_probs([["a"]])[0][-1]
    # <s> is a row of the output too, and never comes
    assert sum(map(math.exp, of_next)) + math.exp(end) == pytest.approx(1, abs=1e-3)
    alone = [lm.score_all([s])[0] for s in (["a", "x", "A"], [], ["b"])]
    assert lm.score_all([["a", "x", "A"], [], ["b"]]) == pytest.approx(alone, abs=1e-5)
    assert lm.score_all([["a", "never", "A"]]) == pytest.approx(lm.score_all([["a", "unheard", "A"]]))
    assert lm.knows("a") and not lm.knows("never") and not lm.knows("</s>") and lm.score_all([]) == []


def test_a_seed_gives_the_same_weights(files, capsys):
    words = ["lm", "neural", "--text", str(files / "train"), "--val-text", str(files / "val")]
    words += ["--epochs", "2"]
    torch.rand(3)  # what was drawn before does not matter
    for name, seed in (("one", "1"), ("again", "1"), ("other", "2")):
        assert main([*words, "--seed", seed, "--dim", "8", "--hidden", "8", "--out", str(files / name)]) == 0
        torch.rand(1)
    weights = [load_lm(files / name).network.state_dict() for name in ("one", "again", "other")]
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())
    assert not torch.equal(weights[0]["bias"], weights[2]["bias"])
    assert "val perplexity" in capsys.readouterr().out


def test_load_lm_tells_models_apart(files, tmp_path):
    write_arpa(tmp_path / "G.arpa", estimate(sentences(50, 0), 2).lm)
    write_cache(tmp_path / "cache.json", tmp_path / "G.arpa", CacheConfig(0.1))
    assert isinstance(load_lm(tmp_path / "G.arpa"), NGram)
    assert isinstance(load_lm(tmp_path / "cache.json"), CacheLM)
    with pytest.raises(AslError, match="has no lm.json: it is no neural"):
        load_lm(tmp_path)
    with pytest.raises(AslError, match="no ARPA file"):
        load_lm(tmp_path / "absent.arpa")


def test_a_damaged_folder_is_refused(files, tmp_path):
    for name, text, message in (
        ("lm.json", '{"dim": 8, "hidden": 8}', "do not fit"),
        ("lm.json", '{"size": 8}', "do not fit"),
        ("words.txt", "a 0\n<s> 1\n</s> 2\n", "does not begin with <s>, </s>, <unk>"),
        ("lm.ckpt", "PK", "not a whole checkpoint"),
    ):
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir(exist_ok=True)
        for source in (files / "exp").iterdir():
            (folder / source.name).write_bytes(source.read_bytes())
        (folder / name).write_text(text)
        with pytest.raises(AslError, match=message):
            load_lm(folder)


def test_options_that_cannot_be(files):
    with pytest.raises(AslError, match="--epochs is 0"):
        neural(text=str(files / "train"), val_text=str(files / "val"), epochs=0)
    with pytest.raises(AslError, match="--text needs --val-text"):
        neural(text=str(files / "train"))
    with pytest.raises(AslError, match="the loss is not finite in epoch 1"):
        neural(text=str(files / "train"), val_text=str(files / "val"), lr=1e30, out=str(files / "none"))
    assert not (files / "none").exists()


def test_epochs_whose_perplexity_is_not_finite_are_never_the_best(files, tmp_path, monkeypatch):
    """Too large for a number, or none: such an epoch is not kept, and where every one is so, that is said."""
    bad = [math.nan, 1e4]  # nats a word

    def broken(lm, held_out):
        found = measure(lm, held_out)
        return found if not bad else dataclasses.replace(found, log_prob=-bad.pop(0) * found.events)

    monkeypatch.setattr(word_lm, "measure", broken)
    given = {"text": str(files / "train"), "val_text": str(files / "val"), **SMALL, "out": str(tmp_path / "lm")}
    neural(**{**given, "epochs": 3})
    result = read_json(tmp_path / "lm/train.json")
    assert result["best_epoch"] == 3 and [row["val_perplexity"] is None for row in result["epochs"]] == [True, True, False]
    bad += [math.nan, 1e4]
    with pytest.raises(AslError, match="not finite in any of the 2 epochs, so none can be kept; give a smaller --lr than"):
        neural(**{**given, "epochs": 2, "out": str(tmp_path / "none")})
    assert not (tmp_path / "none").exists()
