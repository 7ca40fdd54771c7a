"""The Boston-104 recipe on a made-up corpus in its owner's layout, and how it prepares the real one."""

import csv
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from asl.common.ctm import read_timed
from asl.common.errors import AslError

from .conftest import copy_recipe, link_toolkit, shorten

TEXTS = ["JOHN BUY BOOK", "JOHN BUY CAR", "MARY READ BOOK", "BOOK JOHN READ", "MARY BUY CAR", "JOHN READ BOOK"]
PLACES = {"JOHN": (60, 60), "MARY": (200, 60), "BUY": (60, 200), "READ": (200, 200), "BOOK": (130, 40), "CAR": (130, 220)}
SIGNERS = ("woman-1", "woman-2", "man-1")


def write_table(path, header, rows, delimiter=","):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """18 sentences, each gloss string three times; a word is a place that both hands rest at for 6 frames."""
    folder, rng = tmp_path_factory.mktemp("boston104"), np.random.default_rng(0)
    hands, sentences, words, speakers = [], [], [], []
    for number in range(18):
        text, signer, first = TEXTS[number % 6].split(), signer_of(number), number % 3
        video, frame, track = str(number + 1), first + 3, [(150, 230)] * 3
        for word in text:
            words.append([video, signer, word, frame, frame + 5])
            track += [PLACES[word]] * 6 + [(150, 150)]
            frame += 7
        track += [(150, 230)] * 3
        for n, (x, y) in enumerate(track):
            a, b = rng.normal(0, 2, 2)
            hands.append([video, first + n, round(x + 20 + a), round(y + b), round(x - 20 - a), round(y - b), 150, 60])
        sentences.append([video, signer, "train", len(track), " ".join(text)])
        speakers.append([video, signer])
    sentences.append(["99", "man-1", "test", 10, "JOHN"])
    header = ["video", "frame", "left-x", "left-y", "right-x", "right-y", "nose-x", "nose-y"]
    write_table(folder / "hands_condensed.csv", header, hands)
    write_table(folder / "sentences.tsv", ["video", "speaker", "split", "n_frames", "glosses"], sentences, "\t")
    write_table(folder / "train_words.csv", ["video", "speaker", "word", "startframe", "endframe"], words)
    write_table(folder / "speaker.csv", ["video", "speaker"], speakers)
    return folder


