"""The linear baseline: features that do not depend on place and size, a folder that `asl score` takes."""

import json

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.corpora import wlasl
from asl.corpora.synthetic import synthesize
from asl.data.importing import import_landmarks
from asl.scoring.score import score
from asl.tasks.baseline import FRAMES, clip_features, svm


def _clip(frames=40, seed=0):
    return np.random.default_rng(seed).uniform(0.3, 0.7, (frames, 42, 3)).astype(np.float32)


def test_features_do_not_change_with_place_and_size_of_the_signer():
    clip = _clip()
    moved = clip * 0.5 + 0.1
    assert clip_features(clip).shape == (FRAMES * 42 * 2,)
    np.testing.assert_allclose(clip_features(clip), clip_features(moved), atol=1e-3)


def test_what_is_not_found_is_bridged_and_nothing_becomes_nan():
    clip = np.linspace(0, 1, 30)[:, None, None] * np.random.default_rng(1).uniform(0.3, 0.7, (42, 3)) + 0.1
    holes = clip.copy()
    holes[[5, 6, 17], :21] = np.nan
    np.testing.assert_allclose(clip_features(holes), clip_features(clip), atol=0.2)
    assert np.isfinite(clip_features(holes)).all()
    one = clip.copy()
    one[:, 21:] = np.nan
    assert np.isfinite(clip_features(one)).all()
    assert not clip_features(np.full((7, 42, 3), np.nan)).any()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    synthesize(str(folder / "corpus"), signs=5, signers=4, clips_per_sign=8, seed=3)
    wlasl.prepare(str(folder / "corpus"), out=str(folder / "data"), subset=5)
    import_landmarks(str(folder / "data"))
    return folder


def test_its_hypotheses_are_scored_like_any_systems(recipe):
    out = recipe / "svm" / "decode_val_svm"
    svm(data=str(recipe / "data"), out=str(out))
    rows = [json.loads(line) for line in (out / "hyp.jsonl").read_text().splitlines()]
    assert all(len(row["nbest"]) == 5 and row["nbest"][0]["text"] == row["text"] for row in rows)
    result = score(str(out), data=str(recipe / "data"), split="val")
    assert result["synthetic"] is True and result["system"] == "linear SVM" and result["n"] == len(rows)
    assert result["metrics"]["top1"]["value"] > 30.0  # chance is 20


def test_the_same_data_give_the_same_hypotheses(recipe, tmp_path):
    for name in "ab":
        svm(data=str(recipe / "data"), out=str(tmp_path / name))
    assert (tmp_path / "a" / "hyp.jsonl").read_bytes() == (tmp_path / "b" / "hyp.jsonl").read_bytes()


def test_a_split_without_cuts_and_a_bad_cost_are_refused(recipe, tmp_path):
    with pytest.raises(AslError, match="cuts.jsonl.gz does not exist"):
        svm(data=str(tmp_path))
    with pytest.raises(AslError, match="--c 0"):
        svm(data=str(recipe / "data"), c=0)
