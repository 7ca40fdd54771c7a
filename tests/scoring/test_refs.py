"""Bad input: each with an error that names the file and the id, and never a number instead."""

import pytest

from asl.common.errors import AslError
from asl.scoring.refs import load
from asl.scoring.score import score


def test_missing_hypothesis_is_wrong_not_left_out(folder, capsys):
    folder.references({"a": "X", "b": "Y", "c": "Y Z"})
    result = score(folder.decode({"a": "X"}), data=str(folder.data), metric="wer")
    assert result["n"] == 3 and result["n_missing"] == 2
    assert result["counts"]["del"] == 3 and result["metrics"]["wer"]["value"] == 75.0
    assert "2 without a hypothesis, counted as wrong: b, c" in capsys.readouterr().out


def test_empty_recognition_is_a_hypothesis(folder):
    folder.references({"a": "X"})
    (utterance,) = load(folder.decode({"a": ""}), folder.data, "val")
    assert utterance.readings == ((),)
    folder.decode({"a": []}, name="exp/none")
    (utterance,) = load(folder.path / "exp/none", folder.data, "val")
    assert utterance.best == ()


def test_unknown_id(folder):
    folder.references({"clip_1": "X", "clip_2": "Y"})
    with pytest.raises(
        AslError, match=r"hyp.jsonl: id 'clip_3' is not in the val split; did you mean 'clip_"
    ):
        load(folder.decode({"clip_1": "X", "clip_3": "Y"}), folder.data, "val")


def test_id_twice(folder):
    folder.references({"a": "X"})
    path = folder.decode({"a": "X"}) + "/hyp.jsonl"
    with open(path) as f:
        line = f.read()
    with open(path, "a") as f:
        f.write(line)
    with pytest.raises(AslError, match=r"hyp.jsonl: id 'a' stands twice"):
        load(folder.path / "exp/softmax/decode_val", folder.data, "val")


def test_hypotheses_cut_short(folder):
    folder.references({"a": "X", "b": "Y"})
    decode = folder.decode({"a": "X", "b": "Y"})
    with open(decode + "/hyp.jsonl", "r+") as f:
        f.truncate(len(f.read()) - 20)
    with pytest.raises(AslError, match=r"hyp.jsonl line 2: not valid JSON"):
        load(decode, folder.data, "val")


def test_references_cut_short(folder):
    folder.references({f"clip_{i}": "X" for i in range(1000)})
    path = folder.data / "val" / "supervisions.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(AslError, match="supervisions.jsonl.gz after line .* cut short"):
        load(folder.decode({"clip_1": "X"}), folder.data, "val")


def test_no_hypotheses(folder):
    folder.references({"a": "X"})
    with pytest.raises(AslError, match="hyp.jsonl holds no hypothesis"):
        load(folder.decode({}), folder.data, "val")
    with pytest.raises(AslError, match="not a finished decode folder; run 'asl decode'"):
        load(folder.path / "nowhere", folder.data, "val")


def test_missing_split_names_those_that_are_there(folder):
    folder.references({"a": "X"})
    with pytest.raises(AslError, match=r"no split 'test' in .*data; there are val"):
        load(folder.decode({"a": "X"}), folder.data, "test")
    with pytest.raises(AslError, match="there are none; run stage 1"):
        load(folder.decode({"a": "X"}), folder.path / "elsewhere", "val")


def test_decoded_from_another_split(folder):
    folder.references({"a": "X"})
    with pytest.raises(AslError, match="decoded from the test split: score it with --split test"):
        score(folder.decode({"a": "X"}, split="test"), data=str(folder.data))


@pytest.mark.parametrize("row", ['{"text": "X"}', '{"id": 3, "text": "X"}', '{"id": "", "text": "X"}'])
def test_row_without_id(folder, row):
    folder.references({"a": "X"})
    decode = folder.decode({"a": "X"})
    with open(decode + "/hyp.jsonl", "a") as f:
        f.write(row + "\n")
    with pytest.raises(AslError, match="hyp.jsonl: row 2 has no id"):
        load(decode, folder.data, "val")


@pytest.mark.parametrize(
    "row", ['{"id": "a"}', '{"id": "a", "text": 3}', '{"id": "a", "text": "", "nbest": ["X"]}']
)
def test_row_without_text(folder, row):
    folder.references({"a": "X"})
    decode = folder.decode({"b": "X"})
    with open(decode + "/hyp.jsonl", "w") as f:
        f.write(row + "\n")
    with pytest.raises(AslError, match="hypothesis of 'a' or its n-best list has no text"):
        load(decode, folder.data, "val")


def test_words_are_split_at_any_whitespace(folder):
    folder.references({"a": "WETTER  MORGEN\tSUED "})  # double spaces stand in real annotations
    (utterance,) = load(folder.decode({"a": "WETTER MORGEN SUED"}), folder.data, "val")
    assert utterance.reference == utterance.best == ("WETTER", "MORGEN", "SUED")
