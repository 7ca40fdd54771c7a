"""PHOENIX-2014 from its owner's files: labels as the references are, protocols, what is said of the rest."""

import json
from fractions import Fraction

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.corpora.phoenix2014 import BROKEN, FRAMES, check, prepare
from asl.data.importing import import_landmarks

LISTS = {
    "train": [
        ("a-1", "Signer01", "__ON__ loc-NORD  REGEN REGEN __OFF__"),
        ("a-2", "Signer05", "SUEDRAUM WIE AUSSEHEN __PU__ NICHT-HABEN NICHT-HABEN"),
        ("a-3", "Signer01", "R I E S E"),
        (BROKEN, "Signer07", "WOLKE"),
    ],
    "dev": [("b-1", "Signer05", "NORD REGEN"), ("b-2", "Signer01", "SUED HAGEL")],
    "test": [("c-1", "Signer05", "SUED"), ("c-2", "Signer09", "__ON__")],
}


def write_lists(root, lists=LISTS):
    folder = root / "annotations" / "manual"
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in lists.items():
        lines = [f"{key}|{key}/1/*.png|{signer}|{text}" for key, signer, text in rows]
        (folder / f"{split}.corpus.csv").write_text("\n".join(["id|folder|signer|annotation", *lines]) + "\n")


def write_npz(path, frames=12, **more):
    """Landmarks of a sentence, as the Holistic parts."""
    random = np.random.default_rng(frames)
    parts = {"pose": (33, 4), "face": (468, 3), "left_hand": (21, 3), "right_hand": (21, 3)}
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {key: random.random((frames, *shape)).astype(np.float16) for key, shape in parts.items()}
    np.savez(path, **arrays, width=210, height=260, **more)
    return path


@pytest.fixture
def corpus(tmp_path):
    """Four, two and two sentences; b-2 has frames and no landmarks, c-2 nothing."""
    root = tmp_path / "recipe" / "phoenix-2014-multisigner"
    write_lists(root)
    for name in ("train/a-1/1/a-1", "train/a-2/1/landmarks", "train/a-3/a-3", "dev/b-1"):
        write_npz(root / FRAMES / f"{name}.npz", fps=25.0)
    write_npz(root / FRAMES / "test/c-1/1/c-1.npz")  # does not say its rate
    (root / FRAMES / "dev/b-2/1").mkdir(parents=True)
    for frame in range(3):
        (root / FRAMES / f"dev/b-2/1/b-2.avi_pid0_fn{frame:06d}-0.png").write_bytes(b"png")
    return root


def texts(data, split):
    return {row["id"]: row["text"] for row in read_jsonl(data / split / "supervisions.jsonl.gz")}


def test_train_labels_become_what_references_are(corpus, tmp_path):
    data = tmp_path / "data"
    report = prepare(str(corpus), str(data))
    assert texts(data, "train") == {
        "a-1": "__ON__ NORD REGEN __OFF__",
        "a-2": "SUED WIE-AUSSEHEN NICHT-HABEN NICHT-HABEN",
        "a-3": "R+I+E+S+E",
    }
    assert report["train_glosses"] == {"raw": 14, "used": 9}  # the broken sentence's among them
    words = [line.split()[0] for line in (data / "lang/words.txt").read_text().splitlines()]
    assert words[1:9] == sorted(words[1:9]) and "HAGEL" not in words and "WOLKE" not in words
    prepare(str(corpus), str(data), labels="raw")
    assert texts(data, "train")["a-1"] == "__ON__ loc-NORD REGEN REGEN __OFF__"
    assert texts(data, "val") == {"b-1": "NORD REGEN"}


