"""The table of an ablation: rows beside their base, from result files alone."""

import itertools
import json
import shutil

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.scoring import ablation
from asl.scoring.result import pack
from asl.scoring.results import results

N = 40


def result(ranks, seed, system="base", clips="abc", **about):
    """What ``asl score`` writes of isolated signs whose right answers have these ranks."""
    hits = [rank == 1 for rank in ranks]
    value = 100 * sum(hits) / len(hits)
    return {
        "corpus": "wlasl", "synthetic": False, "protocol": "official", "test_decodings": None, "split": "val",
        "subset": 100, "system": system, "method": "softmax", "main": "top1", "n": len(ranks), "n_missing": 0,
        "n_official": 338, "metrics": {"top1": {"value": value, "low": value - 5, "high": value + 5}},
        "counts": {}, "commit": "0123456789abcdef", "command": "asl decode", "seed": seed, "checkpoint": "ema",
        "parameters": 1_000_000, "train_seconds": 600.0, "clips": clips,
        "per_clip": {"ranks": pack(ranks), "classes": pack([i % 4 for i in range(len(ranks))])}, **about,
    }  # fmt: skip


def ranks(accuracy, seed):
    return np.where(np.random.default_rng(seed).random(N) < accuracy, 1, 2).tolist()


@pytest.fixture
def keep(tmp_path):
    """``keep(rows, groups)`` writes a folder of results: ``rows`` maps (group, row, seed) to a result."""

    def write(rows, groups=None):
        folder = tmp_path / "results/ablation_x"
        names = list(dict.fromkeys((group, row) for group, row, _ in rows))
        seeds = {name: [seed for *key, seed in rows if tuple(key) == name] for name in names}
        groups = groups or [
            {
                "name": group,
                "rows": [
                    {"name": r, "about": f"about {r}", "seeds": seeds[g, r]} for g, r in names if g == group
                ],
            }
            for group in dict.fromkeys(group for group, _ in names)
        ]
        plan = {"name": "x", "title": "What helps?", "command": "asl ablate x.yaml", "groups": groups}
        write_json(folder / ablation.PLAN, plan)
        for key, value in rows.items():
            write_json(folder / ablation.result_name(*key), value)
        return folder

    return write


def of(folder, name, group=0):
    made = ablation.read_ablation(folder).groups[group]
    return next(row for row in made.rows if row.name == name)


def test_a_row_is_compared_with_the_base_over_the_seeds_that_both_have(keep):
    rows = {("", "base", s): result(ranks(0.6, s), s) for s in (0, 1, 2)}
    rows.update({("", "less", s): result(ranks(0.4, 10 + s), s, "less") for s in (1, 2, 3)})
    folder = keep(rows)
    compared = of(folder, "less").against
    assert compared.seeds == [1, 2]
    gains = [
        np.array(ranks(0.4, 10 + s)) == 1 for s in (1, 2)
    ], [np.array(ranks(0.6, s)) == 1 for s in (1, 2)]  # fmt: skip
    each = [100 * (row.mean() - base.mean()) for row, base in zip(*gains)]
    assert compared.difference == pytest.approx(np.mean(each))
    assert compared.spread == pytest.approx(np.std(each, ddof=1))
    assert compared.low < compared.difference < compared.high < 0
    assert of(folder, "base").against is None
    assert of(folder, "less").row.values["top1"] == pytest.approx(
        np.mean([100 * np.mean(np.array(ranks(0.4, 10 + s)) == 1) for s in (1, 2, 3)])
    )


def test_p_is_that_of_swapping_each_clips_seeds(keep):
    """All 2^n swaps of few clips, counted one by one."""
    base = [[1, 2, 1, 2, 2, 1, 2, 2], [1, 2, 2, 2, 2, 1, 1, 2]]
    other = [[1, 1, 1, 1, 2, 2, 1, 1], [1, 1, 2, 1, 1, 1, 1, 2]]
    rows = {("", "base", s): result(base[s], s) for s in (0, 1)}
    rows.update({("", "more", s): result(other[s], s) for s in (0, 1)})
    gains = (np.array(other) == 1).astype(int).sum(0) - (np.array(base) == 1).sum(0)
    sums = [abs(sum(s * g for s, g in zip(signs, gains))) for signs in itertools.product((1, -1), repeat=8)]
    expected = np.mean([total >= abs(gains.sum()) for total in sums])
    assert 0.01 < expected < 0.5
    assert of(keep(rows), "more").against.p == pytest.approx(expected)


