"""The synthetic corpus in PHOENIX's format: the owner's layout and oddities, the same bytes each time."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.glosses import clean_sentence, get_rules
from asl.common.transcripts import read_ctm, read_stm
from asl.corpora import phoenix2014
from asl.corpora.synthetic import MARKER, is_synthetic, synthesize
from asl.data.importing import import_landmarks
from asl.landmarks.reading import read_landmarks

SMALL = dict(format="phoenix2014", sentences=50, signers=5)
FEATURES = "features/fullFrame-210x260px"
SPLITS = ("train", "dev", "test")


def _lists(folder):
    lists = {}
    for split in SPLITS:
        with open(folder / "annotations" / "manual" / f"{split}.corpus.csv", encoding="utf-8") as f:
            lists[split] = list(csv.DictReader(f, delimiter="|"))
    return lists


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "phoenix"
    synthesize(str(folder), **{**SMALL, "sentences": 120})
    return SimpleNamespace(folder=folder, lists=_lists(folder))


def _landmarks(corpus, split, row):
    return corpus.folder / FEATURES / split / f"{row['id']}.npz"


def test_the_layout_is_the_owners(corpus):
    assert [len(corpus.lists[split]) for split in SPLITS] == [92, 14, 14]
    for split in SPLITS:
        ids = [row["id"] for row in corpus.lists[split]]
        assert ids == sorted(set(ids))
        for row in corpus.lists[split]:
            assert row["folder"] == f"{row['id']}/1/*.png" and row["signer"].startswith("Signer0")
    signers = {split: {row["signer"] for row in rows} for split, rows in corpus.lists.items()}
    assert signers["train"] == signers["dev"] == signers["test"] == {f"Signer0{n}" for n in range(1, 6)}
    videos = {split: {row["id"].rsplit("-", 1)[0] for row in rows} for split, rows in corpus.lists.items()}
    assert not videos["train"] & videos["dev"] and not videos["dev"] & videos["test"]
    assert len(videos["train"]) < len(corpus.lists["train"]) / 3, "several sentences a broadcast"


def test_it_says_that_it_is_synthetic(corpus):
    marker = json.loads((corpus.folder / MARKER).read_text())
    assert is_synthetic(corpus.folder) and marker["synthetic"] is True and marker["format"] == "phoenix2014"


def test_train_is_annotated_raw_and_references_are_normalised(corpus):
    rules = get_rules("phoenix2014")
    for split in ("dev", "test"):
        for row in corpus.lists[split]:
            glosses = row["annotation"].split()
            assert clean_sentence(glosses, rules) == glosses, row
    raw = " ".join(row["annotation"] for row in corpus.lists["train"]) + " "
    for mark in ("loc-", "cl-KOMMEN", "-PLUSPLUS ", "__ON__", "__OFF__", "  ", "WIE AUSSEHEN"):
        assert mark in raw, mark
    words = raw.split()
    assert any(a == b for a, b in zip(words, words[1:])), "a sign made twice"
    assert any(len(a) == len(b) == 1 for a, b in zip(words, words[1:])), "letters in a row"


def test_the_references_are_the_raw_annotations_cleaned_up(corpus):
    """What our own normal forms say, the official rules say too: the truth of train is its clean-up."""
    truth = read_ctm(corpus.folder / "annotations" / "truth" / "train.ctm")
    rules = get_rules("phoenix2014")
    checked = 0
    for row in corpus.lists["train"]:
        if row["id"] in truth and len(truth[row["id"]]) > 1:
            checked += 1
            assert list(truth[row["id"]]) == clean_sentence(row["annotation"].split(), rules), row
    assert checked > 80
    for split in ("dev", "test"):
        stm = read_stm(corpus.folder / "evaluation" / f"synthetic-groundtruth-{split}.stm")
        assert stm == {row["id"]: tuple(row["annotation"].split()) for row in corpus.lists[split]}


def test_frame_lists_and_landmarks_agree_and_a_few_are_missing(corpus):
    missing = {split: [] for split in SPLITS}
    short = 0
    for split in SPLITS:
        text = (corpus.folder / "annotations" / f"{split}.frames.tsv").read_text().splitlines()
        frames = {line.split("\t")[0]: int(line.split("\t")[2]) for line in text}
        for row in corpus.lists[split]:
            path = _landmarks(corpus, split, row)
            if not path.is_file():
                missing[split].append(row["id"])
                assert row["id"] not in frames
                continue
            clip = read_landmarks(path, "hands_body67")
            assert (
                clip.array.dtype == np.float16 and clip.fps == 25 and (clip.width, clip.height) == (210, 260)
            )
            assert len(clip.array) == frames[row["id"]]
            short += frames[row["id"]] < len(row["annotation"].split())
    assert [len(missing[split]) for split in SPLITS] == [2, 0, 1] and short == 1


def test_hands_are_lost_now_and_then_and_stand_at_the_wrists(corpus):
    lost, apart = [], []
    for row in corpus.lists["dev"]:
        with np.load(_landmarks(corpus, "dev", row)) as data:
            pose = data["pose"].astype(np.float32)
            for name, wrist in (("left_hand", 15), ("right_hand", 16)):
                hand = data[name].astype(np.float32)
                lost.append(np.isnan(hand[:, 0, 0]).mean())
                assert (np.isnan(hand).any((1, 2)) == np.isnan(hand).all((1, 2))).all()
                apart.append(np.nanmedian(np.abs(hand[:, 0, :2] - pose[:, wrist, :2])))
            assert np.nanmedian(pose[:, 11, 0]) > np.nanmedian(pose[:, 12, 0]), "the left shoulder is right"
    assert 0.04 < np.mean(lost) < 0.3
    assert max(apart) < 0.05


def test_the_truth_lies_within_the_sentence_and_in_order(corpus):
    frames = {}
    for line in (corpus.folder / "annotations" / "dev.frames.tsv").read_text().splitlines():
        frames[line.split("\t")[0]] = int(line.split("\t")[2])
    ends = {}
    for line in (corpus.folder / "annotations" / "truth" / "dev.ctm").read_text().splitlines():
        key, _, begin, duration, _ = line.split()
        assert float(begin) >= ends.get(key, 0.0) - 1e-6 and float(duration) > 0
        ends[key] = float(begin) + float(duration)
    assert set(ends) == set(frames) and all(ends[key] <= frames[key] / 25 + 1e-6 for key in ends)


def test_its_own_module_prepares_it_and_landmarks_are_imported(corpus, tmp_path):
    for protocol in ("signer-dependent", "si5"):
        report = phoenix2014.prepare(str(corpus.folder), out=str(tmp_path / protocol), protocol=protocol)
        assert report["synthetic"] is True
    data = tmp_path / "signer-dependent"
    imported = import_landmarks(str(data), layout="hands_body51")
    assert imported["layouts"].keys() == {"hands_body51"} and not imported["failed"]
    assert imported["splits"]["train"]["clips"] == 90


def test_signs_are_neither_trivial_nor_hopeless(corpus):
    """A nearest neighbour among the true segments of train, of signers that train knows: far from chance and all."""
    train, dev = (_segments(corpus, split) for split in ("train", "dev"))
    nearest = [np.square(train[0] - segment).sum(1).argmin() for segment in dev[0]]
    right = float((train[1][nearest] == dev[1]).mean())
    assert 0.4 < right < 0.95


def _segments(corpus, split):
    rows, words, frames = [], [], {}
    for line in (corpus.folder / "annotations" / "truth" / f"{split}.ctm").read_text().splitlines():
        key, _, begin, duration, word = line.split()
        if key not in frames:
            frames[key] = _plain_features(corpus.folder / FEATURES / split / f"{key}.npz")
        at = np.linspace(float(begin) * 25, (float(begin) + float(duration)) * 25 - 1, 6).round().astype(int)
        rows.append(frames[key][np.clip(at, 0, len(frames[key]) - 1)].ravel())
        words.append(word)
    return np.array(rows), np.array(words)


def _plain_features(path):
    """Wrists from the shoulders' middle and hands from the wrists, in shoulder widths, gaps bridged."""
    with np.load(path) as data:
        pose = data["pose"].astype(np.float64)
        hands = np.stack([data["right_hand"], data["left_hand"]], 1).astype(np.float64)[..., :2]
    middle, width = (pose[:, 11, :2] + pose[:, 12, :2]) / 2, np.abs(pose[:, 11, 0] - pose[:, 12, 0])
    place = (hands[:, :, 0] - np.nanmedian(middle, axis=0)) / np.nanmedian(width)
    shape = (hands - hands[:, :, :1]) / np.nanmedian(width)
    flat = np.concatenate([place.reshape(len(pose), -1), shape.reshape(len(pose), -1)], 1)
    for column in flat.T:
        seen = np.flatnonzero(np.isfinite(column))
        column[:] = np.interp(np.arange(len(column)), seen, column[seen]) if len(seen) else 0.0
    return flat