def signer_of(number):
    return SIGNERS[number // 6]


@pytest.fixture(scope="module")
def prepare(root):
    """local/prepare.py as a module."""
    spec = importlib.util.spec_from_file_location("boston_prepare", root / "egs/boston104/local/prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table_of(folder):
    with open(folder / "corpus.csv", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_fold_never_holds_a_sentence_that_stands_in_another(prepare):
    rng = np.random.default_rng(0)
    sentences = {str(n): " ".join(rng.choice(list("ABCD"), 2)) for n in range(97)}
    place = prepare.folds_of(sentences, 4)
    where = {}
    for key, text in sentences.items():
        assert where.setdefault(text, place[key]) == place[key]
    sizes = Counter(place.values())
    assert set(sizes) == {0, 1, 2, 3} and max(sizes.values()) - min(sizes.values()) <= max(Counter(sentences.values()).values())
    backwards = dict(reversed(list(sentences.items())))
    assert prepare.folds_of(backwards, 4) == place  # the order of the table does not matter


def test_the_owners_tables_become_a_corpus_table(prepare, corpus, tmp_path):
    prepare.prepare(corpus, tmp_path, "1", 2)
    rows = table_of(tmp_path)
    assert len(rows) == 18 and {row["split"] for row in rows} == {"train", "val"}
    texts = {split: {row["text"] for row in rows if row["split"] == split} for split in ("train", "val")}
    assert not texts["train"] & texts["val"]
    array = np.load(tmp_path / "clips/2.npy")  # its frames are counted from 1
    assert array.shape == (27, 3, 2) and array[0, 0] == pytest.approx([150 / 312, 60 / 242])
    assert array[5, 1, 0] > array[5, 2, 0]  # left hand, then right hand
    words = read_timed(tmp_path / "words.ctm")["2"]
    assert [(w.word, round(w.start * 30), round(w.end * 30)) for w in words] == [
        ("JOHN", 3, 9), ("BUY", 10, 16), ("CAR", 17, 23)]  # fmt: skip
    prepare.prepare(corpus, tmp_path / "all", "all", 2)
    assert {row["split"] for row in table_of(tmp_path / "all")} == {"val"}


def damaged(corpus, folder, name, old, new):
    for path in corpus.iterdir():
        text = path.read_text()
        (folder / path.name).write_text(text.replace(old, new, 1) if path.name == name else text)
    return folder


@pytest.mark.parametrize(
    "name, old, new, said",
    [
        ("sentences.tsv", "JOHN BUY BOOK", "JOHN BUY", "the words of video 1"),
        ("sentences.tsv", "\t27\t", "\t28\t", "video 1 has not the 28 frames"),
        ("hands_condensed.csv", "\n1,4,", "\n1,40,", "video 1 lacks frames"),
        ("hands_condensed.csv", "nose-x", "nose", "no column nose-x"),
        ("speaker.csv", "woman-1", "man-1", "video 1 is by woman-1 and by man-1"),
    ],
)
def test_tables_that_disagree_are_refused(prepare, corpus, tmp_path, name, old, new, said):
    with pytest.raises(AslError, match=said):
        prepare.read_corpus(damaged(corpus, tmp_path, name, old, new))


def test_a_fold_that_is_none_is_refused(prepare, corpus, tmp_path):
    with pytest.raises(AslError, match="folds 0 to 1"):
        prepare.prepare(corpus, tmp_path, "2", 2)


WORDS = ["--folds", "2", "--grammars", "2-gram"]


@pytest.fixture(scope="module")
def recipe(corpus, tmp_path_factory):
    """A copy of egs/boston104 that has run through the kaldi engine, with two folds and the baseline."""
    recipe = copy_recipe(tmp_path_factory.mktemp("toolkit"), "boston104", 8, "ctc")
    shorten(recipe / "conf/mwer.yaml", 1)
    done = run(recipe, "--corpus-dir", corpus, *WORDS, "--engine", "kaldi", "--baseline")
    assert done.returncode == 0, done.stdout
    return recipe


def run(recipe, *words):
    environment = {**os.environ, "ASL_PYTHON": sys.executable}
    command = [str(word) for word in (recipe / "run.sh", *words)]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8")


@pytest.mark.slow
def test_from_the_owners_tables_to_a_table_of_results(recipe, corpus):
    for name in ("ctc_seed0/decode_val_2-gram", "hmm/decode_val_hmm"):
        result = json.loads((recipe / "exp" / name / "result.json").read_text())
        assert result["n"] == 18 and result["n_missing"] == 0 and result["corpus"] == "boston104"
    hmm = json.loads((recipe / "exp/hmm/decode_val_hmm/result.json").read_text())
    assert hmm["metrics"]["wer"]["value"] < 50  # places that are far apart
    chosen = json.loads((recipe / "exp/fold0/exp/ctc_seed0/scales_2-gram/best.json").read_text())
    assert [path.split("/")[1] for path in chosen["chosen_on"]] == ["fold1"]
    bounds = json.loads((recipe / "exp/ctc_seed0/boundaries.json").read_text())
    assert bounds["clips"] + len(bounds["not_aligned"]) == 18 and bounds["words"] > 0
    assert "HMM" in (recipe / "RESULTS.md").read_text() and len(list((recipe / "results").glob("*.json"))) == 2
    again = run(recipe, "--corpus-dir", corpus, *WORDS, "--engine", "kaldi", "--baseline", "--stop-stage", "2")
    assert again.returncode == 0 and "runs again" not in again.stdout
    wrong = run(recipe, "--grammars", "2-gram 4-gram")
    assert wrong.returncode == 2 and "'4-gram' is none of lexicon, 2-gram, 3-gram" in wrong.stdout


@pytest.mark.slow
@pytest.mark.k2
def test_each_folds_network_is_trained_on_through_its_graph(recipe, tmp_path):
    copy = tmp_path / "egs/boston104"
    shutil.copytree(recipe, copy, copy_function=shutil.copy2)
    link_toolkit(tmp_path)
    words = [*WORDS, "--engine", "kaldi", "--finetune", "mwer"]
    done = run(copy, *words, "--stage", "5", "--stop-stage", "5")
    assert done.returncode == 0 and done.stdout.count("training MwerTask") == 2, done.stdout
    for fold in (0, 1):
        trained = json.loads((copy / f"exp/fold{fold}/exp/ctc_seed0_mwer/train.json").read_text())
        assert trained["task"] == "MwerTask" and trained["epochs"] == 1
    said = run(copy, *words, "--stage", "6", "--dry-run").stdout
    graph = "--graph exp/ctc_seed0/graphs/2-gram"
    assert f"asl tune --exp exp/ctc_seed0_mwer {graph} --engine kaldi --acoustic-scales 1 --prior-scales 0 0.3 0.6" in said
    assert f"asl decode --exp exp/ctc_seed0_mwer --data data --split val --method graph {graph}" in said


@pytest.mark.corpora
def test_the_real_corpus_falls_into_folds(prepare, corpora, tmp_path, capsys):
    folder = corpora / "boston104"
    rows, frames, words = prepare.read_corpus(folder)
    assert len(rows) == 161 and sum(len(words[row["video"]]) for row in rows) == 710
    assert Counter(row["speaker"] for row in rows) == {"man-1": 60, "woman-1": 53, "woman-2": 48}
    place = prepare.folds_of({row["video"]: row["glosses"] for row in rows}, 4)
    assert sorted(Counter(place.values()).values()) == [40, 40, 40, 41]
    texts = [{row["glosses"] for row in rows if place[row["video"]] == fold} for fold in range(4)]
    assert all(not a & b for n, a in enumerate(texts) for b in texts[:n])
    prepare.check(folder, 4)
    assert "12422 frames" in capsys.readouterr().out
    prepare.prepare(folder, tmp_path, "0", 4)
    assert len(table_of(tmp_path)) == 161 and len(read_timed(tmp_path / "words.ctm")) == 161
