"""How2Sign from its owner's files: lists as they come, clips and whole videos, what is counted and what is refused."""

import csv
from collections import Counter

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.corpora.how2sign import check, prepare
from asl.data.importing import import_landmarks
from asl.data.storage import open_cuts

COLUMNS = "VIDEO_ID VIDEO_NAME SENTENCE_ID SENTENCE_NAME START_REALIGNED END_REALIGNED SENTENCE".split()
LISTS = {
    "train": [
        ("aa", 0, 5, 0.0, 1.0, "Hi  there!"),
        ("aa", 1, 5, 1.0, 2.75, 'He said, "stay".'),
        ("aa", 1, 8, 0.5, 1.5, "Signed twice."),
        ("-b", 0, 5, 0.25, 0.75, "A name that begins with a dash."),
    ],
    "val": [("cc", 0, 3, 0.0, 1.0, "One.")],
    "test": [("dd", 0, 3, 0.0, 1.0, "Two."), ("dd", 1, 3, 1.0, 2.0, "Three.")],
}


def write_lists(root, lists=LISTS, delimiter="\t", ends="\n", names=COLUMNS, file="how2sign_realigned_{}.csv"):
    root.mkdir(parents=True, exist_ok=True)
    for split, rows in lists.items():
        with open(root / file.format(split), "w", encoding="utf-8-sig", newline="") as f:
            writer = csv.writer(f, delimiter=delimiter, lineterminator=ends)
            writer.writerow(names)
            for video, number, signer, start, end, text in rows:
                tail = f"-{signer}-rgb_front"
                writer.writerow([video, video + tail, f"{video}_{number}", f"{video}_{number}{tail}", start, end, text])


def write_npz(path, frames=24, **more):
    random = np.random.default_rng(frames)
    parts = {"pose": (33, 4), "face": (468, 3), "left_hand": (21, 3), "right_hand": (21, 3)}
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {key: random.random((frames, *shape)).astype(np.float16) for key, shape in parts.items()}
    np.savez(path, **arrays, width=1280, height=720, **more)
    return arrays


def rows_of(data, split, kind="supervisions"):
    return {row["id"]: row for row in read_jsonl(data / split / f"{kind}.jsonl.gz")}


@pytest.fixture
def corpus(tmp_path):
    """Four, one and two sentences: landmarks by sentence and (signer 8's video) whole; the last has a video alone."""
    root = tmp_path / "owner"
    write_lists(root)
    for name in ("aa_0-5", "aa_1-5", "-b_0-5", "cc_0-3", "dd_0-3"):
        write_npz(root / "landmarks" / f"{name}-rgb_front.npz", 24, fps=24.0)
    write_npz(root / "landmarks" / "aa-8-rgb_front.npz", 90, fps=30.0)
    (root / "clips").mkdir()
    (root / "clips" / "dd_1-3-rgb_front.mp4").write_bytes(b"mp4")
    return root


def test_sentences_become_manifests_that_lhotse_validates(corpus, tmp_path, lhotse_validates):
    data = tmp_path / "data"
    report = prepare(str(corpus), str(data))
    assert report["corpus"] == "how2sign" and report["owner_counts"]["train"] == 31165
    found = {split: (row["official"], row["found"]) for split, row in report["splits"].items()}
    assert found == {"train": (4, 4), "val": (1, 1), "test": (2, 1)}
    (told,) = report["not_used"]
    assert told["status"] == "video_only" and told["reason"] == "clips/dd_1-3-rgb_front.mp4, no landmarks"
    lhotse_validates(data / "train")
    rows = rows_of(data, "train")
    assert rows["aa_0-5-rgb_front"]["text"] == "Hi there!", "blanks are single, nothing else is changed"
    assert rows["aa_1-5-rgb_front"]["text"] == 'He said, "stay".'
    assert [row["speaker"] for row in rows.values()] == ["5", "5", "5", "8"]
    assert rows["aa_0-5-rgb_front"]["custom"]["times"] == [0.0, 1.0]
    text = (data / "text" / "train.txt").read_text().splitlines()
    assert sorted(text) == sorted(row["text"] for row in rows.values()) and not (data / "lang").exists()
    assert report["other_length"] == ["aa_1-5-rgb_front"], "the other clip is half a second too long"