def test_a_seed_writes_the_same_bytes_with_any_number_of_processes_and_another_seed_others(tmp_path):
    for name, seed, nj in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1)):
        synthesize(str(tmp_path / name), seed=seed, nj=nj, **SMALL)
    a, b, c = (_files(tmp_path / name) for name in "abc")
    assert a == b
    assert a["annotations/manual/train.corpus.csv"] != c["annotations/manual/train.corpus.csv"]


def test_after_a_kill_it_goes_on_and_ends_with_the_same_bytes(tmp_path):
    synthesize(str(tmp_path / "whole"), **SMALL)
    killed = tmp_path / "killed"
    words = [sys.executable, "-m", "asl.cli", "synthesize", str(killed), "--format", "phoenix2014"]
    words += ["--sentences", "50", "--signers", "5", "--nj", "2"]
    # a session of its own, so that its workers are killed with it
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while len(list(killed.rglob("*.npz"))) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.2)
    made = {
        path: path.stat().st_mtime_ns for path in killed.rglob("*.npz") if not path.name.startswith(".tmp")
    }
    assert made and is_synthetic(killed)
    assert not (killed / "annotations" / "manual" / "train.corpus.csv").exists(), "lists come last"
    (killed / FEATURES / "train" / ".tmp999999999.x.npz").write_bytes(b"cut sh")
    synthesize(str(killed), **SMALL)
    assert _files(killed) == _files(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == then for path, then in made.items()), "what was made is kept"


@pytest.mark.parametrize(
    "arguments, word",
    [
        (dict(clips_per_sign=3), "--clips-per-sign is no option of the format phoenix2014"),
        (dict(signs=10), "--signs 10"),
        (dict(signers=2), "--signers 2"),
        (dict(sentences=20), "--sentences 20"),
        (dict(nj=0), "--nj 0"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, arguments, word):
    with pytest.raises(AslError, match=word):
        synthesize(str(tmp_path / "a"), format="phoenix2014", **arguments)


def test_a_file_that_is_damaged_is_named(tmp_path):
    synthesize(str(tmp_path / "a"), **SMALL)
    path = next((tmp_path / "a" / FEATURES / "dev").glob("*.npz"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(AslError, match="is damaged .* remove it"):
        synthesize(str(tmp_path / "a"), **SMALL)


def test_another_corpus_in_the_folder_is_not_touched(tmp_path):
    synthesize(str(tmp_path / "a"), **SMALL)
    with pytest.raises(AslError, match="is not this synthetic corpus"):
        synthesize(str(tmp_path / "a"), seed=5, **SMALL)
