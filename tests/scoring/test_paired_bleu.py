"""Two systems' BLEU on the same sentences: sacreBLEU's own tests say the same; compare and ablations use them."""

import random

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.scoring import bleu
from asl.scoring.bleu import Setting
from asl.scoring.compare import compare
from asl.scoring.paired import compare_seeds
from asl.scoring.paired_bleu import compare_statistics
from asl.scoring.result import read_result
from asl.scoring.score import score

WORDS = "we are going to show you how the hand moves in this dance so now and".split()
N = 150


def noisy(texts, share, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choice(WORDS) if rng.random() < share else w for w in text.split()) for text in texts]


@pytest.fixture(scope="module")
def references():
    rng = random.Random(0)
    return [" ".join(rng.choices(WORDS, k=rng.randint(4, 18))) for _ in range(N)]


def statistics(texts, references):
    return bleu.statistics(texts, references, Setting())


def sacrebleus(references, systems, kind, draws):
    from sacrebleu.metrics import BLEU
    from sacrebleu.significance import PairedTest

    named = [(str(i), texts) for i, texts in enumerate(systems)]
    test = PairedTest(named, {"BLEU": BLEU()}, [references], test_type=kind, n_samples=draws)
    return test()[1]["BLEU"][1]


@pytest.mark.parametrize("share", [0.32, 0.33, 0.36, 0.45])
def test_p_is_sacrebleus_within_its_randomness(references, share):
    a, b = noisy(references, 0.3, 1), noisy(references, share, 2)
    draws = 2000
    tested = compare_statistics([(statistics(a, references), statistics(b, references))], replications=draws)
    for kind, p in (("bs", tested.p), ("ar", tested.p_swaps)):
        said = sacrebleus(references, [a, b], kind, draws).p_value
        # four standard deviations of the difference of two shares of as many draws
        assert abs(p - said) <= 4 * np.sqrt(2 * max(p * (1 - p), 1 / draws) / draws), kind


def test_interval_of_the_difference_is_that_of_the_pairs(references):
    a, b = (statistics(noisy(references, share, 4), references) for share in (0.3, 0.4))
    tested = compare_statistics([(a, b)], replications=501, seed=3)
    drawn = np.random.default_rng(3).integers(0, N, (501, N))
    slow = sorted(float(bleu.bleu(b[row].sum(0)) - bleu.bleu(a[row].sum(0))) for row in drawn)
    assert (tested.low, tested.high) == pytest.approx((slow[12], slow[488]))
    assert tested.b_ahead == np.mean(np.array(slow) > 0) and tested.low < tested.difference < tested.high


def test_a_system_is_not_better_than_itself(references):
    rows = statistics(noisy(references, 0.3, 1), references)
    tested = compare_statistics([(rows, rows)], replications=300)
    assert tested == (0.0, 0.0, 0.0, 1.0, 1.0, 0.0)
    with pytest.raises(AslError, match="0 replications make no test"):
        compare_statistics([(rows, rows)], replications=0)


def decode_folders(folder, references, shares, seeds=(0,), **about):
    ids = [f"u{i:03d}" for i in range(N)]
    folder.references(dict(zip(ids, references)))
    return [
        folder.decode(dict(zip(ids, noisy(references, share, seed + 1))), name=f"exp/{name}_seed{seed}/decode_val_x",
                      system=name, seed=seed, **about)
        for name, share in shares.items() for seed in seeds
    ]  # fmt: skip


def test_compare_goes_by_what_a_was_scored_with(folder, references, capsys):
    a, b = decode_folders(folder, references, {"a": 0.5, "b": 0.2})
    score(a, data=str(folder.data), metric="bleu", tokenize="none", case="fold", replications=10)
    result = compare(a, b, data=str(folder.data), replications=500)
    assert result["metric"] == "bleu" and result["n"] == N and "case:lc|eff:no|tok:none" in result["signature"]
    assert result["difference"] == pytest.approx(result["b"] - result["a"]) and result["low"] > 0
    assert result["p"] == result["p_swaps"] == pytest.approx(1 / 501) and result["b_ahead"] == 1.0
    assert result["only_b"] > result["only_a"] > 0
    shown = capsys.readouterr().out
    assert "BLEU-4 of 150 clips: A " in shown and "paired bootstrap, 500 draws (as sacreBLEU): p = 0.002" in shown
    assert compare(a, b, data=str(folder.data), replications=10, tokenize="13a")["signature"].count("tok:13a") == 1
    with pytest.raises(AslError, match="--cleanup, --repeats and --costs are for the metric wer"):
        compare(a, b, data=str(folder.data), costs="sclite")
    with pytest.raises(AslError, match="--tokenize intl is for the metric bleu, not wer"):
        compare(a, b, data=str(folder.data), metric="wer", tokenize="intl")


def test_seeds_are_compared_from_their_results_alone(folder, references):
    seeds = (0, 1, 2)
    folders = decode_folders(folder, references, {"base": 0.4, "row": 0.2}, seeds)
    for each in folders:
        score(each, data=str(folder.data), metric="bleu", replications=10)
    results = [read_result(f"{each}/result.json") for each in folders]
    found = compare_seeds(list(zip(results[:3], results[3:])))
    figures = [[r["metrics"]["bleu"]["value"] for r in side] for side in (results[:3], results[3:])]
    gains = np.subtract(figures[1], figures[0])
    assert found.difference == pytest.approx(gains.mean(), abs=1e-3) and found.seeds == [0, 1, 2]
    assert found.spread == pytest.approx(gains.std(ddof=1), abs=1e-3)
    assert 0 < found.low < found.difference < found.high and found.p == pytest.approx(1 / 10_001)