def test_tabs_or_commas_and_any_line_ends_and_names_of_columns_are_read(corpus, tmp_path, capsys):
    prepare(str(corpus), str(tmp_path / "tabs"))
    write_lists(corpus, delimiter=",", ends="\r\n")
    prepare(str(corpus), str(tmp_path / "commas"))
    assert rows_of(tmp_path / "tabs", "train") == rows_of(tmp_path / "commas", "train")
    for path in corpus.glob("how2sign_realigned_*.csv"):
        path.unlink()
    for split in LISTS:  # where the owner's script puts the older ones
        folder = corpus / "sentence_level" / split / "text" / "en" / "raw_text"
        older = [name.replace("_REALIGNED", "") for name in COLUMNS]
        write_lists(folder, {split: LISTS[split]}, names=older, file="how2sign_{}.csv")
    prepare(str(corpus), str(tmp_path / "older"))
    assert rows_of(tmp_path / "older", "train") == rows_of(tmp_path / "commas", "train")
    assert "val: older times" in capsys.readouterr().out


def test_a_quote_that_nothing_closes_and_a_rare_blank_break_no_lines(corpus, tmp_path):
    path = corpus / "how2sign_realigned_test.csv"
    text = path.read_text(encoding="utf-8-sig").replace("Two.", '"Two,\u2028 he said.')
    path.write_bytes(text.replace("\n", "\r\n").encode())
    report = prepare(str(corpus), str(tmp_path / "data"))
    assert report["splits"]["test"]["official"] == 2
    assert (tmp_path / "data" / "text" / "test.txt").read_text() == '"Two, he said.\nThree.\n'


def test_a_sentence_with_commas_may_be_quoted_over_two_lines(corpus, tmp_path):
    write_lists(corpus, delimiter=",", ends="\r\n")
    path = corpus / "how2sign_realigned_val.csv"
    path.write_bytes(path.read_bytes().replace(b"One.", b'"One,\r\nor two."'))
    prepare(str(corpus), str(tmp_path / "data"))
    assert (tmp_path / "data/text/val.txt").read_text() == "One, or two.\n"


def test_sentences_are_cut_out_of_the_landmarks_of_their_video(corpus, tmp_path):
    rows = LISTS["train"] + [("aa", 2, 8, 2.0, 3.5, "Past the end."), ("aa", 3, 8, 3.0, 4.0, "Behind it.")]
    write_lists(corpus, {"train": rows})
    data = tmp_path / "data"
    report = prepare(str(corpus), str(data))
    assert report["cut_to_end"] == {"aa_2-8-rgb_front": 0.5}
    told = {row["id"]: row["reason"] for row in report["not_used"] if row["status"] == "bad"}
    assert list(told) == ["aa_3-8-rgb_front"] and "starts at 3 s" in told["aa_3-8-rgb_front"]
    rows = rows_of(data, "train")
    assert rows["aa_1-8-rgb_front"]["custom"]["source_frames"] == [15, 45]
    assert rows["aa_2-8-rgb_front"]["custom"]["source_frames"] == [60, 90]
    import_landmarks(str(data), layout="hands_body51")
    whole = write_npz(tmp_path / "same.npz", 90)["right_hand"]
    cuts = {cut.id: cut for cut in open_cuts(data, "train")}
    array = cuts["aa_1-8-rgb_front"].load_features().reshape(30, 51, 4)
    np.testing.assert_array_equal(array[:, -21:, :3], whole[15:45])
    assert cuts["aa_1-8-rgb_front"].duration == 1.0
    write_npz(corpus / "landmarks" / "aa-8-rgb_front.npz", 60, fps=30.0)  # shorter than it was in stage 1
    with pytest.raises(AslError, match="aa_2-8-rgb_front: .* has 0 frames, but stage 1 wrote down 1.000 s"):
        import_landmarks(str(data), layout="hands_body51")


