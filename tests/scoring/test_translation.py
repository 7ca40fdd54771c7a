"""What is measured of translations beside BLEU, and what is printed with it."""

import random

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.scoring import bleu
from asl.scoring.bleu import Setting
from asl.scoring.refs import Utterance
from asl.scoring.score import score
from asl.scoring.translation import longest_common, measure, read_blacklist, repeated, rouge_l


def utterances(*pairs):
    """(reference, hypothesis or None) -> utterances."""
    readings = [() if hypothesis is None else (tuple(hypothesis.split()),) for _, hypothesis in pairs]
    return [Utterance(f"u{i}", tuple(ref.split()), said) for i, ((ref, _), said) in enumerate(zip(pairs, readings))]


def value(measured, name):
    return measured.metrics[name]["value"]


def test_longest_common_subsequence_is_that_of_the_table():
    rng = random.Random(1)
    for _ in range(200):
        a, b = (rng.choices("abcd", k=rng.randint(0, 70)) for _ in "ab")
        table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
        assert longest_common(a, b) == table[-1][-1]


def test_rouge_l_by_hand():
    # 3 of 4 said, 3 of 6 wanted: (1 + 1.44) * .75 * .5 / (.5 + 1.44 * .75)
    assert rouge_l("a b x c".split(), "a b c d e f".split()) == pytest.approx(2.44 * 0.375 / 1.58)
    assert rouge_l(["a"], ["a"]) == 1.0
    assert rouge_l([], ["a"]) == rouge_l(["a"], []) == rouge_l([], []) == rouge_l(["b"], ["a"]) == 0.0


def test_repetition_counts_four_grams_that_stood_before():
    assert repeated("a b c d a b c d".split()) == (1, 5)
    assert repeated("so so so so so so".split()) == (2, 3)
    assert repeated("a b c".split()) == (0, 0)
    measured = measure(utterances(("a", "so so so so so so"), ("b", "a b c d e f g")), Setting())
    assert value(measured, "repetition") == pytest.approx(100 * 2 / 7)


def test_coverage_is_of_words_not_of_signs():
    measured = measure(utterances(("Go home , now !", "go home ."), ("stay", "now")), Setting())
    assert (measured.counts["ref_types"], measured.counts["hyp_types"]) == (4, 3)
    assert value(measured, "coverage") == 50.0 and measured.metrics["coverage"]["low"] is None
    assert value(measure(utterances(("Go home", "go")), Setting("fold")), "coverage") == 50.0
    assert value(measure(utterances(("", "")), Setting()), "coverage") == 0.0


def test_what_is_empty_is_defined():
    measured = measure(utterances(("", ""), ("a b c d", "a b c d"), ("a b c d", None)), Setting())
    assert measured.counts["empty_references"] == 1 and measured.counts["empty_hypotheses"] == 2
    assert (value(measured, "sentence_bleu"), value(measured, "rouge")) == pytest.approx((100 / 3, 100 / 3))
    assert value(measured, "length_ratio") == 0.5 and value(measured, "bleu") == pytest.approx(100 * np.exp(-1))
    nothing = measure(utterances(("", ""), ("", None)), Setting())
    assert {m["value"] for m in nothing.metrics.values()} <= {0.0, 1.0}


def test_reduced_bleu_drops_the_blacklist_from_both_sides(folder):
    path = folder.path / "blacklist.txt"
    path.write_text("the\nA\n\ndon't\n", encoding="utf-8")
    words = read_blacklist(path, Setting())
    pairs = utterances(("The cat sat on a red mat", "a cat sat on the red mat"), ("the a", "the the"), ("A dog", None))
    measured = measure(pairs, Setting(), words)
    assert value(measured, "rbleu") == pytest.approx(bleu.bleu(bleu.statistics(
        ["cat sat on red mat", "", ""], ["cat sat on red mat", "", "dog"], Setting()).sum(0)))  # fmt: skip
    assert value(measured, "bleu") < 60 < value(measured, "rbleu")
    assert measured.counts["blacklist"] == {
        "ref_tokens_dropped": 5, "ref_sentences_emptied": 1, "hyp_tokens_dropped": 4, "hyp_sentences_emptied": 1,
    }  # fmt: skip
    assert read_blacklist(path, Setting("keep", "none")).words == {"the", "a", "don't"}


