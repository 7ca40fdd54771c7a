"""The WLASL recipe from its corpus to a scored table, through each engine."""

import json

import pytest

from asl.common.jsonl import read_jsonl

from .conftest import SIGNS

pytestmark = pytest.mark.slow


def check_whole(recipe, said):
    """All stages were run, and what they are for is there."""
    assert [f"stage {n}: " in said for n in range(8)] == [True, True, True, False, True, True, True, True]
    for split in ("val", "test"):
        clips = list(read_jsonl(recipe.folder / f"data/{split}/supervisions.jsonl.gz"))
        for method in ("greedy", "beam", "graph"):
            folder = recipe.exp / f"decode_{split}_{method}"
            result = json.loads((folder / "result.json").read_text())
            assert result["synthetic"] is True and result["n"] == len(clips) and result["n_missing"] == 0
            assert 0 <= result["metrics"]["top1"]["value"] <= 100
            hypotheses = list(read_jsonl(folder / "hyp.jsonl"))
            assert sorted(h["id"] for h in hypotheses) == sorted(c["id"] for c in clips)
            if method == "graph":
                assert all(len(h["words"]) == 1 for h in hypotheses)  # the grammar accepts one sign
    assert "synthetic" in (recipe.folder / "RESULTS.md").read_text()
    assert len(list((recipe.folder / "results").glob("*.json"))) == 6
    assert len((recipe.folder / "data/lang/tokens.txt").read_text().splitlines()) >= SIGNS + 1


def test_through_the_kaldi_engine(new_recipe, tmp_path):
    recipe = new_recipe(tmp_path, "--engine", "kaldi", "--with-test")
    check_whole(recipe, recipe.run())
    again = recipe.run()
    assert again.count("skipped") == 4 + 1 + 6 * 2 and "runs again" not in again


@pytest.mark.k2
def test_through_k2_and_both_engines_agree(new_recipe, tmp_path):
    recipe = new_recipe(tmp_path, "--engine", "k2", "--with-test")
    check_whole(recipe, recipe.run())
    of_k2 = list(read_jsonl(recipe.exp / "decode_val_graph/hyp.jsonl"))
    other = recipe.copy(tmp_path / "kaldi")
    other.words = ("--engine", "kaldi", "--with-test")
    assert "runs again (its command was: " in other.run("--stage", "5", "--stop-stage", "6")
    of_kaldi = list(read_jsonl(other.exp / "decode_val_graph/hyp.jsonl"))
    assert [h["words"] for h in of_k2] == [h["words"] for h in of_kaldi]
    assert [h["score"] for h in of_k2] == pytest.approx([h["score"] for h in of_kaldi], abs=1e-3)


def test_another_subset_makes_what_depends_on_it_again(new_recipe, tmp_path):
    recipe = new_recipe(tmp_path)
    recipe.run("--stop-stage", "2")
    said = recipe.run("--stop-stage", "2", "--subset", str(SIGNS - 1))
    assert said.count("runs again") == 3 and "changed since: " in said
    assert len((recipe.folder / "data/lang/lexicon.txt").read_text().splitlines()) == SIGNS - 1
