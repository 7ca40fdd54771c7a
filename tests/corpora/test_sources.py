"""Clips that have only a video: they are listed to be extracted, with the seconds that are the clip's."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.corpora import csv, how2sign, phoenix2014, wlasl

HOW2SIGN_LIST = "VIDEO_NAME SENTENCE_NAME START_REALIGNED END_REALIGNED SENTENCE".split()


def write_video(path: Path, frames: int = 30, fps: float = 25.0, size=(64, 48)) -> Path:
    """A film of grey pictures."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"mp4v"), fps, size)
    for frame in range(frames):
        writer.write(np.full((size[1], size[0], 3), 4 * frame % 256, np.uint8))
    writer.release()
    return path


def write_frames(folder: Path, names) -> Path:
    import cv2

    folder.mkdir(parents=True, exist_ok=True)
    for shade, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), np.full((26, 21, 3), shade, np.uint8))
    return folder


def rows_of(out, split, kind="supervisions"):
    return {row["id"]: row for row in read_jsonl(out / split / f"{kind}.jsonl.gz")}


# --- WLASL ---

YOUTUBE = "https://www.youtube.com/watch?v=EhkIoTNxwGE"


def write_wlasl(folder: Path, entries) -> Path:
    """``entries``: video_id -> what WLASL_v0.3.json says besides; all of one sign, in train."""
    folder.mkdir(parents=True, exist_ok=True)
    usual = {"signer_id": 1, "split": "train", "frame_start": 1, "frame_end": -1, "url": "http://a.org/b.mp4"}
    instances = [{"video_id": key, **usual, **more} for key, more in entries.items()]
    (folder / "WLASL_v0.3.json").write_text(json.dumps([{"gloss": "book", "instances": instances}]))
    rows = {key: {"subset": "train", "action": [0, 1, 43]} for key in entries}
    (folder / "nslt_100.json").write_text(json.dumps(rows))
    return folder


def test_wlasls_cut_videos_are_whole_clips_and_uncut_ones_are_cut_as_its_owner_does(tmp_path, capsys):
    part = {"url": YOUTUBE, "frame_start": 65, "frame_end": 114}
    corpus = write_wlasl(
        tmp_path / "wlasl", {"00001": {}, "00002": part, "00003": {"frame_start": 2}, "00004": part, "00005": {}}
    )
    write_video(corpus / "videos/00001.mp4", 30, 29.97)
    write_video(corpus / "raw_videos_mp4/EhkIoTNxwGE.mp4", 130, 29.97)
    write_video(corpus / "raw_videos/00003.mp4", 40)
    write_video(corpus / "videos/00004.MKV", 50)  # cut already
    out = tmp_path / "data"
    report = wlasl.prepare(str(corpus), str(out), subset=1)
    assert json.loads((out / "report.json").read_text()) == report
    row = report["splits"]["train"]
    assert (row["official"], row["found"], row["video"], row["missing"]) == (5, 4, 4, 1)
    assert report["has"] == {"landmarks": 0, "video": 4, "both": 0} and report["from"] == "videos"
    assert report["fps_from"] == {"video": 4} and report["missing_ids"]["train"] == ["00005"]
    recordings, supervisions = rows_of(out, "train", "recordings"), rows_of(out, "train")
    assert recordings["00001"]["sources"][0]["source"] == str(corpus / "videos/00001.mp4")
    assert (recordings["00001"]["sampling_rate"], recordings["00001"]["num_samples"]) == (30000, 30 * 1001)
    times = {key: row["custom"].get("source_times") for key, row in supervisions.items()}
    assert times.pop("00002") == pytest.approx([64 * 1001 / 30000, 114 * 1001 / 30000])  # frames 65 to 114, its own
    assert times == {"00001": None, "00003": None, "00004": None}
    assert recordings["00002"]["num_samples"] == 50 * 1001
    assert supervisions["00001"]["custom"]["fps_from"] == "video" and "raw_frames" not in str(supervisions)
    printed = capsys.readouterr().out
    assert "4 clips are taken from videos: stage 2 extracts their landmarks" in printed and "video" in printed


