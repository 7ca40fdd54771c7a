"""PHOENIX simulated: the owner's lists to the byte, exactly its frames, made landmarks, a label."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.glosses import clean_sentence, get_rules
from asl.common.transcripts import read_ctm
from asl.corpora import phoenix2014
from asl.corpora.phoenix2014 import BROKEN
from asl.corpora.simulate import normalised, simulate_phoenix2014
from asl.corpora.synthetic import MARKER, is_synthetic

FEATURES = "features/fullFrame-210x260px"
# invented sentences, with the oddities of real ones
LISTS = {
    "train": [
        (
            "01July_2031_Tuesday_heute_default-0",
            "Signer01",
            96,
            "__ON__ NORD loc-NORD  REGEN REGEN WIE AUSSEHEN",
        ),
        ("01July_2031_Tuesday_heute_default-1", "Signer01", 61, "cl-KOMMEN __EMOTION__ S O N HABEN2 IX"),
        (
            "02July_2031_Wednesday_heute_default-0",
            "Signer05",
            40,
            "__LEFTHAND__ __PU__ SONNE-PLUSPLUS NORDRAUM",
        ),
        ("03July_2031_Thursday_heute_default-0", "Signer05", 3, "NORD SUED REGEN SONNE WIND STARK"),
        (BROKEN, "Signer01", None, "NORD REGEN SONNE __OFF__"),
    ],
    "dev": [
        ("04July_2031_Friday_heute_default-0", "Signer05", 77, "NORD WIE-AUSSEHEN S+O+N NORD NORD __OFF__")
    ],
    "test": [("05July_2031_Saturday_heute_default-0", "Signer05", 299, "REGEN SONNE")],
}


def _write_real(folder, lists=LISTS, frames=True):
    manual = folder / "annotations" / "manual"
    manual.mkdir(parents=True)
    for split, rows in lists.items():
        lines = [f"{key}|{key}/1/*.png|{signer}|{text}\n" for key, signer, _, text in rows]
        (manual / f"{split}.corpus.csv").write_text("id|folder|signer|annotation\n" + "".join(lines))
        if frames:
            lines = [f"{key}\t{signer}\t{count}\n" for key, signer, count, _ in rows if count]
            (folder / "annotations" / f"{split}.frames.tsv").write_text("".join(lines))
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "phoenix2014-groundtruth-dev.stm").write_text(
        f"{lists['dev'][0][0]} 1 signer05 0.0 1.79769e+308 NORD\n"
    )
    return folder


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    real, out = _write_real(folder / "real"), folder / "out"
    simulate_phoenix2014(str(real), str(out))
    return real, out


def test_lists_are_the_owners_to_the_byte(made):
    real, out = (_files(folder) for folder in made)
    assert {name: out[name] for name in real} == real


def test_every_sentence_has_exactly_its_frames(made):
    _, out = made
    for split, rows in LISTS.items():
        for key, _, count, text in rows:
            with np.load(out / FEATURES / split / f"{key}.npz") as data:
                count = count or 16
                assert data["pose"].shape == (count, 33, 4) and data["pose"].dtype == np.float16
                assert data["left_hand"].shape == data["right_hand"].shape == (count, 21, 3)
                assert float(data["fps"]) == 25.0
                assert data["bounds"].shape == (len(text.split()), 2) and data["bounds"].max() <= count


def test_it_is_labelled_and_its_module_prepares_it_as_simulated(made, tmp_path):
    _, out = made
    marker = json.loads((out / MARKER).read_text())
    assert is_synthetic(out) and marker["simulated"] is True
    report = phoenix2014.prepare(str(out), out=str(tmp_path / "data"))
    assert report["synthetic"] is True and report["simulated"] is True
    assert {split: row["found"] for split, row in report["splits"].items()} == {
        "train": 4,
        "val": 1,
        "test": 1,
    }


def test_the_truth_of_train_is_normalised_and_that_of_dev_as_it_stands(made):
    _, out = made
    rules = get_rules("phoenix2014")
    for split, rows in LISTS.items():
        truth = read_ctm(out / "annotations" / "truth" / f"{split}.ctm")
        for key, _, count, text in rows:
            words = clean_sentence(text.split(), rules) if split == "train" else text.split()
            if count and count > 10:  # glosses that begin in one frame have no order of time
                assert list(truth[key]) == words


@pytest.mark.parametrize("text", [row[3] for rows in LISTS.values() for row in rows])
def test_each_raw_gloss_has_its_place_among_the_clean_ones(text):
    owners, words = normalised(text.split())
    assert words == clean_sentence(text.split(), get_rules("phoenix2014"))
    kept = [owner for owner in owners if owner is not None]
    assert kept == sorted(kept) and sorted(set(kept)) == list(range(len(words)))


def test_a_signer_and_a_sign_are_the_same_wherever_they_come(made, tmp_path):
    """Another corpus with more signers and words: what the old sentences look like does not change."""
    more = {
        **LISTS,
        "test": [*LISTS["test"], ("06July_2031_Sunday_heute_default-0", "Signer09", 50, "WIND NEU")],
    }
    simulate_phoenix2014(str(_write_real(tmp_path / "real", more)), str(tmp_path / "out"))
    name = f"{FEATURES}/dev/{LISTS['dev'][0][0]}.npz"
    assert _files(tmp_path / "out")[name] == _files(made[1])[name]


def test_processes_and_kills_do_not_change_a_byte(made, tmp_path):
    real, whole = made
    out = tmp_path / "out"
    words = [sys.executable, "-m", "asl.cli", "simulate", "phoenix2014", "--nj", "2"]
    process = subprocess.Popen(
        [*words, "--corpus-dir", str(real), "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(out.rglob("*.npz")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert is_synthetic(out), "labelled from the first file on"
    time.sleep(0.2)
    simulate_phoenix2014(str(real), str(out))
    assert _files(out) == _files(whole)


def test_frames_are_counted_where_no_list_tells_them(tmp_path):
    real = _write_real(tmp_path / "real", frames=False)
    for split, rows in LISTS.items():
        for key, _, count, _ in rows:
            folder = real / FEATURES / split / key / "1"
            folder.mkdir(parents=True)
            for number in range(count or 0):
                (folder / f"{number:04d}.png").touch()
    simulate_phoenix2014(str(real), str(tmp_path / "out"))
    with np.load(tmp_path / "out" / FEATURES / "dev" / f"{LISTS['dev'][0][0]}.npz") as data:
        assert len(data["pose"]) == 77


def _break(real, what):
    if what == "frames":
        (real / "annotations" / "dev.frames.tsv").write_text("")
    elif what == "count":
        (real / "annotations" / "dev.frames.tsv").write_text("a\tSigner01\tmany\n")
    elif what == "line":
        with open(real / "annotations" / "manual" / "dev.corpus.csv", "a") as file:
            file.write("x|y\n")
    elif what == "head":
        (real / "annotations" / "manual" / "dev.corpus.csv").write_text("id,folder\n")
    else:
        (real / "annotations" / "manual" / "dev.corpus.csv").unlink()


@pytest.mark.parametrize(
    "what, message",
    [
        ("frames", "its number of frames is not known"),
        ("count", "dev.frames.tsv line 1"),
        ("line", "dev.corpus.csv line 3"),
        ("head", "dev.corpus.csv line 1"),
        ("list", "give the owner's folder"),
    ],
)
def test_broken_lists_are_named_and_nothing_is_written(tmp_path, what, message):
    real = _write_real(tmp_path / "real")
    _break(real, what)
    with pytest.raises(AslError, match=message):
        simulate_phoenix2014(str(real), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_not_touched(made, tmp_path):
    real, out = made
    for target, seed in ((real, 0), (out, 1)):
        before = _files(target)
        with pytest.raises(AslError, match="is not this synthetic corpus"):
            simulate_phoenix2014(str(real), str(target), seed=seed)
        assert _files(target) == before
    with pytest.raises(AslError, match="--nj 0"):
        simulate_phoenix2014(str(real), str(tmp_path / "out"), nj=0)


@pytest.mark.corpora
def test_the_real_lists_can_be_simulated(corpora, tmp_path):
    """All glosses of the real lists have signs, and a few of the real sentences are signed in their frames."""
    real = corpora / "phoenix2014"
    few = tmp_path / "real"
    (few / "annotations" / "manual").mkdir(parents=True)
    for split in ("train", "dev", "test"):
        text = (real / "annotations" / "manual" / f"{split}.corpus.csv").read_text().splitlines()
        lines = [text[0], *text[1::800]]
        (few / "annotations" / "manual" / f"{split}.corpus.csv").write_text("\n".join(lines) + "\n")
        frames = (real / "annotations" / f"{split}.frames.tsv").read_bytes()
        (few / "annotations" / f"{split}.frames.tsv").write_bytes(frames)
    simulate_phoenix2014(str(few), str(tmp_path / "out"))
    counts = dict(
        line.split("\t")[::2] for line in (few / "annotations" / "dev.frames.tsv").read_text().splitlines()
    )
    for path in (tmp_path / "out" / FEATURES / "dev").glob("*.npz"):
        with np.load(path) as data:
            assert len(data["pose"]) == int(counts[path.stem])
