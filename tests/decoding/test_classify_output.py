"""asl.decoding: classification of isolated signs, and hypotheses on disk."""

import json
import math

import pytest
import torch

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.decoding.classify import softmax_nbest
from asl.decoding.hypothesis import Hypothesis, check_log_probs
from asl.decoding.output import write_ctm, write_hypotheses


def test_the_n_best_classes_come_best_first_with_their_probabilities():
    probs = torch.tensor([[0.2, 0.5, 0.3], [0.25, 0.25, 0.5]])
    nbests = softmax_nbest(probs.log(), ["a", "b", "c"], n=2, durations=[1.5, 2.0])
    assert [[h.words for h in nbest] for nbest in nbests] == [[["b"], ["c"]], [["c"], ["a"]]]
    assert nbests[0][0].score == pytest.approx(math.log(0.5))
    assert nbests[0][1].confidence == pytest.approx(0.3)
    assert nbests[1][0].times == [(0.0, 2.0)]
    assert [len(nbest) for nbest in softmax_nbest(probs.log(), ["a", "b", "c"], n=10)] == [3, 3]


def test_wrong_number_of_classes_and_nan_are_refused():
    with pytest.raises(AslError, match="3 classes but the lang folder has 2 words"):
        softmax_nbest(torch.zeros(1, 3), ["a", "b"], 1)
    with pytest.raises(AslError, match="clip 1 of the batch are NaN"):
        softmax_nbest(torch.tensor([[0.0], [math.nan]]), ["a"], 1)


def test_log_probs_are_checked_in_valid_frames_alone():
    log_probs = torch.zeros(2, 3, 4)
    log_probs[1, 2] = math.nan
    check_log_probs(log_probs, torch.tensor([3, 2]), 4)
    with pytest.raises(AslError, match="utterance 1 of the batch are NaN"):
        check_log_probs(log_probs, torch.tensor([3, 3]), 4)
    with pytest.raises(AslError, match="4 outputs but tokens.txt has 5 tokens"):
        check_log_probs(log_probs, torch.tensor([3, 2]), 5)
    with pytest.raises(ValueError):
        check_log_probs(log_probs, torch.tensor([4, 2]), 4)


def test_hypotheses_on_disk(tmp_path):
    best = Hypothesis(["MY", "BOOK"], -1.25, [(0.1, 0.5), (0.5, 1.0)], 0.75)
    nbests = [[best, Hypothesis(["BOOK"], -2.5)], [Hypothesis([], -math.inf)], []]
    assert write_hypotheses(tmp_path / "hyp.jsonl", ["u1", "u2", "u3"], nbests) == 3
    rows = list(read_jsonl(tmp_path / "hyp.jsonl"))
    assert rows[0] == {
        "id": "u1", "text": "MY BOOK", "words": ["MY", "BOOK"], "score": -1.25, "confidence": 0.75,
        "times": [[0.1, 0.5], [0.5, 1.0]],
        "nbest": [{"text": "MY BOOK", "score": -1.25}, {"text": "BOOK", "score": -2.5}],
    }
    assert rows[1]["text"] == "" and rows[1]["score"] is None and rows[1]["times"] is None
    assert rows[2]["nbest"] == [] and rows[2]["words"] == []
    assert "Infinity" not in (tmp_path / "hyp.jsonl").read_text() and json.dumps(rows)


def test_ctm_has_start_and_duration_in_seconds(tmp_path):
    nbests = [[Hypothesis(["MY", "BOOK"], -1.0, [(0.1, 0.5), (0.5, 1.0)], 0.75)], [Hypothesis([], 0.0)], []]
    write_ctm(tmp_path / "hyp.ctm", ["u1", "u2", "u3"], nbests)
    assert (tmp_path / "hyp.ctm").read_text() == "u1 1 0.10 0.40 MY 0.750\nu1 1 0.50 0.50 BOOK 0.750\n"


@pytest.mark.parametrize("ids, nbest, message", [
    (["u", "u"], [Hypothesis(["A"], 0.0, [(0.0, 1.0)])], "decoded twice"),
    (["u", "v"], [Hypothesis(["A"], math.nan, [(0.0, 1.0)])], "NaN"),
])
def test_what_would_spoil_a_table_is_refused(tmp_path, ids, nbest, message):
    for write in (write_hypotheses, write_ctm):
        with pytest.raises(AslError, match=message):
            write(tmp_path / "out", ids, [nbest, nbest])
    assert not list(tmp_path.iterdir())


def test_a_ctm_needs_times_and_plain_ids(tmp_path):
    with pytest.raises(AslError, match="no times"):
        write_ctm(tmp_path / "hyp.ctm", ["u"], [[Hypothesis(["A"], 0.0)]])
    with pytest.raises(AslError, match="whitespace"):
        write_ctm(tmp_path / "hyp.ctm", ["u 1"], [[Hypothesis(["A"], 0.0, [(0.0, 1.0)])]])