def test_landmarks_of_a_video_that_do_not_tell_their_rate_are_not_cut(corpus, tmp_path):
    write_npz(corpus / "landmarks" / "aa-8-rgb_front.npz", 90)
    write_npz(corpus / "landmarks" / "cc_0-3-rgb_front.npz", 24)  # a sentence's own need no cutting
    report = prepare(str(corpus), str(tmp_path / "data"))
    (told,) = [row for row in report["not_used"] if row["status"] == "bad"]
    assert "does not say its frames per second" in told["reason"] and told["id"] == "aa_1-8-rgb_front"
    assert report["fps_from"] == {"file": 4, "assumed": 1}


def test_sentences_that_are_empty_or_end_before_they_start_are_bad_and_listed(corpus, tmp_path, capsys):
    bad = [("ee", 0, 5, 1.0, 2.0, "  "), ("ee", 1, 5, 2.0, 2.0, "Nothing."), ("ee", 2, 5, 2.0, 1.0, "Backwards.")]
    write_lists(corpus, {"train": LISTS["train"] + bad})
    for number in range(3):
        write_npz(corpus / "landmarks" / f"ee_{number}-5-rgb_front.npz", fps=24.0)
    report = prepare(str(corpus), str(tmp_path / "data"))
    told = [row["reason"] for row in report["not_used"] if row["status"] == "bad"]
    assert report["splits"]["train"]["bad"] == len(told) == 3
    assert "the sentence is empty" in told[0] and "train.csv line 6" in told[0]
    assert "ends at 2 s, before it starts at 2 s" in told[1] and "ends at 1 s" in told[2]
    assert "Backwards" not in str(rows_of(tmp_path / "data", "train")) and told[2] in capsys.readouterr().out


def test_overlong_sentences_leave_train_alone(corpus, tmp_path):
    data = tmp_path / "data"
    report = prepare(str(corpus), str(data), max_seconds=0.9)  # each clip lasts a second
    assert report["splits"]["train"]["left_out"] == 4 and report["splits"]["val"]["found"] == 1
    assert len(report["overlong"]["train"]) == 4 and report["overlong"]["val"] == ["cc_0-3-rgb_front"]
    assert not (data / "train").exists() and not (data / "text" / "train.txt").exists()
    assert check(str(corpus), max_seconds=1.2)["overlong"] == {"train": ["aa_1-5-rgb_front"]}
    with pytest.raises(AslError, match="--max-seconds 0"):
        check(str(corpus), max_seconds=0)


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda text: text + text.splitlines()[1] + "\n", ["line 3: id 'cc_0-3-rgb_front' stands", "line 2 already"]),
        (lambda text: text.replace("1.0", "one"), ["line 2: END_REALIGNED is 'one', not a time in seconds"]),
        (lambda text: text.replace("\t0.0", "\tnan"), ["START_REALIGNED is 'nan'"]),
        (lambda text: text.replace("\tOne.", ""), ["line 2: 6 fields where line 1 has 7"]),
        (lambda text: text.replace("SENTENCE_NAME", "NAME"), ["line 1: no column SENTENCE_NAME among"]),
        (lambda text: text.replace("cc_0-3-rgb_front", "a/b"), ["SENTENCE_NAME 'a/b' is no name"]),
        (lambda text: text.splitlines()[0] + "\n", ["lists no sentence"]),
        (lambda text: "", ["line 1: no column VIDEO_NAME"]),
    ],
)
def test_a_list_that_is_not_the_owners_is_refused_by_line(corpus, spoil, words):
    path = corpus / "how2sign_realigned_val.csv"
    path.write_text(spoil(path.read_text(encoding="utf-8-sig")), encoding="utf-8")
    with pytest.raises(AslError) as caught:
        check(str(corpus))
    assert all(word in str(caught.value) for word in [str(path), *words])


