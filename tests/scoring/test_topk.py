"""Top-k per instance and per class, and confusions."""

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.scoring import topk
from asl.scoring.refs import Utterance
from asl.scoring.score import score


def utterance(key, reference, *readings):
    return Utterance(key, tuple(reference.split()), tuple(tuple(r.split()) for r in readings))


UTTERANCES = [
    utterance("1", "book", "book", "drink", "go"),
    utterance("2", "book", "drink", "book", "go"),
    utterance("3", "book", "drink", "go", "book"),
    utterance("4", "drink", "go", "book", "drink"),
    utterance("5", "go"),
]


def test_ranks():
    assert topk.ranks(UTTERANCES) == [1, 2, 3, 3, 0]


def test_two_words_are_not_one_sign():
    assert topk.ranks([utterance("1", "book", "book book", "book drink")]) == [0]


def test_values_by_hand(folder):
    references = {f"{i}": f"sign{i % 3}" for i in range(7)}  # 3, 2 and 2 clips
    nbest = [f"sign{i}" for i in (0, 1, 2)] + [f"other{i}" for i in range(9)]
    folder.references(references)
    metrics = score(folder.decode({key: nbest for key in references}), data=str(folder.data))["metrics"]
    assert metrics["top1"]["value"] == pytest.approx(100 * 3 / 7, abs=1e-4)
    assert metrics["top1_class"]["value"] == pytest.approx(100 / 3, abs=1e-4)
    assert metrics["top5"]["value"] == metrics["top10_class"]["value"] == 100.0
    assert metrics["top1"]["low"] < metrics["top1"]["value"] < metrics["top1"]["high"]


def test_hits_of_rank_zero_are_none():
    assert topk.hits(np.array([0, 1, 5, 6]), [1, 5]).tolist() == [[0, 0], [1, 1], [0, 1], [0, 0]]


def test_depth_that_the_decoder_did_not_give_is_not_reported():
    shallow = [utterance(str(i), f"s{i}", f"s{i}") for i in range(12)]
    assert topk.measurable(shallow) == [1]
    assert topk.measurable(UTTERANCES) == [1, 5, 10]  # three signs in all: the list holds every one
    deep = [utterance("0", "s0", *[f"s{j}" for j in range(7)]), *shallow[1:]]
    assert topk.measurable(deep) == [1, 5]


def test_repeated_readings_count_once(folder):
    folder.references({"a": "X", "b": "Y"})
    decode = folder.decode({"a": ["Z", "Z", "Z", "Z", "Z", "X"], "b": ["Y", "Z"]})
    assert score(decode, data=str(folder.data))["per_clip"]["ranks"] == "2 1"


def test_confusions_most_frequent_first():
    assert topk.confusions(UTTERANCES)[0] == (2, "book", "drink", 3)
    assert (1, "go", "*", 1) in topk.confusions(UTTERANCES)


def test_empty_reference_has_no_sign(folder):
    folder.references({"a": "X", "b": " "})
    with pytest.raises(AslError, match="the reference of 'b' is empty.*--metric wer"):
        score(folder.decode({"a": "X", "b": "X"}), data=str(folder.data))


def test_files_and_bytes_are_the_same_when_scored_again(folder):
    folder.references({"a": "X", "b": "Y"}, corpus="wlasl", splits={"val": {"official": 5}})
    decode = folder.decode(
        {"a": ["X", "Y"], "b": ["X", "Y"]}, command=["asl", "decode"], seed=1, method="softmax"
    )
    score(decode, data=str(folder.data))
    names = [
        "confusions-val.txt",
        "errs-val.txt",
        "recogs-val.txt",
        "result.json",
        "wer-summary-val.txt",
        "wer_val",
    ]
    path = folder.path / "exp/softmax/decode_val"
    before = {name: (path / name).read_bytes() for name in names}
    assert sorted(p.name for p in path.iterdir()) == sorted([*names, "hyp.jsonl", "decode.json"])
    score(decode, data=str(folder.data))
    assert before == {name: (path / name).read_bytes() for name in names}
    result = read_json(path / "result.json")
    assert result["corpus"] == "wlasl" and result["n_official"] == 5 and result["command"] == "asl decode"
    assert result["synthetic"] is False and result["system"] == "softmax" and result["commit"] is None
    assert before["confusions-val.txt"].decode() == "count\tsign\trecognised_as\tclips_of_sign\n1\tY\tX\t1\n"
