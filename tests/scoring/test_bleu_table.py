"""RESULTS.md of translations: higher is better, every choice stands beside the number, a constant is unmasked."""

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.scoring import ablation
from asl.scoring.result import read_result
from asl.scoring.results import results
from asl.scoring.score import score

TEXTS = {
    "a": "So we are going to dance now.", "b": "The hand moves to the side.", "c": "You hold it in your left hand.",
    "d": "Hi, I am here to show you how to do this.",
}  # fmt: skip
CONSTANT = "So we are going to do this."


@pytest.fixture
def recipe(folder, monkeypatch):
    folder.references(TEXTS, corpus="how2sign", splits={"val": {"official": 1741}})
    monkeypatch.chdir(folder.path)
    return folder


def run(folder, name, texts, seed=None, scoring=None, losses=None, **about):
    if losses:
        write_json(folder.path / f"exp/{name}/train.json", {"train_loss": losses[0], "val_loss": losses[1]})
    decode = folder.decode(texts, name=f"exp/{name}/decode_val_{about.get('method', 'x')}", seed=seed, **about)
    return score(decode, data=str(folder.data), metric="bleu", replications=200, **(scoring or {}))


def rows_of(text):
    lines = [line for line in text.splitlines() if line[:2] == "| "]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_everything_that_a_figure_rests_on_stands_in_its_row(recipe):
    said = {**TEXTS, "a": "So we are going to sing now.", "b": "The hand moves."}
    options = {"beam_size": 5, "ctc_weight": 0.3}
    found = run(recipe, "v4", said, losses=(1.5, 3.25), method="attention", parameters=4_190_000, options=options)
    run(recipe, "constant", {key: CONSTANT for key in TEXTS}, system="best constant sentence", method="constant")
    results(["exp"])
    text = (recipe.path / "RESULTS.md").read_text()
    rows = rows_of(text)
    metrics = found["metrics"]
    assert rows[0] == ["system", "decoding", "LM", "text", "checkpoint", "seeds", "BLEU-4 [95 %]", "BLEU-1", "chrF",
                       "ROUGE-L", "length ratio", "repetition", "coverage", "loss train / val", "n", "parameters",
                       "training"]  # fmt: skip
    assert [row[0] for row in rows[2:]] == ["v4", "best constant sentence"]  # the best first
    v4 = dict(zip(rows[0], rows[2]))
    assert v4["decoding"] == "attention, beam 5, CTC 0.3" and v4["text"] == "13a, cased" and v4["n"] == "4"
    assert v4["BLEU-4 [95 %]"] == "{value:.2f} [{low:.2f}, {high:.2f}]".format(**metrics["bleu"])
    assert v4["length ratio"] == f"{metrics['length_ratio']['value']:.2f}" and v4["parameters"] == "4.19 M"
    assert v4["loss train / val"] == "1.50 / 3.25 (+1.75)" and rows[3][13] == "-"
    assert "## how2sign, val, BLEU 13a, cased" in text and "n = 4 sentences found of 1741 official" in text
    assert "BLEU nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:" in text
    assert "Of tables with BLEU: " in text and "Of tables with WER" not in text


def test_seeds_are_one_row_and_other_settings_another_table(recipe):
    values = []
    for seed, b in enumerate(["The hand moves to the side.", "The hand.", "A hand moves to a side."]):
        said = {**TEXTS, "b": b, "a": "So we dance now."}
        values.append(run(recipe, f"v4_seed{seed}", said, seed=seed)["metrics"]["bleu"]["value"])
    lower = {"case": "fold", "tokenize": "none", "settings": True}
    run(recipe, "v3", {**TEXTS, "a": "so we are going to dance now."}, seed=0, scoring=lower)
    results(["exp"])
    text = (recipe.path / "RESULTS.md").read_text()
    first, second = text.split("## how2sign, val, BLEU none, lower-cased")
    (row,) = rows_of(first)[2:]
    assert row[0] == "v4" and row[5] == "3"
    assert row[6].startswith(f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f} [")
    low, high = (float(end) for end in row[6].split("[")[1].strip("]").split(", "))
    assert low < np.mean(values) < high
    assert "other settings" not in first and "BLEU-4 of the same hypotheses under other settings:" in second
    other = rows_of(second)[3:]
    assert other[0][:4] == ["system", "decoding", "13a, cased", "13a, lower-cased"] and other[2][0] == "v3, seed 0"
    assert float(other[2][2]) < 100.0 and other[2][3] == "100.00"
    kept = {p.name for p in (recipe.path / "results").iterdir()}
    assert kept == {"how2sign_val_v3_none-lower-cased_seed0.json",
                    *(f"how2sign_val_v4_13a-cased_seed{seed}.json" for seed in range(3))}  # fmt: skip


def test_a_result_without_its_choices_or_statistics_is_refused(recipe):
    found = run(recipe, "v4", TEXTS)
    for part, key in (("scoring", "tokenize"), ("per_clip", "match3")):
        broken = {**found, part: {name: value for name, value in found[part].items() if name != key}}
        write_json(recipe.path / "broken.json", broken)
        with pytest.raises(AslError, match="its parts do not belong together; score the decode folder again"):
            read_result(recipe.path / "broken.json")


def test_what_differs_in_the_search_is_another_row(recipe):
    for name, options in (("a", {"beam_size": 5}), ("b", {"beam_size": 5, "length_penalty": 0.6}),
                          ("c", {"beam_size": 5, "length_penalty": 1.0, "no_repeat": 3})):  # fmt: skip
        run(recipe, name, TEXTS, seed=0, system="v4", method="attention", options=options)
    results(["exp"])
    rows = rows_of((recipe.path / "RESULTS.md").read_text())[2:]
    assert sorted(row[1] for row in rows) == [
        "attention, beam 5", "attention, beam 5, length 0.6", "attention, beam 5, no 3-gram twice"]  # fmt: skip


def test_an_ablation_of_translations(recipe):
    place = recipe.path / "results/ablation_size"
    for name, b in (("base", "The hand."), ("large", "The hand moves to the side."), ("lower", "The hand moves.")):
        scoring = {"case": "fold"} if name == "lower" else None
        run(recipe, name, {**TEXTS, "b": b}, seed=0, scoring=scoring)
        (place / f"{name}.seed0.json").parent.mkdir(parents=True, exist_ok=True)
        result = recipe.path / f"exp/{name}/decode_val_x/result.json"
        (place / f"{name}.seed0.json").write_bytes(result.read_bytes())
    rows = [{"name": name, "about": name, "seeds": [0]} for name in ("base", "large", "lower")]
    write_json(place / ablation.PLAN, {"name": "size", "title": "Size", "command": "asl ablate", "groups": [
        {"name": "", "rows": rows}]})  # fmt: skip
    text = ablation.markdown(ablation.read_ablation(place))
    found = rows_of(text)
    assert found[0][3:6] == ["BLEU-4 [95 %]", "chrF", "length ratio"]
    base, large, lower = found[2:]
    gain = float(large[3].split()[0]) - float(base[3].split()[0])
    assert gain > 0 and float(large[6].split()[0]) == pytest.approx(gain, abs=0.1) and float(large[7]) == 1.0
    assert lower[6] == "scored otherwise (13a, lower-cased)"