def test_a_missing_list_is_told_and_none_at_all_is_refused(corpus, tmp_path, capsys):
    (corpus / "how2sign_realigned_train.csv").unlink()
    assert check(str(corpus))["splits"]["train"]["official"] == 0
    assert "train: no how2sign_realigned_train.csv; the owner's lists 31,165 sentences" in capsys.readouterr().out
    with pytest.raises(AslError, match="has no how2sign_realigned_train.csv"):
        check(str(tmp_path))
    with pytest.raises(AslError, match="is not a folder"):
        check(str(tmp_path / "nowhere"))


def write_transcripts(root, rows):
    root.mkdir(parents=True, exist_ok=True)
    lines = ["SENTENCE_NAME\tvideo_id\tSENTENCE"] + [f"{name}\t{name[:-6]}\t{text}" for name, text in rows]
    (root / "transcripts.tsv").write_text("\n".join(lines) + "\n")


def test_by_video_divides_whole_videos_the_same_each_time(tmp_path, capsys):
    root = tmp_path / "part"
    rows = [(f"v{video}_{n}-5-rgb_front", f"Text {n}.") for video, size in enumerate((5, 3, 2)) for n in range(size)]
    write_transcripts(root, rows)
    with pytest.raises(AslError, match="give --protocol by-video"):
        check(str(root))
    for name, _ in rows[:-1]:
        write_npz(root / "landmarks" / f"{name}.npz", fps=24.0)
    report = prepare(str(root), str(tmp_path / "data"), protocol="by-video", val_share=0.35)
    assert {s: row["found"] for s, row in report["splits"].items()} == {"train": 6, "val": 3, "test": 0}
    write_lists(root)
    check(str(root))
    assert "no landmarks and no video of any listed sentence" in (said := capsys.readouterr().out) and "--protocol by-video" in said
    for path in root.glob("*.csv"):
        path.unlink()
    assert report["val_videos"] == ["v1"] and "1 more are listed without landmarks" in report["notes"][0]
    assert report == prepare(str(root), str(tmp_path / "again"), protocol="by-video", val_share=0.35)
    whole = prepare(str(root), str(tmp_path / "whole"), protocol="by-video", val_share=0.0)
    assert {s: row["found"] for s, row in whole["splits"].items()} == {"train": 9, "val": 0, "test": 0}
    for share in (-0.1, 1.0):
        with pytest.raises(AslError, match="--val-share"):
            check(str(root), protocol="by-video", val_share=share)
    write_transcripts(root, [("aa", "Text.")])
    with pytest.raises(AslError, match="line 2: SENTENCE_NAME 'aa' is not <video>_<number>"):
        check(str(root), protocol="by-video")


@pytest.mark.corpora
def test_the_real_lists_have_the_owners_sentences(corpora):
    report = check(str(corpora / "how2sign"))
    assert {s: row["official"] for s, row in report["splits"].items()} == {"train": 0, "val": 1741, "test": 2357}
    assert {s: row["bad"] for s, row in report["splits"].items()} == {"train": 0, "val": 0, "test": 0}


@pytest.mark.corpora
def test_the_real_clips_are_divided_and_imported_with_body_hands_and_lips(corpora, tmp_path):
    data = tmp_path / "data"
    report = prepare(str(corpora / "how2sign"), str(data), protocol="by-video")
    assert {s: row["found"] for s, row in report["splits"].items()} == {"train": 71, "val": 18, "test": 0}
    assert report["fps"] == {"24": 89} and report["fps_from"] == {"file": 89} and len(report["val_videos"]) == 5
    signers = Counter(row["speaker"] for split in ("train", "val") for row in rows_of(data, split).values())
    assert signers == {"5": 58, "8": 31}
    assert len((data / "text" / "val.txt").read_text().splitlines()) == 18
    imported = import_landmarks(str(data), layout="holistic143")
    assert imported["splits"]["train"]["frames"] + imported["splits"]["val"]["frames"] == 15291
