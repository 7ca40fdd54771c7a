"""BLEU and chrF: sacreBLEU's command line on the same files, to the second decimal and closer."""

import csv
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from asl.scoring import bleu
from asl.scoring.bleu import Setting
from asl.scoring.score import score

WORDS = ("the The a Hi now, You you your don't we're 3.5 1,000 $20 half-way (maybe) hand. \"so\" it's e.g. dance ... "
         "- salsa; drum! é naïve ´ it U.S. and and/or 10% what? to of in that's &amp; is").split()  # fmt: skip
# settings of published figures of sign translation: each moves the same output by up to 3 points
PUBLISHED = [Setting("keep", "13a"), Setting("fold", "13a"), Setting("keep", "none"), Setting("keep", "intl")]


@pytest.fixture(scope="module")
def texts():
    """120 references, and hypotheses that are wrong in places; empty ones on each side and on both."""
    rng = random.Random(7)
    references = [" ".join(rng.choices(WORDS, k=rng.randint(1, 25))) for _ in range(120)]
    hypotheses = []
    for text in references:
        words = [rng.choice(WORDS) if rng.random() < 0.3 else word for word in text.split()]
        hypotheses.append(" ".join(words[: rng.randint(1, 2 * len(words))]))
    references[3] = hypotheses[3] = references[4] = hypotheses[5] = ""
    return references, hypotheses


def command_line(folder, *options):
    """What ``python -m sacrebleu`` prints of the two files that ``asl score`` wrote."""
    words = [sys.executable, "-m", "sacrebleu", "ref-val.txt", "-i", "hyp-val.txt", *options]
    done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, check=True, env={**os.environ, "NO_COLOR": "1"})
    return done.stdout.decode("utf-8")


@pytest.fixture
def decoded(folder, texts):
    references, hypotheses = texts
    ids = [f"u{i:03d}" for i in range(len(references))]
    folder.references(dict(zip(ids, references)))
    return folder.decode({key: text for key, text in zip(ids, hypotheses)}, name="exp/v4/decode_val_attention")


def test_it_is_the_command_lines_figure_under_every_published_setting(decoded, folder, texts):
    result = score(decoded, data=str(folder.data), metric="bleu", settings=True, replications=10)
    rows = {row["setting"]: row for row in result["settings"]}
    for setting in PUBLISHED:
        row = rows[setting.text()]
        (said,) = [json.loads(command_line(decoded, "-w", "8", *row["options"].split()))]
        assert f"{row['bleu']:.2f}" == f"{said['score']:.2f}" and row["bleu"] == pytest.approx(said["score"], abs=1e-4)
        assert row["signature"] == said["signature"]
    each = command_line(decoded, "-sl", "-w", "10", "-b").split()
    assert len(each) == len(texts[0])
    mean = np.mean([float(line) for line in each])
    assert f"{rows['13a, cased']['sentence_bleu']:.2f}" == f"{mean:.2f}"
    assert result["metrics"]["sentence_bleu"]["value"] == pytest.approx(mean, abs=1e-4)
    assert len({f"{row['bleu']:.2f}" for row in rows.values()}) == len(rows)  # no two settings are the same measure


@pytest.mark.parametrize("case, lower", [("keep", []), ("fold", ["-lc", "--chrf-lowercase"])])
def test_scored_figures_are_the_command_lines(decoded, folder, case, lower):
    result = score(decoded, data=str(folder.data), metric="bleu", case=case, tokenize="intl", replications=10)
    said = json.loads(command_line(decoded, "-w", "8", "-m", "bleu", "chrf", "-tok", "intl", *lower))
    metrics, signatures = result["metrics"], result["scoring"]["signatures"]
    for row, name in zip(said, ("bleu", "chrf")):
        assert metrics[name]["value"] == pytest.approx(row["score"], abs=1e-4) and signatures[name] == row["signature"]
    assert f"BP = {metrics['brevity_penalty']['value']:.3f} " in said[0]["verbose_score"]
    assert f"ratio = {metrics['length_ratio']['value']:.3f} " in said[0]["verbose_score"]


