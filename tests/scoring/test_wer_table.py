"""RESULTS.md of sentences: what a WER rests on stands beside it, and what is made up is labelled."""

import pytest

from asl.scoring.results import results
from asl.scoring.score import score


@pytest.fixture
def recipe(folder, monkeypatch):
    folder.references(
        {"a": "NORD REGEN", "b": "SUED WIND", "c": "WIND"},
        corpus="phoenix2014", splits={"val": {"official": 540}},
    )  # fmt: skip
    monkeypatch.chdir(folder.path)
    return folder


def run(folder, name, text, seed=0, lm=None, options=None, scoring=None, **about):
    """A decode folder whose hypothesis of ``a`` is ``text``, scored; ``lm`` is the graph's folder."""
    command = ["asl", "decode", "--exp", "exp/ctc", *(["--graph", f"exp/ctc/graphs/{lm}"] if lm else [])]
    decode = folder.decode(
        {"a": text, "b": "SUED WIND", "c": "WIND"}, name=f"exp/ctc/decode_val_{name}", system="ctc",
        seed=seed, checkpoint="ema", command=" ".join(command), options=options or {}, **about,
    )  # fmt: skip
    scoring = {"cleanup": "phoenix2014"} if scoring is None else scoring
    return score(decode, data=str(folder.data), metric="wer", **scoring)


def test_what_a_rate_rests_on_stands_beside_it(recipe):
    graph = {"method": "graph", "engine": "kaldi"}
    run(recipe, "greedy", "NORD NORD WIND", method="greedy")
    run(recipe, "lexicon", "NORD", lm="lexicon", **graph)
    run(recipe, "3-gram", "loc-NORD REGEN", lm="3-gram", **graph)
    run(recipe, "rescored", "NORD WIND", lm="3-gram", options={"rescore": "data/lang/4-gram.arpa"}, **graph)
    run(recipe, "mbr", "NORD WIND", lm="3-gram", options={"mbr": True, "tuned": "exp/tune"}, **graph)
    results(["exp"])
    text = (recipe.path / "RESULTS.md").read_text()
    lines = [line for line in text.splitlines() if line[:2] == "| "]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert rows[0][:7] == ["system", "decoding", "LM", "clean-up", "checkpoint", "seeds", "WER [95 %]"]
    assert rows[0][7:9] == ["sub / del / ins", "n"]
    assert all(row[3:6] == ["phoenix2014", "ema", "1"] for row in rows[2:])
    found = {tuple(row[1:3]): (row[6].split()[0], row[7]) for row in rows[2:]}
    assert found == {
        ("graph, kaldi", "3-gram"): ("0.0", "0.0 / 0.0 / 0.0"),
        ("graph, kaldi", "lexicon"): ("20.0", "0.0 / 20.0 / 0.0"),
        ("graph, kaldi", "3-gram, rescored: 4-gram"): ("20.0", "20.0 / 0.0 / 0.0"),
        ("graph, kaldi, tuned scales, minimum Bayes risk", "3-gram"): ("20.0", "20.0 / 0.0 / 0.0"),
        ("greedy", "-"): ("40.0", "20.0 / 0.0 / 20.0"),
    }
    assert "n = 3 utterances found of 540 official" in text and "Of tables with WER: " in text
    assert "(synthetic)" not in text and "(simulated)" not in text
    assert len(list((recipe.path / "results").glob("*.json"))) == 5


def test_other_choices_are_other_rows_and_cleaned_references_another_table(recipe):
    run(recipe, "one", "NORD REGEN REGEN", method="greedy", scoring={})
    run(recipe, "two", "NORD REGEN REGEN", method="greedy", scoring={"repeats": "hypotheses"})
    run(recipe, "three", "NORD REGEN REGEN", method="greedy", scoring={"case": "fold"})
    results(["exp"])
    text = (recipe.path / "RESULTS.md").read_text()
    assert "| greedy | - | none | ema |" in text
    assert "| greedy | - | none, repeats merged in hypotheses | ema |" in text
    assert text.count("\n## ") == 2 and "case folded" in text


@pytest.mark.parametrize(
    "marks, label, note",
    [
        ({"synthetic": True}, "synthetic", "Synthetic landmarks: no measure of any sign language."),
        ({"synthetic": True, "simulated": True}, "simulated", "Simulated: real sentences, frame counts"),
    ],
)
def test_what_is_made_up_is_labelled(folder, monkeypatch, capsys, marks, label, note):
    texts = {"a": "X", "b": "SUED WIND", "c": "WIND"}
    folder.references(texts, corpus="phoenix2014", protocol="si5", **marks)
    monkeypatch.chdir(folder.path)
    run(folder, "greedy", "X", method="greedy")
    assert f"ctc ({label}), val" in capsys.readouterr().out
    results(["exp"])
    text = (folder.path / "RESULTS.md").read_text()
    assert f"## phoenix2014 ({label}), si5, val" in text and f"| ctc ({label}) |" in text
    assert note in text and "All by one signer, who is not in train." in text
    (kept,) = (folder.path / "results").glob("*.json")
    assert kept.name.startswith(f"phoenix2014_{label}_si5_val_ctc_greedy_phoenix2014_ema")
