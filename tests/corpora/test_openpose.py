"""Folders of OpenPose's JSON are landmarks like others: found by the corpora, imported, and what is odd is told."""

import json

import pytest

from asl.common.errors import AslError
from asl.corpora.csv import prepare
from asl.data.importing import import_landmarks
from asl.data.storage import cut_fps, cut_layout, open_cuts


def write_clip(folder, numbers, people=1):
    folder.mkdir(parents=True)
    for n in numbers:
        hand = sum(([100.0 + n, 50.0 + i, 0.8] for i in range(21)), [])
        person = {"pose_keypoints_2d": [320.0, 240.0, 0.9] * 25, "hand_right_keypoints_2d": hand}
        text = json.dumps({"people": [person] * people})
        (folder / f"{folder.name}_{n:012d}_keypoints.json").write_text(text)


@pytest.fixture
def corpus(tmp_path):
    write_clip(tmp_path / "corpus" / "a", range(5))
    write_clip(tmp_path / "corpus" / "b", [0, 1, 4], people=2)
    rows = ["id,path,split,text,signer", "a,a,train,book,x", "b,b,train,drink,x"]
    (tmp_path / "corpus" / "corpus.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "corpus"


def test_a_table_of_folders_is_prepared_and_imported(corpus, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AslError, match="do not say how large the picture was"):
        prepare(str(corpus), "data")
    (corpus / "picture.json").write_text('{"width": 640, "height": 480, "fps": 30}')
    prepare(str(corpus), "data")
    report = import_landmarks("data")
    assert [(cut.num_frames, cut_fps(cut), cut_layout(cut)) for cut in open_cuts("data", "train")] == [
        (5, 30, "openpose137"), (5, 30, "openpose137"),
    ]  # fmt: skip
    assert [(row["id"], row["note"][:24]) for row in report["notes"]] == [
        ("b", "2 of 5 frame numbers are"), ("b", "up to 2 people in 3 of 5"),
    ]  # fmt: skip
    assert "note: b (train): 2 of 5 frame numbers are missing (2, 3)" in capsys.readouterr().out

    file = corpus / "a" / "a_000000000002_keypoints.json"
    file.write_text(file.read_text().replace("0.8", "0.7"))
    import_landmarks("data")
    assert "1 archives made" in capsys.readouterr().out
    file.write_text("{")
    report = import_landmarks("data", max_failures=0.5)
    assert [(row["id"], row["kind"]) for row in report["failed"]] == [("a", "unusable")]