def test_landmarks_win_unless_all_are_to_come_from_videos(tmp_path, hands_file, capsys):
    corpus = write_wlasl(tmp_path / "wlasl", {"00001": {}, "00002": {}, "00003": {}, "00004": {}})
    for name in ("00001", "00002"):
        hands_file(corpus / "hands" / f"{name}.npy", 50)
    for name in ("00002", "00003"):
        write_video(corpus / "videos" / f"{name}.mp4")
    out = tmp_path / "data"
    report = wlasl.prepare(str(corpus), str(out), subset=1)
    assert report["has"] == {"landmarks": 2, "video": 2, "both": 1} and report["from"] == "landmarks"
    assert sorted(rows_of(out, "train")) == ["00001", "00002"] and report["splits"]["train"]["video"] == 0
    assert [(row["id"], row["reason"]) for row in report["not_used"]] == [("00003", "videos/00003.mp4, no landmarks")]
    assert "2 clips have landmarks, 2 a video, 1 both" in (said := capsys.readouterr().out)
    assert "1 clips have a video and no landmarks and are left out" in said and "--from-videos" in said
    report = wlasl.prepare(str(corpus), str(out), subset=1, from_videos=True)
    assert wlasl.check(str(corpus), subset=1, from_videos=True)["splits"]["train"]["video"] == 2
    sources = {key: Path(row["sources"][0]["source"]).name for key, row in rows_of(out, "train", "recordings").items()}
    assert sources == {"00002": "00002.mp4", "00003": "00003.mp4"}
    assert report["missing_ids"]["train"] == ["00001", "00004"] and report["landmarks"] == "videos"


def test_a_video_that_cannot_be_read_is_bad_and_a_span_that_is_none_is_refused(tmp_path):
    part = {"url": YOUTUBE, "frame_start": 9, "frame_end": 12}
    corpus = write_wlasl(tmp_path / "wlasl", {"00001": {}, "00002": part})
    write_video(corpus / "raw_videos/EhkIoTNxwGE.mp4", 10)
    (corpus / "videos").mkdir()
    (corpus / "videos/00001.mp4").write_bytes(b"no film")
    report = wlasl.prepare(str(corpus), str(tmp_path / "data"), subset=1)
    (told,) = report["not_used"]
    assert told["status"] == "bad" and "videos/00001.mp4" in told["reason"]
    assert report["cut_to_end"] == {"00002": 0.08} and report["splits"]["train"]["frames"] == 2
    (corpus / "raw_videos/EhkIoTNxwGE.mp4").unlink()
    with pytest.raises(AslError, match="none of the 2 clips has usable landmarks or a video .*first: 00001"):
        wlasl.prepare(str(corpus), str(tmp_path / "data"), subset=1)
    write_video(corpus / "raw_videos/00002.mp4", 10)
    write_wlasl(corpus, {"00002": {"url": YOUTUBE, "frame_start": 12, "frame_end": 9}})
    with pytest.raises(AslError, match="id '00002': WLASL_v0.3.json has frame_start 12 and frame_end 9"):
        wlasl.check(str(corpus), subset=1)


# --- How2Sign ---


def write_how2sign(root: Path, rows) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(HOW2SIGN_LIST)]
    for video, number, start, end in rows:
        lines.append(f"{video}-5-rgb_front\t{video}_{number}-5-rgb_front\t{start}\t{end}\tText {number}.")
    (root / "how2sign_realigned_train.csv").write_text("\n".join(lines) + "\n")
    return root


