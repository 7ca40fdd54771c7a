"""The PHOENIX-2014 recipe from its owner's layout to a scored table, on a few synthetic sentences."""

import json
import shutil

import pytest

from asl.common.jsonl import read_jsonl
from asl.common.transcripts import read_ctm
from asl.corpora.synthetic import synthesize
from asl.scoring.ctm import score_ctm

from .conftest import copy_recipe, link_toolkit, said_by

pytestmark = pytest.mark.slow
METHODS = ("greedy", "beam", "lexicon", "2-gram", "3-gram", "rescored")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Some sixty sentences by five signers in PHOENIX-2014's layout."""
    folder = tmp_path_factory.mktemp("corpora") / "phoenix2014"
    synthesize(str(folder), format="phoenix2014", signs=29, signers=5, sentences=60)
    return folder


@pytest.fixture(scope="module")
def recipe(corpus, tmp_path_factory):
    """A copy of egs/phoenix2014 that has run through the kaldi engine, after one epoch of training."""
    recipe = copy_recipe(tmp_path_factory.mktemp("toolkit"), "phoenix2014", 1, "ctc", "mmi")
    return recipe, run(recipe, corpus, "--engine", "kaldi", "--tune")


def run(recipe, corpus, *words):
    """Run it; return what it said."""
    return said_by([recipe / "run.sh", "--corpus-dir", corpus, *words])


def test_from_lists_and_landmarks_to_a_table(recipe, corpus):
    folder, said = recipe
    assert [f"stage {n}: " in said for n in range(8)] == [True, True, True, False, True, True, True, True]
    exp = folder / "exp/ctc_signer-dependent_seed0"
    clips = sorted(row["id"] for row in read_jsonl(folder / "data/val/supervisions.jsonl.gz"))
    for name in METHODS:
        result = json.loads((exp / f"decode_val_{name}/result.json").read_text())
        assert result["n"] == len(clips) and result["n_missing"] == 0 and result["synthetic"]
        assert result["scoring"]["cleanup"] == "phoenix2014" and result["protocol"] == "official"
        hypotheses = list(read_jsonl(exp / f"decode_val_{name}/hyp.jsonl"))
        assert sorted(row["id"] for row in hypotheses) == clips
    table = (folder / "RESULTS.md").read_text()
    assert "(synthetic), val" in table and "| 3-gram, rescored: 4-gram | phoenix2014 |" in table
    assert "| graph, kaldi, tuned scales | 3-gram | phoenix2014 |" in table
    assert len(list((folder / "results").glob("*.json"))) == len(METHODS)
    ctm = exp / "decode_val_3-gram/hyp.ctm"
    if ctm.read_text():
        (stm,) = (corpus / "evaluation").glob("*-dev.stm")
        result = json.loads((exp / "decode_val_3-gram/result.json").read_text())
        ours = score_ctm(str(ctm), str(stm), cleanup="phoenix2014", costs="kaldi", replications=10)
        assert ours["counts"] == result["counts"] and set(read_ctm(ctm)) <= set(clips)


def test_done_work_is_skipped(recipe, corpus):
    said = run(recipe[0], corpus, "--engine", "kaldi", "--tune", "--stop-stage", "6")
    assert "runs again" not in said
    assert said.count("skipped") == 3 + 1 + 4 + 3 + 2 * len(METHODS) + 1 + 2


def test_si5_and_raw_labels_are_other_data(recipe, corpus, tmp_path):
    copy = tmp_path / "egs/phoenix2014"
    shutil.copytree(recipe[0], copy, copy_function=shutil.copy2)
    link_toolkit(tmp_path)
    said = run(copy, corpus, "--protocol", "si5", "--labels", "raw", "--stop-stage", "1")
    assert "si5, train labels raw" in said
    signers = {
        split: {row["speaker"] for row in read_jsonl(copy / f"data/{split}/supervisions.jsonl.gz")}
        for split in ("train", "val", "test")
    }
    assert signers["val"] == signers["test"] == {"Signer05"} and "Signer05" not in signers["train"]
    words = {line.split()[0] for line in (copy / "data/lang/words.txt").read_text().splitlines()}
    assert any(word.startswith("loc-") for word in words)


@pytest.mark.k2
def test_k2_trains_on_through_the_graph(recipe, corpus, tmp_path):
    copy = tmp_path / "egs/phoenix2014"
    shutil.copytree(recipe[0], copy, copy_function=shutil.copy2)
    link_toolkit(tmp_path)
    said = run(copy, corpus, "--engine", "k2", "--stage", "5", "--finetune", "mmi")
    assert "training MmiTask" in said
    scored = {path.parent.name for path in copy.glob("exp/*_mmi/decode_*/result.json")}
    assert scored == {f"decode_val_{name}" for name in METHODS}
    assert "_mmi (synthetic) | graph, k2 | 2-gram |" in (copy / "RESULTS.md").read_text()
