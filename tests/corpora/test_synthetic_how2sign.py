"""The synthetic corpus in How2Sign's format: layout, unseen signers, English that glosses decide, the same bytes."""

import csv
import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import sacrebleu

from asl.common.errors import AslError
from asl.common.transcripts import read_ctm
from asl.corpora import how2sign
from asl.corpora.synthetic import MARKER, synthesize
from asl.corpora.synthetic_grammar import make_report, make_vocabulary
from asl.corpora.synthetic_how2sign import COLUMNS, HABIT, make_listing, signer_splits
from asl.landmarks.reading import read_landmarks

SPLITS = ("train", "val", "test")


def _lists(folder):
    lists = {}
    for split in SPLITS:
        with open(folder / f"how2sign_realigned_{split}.csv", encoding="utf-8", newline="") as f:
            reader = csv.DictReader(f, delimiter="\t")
            lists[split] = list(reader)
            assert tuple(reader.fieldnames) == COLUMNS
    return lists


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "how2sign"
    synthesize(str(folder), format="how2sign", sentences=80, signers=6)
    return SimpleNamespace(folder=folder, lists=_lists(folder))


def test_the_layout_is_the_owners_and_nobody_is_in_two_splits(corpus):
    assert [len(corpus.lists[split]) for split in SPLITS] == [64, 8, 8]
    signers = {split: {row["VIDEO_NAME"].split("-")[-2] for row in rows} for split, rows in corpus.lists.items()}
    assert sum(map(len, signers.values())) == len(set.union(*signers.values())) <= 6
    names = [row["SENTENCE_NAME"] for rows in corpus.lists.values() for row in rows]
    assert len(set(names)) == len(names) == 80
    for rows in corpus.lists.values():
        for row in rows:
            assert row["SENTENCE_NAME"] == row["SENTENCE_ID"] + row["VIDEO_NAME"][len(row["VIDEO_ID"]) :]
            assert 0 <= float(row["START_REALIGNED"]) < float(row["END_REALIGNED"])


def test_it_says_that_it_is_synthetic_and_its_module_prepares_it(corpus, tmp_path, capsys):
    marker = json.loads((corpus.folder / MARKER).read_text())
    assert marker["synthetic"] is True and marker["format"] == "how2sign" and "simulated" not in marker
    report = how2sign.prepare(str(corpus.folder), str(tmp_path / "data"))
    assert report["synthetic"] is True and report["simulated"] is False
    assert {s: (row["official"], row["missing"]) for s, row in report["splits"].items()} == {
        "train": (64, 1), "val": (8, 0), "test": (8, 1),
    }  # fmt: skip
    assert report["fps"] == {"24": 78}
    assert "Synthetic corpus in How2Sign's format" in capsys.readouterr().out


def test_the_truth_tells_when_each_gloss_was_made(corpus):
    truth = read_ctm(corpus.folder / "truth" / "val.ctm")
    rows = (corpus.folder / "truth" / "val.glosses.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[0] for row in rows] == [row["SENTENCE_NAME"] for row in corpus.lists["val"]]
    for row in rows:
        name, glosses = row.split("\t")
        assert list(truth[name]) == glosses.split()
        clip = read_landmarks(corpus.folder / "landmarks" / f"{name}.npz", "hands_body51")
        assert clip.fps == 24 and (clip.width, clip.height) == (1280, 720)
        assert len(clip.array) >= 2 * len(glosses.split())


def test_who_knows_glosses_and_habits_translates_well_and_a_constant_sentence_badly():
    words = make_vocabulary(60)
    drawn, usual, glosses = [], [], []
    for number in range(40):
        one, other = (make_report(np.random.default_rng(number), words, 8, habit) for habit in (HABIT, 1.0))
        assert [s.glosses for s in one] == [s.glosses for s in other]
        drawn += [s.english for s in one]
        usual += [s.english for s in other]
        glosses += [s.glosses for s in one]
    assert 80 < sacrebleu.corpus_bleu(usual, [drawn]).score < 95
    constant = max(sacrebleu.corpus_bleu([s] * len(drawn), [drawn]).score for s, _ in Counter(drawn).most_common(20))
    assert constant < 16 and len(set(drawn)) > 0.75 * len(drawn)
    single = [english for english in drawn if "rain" in english and "," not in english]
    orders = [(english.find("rain"), english.find(" in the ")) for english in single]
    assert np.mean([rain < place for rain, place in orders if place > 0]) > 0.9, "English names the place last"
    first = [line.index("REGEN") > 0 for line in glosses if "REGEN" in line]
    assert np.mean(first) > 0.95, "signs name it first"


def test_some_videos_are_signed_twice_so_that_ids_repeat_and_names_do_not():
    rows = make_listing(600, 60, 12, seed=0)
    ids = Counter((row.video, row.number) for row in rows)
    assert max(ids.values()) == 2 and len({row.name for row in rows}) == 600
    signers = {split: {row.signer for row in rows if row.split == split} for split in SPLITS}
    assert [len(signers[split]) for split in SPLITS] == [8, 2, 2]
    texts = {}
    for row in rows:
        assert texts.setdefault((row.video, row.number), row.sentence) == row.sentence
    assert signer_splits(3) == ["train", "val", "test"] and len(signer_splits(40)) == 40


def test_a_seed_writes_the_same_bytes_with_any_number_of_processes_and_another_seed_others(tmp_path):
    for name, seed, nj in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1)):
        synthesize(str(tmp_path / name), format="how2sign", sentences=30, signers=3, seed=seed, nj=nj)
    a, b, c = (_files(tmp_path / name) for name in "abc")
    assert a == b and a["how2sign_realigned_train.csv"] != c["how2sign_realigned_train.csv"]


@pytest.mark.parametrize("arguments", [dict(clips_per_sign=3), dict(signs=10), dict(signers=2), dict(sentences=20)])
def test_bad_arguments_are_refused(tmp_path, arguments):
    with pytest.raises(AslError, match=f"--{list(arguments)[0].replace('_', '-')}"):
        synthesize(str(tmp_path / "a"), format="how2sign", **arguments)