def test_how2signs_sentences_are_cut_out_of_whole_videos_unless_they_have_their_own(tmp_path):
    corpus = write_how2sign(
        tmp_path / "how2sign", [("aa", 0, 0.5, 1.5), ("aa", 1, 1.5, 9.0), ("aa", 2, 5.0, 6.0), ("bb", 0, 0.0, 1.0)]
    )
    write_video(corpus / "video_level/train/rgb_front/raw_videos/aa-5-rgb_front.mp4", 96, 24)
    write_video(corpus / "clips/aa_0-5-rgb_front.mp4", 60, 24)
    out = tmp_path / "data"
    report = how2sign.prepare(str(corpus), str(out))
    assert (report["splits"]["train"]["found"], report["splits"]["train"]["video"]) == (2, 2)
    told = {row["id"]: row["reason"] for row in report["not_used"]}
    assert "starts at 5 s" in told["aa_2-5-rgb_front"] and "ends at 4.00 s" in told["aa_2-5-rgb_front"]
    assert report["missing_ids"]["train"] == ["bb_0-5-rgb_front"] and report["other_length"] == ["aa_0-5-rgb_front"]
    assert report["cut_to_end"] == {"aa_1-5-rgb_front": 5.0}
    custom = {key: row["custom"] for key, row in rows_of(out, "train").items()}
    assert "source_times" not in custom["aa_0-5-rgb_front"]
    assert custom["aa_1-5-rgb_front"]["source_times"] == [1.5, 4.0]
    assert custom["aa_1-5-rgb_front"]["times"] == [1.5, 9.0], "what the owner's list says stays"
    assert rows_of(out, "train", "recordings")["aa_1-5-rgb_front"]["num_samples"] == 60


@pytest.mark.corpora
def test_how2signs_real_clips_are_probed(corpora, tmp_path):
    report = how2sign.prepare(str(corpora / "how2sign"), str(tmp_path / "data"), "by-video", from_videos=True)
    assert report["has"] == {"landmarks": 89, "video": 12, "both": 12} and report["fps_from"] == {"video": 12}
    from_landmarks = how2sign.prepare(str(corpora / "how2sign"), str(tmp_path / "landmarks"), "by-video")
    assert from_landmarks["splits"]["train"]["video"] == 0
    theirs = {r["id"]: r for s in ("train", "val") for r in rows_of(tmp_path / "landmarks", s, "recordings").values()}
    ours = {r["id"]: r for s in ("train", "val") for r in rows_of(tmp_path / "data", s, "recordings").values()}
    assert len(ours) == 12
    for key, row in ours.items():
        assert (row["sampling_rate"], row["num_samples"]) == (theirs[key]["sampling_rate"], theirs[key]["num_samples"])


# --- PHOENIX-2014 ---


def test_phoenix_frames_are_recordings_at_its_rate(tmp_path, capsys):
    root = tmp_path / "phoenix"
    (root / "annotations/manual").mkdir(parents=True)
    for split, key in (("train", "a-1"), ("dev", "b-1"), ("test", "c-1")):
        rows = f"id|folder|signer|annotation\n{key}|{key}/1/*.png|Signer01|REGEN\n"
        (root / f"annotations/manual/{split}.corpus.csv").write_text(rows)
    frames = root / phoenix2014.FRAMES
    write_frames(frames / "train/a-1/1", [f"a-1.avi_pid0_fn{n:06d}-0.png" for n in range(8, 12)])
    write_frames(frames / "dev/b-1/1", [f"b-1.avi_pid0_fn{n:06d}-0.png" for n in range(3)])
    (frames / "dev/b-1/1/b-1.avi_pid0_fn000000-0.png").write_bytes(b"")
    out = tmp_path / "data"
    report = phoenix2014.prepare(str(root), str(out))
    assert [(row["found"], row["video"], row["bad"]) for row in report["splits"].values()] == [
        (1, 1, 0), (0, 0, 1), (0, 0, 0)
    ]  # fmt: skip
    (recording,) = rows_of(out, "train", "recordings").values()
    assert recording["sources"][0]["source"] == str(frames / "train/a-1/1")
    assert (recording["sampling_rate"], recording["num_samples"]) == (25, 4)
    assert "1 clips are taken from videos" in capsys.readouterr().out
    before = report["sources"]
    os.utime(frames / "train/a-1/1/a-1.avi_pid0_fn000009-0.png", ns=(1, 1))
    assert phoenix2014.prepare(str(root), str(out))["sources"] != before, "an exchanged frame is seen by stage 2"


