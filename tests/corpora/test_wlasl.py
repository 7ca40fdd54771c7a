"""WLASL from its owner's files: counts, splits, rates, and a clear word for everything that is not right."""

import json
import os
import shutil

import pytest

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.corpora.wlasl import check, prepare

GLOSSES = ("book", "thank you", "drink", "computer")
# (id, class, signer, split, frames; None: no landmark file)
CLIPS = (
    ("00001", 0, 7, "train", 60), ("00002", 1, 7, "train", 60), ("00003", 2, 8, "train", 48),
    ("00004", 3, 8, "train", 50), ("00005", 0, 9, "val", 60), ("00006", 1, 9, "val", None),
    ("00007", 2, 9, "test", None), ("00008", 3, 9, "train", None),
)  # fmt: skip
SPANS = {60: 52, 48: 50, 50: 50, None: 40}


@pytest.fixture
def corpus(tmp_path, hands_file):
    """A corpus of four signs in the owner's format; one clip is a video without landmarks."""
    folder = tmp_path / "recipe" / "wlasl"
    signs = [{"gloss": gloss, "instances": []} for gloss in GLOSSES]
    rows = {}
    for clip, sign, signer, split, frames in CLIPS:
        signs[sign]["instances"].append(
            {"video_id": clip, "signer_id": signer, "split": split, "fps": 25, "source": "made-up",
             "variation_id": 0, "frame_start": 1, "frame_end": -1}
        )  # fmt: skip
        rows[clip] = {"subset": split, "action": [sign, 1, SPANS[frames]]}
        if frames:
            hands_file(folder / "hands" / f"{clip}.npy", frames)
    (folder / "videos").mkdir()
    (folder / "videos" / "00006.mp4").write_bytes(b"film")
    (folder / "WLASL_v0.3.json").write_text(json.dumps(signs))
    (folder / "nslt_100.json").write_text(json.dumps(rows))
    return folder


def rows_of(out, split, kind="supervisions"):
    return {row["id"]: row for row in read_jsonl(out / split / f"{kind}.jsonl.gz")}


def edit(path, change):
    value = json.loads(path.read_text())
    value = change(value) or value
    path.write_text(json.dumps(value))


def test_counts_are_found_of_official_and_missing_clips_are_listed(corpus, capsys):
    report = check(str(corpus), subset=4)
    assert {s: (r["found"], r["official"]) for s, r in report["splits"].items()} == {
        "train": (4, 5), "val": (1, 2), "test": (0, 1),
    }  # fmt: skip
    assert report["missing_ids"] == {"train": ["00008"], "val": ["00006"], "test": ["00007"]}
    assert report["splits"]["val"]["video_only"] == 1
    assert [(c["id"], c["status"]) for c in report["not_used"]] == [("00006", "video_only")]
    printed = capsys.readouterr().out
    assert "official" in printed and "test: none of its 1 clips" in printed


def test_check_writes_nothing(corpus, monkeypatch):
    monkeypatch.chdir(corpus.parent)
    check("wlasl", subset=4)
    assert os.listdir() == ["wlasl"]


def test_prepare_writes_what_lhotse_accepts(corpus, tmp_path, lhotse_validates):
    out = tmp_path / "data"
    report = prepare(str(corpus), str(out), subset=4)
    assert json.loads((out / "report.json").read_text()) == report
    lhotse_validates(out / "train")
    supervision = rows_of(out, "train")["00002"]
    assert supervision["text"] == "thank_you"
    assert supervision["speaker"] == "7"
    assert supervision["language"] == "ase"
    custom = supervision["custom"]
    assert custom["gloss"] == "thank you" and custom["class_id"] == 1 and custom["source"] == "made-up"
    assert custom["fps_estimated"] is True and custom["fps_from"] == "span"
    recording = rows_of(out, "train", "recordings")["00002"]
    assert (recording["sampling_rate"], recording["num_samples"]) == (30000, 60 * 1001)
    assert recording["duration"] == supervision["duration"] == pytest.approx(60 * 1001 / 30000)


def test_class_ids_are_word_ids(corpus, tmp_path):
    prepare(str(corpus), str(tmp_path / "data"), subset=4)
    words = (tmp_path / "data" / "lang" / "words.txt").read_text().splitlines()
    assert words[1:5] == ["book 1", "thank_you 2", "drink 3", "computer 4"]


def test_a_split_without_clips_gets_no_files_and_loses_old_ones(corpus, tmp_path, hands_file):
    out = tmp_path / "data"
    extra = hands_file(corpus / "hands" / "00007.npy", 40)
    prepare(str(corpus), str(out), subset=4)
    assert list(rows_of(out, "test")) == ["00007"]
    (out / "test" / "cuts.jsonl.gz").write_bytes(b"made in stage 2")
    extra.unlink()
    prepare(str(corpus), str(out), subset=4)
    assert os.listdir(out / "test") == []