def test_every_sentence_is_counted_and_those_without_landmarks_are_listed(corpus, capsys):
    report = check(str(corpus))
    found = {split: (row["official"], row["found"]) for split, row in report["splits"].items()}
    assert found == {"train": (4, 3), "val": (2, 1), "test": (2, 1)}
    assert report["missing_ids"] == {"train": [], "val": ["b-2"], "test": ["c-2"]}
    told = {clip["id"]: clip["reason"] for clip in report["not_used"]}
    assert told["b-2"] == f"{FRAMES}/dev/b-2/1, no landmarks" and "broken" in told[BROKEN]
    assert report["oov"]["val"] == {"glosses": 4, "oov": 1, "words": ["HAGEL"]}
    said = capsys.readouterr().out
    assert "val: 1 of 4 glosses (25.00 %) are not in train" in said and f"{BROKEN} (train) is left out" in said


def test_manifests_are_lhotses_and_import_takes_them(corpus, tmp_path, lhotse_validates):
    data = tmp_path / "data"
    prepare(str(corpus), str(data))
    lhotse_validates(data / "train")
    (row,) = read_jsonl(data / "test/supervisions.jsonl.gz")
    assert row["speaker"] == "Signer05" and row["language"] == "gsg" and row["custom"]["annotation"] == "SUED"
    assert row["custom"]["fps_from"] == "owner" and row["custom"]["fps_estimated"] is False
    (row,) = read_jsonl(data / "test/recordings.jsonl.gz")
    assert Fraction(row["num_samples"], row["sampling_rate"]) == Fraction(12, 25)
    report = import_landmarks(str(data))
    assert {cut["id"] for cut in read_jsonl(data / "train/cuts.jsonl.gz")} == {"a-1", "a-2", "a-3"}
    assert list(report["layouts"]) == ["holistic543"]


def test_si5_is_a_signer_that_train_has_not_seen(corpus, tmp_path):
    report = prepare(str(corpus), str(tmp_path / "data"), protocol="si5")
    assert report["protocol"] == "si5"
    assert {s: row["official"] for s, row in report["splits"].items()} == {"train": 3, "val": 1, "test": 1}
    for split, signers in (("train", {"Signer01"}), ("val", {"Signer05"}), ("test", {"Signer05"})):
        rows = read_jsonl(tmp_path / "data" / split / "supervisions.jsonl.gz")
        assert {row["speaker"] for row in rows} == signers
    write_lists(corpus, {"dev": [("b-2", "Signer01", "SUED")]})
    with pytest.raises(AslError, match="Signer05 is not in all three lists"):
        check(str(corpus), protocol="si5")


def test_annotations_alone_give_the_written_side(tmp_path, capsys):
    write_lists(tmp_path / "owner")
    report = prepare(str(tmp_path / "owner"), str(tmp_path / "data"))
    assert all(row["found"] == 0 for row in report["splits"].values())
    assert (tmp_path / "data/lang/lexicon.txt").exists() and not (tmp_path / "data/train").exists()
    lines = (tmp_path / "data/text/train.txt").read_text().splitlines()
    assert lines[0] == "__ON__ NORD REGEN __OFF__" and len(lines) == 3
    assert "annotations only: no landmarks" in capsys.readouterr().out


def test_sentences_that_ctc_cannot_align_are_listed(corpus, capsys):
    write_npz(corpus / FRAMES / "train/a-2/1/landmarks.npz", 9, fps=25.0)  # needs 5: a blank between the repeats
    report = prepare(str(corpus), str(corpus.parent / "data"))
    assert report["infeasible"] == {"count": {"1": 0, "2": 0, "4": 2, "8": 2}, "ids": ["a-1", "a-2"]}
    assert "too few frames for CTC: 2 with one output every 4, 2 with one output every 8" in capsys.readouterr().out
    frames = corpus / "annotations/train.frames.tsv"
    frames.write_text("a-1\tSigner01\t200\na-2\tSigner05\t3\na-3\tSigner01\t9\n")
    assert check(str(corpus))["infeasible"]["count"] == {"1": 1, "2": 1, "4": 1, "8": 1}
    frames.write_text("a-1\tSigner01\t200\na-2 3\n")
    with pytest.raises(AslError, match=r"train.frames.tsv line 2: expected id, signer, frames"):
        check(str(corpus))
    frames.write_bytes("a-1\tS\u00fcd\t30\n".encode("latin-1"))
    with pytest.raises(AslError, match=r"cannot read .*train.frames.tsv: 'utf-8' codec can't decode .*; mend the file"):
        check(str(corpus))


