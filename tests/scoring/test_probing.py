"""Probes: what is in a vector is found, what is not is not; knowing glosses is told from knowing values."""

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.scoring.probing import Clips, gloss_folds, information, markdown, probe

GLOSSES = [f"sign{i}" for i in range(24)]
VALUES = {gloss: "abc"[i % 3] for i, gloss in enumerate(GLOSSES)}


def clips(per_gloss, seed, unknown=()):
    """Vectors that hold the value, the gloss alone, and nothing."""
    rng = np.random.default_rng(seed)
    glosses = [g for g in GLOSSES for _ in range(per_gloss)]
    value = np.eye(3)[["abc".index(VALUES[g]) for g in glosses]]
    gloss = np.eye(len(GLOSSES))[[GLOSSES.index(g) for g in glosses]]
    noise = lambda x: x + 0.1 * rng.normal(size=x.shape)
    vectors = {"value": noise(value), "gloss": noise(gloss), "nothing": rng.normal(size=(len(glosses), 4))}
    return Clips(vectors, [None if g in unknown else VALUES[g] for g in glosses], glosses)


def test_value_gloss_and_nothing_are_told_apart():
    found = probe(clips(6, 0), clips(3, 1), c=1.0, folds=4, seed=0)
    assert (found["n_train"], found["n"], found["classes"], found["glosses"]) == (144, 72, 3, 24)
    value = {(s, which): v[which]["value"] for s, v in found["sources"].items() for which in v}
    assert value["value", "seen"] > 95 and value["value", "unseen"] > 95
    assert value["gloss", "seen"] > 95 and value["gloss", "unseen"] < 60
    assert value["nothing", "seen"] < 60 and value["nothing", "unseen"] < 60
    assert list(found["sources"])[0] == "majority" and value["majority", "seen"] == pytest.approx(100 / 3)
    for source in found["sources"].values():
        for cell in source.values():
            assert cell["interval"][0] <= cell["value"] <= cell["interval"][1]


def test_clips_of_a_gloss_are_one_trial_for_the_interval():
    few = probe(clips(6, 0), clips(2, 1), c=1.0, folds=4, seed=0)["sources"]["majority"]["seen"]["interval"]
    many = probe(clips(6, 0), clips(50, 1), c=1.0, folds=4, seed=0)["sources"]["majority"]["seen"]["interval"]
    assert few == pytest.approx(many)


def test_clips_without_a_value_or_with_one_that_train_lacks_are_not_asked():
    train, val = clips(3, 0, unknown=GLOSSES[:6]), clips(2, 1, unknown=GLOSSES[:3])
    found = probe(train, val, c=1.0, folds=3, seed=0)
    assert (found["n_train"], found["n"]) == (3 * 18, 2 * 21)
    other = Clips(val.vectors, ["d" if v == "a" else v for v in val.labels], val.glosses)
    assert probe(train, other, c=1.0, folds=3, seed=0)["n"] == 2 * 14
    with pytest.raises(AslError, match="1 values in train"):
        probe(Clips(train.vectors, ["a"] * 72, train.glosses), val, c=1.0, folds=3, seed=0)


def test_folds_share_the_glosses_out_by_the_seed():
    fold = gloss_folds(GLOSSES, 5, seed=1)
    assert sorted(np.bincount(list(fold.values())).tolist()) == [4, 5, 5, 5, 5]
    assert fold == gloss_folds(GLOSSES, 5, seed=1) != gloss_folds(GLOSSES, 5, seed=2)
    with pytest.raises(AslError, match="24 glosses cannot be shared out to 25 folds"):
        gloss_folds(GLOSSES, 25, seed=0)


def test_information_is_scikit_learns_and_chance_is_what_few_glosses_give():
    from sklearn.metrics import normalized_mutual_info_score

    rng = np.random.default_rng(0)
    given = clips(3, 0, unknown=GLOSSES[:2])
    counts = rng.integers(0, 5, (72, 7))
    codes = np.concatenate([np.repeat(np.arange(7), row) for row in counts[6:]])
    labels = np.concatenate([[v] * int(row.sum()) for v, row in zip(given.labels[6:], counts[6:])])
    found = information(counts, given.labels, given.glosses, seed=0)
    assert found["value"] == pytest.approx(100 * normalized_mutual_info_score(labels, codes))
    exact = np.eye(3, dtype=int)[["abc".index(VALUES[g]) for g in given.glosses]]
    found = information(exact, given.labels, given.glosses, seed=0)
    assert found["value"] == pytest.approx(100) and 1 < found["chance"] < 40


def test_the_table_has_a_row_a_source_and_says_what_is_synthetic():
    labels = {"Handshape": probe(clips(3, 0), clips(2, 1), 1.0, 3, 0)}
    labels["Handshape"]["nmi"] = {"movement": {"value": 12.34, "chance": 1.0}}
    text = markdown({"system": "pretrain", "split": "val", "synthetic": True, "labels": labels})
    assert "synthetic landmarks" in text and "| movement | 12.3 (1.0) |" in text
    assert text.count("| majority | ") == 2 and "| majority | 33.3 [" in text
    assert "n = 48 of 24 glosses" in text
    del labels["Handshape"]["nmi"]
    assert "information" not in markdown({"system": "x", "split": "val", "labels": labels})