# --- the table ---

HEADER = "id,path,split,text,signer,fps,start,end"


@pytest.fixture
def table(tmp_path, hands_file):
    """``table(*lines)`` writes corpus.csv beside a video, a folder of frames, an empty folder and landmarks."""
    folder = tmp_path / "corpus"
    write_video(folder / "long.mp4", 100)
    write_frames(folder / "frames", [f"{n}.png" for n in range(1, 13)])
    (folder / "nothing").mkdir()
    hands_file(folder / "a.npy", 50)

    def write(*lines, header=HEADER):
        (folder / "corpus.csv").write_text("\n".join([header, *lines, ""]))
        return str(folder)

    return write


def test_a_table_names_videos_frames_and_parts_of_them(table, tmp_path, lhotse_validates, capsys):
    lines = ("a,long.mp4,train,book,anna,,,", "b,long.mp4,train,drink,anna,,1.5,3", "c,long.mp4,val,book,ben,,3,",
             "d,frames,train,book,ben,12.5,,", "e,a.npy,train,book,ben,50,0.2,0.5")  # fmt: skip
    out = tmp_path / "data"
    corpus = table(*lines)
    report = csv.prepare(corpus, str(out))
    assert [(row["found"], row["video"]) for row in report["splits"].values()] == [(4, 3), (1, 1), (0, 0)]
    lhotse_validates(out / "train")
    recordings, rows = rows_of(out, "train", "recordings"), rows_of(out, "train")
    assert {key: row["num_samples"] for key, row in recordings.items()} == {"a": 100, "b": 37, "d": 24, "e": 15}
    assert recordings["d"]["sampling_rate"] == 25 and recordings["d"]["duration"] == 12 / 12.5
    assert rows["a"]["custom"] == {"fps_from": "video", "fps_estimated": False}
    assert rows["b"]["custom"]["source_times"] == [1.5, 3.0]
    assert rows_of(out, "val")["c"]["custom"]["source_times"] == [3.0, 4.0]
    assert rows["e"]["custom"]["source_frames"] == [10, 25]
    said = capsys.readouterr().out
    assert "4 clips are videos: stage 2" in said and "1 clips are landmarks: two extractions" in said
    assert csv.check(corpus)["splits"]["train"]["video"] == 3, "a check looks into no file"


def test_what_is_wrong_with_videos_in_a_table_is_told_by_line(table):
    lines = ("a,long.mp4,train,book,anna,25,,", "b,frames,train,book,anna,,,", "c,nothing,train,book,anna,,,",
             "d,long.mp4,train,book,anna,,2,1", "e,long.mp4,train,book,anna,,soon,", "f,corpus.csv,train,book,a,,,",
             "g,long.mp4,train,book,anna,,,-1", "h,none.mp4,train,book,anna,,,",
             "i,frames,train,book,anna,12.5,0,1")  # fmt: skip
    with pytest.raises(AslError) as caught:
        csv.check(table(*lines))
    message = str(caught.value)
    for number, part in enumerate(
        ("the video tells its own", "is a folder of frames: give its frames per second", "a folder without numbered",
         "end 1 is not after start 2", "start 'soon' is no time in seconds", "nor a video",
         "end '-1' is no time", "none.mp4 is not there", "a part of frames at 12.5 a second"), 2,
    ):  # fmt: skip
        (line,) = [line for line in message.splitlines() if f"corpus.csv line {number}: " in line]
        assert part in line


def test_landmarks_that_do_not_tell_their_rate_are_not_cut(table, tmp_path):
    corpus = table("a,a.npy,train,book,anna,,0,1", "b,a.npy,train,book,anna,25,0,1")
    report = csv.prepare(corpus, str(tmp_path / "data"))
    (told,) = report["not_used"]
    assert told["id"] == "a" and "does not say its frames per second" in told["reason"]