def test_the_same_input_gives_the_same_bytes(corpus, tmp_path):
    for out in ("a", "b"):
        prepare(str(corpus), str(tmp_path / out), subset=4)
    for name in ("train/recordings.jsonl.gz", "train/supervisions.jsonl.gz", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_any_number_of_signs_is_the_first_classes(corpus, tmp_path):
    report = prepare(str(corpus), str(tmp_path / "data"), subset=2)
    assert sorted(rows_of(tmp_path / "data", "train")) == ["00001", "00002"]
    assert report["splits"]["train"]["official"] == 2
    (corpus / "nslt_100.json").rename(corpus / "nslt_300.json")
    assert check(str(corpus), subset=2)["list"] == "nslt_300.json"


def test_sources_are_relative_below_the_recipe_and_absolute_elsewhere(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(corpus.parent)
    prepare("wlasl", "data", subset=4)
    source = rows_of(corpus.parent / "data", "train", "recordings")["00001"]["sources"][0]["source"]
    assert source == "../../wlasl/hands/00001.npy"
    monkeypatch.chdir(tmp_path / "recipe" / "wlasl" / "hands")
    prepare("../../wlasl", str(tmp_path / "data"), subset=4)
    source = rows_of(tmp_path / "data", "train", "recordings")["00001"]["sources"][0]["source"]
    assert source == str(corpus / "hands" / "00001.npy")


def test_bad_clips_are_counted_with_their_reason(corpus, tmp_path, hands_file):
    whole = (corpus / "hands" / "00001.npy").read_bytes()
    (corpus / "hands" / "00001.npy").write_bytes(whole[:50])
    hands_file(corpus / "hands" / "00002.npy", 0)
    report = prepare(str(corpus), str(tmp_path / "data"), subset=4)
    assert report["splits"]["train"]["bad"] == 2
    assert report["splits"]["train"]["found"] == 2
    bad = {c["id"]: c["reason"] for c in report["not_used"] if c["status"] == "bad"}
    assert "00001.npy" in bad["00001"] and "zero frames" in bad["00002"]
    assert sorted(rows_of(tmp_path / "data", "train")) == ["00003", "00004"]


def test_one_landmark_folder_serves_the_whole_corpus(corpus, hands_file):
    for clip, *_ in CLIPS:
        hands_file(corpus / "landmarks" / f"{clip}.npy")
    report = check(str(corpus), subset=4)
    assert report["landmarks"] == "landmarks"
    assert report["splits"]["test"]["found"] == 1


def test_a_span_to_the_end_takes_the_rate_that_the_owner_gives(corpus, tmp_path):
    edit(corpus / "nslt_100.json", lambda rows: rows["00001"].update(action=[0, 1, -1]))
    edit(corpus / "nslt_100.json", lambda rows: rows["00002"].update(action=[1, 1, -1]))
    edit(corpus / "WLASL_v0.3.json", lambda signs: signs[0]["instances"][0].update(fps=30))
    edit(corpus / "WLASL_v0.3.json", lambda signs: signs[1]["instances"][0].pop("fps") and None)
    prepare(str(corpus), str(tmp_path / "data"), subset=4)
    recordings = rows_of(tmp_path / "data", "train", "recordings")
    supervisions = rows_of(tmp_path / "data", "train")
    assert recordings["00001"]["sampling_rate"] == 30
    assert supervisions["00001"]["custom"]["fps_from"] == "WLASL_v0.3.json"
    assert recordings["00002"]["sampling_rate"] == 25
    assert supervisions["00002"]["custom"]["fps_from"] == "assumed"


def test_a_span_that_no_rate_explains_is_reported(corpus, tmp_path):
    edit(corpus / "nslt_100.json", lambda rows: rows["00001"].update(action=[0, 1, 200]))
    assert prepare(str(corpus), str(tmp_path / "data"), subset=4)["fps_unexplained"] == ["00001"]


def test_clips_of_unknown_signers_are_left_out_of_a_division_by_signer(corpus, tmp_path):
    unknown = {"09999": {"subset": "train", "action": [0, 1, 40]}}
    edit(corpus / "nslt_100.json", lambda rows: rows.update(unknown))
    shutil.copy(corpus / "hands" / "00001.npy", corpus / "hands" / "09999.npy")
    report = prepare(str(corpus), str(tmp_path / "data"), subset=4, protocol="signer-independent")
    assert {c["id"]: c["status"] for c in report["not_used"]}["09999"] == "left_out"
    assert report["owner_splits"] == {"train": 6, "val": 2, "test": 1}
    of = {}
    for split in ("train", "val", "test"):
        if (tmp_path / "data" / split / "supervisions.jsonl.gz").exists():
            for row in rows_of(tmp_path / "data", split).values():
                of.setdefault(row["speaker"], set()).add(split)
    assert all(len(splits) == 1 for splits in of.values())


def remove_lists(corpus):
    (corpus / "nslt_100.json").unlink()


def empty_folder(corpus):
    shutil.rmtree(corpus)
    corpus.mkdir()


def cut_short(corpus):
    path = corpus / "WLASL_v0.3.json"
    path.write_text(path.read_text()[:200])


def swap_files(corpus):
    shutil.copy(corpus / "WLASL_v0.3.json", corpus / "nslt_100.json")


def duplicate(corpus):
    edit(corpus / "WLASL_v0.3.json", lambda signs: signs[1]["instances"].append(signs[0]["instances"][0]))


@pytest.mark.parametrize(
    "damage, message",
    [
        (shutil.rmtree, r"wlasl is not a folder; .*https://dxli94"),
        (empty_folder, r"wlasl is empty; put WLASL's files there"),
        (remove_lists, r"no list of clips \(nslt_100.json or nslt_300.json"),
        (cut_short, r"WLASL_v0.3.json line 1 column \d+: not valid JSON.*cut short"),
        (lambda c: (c / "WLASL_v0.3.json").unlink(), r"WLASL_v0.3.json does not exist"),
        (swap_files, r"nslt_100.json is not a list \{video_id"),
        (lambda c: shutil.copy(c / "nslt_100.json", c / "WLASL_v0.3.json"), r"v0.3.json is not the list"),
        (duplicate, r"video_id '00001' stands under 'book' and 'thank you'"),
        (lambda c: edit(c / "nslt_100.json", lambda r: r["00003"].update(action=[1, 1, 40])),
         r"id '00003': class 1 is another than in"),
        (lambda c: edit(c / "nslt_100.json", lambda r: r["00003"].update(action=[2, 9, 3])),
         r"id '00003': action \[2, 9, 3\] is not"),
        (lambda c: edit(c / "nslt_100.json", lambda r: r["00003"].update(subset="dev")),
         r"id '00003': expected subset \(train, val or test\)"),
        (lambda c: [shutil.rmtree(c / part) for part in ("hands", "videos")],
         r"none of the 8 clips has usable landmarks or a video that can be read; put them at videos/<video_id>.mp4"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(corpus, damage, message):
    damage(corpus)
    with pytest.raises(AslError, match=message):
        check(str(corpus), subset=4)


def test_more_signs_than_there_are(corpus):
    with pytest.raises(AslError, match="has 4 signs; give --subset 4 or less"):
        check(str(corpus), subset=5)
    for subset in (0, 2001):
        with pytest.raises(AslError, match="from 1 to 2000"):
            check(str(corpus), subset=subset)


@pytest.mark.corpora
@pytest.mark.parametrize(
    "subset, counts",
    [
        (20, {"train": (167, 350), "val": (38, 84), "test": (0, 65)}),
        (100, {"train": (748, 1442), "val": (165, 338), "test": (0, 258)}),
        (300, {"train": (1897, 3549), "val": (446, 901), "test": (0, 668)}),
        (1000, {"train": (5001, 8978), "val": (1290, 2320), "test": (0, 1876)}),
    ],
)  # fmt: skip
def test_real_counts(corpora, subset, counts):
    report = check(str(corpora / "wlasl"), subset=subset)
    assert {s: (r["found"], r["official"]) for s, r in report["splits"].items()} == counts
    assert len(report["missing_ids"]["train"]) == counts["train"][1] - counts["train"][0]


@pytest.mark.corpora
def test_the_real_corpus_prepares_and_validates(corpora, tmp_path, lhotse_validates):
    report = prepare(str(corpora / "wlasl"), str(tmp_path), subset=100)
    assert report["synthetic"] is False
    assert report["fps_from"] == {"span": 912, "assumed": 1}
    lhotse_validates(tmp_path / "train")
    assert not (tmp_path / "test").exists()


@pytest.mark.corpora
def test_real_signers_can_be_kept_apart(corpora, tmp_path):
    report = prepare(str(corpora / "wlasl"), str(tmp_path), subset=100, protocol="signer-independent")
    speakers = {s: {r["speaker"] for r in rows_of(tmp_path, s).values()} for s in ("train", "val", "test")}
    assert not speakers["train"] & (speakers["val"] | speakers["test"])
    assert not speakers["val"] & speakers["test"] and all(speakers.values())
    assert report["splits"]["train"]["words"] == 100 and report["protocol"] == "signer-independent"
    assert sum(row["found"] for row in report["splits"].values()) == 748 + 165
    owner, here = report["owner_splits"], {s: row["official"] for s, row in report["splits"].items()}
    assert all(abs(here[split] - owner[split]) < 0.1 * owner[split] for split in owner)
    # subsets are nested: who is in val of 20 signs is in val of 100
    prepare(str(corpora / "wlasl"), str(tmp_path / "few"), subset=20, protocol="signer-independent")
    for split in ("train", "val", "test"):
        assert set(rows_of(tmp_path / "few", split)) < set(rows_of(tmp_path, split))