def test_the_owners_references_are_compared(corpus):
    folder = corpus / "evaluation"
    folder.mkdir()
    stm = "a-1 1 s 0.0 9 __ON__ NORD REGEN __OFF__\na-2 1 s 0.0 9 SUED\na-9 1 s 0.0 9 SUED\n"
    (folder / "phoenix2014-groundtruth-train.stm").write_text(stm)
    row = check(str(corpus), labels="raw")["stm"]["train"]
    assert row["same"] == 1 and row["different"] == ["a-2"]
    assert row["only_in_list"] == sorted(["a-3", BROKEN]) and row["only_in_stm"] == ["a-9"]


def test_two_landmark_files_of_one_sentence_are_not_guessed_between(corpus):
    write_npz(corpus / FRAMES / "train/a-1/1/other.npz")
    told = {clip["id"]: clip["reason"] for clip in check(str(corpus))["not_used"]}
    assert "2 landmark files" in told["a-1"] and "keep one" in told["a-1"]


@pytest.mark.parametrize(
    "line, said",
    [
        ("id|folder|signer", r"line 1: expected 'id\|folder\|signer\|annotation'"),
        ("id|folder|signer|annotation\nx|x/1/*.png|Signer01", r"line 2: expected 'id\|folder"),
        ("id|folder|signer|annotation\nx|x/1/*.png|Signer01| ", r"line 2: expected 'id\|folder"),
        ("id|folder|signer|annotation\nx|x/1/*.png|Signer01|#0", r"line 2: gloss '#0' is reserved"),
        ("id|folder|signer|annotation\nx|x/1/*.png|s|A\nx|x/1/*.png|s|A", r"line 3: id 'x' stands at .* line 2"),
        ("id|folder|signer|annotation", "lists no sentence"),
    ],
)
def test_a_bad_list_is_told_by_its_line(corpus, line, said):
    (corpus / "annotations/manual/dev.corpus.csv").write_text(line + "\n")
    with pytest.raises(AslError, match=said):
        check(str(corpus))


def test_a_list_that_names_the_sentences_own_folder(corpus):
    path = corpus / "annotations/manual/train.corpus.csv"
    path.write_text(path.read_text().replace("|a-3/1/*.png|", "|a-3/*.png|"))
    report = check(str(corpus))
    assert report["splits"]["train"]["found"] == 3  # its one file is not seen twice


def test_no_list(corpus):
    (corpus / "annotations/manual/test.corpus.csv").unlink()
    with pytest.raises(AslError, match="test.corpus.csv is not there"):
        check(str(corpus))


def test_the_folder_above_will_do(corpus):
    assert check(str(corpus.parent))["splits"]["train"]["found"] == 3


@pytest.mark.corpora
def test_the_real_lists(corpora, tmp_path):
    report = prepare(str(corpora / "phoenix2014"), str(tmp_path / "data"))
    assert {s: row["official"] for s, row in report["splits"].items()} == {"train": 5672, "val": 540, "test": 629}
    assert report["train_glosses"] == {"raw": 1231, "used": 1100}
    assert {split: row["same"] for split, row in report["stm"].items()} == {"train": 5671, "val": 540, "test": 629}
    assert report["stm"]["train"]["only_in_list"] == [BROKEN]
    assert not any(row["different"] or row["only_in_stm"] for row in report["stm"].values())
    assert [(report["oov"][s]["oov"], report["oov"][s]["glosses"]) for s in ("val", "test")] == [(29, 5540), (37, 6504)]
    assert report["infeasible"]["count"] == {"1": 0, "2": 0, "4": 0, "8": 12}
    assert json.loads((tmp_path / "data/report.json").read_text()) == report
    si5 = check(str(corpora / "phoenix2014"), protocol="si5")
    assert {s: row["official"] for s, row in si5["splits"].items()} == {"train": 4376, "val": 111, "test": 180}