def test_holms_correction_counts_the_rows_of_the_group(keep):
    rows = {("", "base", 0): result([2] * N, 0)}
    for name, better in (("a", 6), ("b", 7), ("c", 0)):
        rows["", name, 0] = result([1] * better + [2] * (N - better), 0)
    folder = keep(rows)
    a, b, c = (of(folder, name).against for name in "abc")
    assert (a.p, b.p, c.p) == (pytest.approx(2**-5), pytest.approx(2**-6), 1.0)
    assert (a.adjusted, b.adjusted, c.adjusted) == (pytest.approx(2 * 2**-5), pytest.approx(3 * 2**-6), 1.0)
    lines = ablation.markdown(ablation.read_ablation(folder)).splitlines()
    assert [" * |" in line for name in "abc" for line in lines if line.startswith(f"| {name} |")] == [
        False, True, False,
    ]  # fmt: skip


def test_word_errors_are_compared_as_rates(keep):
    def sentences(errors, seed):
        value = 100 * sum(errors) / (3 * len(errors))
        return {
            **result([1] * len(errors), seed),
            "main": "wer",
            "metrics": {"wer": {"value": value, "low": value, "high": value}},
            "per_clip": {"errors": pack(errors), "lengths": pack([3] * len(errors))},
        }

    rows = {
        ("", "base", 0): sentences([1, 2, 3, 2, 1, 2], 0),
        ("", "lm", 0): sentences([0, 1, 2, 2, 0, 2], 0),
    }
    compared = of(keep(rows), "lm").against
    assert compared.difference == pytest.approx(-100 * 4 / 18)
    assert compared.low < compared.difference < compared.high <= 0
    assert compared.p == pytest.approx(2 / 2**4)


def test_what_cannot_be_compared_says_why(keep):
    rows = {
        ("", "base", 0): result([1] * N, 0),
        ("", "others", 0): result([1] * N, 0, clips="def"),
        ("", "seeds", 1): result([1] * N, 1),
    }
    folder = keep(rows)
    assert of(folder, "others").why_not == "other clips" and of(folder, "seeds").why_not == "no common seed"
    text = ablation.markdown(ablation.read_ablation(folder))
    assert "| other clips | - |" in text and "| no common seed | - |" in text
    (folder / ablation.result_name("", "base", 0)).unlink()
    assert of(folder, "others").why_not == "no base yet"
    assert "| base | about base | 0 of 1 | - |" in ablation.markdown(ablation.read_ablation(folder))


def test_seeds_of_a_row_that_are_of_different_runs_are_refused(keep):
    rows = {("", "base", s): result([1] * N, s, parameters=1000 + s) for s in (0, 1)}
    with pytest.raises(AslError, match="base differ in 'parameters' \\(1000 and 1001\\)"):
        ablation.read_ablation(keep(rows))


def test_rows_of_several_groups_are_told_in_one_line(keep):
    rows = {}
    for group, right in (("20_signs", 10), ("100_signs", 2)):
        rows[group, "base", 0] = result([2] * N, 0, clips=group)
        rows[group, "pretrained", 0] = result([1] * right + [2] * (N - right), 0, clips=group)
    (line,) = ablation.summary(ablation.read_ablation(keep(rows)))
    assert line.startswith(
        "pretrained: 20_signs +25.0 [+12.5, +40.0] (p = 0.002 *, 1 seed); 100_signs +5.0 ["
    )


def test_results_md_has_a_section_made_from_the_kept_files_alone(keep, tmp_path, monkeypatch, capsys):
    rows = {("", "base", s): result(ranks(0.6, s), s) for s in (0, 1)}
    rows.update({("", "less", s): result(ranks(0.3, 5 + s), s, "less") for s in (0, 1)})
    folder = keep(rows)
    write_json(tmp_path / "results/wlasl_100_val_a_seed0.json", result(ranks(0.6, 9), 0, "a"))
    monkeypatch.chdir(tmp_path)
    results(["results"])
    text = (tmp_path / "RESULTS.md").read_text()
    assert ablation.markdown(ablation.read_ablation(folder)) in text
    assert "## Ablation: What helps?" in text and "Made by `asl ablate x.yaml`" in text
    shutil.copytree(tmp_path / "results", tmp_path / "elsewhere/results")
    monkeypatch.chdir(tmp_path / "elsewhere")
    results(["results"])
    assert (tmp_path / "elsewhere/RESULTS.md").read_text() == text
    json.dumps(ablation.as_json(ablation.read_ablation(folder)), allow_nan=False)


def test_results_md_of_ablations_alone(keep, tmp_path, monkeypatch, capsys):
    folder = keep({("", "base", 0): result([1] * N, 0)})
    monkeypatch.chdir(tmp_path)
    assert results(["results"]) == []
    assert ablation.markdown(ablation.read_ablation(folder)) in (tmp_path / "RESULTS.md").read_text()
    assert "written to RESULTS.md from 0 files and 1 ablations in results" in capsys.readouterr().out


def test_a_damaged_plan_is_one_sentence(keep):
    folder = keep({("", "base", 0): result([1] * N, 0)})
    write_json(folder / ablation.PLAN, {"name": "x"})
    with pytest.raises(AslError, match="none of 'asl ablate'"):
        ablation.read_ablation(folder)
