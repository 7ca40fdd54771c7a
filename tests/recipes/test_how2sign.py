"""The How2Sign recipe from its owner's layout to a table of BLEU, on a few synthetic sentences."""

import json

import pytest

from asl.common.jsonl import read_jsonl
from asl.corpora.synthetic import synthesize

from .conftest import copy_recipe, said_by

pytestmark = pytest.mark.slow
WORDS = ("--config", "conf/tiny.yaml", "--pieces", "80", "--case", "fold", "--engine", "kaldi", "--graph", "--fuse")
METHODS = ("beam1", "beam3", "joint", "fused", "graph")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Sixty sentences in How2Sign's layout."""
    folder = tmp_path_factory.mktemp("corpora") / "how2sign"
    synthesize(str(folder), format="how2sign", signs=60, signers=6, sentences=60)
    return folder


@pytest.fixture(scope="module")
def recipe(corpus, tmp_path_factory):
    """A copy of egs/how2sign that has run to its end, after one epoch of pre-training and one of training."""
    recipe = copy_recipe(tmp_path_factory.mktemp("toolkit"), "how2sign", 1, "tiny", "pretrain_tiny")
    return recipe, run(recipe, corpus)


def run(recipe, corpus, *words):
    """Run it; return what it said."""
    command = [recipe / "run.sh", "--corpus-dir", corpus, *WORDS, "--beam-size", "3", *words]
    return said_by([*command, "--pretrain", "--pretrain-config", "conf/pretrain_tiny.yaml"])


def test_from_sentence_files_and_landmarks_to_a_table(recipe):
    folder, said = recipe
    assert [f"stage {n}: " in said for n in range(8)] == [True] * 8
    exp = folder / "exp/tiny_pre_seed0"
    clips = sorted(row["id"] for row in read_jsonl(folder / "data/val/supervisions.jsonl.gz"))
    places = [exp / f"decode_val_{name}" for name in METHODS] + [folder / "exp/constant/decode_val_constant"]
    for place in places:
        result = json.loads((place / "result.json").read_text())
        assert result["main"] == "bleu" and result["n"] == len(clips) and result["n_missing"] == 0, place
        assert result["synthetic"] and result["scoring"]["case"] == "fold", place
        rows = list(read_jsonl(place / "hyp.jsonl"))
        assert sorted(row["id"] for row in rows) == clips
        assert all("▁" not in row["text"] for row in rows), "it is to be text, not pieces"
    table = (folder / "RESULTS.md").read_text()
    assert "(synthetic), val" in table and "best constant sentence" in table and "BLEU-4" in table
    assert len(list((folder / "results").glob("*.json"))) == len(places)
    # training set out from the encoder that was pre-trained
    assert "pretrain_tiny_seed0" in (exp / "version.json").read_text()


def test_done_work_is_skipped(recipe, corpus):
    said = run(recipe[0], corpus, "--stop-stage", "6")
    assert "runs again" not in said and "training TranslateTask" not in said
    # prepare, pieces, extract, import, pretrain, train, text and n-gram of pieces and of words, graph, constant, decodings
    assert said.count("skipped") == 3 + 1 + 2 + 5 + 2 * (1 + len(METHODS))