@pytest.mark.parametrize("setting", [*PUBLISHED, Setting("fold", "char"), Setting("keep", "zh")])
def test_every_order_and_every_sentence_is_sacrebleus(texts, setting):
    from sacrebleu.metrics import BLEU, CHRF

    references, hypotheses = texts
    rows = bleu.statistics(hypotheses, references, setting)
    options = {"lowercase": setting.lowercase, "tokenize": setting.tokenize, "force": True}
    for order in (1, 2, 3, 4):
        said = BLEU(max_ngram_order=order, **options).corpus_score(hypotheses, [references])
        assert bleu.bleu(rows.sum(0), order) == pytest.approx(said.score, abs=1e-9)
    one = BLEU(effective_order=True, **options)
    each = [one.sentence_score(h, [r]).score for h, r in zip(hypotheses, references)]
    np.testing.assert_allclose(bleu.bleu(rows, effective_order=True), each, atol=1e-9)
    characters = CHRF(lowercase=setting.lowercase)
    counted = bleu.chrf_statistics(hypotheses, references, setting)
    assert bleu.chrf(counted.sum(0)) == pytest.approx(characters.corpus_score(hypotheses, [references]).score)
    each = [characters.sentence_score(h, [r]).score for h, r in zip(hypotheses, references)]
    np.testing.assert_allclose(bleu.chrf(counted), each, atol=1e-9)


@pytest.mark.parametrize("hypothesis, reference", [("", "a b"), ("", ""), ("x", "a b c"), ("a", "a"), ("a b c", "a c"),
                                                   ("a b c d e", "a x c x e")])  # fmt: skip
def test_the_smallest_sets_are_counted_as_sacrebleu_does(hypothesis, reference):
    from sacrebleu.metrics import BLEU, CHRF

    rows = bleu.statistics([hypothesis], [reference], Setting())
    said = BLEU().corpus_score([hypothesis], [[reference]])
    assert bleu.bleu(rows.sum(0)) == pytest.approx(said.score, abs=1e-9)
    assert (bleu.brevity(rows.sum(0)), bleu.length_ratio(rows.sum(0))) == (pytest.approx(said.bp), said.ratio)
    counted = bleu.chrf_statistics([hypothesis], [reference], Setting())
    assert bleu.chrf(counted.sum(0)) == pytest.approx(CHRF().corpus_score([hypothesis], [[reference]]).score)


def test_statistics_come_back_from_a_result(texts):
    rows = bleu.statistics(texts[1], texts[0], Setting())
    lists = {name: np.array(column) for name, column in bleu.per_clip(rows).items()}
    np.testing.assert_array_equal(bleu.from_per_clip(lists), rows)


def test_detokenised_text_is_not_warned_about(folder, caplog):
    texts = {f"u{i:03d}": "so it is ." for i in range(120)}
    folder.references(texts)
    decode = folder.decode(texts)
    assert score(decode, data=str(folder.data), metric="bleu", replications=5)["metrics"]["bleu"]["value"] == 100.0
    assert caplog.records == []


@pytest.mark.corpora
def test_the_settings_on_how2signs_own_sentences(folder, corpora):
    with open(corpora / "how2sign/how2sign_realigned_test.csv", encoding="utf-8", newline="") as file:
        references = {row["SENTENCE_NAME"]: row["SENTENCE"] for row in csv.DictReader(file)}
    rng, words = random.Random(1), [word for text in references.values() for word in text.split()]
    folder.references(references)
    decode = folder.decode({
        key: " ".join(rng.choice(words) if rng.random() < 0.4 else word for word in text.split())
        for key, text in references.items()
    }, name="exp/v4/decode_val")  # fmt: skip
    result = score(decode, data=str(folder.data), metric="bleu", settings=True, replications=100)
    rows = {row["setting"]: row for row in result["settings"]}
    assert result["n"] == len(references) == 2357
    for setting in PUBLISHED:
        row = rows[setting.text()]
        assert f"{row['bleu']:.2f}" == command_line(decode, "-w", "2", "-b", *row["options"].split()).strip()
    each = [float(line) for line in command_line(decode, "-sl", "-w", "10", "-b").split()]
    assert f"{rows['13a, cased']['sentence_bleu']:.2f}" == f"{np.mean(each):.2f}"