def test_intervals_hold_the_value_and_are_those_of_the_bootstrap():
    rng = random.Random(3)
    words = "a b c d e f".split()
    pairs = [(" ".join(rng.choices(words, k=12)), " ".join(rng.choices(words, k=11))) for _ in range(60)]
    measured = measure(utterances(*pairs), Setting(), replications=401, seed=5)
    for name, metric in measured.metrics.items():
        assert name == "coverage" or metric["low"] <= metric["value"] <= metric["high"], name
    drawn = np.random.default_rng(5).integers(0, 60, (401, 60))
    slow = sorted(float(bleu.bleu(measured.rows[row].sum(0))) for row in drawn)
    found = measured.metrics["bleu"]
    assert (found["low"], found["high"]) == (pytest.approx(slow[10]), pytest.approx(slow[390]))


def test_score_prints_the_choices_and_what_unmasks_a_constant(folder, capsys):
    texts = {f"u{i}": "so we are going to dance ." for i in range(4)}
    folder.references({**texts, "u9": "now you know"}, corpus="how2sign")
    write_json(folder.path / "exp/v4/train.json", {"train_loss": 1.25, "val_loss": 3.5})
    options = {"beam_size": 5, "ctc_weight": 0.3, "lm": "data/lang/G.arpa", "lm_scale": 0.2}
    decode = folder.decode(texts, name="exp/v4/decode_val_x", method="attention", parameters=3_700_000, options=options)
    result = score(decode, data=str(folder.data), metric="bleu", case="fold", replications=50)
    shown = capsys.readouterr().out
    assert "warning: 1 without a hypothesis, counted as empty: u9" in shown
    assert "1 different hypotheses for 5 sentences" not in shown  # the missing one is an empty one
    assert "2 different hypotheses for 5 sentences, the most frequent 4 times; empty: 1 hypotheses, 0 ref" in shown
    assert "nrefs:1|case:lc|eff:no|tok:13a|smooth:exp|version:" in shown
    assert "scored with: 13a, lower-cased, missing ids counted as empty, n = 5" in shown
    assert "loss of the network: 1.250 train, 3.500 val, gap +2.250" in shown
    assert (result["main"], result["method"], result["lm"]) == ("bleu", "attention, beam 5, CTC 0.3", "G x 0.2")
    assert (result["train_loss"], result["val_loss"]) == (1.25, 3.5)
    assert "without a hypothesis: u9" in (folder.path / decode / "bleu-val.txt").read_text()
    before = (folder.path / decode / "result.json").read_bytes()
    score(decode, data=str(folder.data), metric="bleu", case="fold", replications=50)
    assert (folder.path / decode / "result.json").read_bytes() == before


@pytest.mark.parametrize(
    "options, said",
    [
        ({"metric": "bleu", "cleanup": "phoenix2014"}, "--cleanup, --repeats and --costs are for --metric wer"),
        ({"metric": "wer", "tokenize": "intl"}, "--settings are for --metric bleu, not wer"),
        ({"metric": "topk", "settings": True}, "are for --metric bleu, not topk"),
        ({"metric": "bleu", "blacklist": "no.txt"}, "--blacklist no.txt does not exist"),
        ({"metric": "bleu", "blacklist": "empty.txt"}, "holds no word"),
        ({"metric": "bleu", "blacklist": "latin.txt"}, "UTF-8"),
        ({"metric": "bleu", "blacklist": "empty.txt", "tokenize": "char"}, "makes characters, not words"),
        ({"metric": "bleu", "missing": "error"}, "1 of 2 utterances have no hypothesis, 'b' first"),
    ],
)
def test_choices_that_do_not_belong_together_are_refused(folder, monkeypatch, options, said):
    folder.references({"a": "X", "b": "Y"})
    decode = folder.decode({"a": "X"})
    monkeypatch.chdir(folder.path)
    (folder.path / "empty.txt").write_text("\n\n")
    (folder.path / "latin.txt").write_bytes(b"\xe9t\xe9\n")
    with pytest.raises(AslError, match=said):
        score(decode, data=str(folder.data), **options)
