"""asl landmarks extract: every clip once, each video decoded once, and each kind of bad video named."""

import io
import os
import re
import shutil

import numpy as np
import pytest

import asl.data.extract_video as extract_video
from asl.common.errors import AslError
from asl.common.files import read_json, write_json
from asl.common.jsonl import read_jsonl, write_jsonl
from asl.data.extract_video import VideoTask
from asl.data.extracting import extract_landmarks
from asl.data.importing import import_landmarks
from asl.data.recorded import read_pairs
from asl.data.storage import ArchiveReader, open_cuts
from asl.data.videos import Settings, list_video_clips, read_done
from asl.landmarks.npz_files import read_about
from asl.landmarks.reading import read_landmarks
from asl.landmarks.spans import PROBLEMS

from .extraction import FakeEstimator, contents, make_corpus, run_here, use_fake, write_corpus, write_video


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    monkeypatch.setattr("asl.data.extracting.estimator_maker", None)  # put back afterwards
    use_fake()


@pytest.fixture
def here(monkeypatch):
    """Tasks are done in this process."""
    monkeypatch.setattr("asl.data.extracting.run_tasks", run_here)


def log_ids(data):
    lines = (data / "landmarks" / "extract.log").read_text().splitlines()
    return [line.split("\t")[1] for line in lines]


def test_every_clip_has_its_landmarks_and_becomes_a_cut(tmp_path, capsys):
    data = make_corpus(tmp_path, videos=6, long=5)
    report = extract_landmarks(str(data), nj=2)
    names = sorted([f"v{i:02d}" for i in range(6)] + [f"long-{i:03d}" for i in range(5)])
    assert sorted(contents(data)) == [f"{name}.npz" for name in names] == sorted(f"{n}.npz" for n in log_ids(data))
    assert report == read_json(data / "landmarks" / "extract.json")
    assert report["splits"]["train"] == {"listed": 10, "extracted": 10, "failed": 0} and report["failed"] == {}
    out = capsys.readouterr().out
    assert "11 clips (0 were there)" in out and "frames/s" in out and "25 (11 clips)" in out
    clip = read_landmarks(data / "landmarks" / "clips" / "v03.npz")
    assert clip.array.shape == (23, 543, 4) and clip.fps == 25 and (clip.width, clip.height) == (128, 96)

    imported = import_landmarks(str(data))
    assert imported["splits"]["train"]["clips"] == 10
    cut = next(cut for cut in open_cuts(data, "train") if cut.id == "v03")
    assert np.array_equal(ArchiveReader().read(cut).reshape(23, 543, 4), clip.array)


def test_the_bar_tells_clips_and_frames_a_second_and_the_time_left(tmp_path, here, monkeypatch):
    import tqdm

    bars, shown = [], io.StringIO()

    class Bar(tqdm.tqdm):
        def __init__(self, **options):
            super().__init__(**{**options, "disable": False, "file": shown, "mininterval": 0, "miniters": 1})
            bars.append(self)

    data = make_corpus(tmp_path, videos=2, long=3)
    extract_landmarks(str(data))
    (data / "landmarks" / "clips" / "v01.npz").unlink()  # its line of before does not count
    (data / "landmarks" / "clips" / "long-001.npz").unlink()
    monkeypatch.setattr(tqdm, "tqdm", Bar)
    extract_landmarks(str(data))
    assert (bars[0].n, bars[0].total) == (2, 2)
    assert re.search(r"videos: 100%.* 2/2 \[\d\d:\d\d<.*clip/s, \d+\.\d frames/s\]", shown.getvalue())


def test_a_video_is_decoded_once_for_all_its_clips(tmp_path, here):
    data = make_corpus(tmp_path, videos=0, long=40)
    report = extract_landmarks(str(data))
    assert report["this_run"]["decoded"] == 39 * 12 + 10  # it stops where the last clip ends
    assert report["this_run"]["frames"] == 400
    whole = contents(data)
    for name in ("long-003.npz", "long-017.npz"):
        (data / "landmarks" / "clips" / name).unlink()
    again = extract_landmarks(str(data))
    assert again["this_run"] == {**again["this_run"], "kept": 38, "clips": 2, "frames": 20, "decoded": 17 * 12 + 10}
    assert contents(data) == whole


def test_what_is_done_is_kept_and_what_changed_is_made_again(tmp_path, here, capsys):
    data = make_corpus(tmp_path, videos=4)
    extract_landmarks(str(data))
    before, stats = contents(data), {p: p.stat() for p in (data / "landmarks" / "clips").iterdir()}
    report = extract_landmarks(str(data))
    assert report["this_run"]["kept"] == 4 and report["this_run"]["decoded"] == 0
    assert {p: p.stat().st_mtime_ns for p in stats} == {p: s.st_mtime_ns for p, s in stats.items()}

    write_video(tmp_path / "corpus" / "v01.mp4", 30, 9)  # another video under its name
    (tmp_path / "corpus" / "v02.mp4").unlink()  # landmarks are all that is wanted of it
    report = extract_landmarks(str(data))
    assert "1 clips that have landmarks are extracted again" in capsys.readouterr().out
    assert report["this_run"]["kept"] == 3 and report["failed"] == {}
    assert {n for n, c in contents(data).items() if c != before[n]} == {"v01.npz"}
    assert len(read_landmarks(data / "landmarks" / "clips" / "v01.npz").array) == 30

    path = data / "landmarks" / "clips" / "v00.npz"
    path.write_bytes(path.read_bytes()[:-100])
    assert extract_landmarks(str(data))["this_run"]["kept"] == 3
    assert path.read_bytes() == before["v00.npz"]
    write_video(tmp_path / "corpus" / "v02.mp4", 22, 2)
    report = extract_landmarks(str(data), rate="12.5")
    assert report["this_run"]["kept"] == 0 and report["rates"] == {"25/2": 4}
    assert extract_landmarks(str(data), rate="12.5", force=True)["this_run"]["clips"] == 4


def bad_corpus(folder):
    """One good video, and one of each kind of bad ones: the manifests, and what each has to be called."""
    corpus = folder / "corpus"
    good = write_video(corpus / "good.mp4", 25)
    clips = [("good", "train", good, 25, None)]
    kinds = {}

    def add(name, kind, video, span=None):
        kinds[name] = kind
        clips.append((name, "train", video, 25, span))

    add("gone", "absent", corpus / "gone.mp4")
    add("empty", "empty", corpus / "empty.mp4")
    (corpus / "empty.mp4").touch()
    add("loop", "unreadable", corpus / "loop.mp4")
    (corpus / "loop.mp4").symlink_to("loop.mp4")
    add("text", "undecodable", corpus / "text.mp4")
    (corpus / "text.mp4").write_text("this is no video\n" * 100)
    add("short", "cut short", write_video(corpus / "short.avi", 25, codec="MJPG"))
    content = (corpus / "short.avi").read_bytes()
    (corpus / "short.avi").write_bytes(content[: len(content) * 2 // 3])
    add("black", "nobody", write_video(corpus / "black.mp4", 25, level=0))
    add("light", "error", write_video(corpus / "light.mp4", 25, level=245))
    add("late", "past the end", good, (3.0, 4.0))
    add("turned", "no frames", good, (0.8, 0.4))
    add("numbers", "empty", corpus / "numbers")
    (corpus / "numbers").mkdir()
    return write_corpus(folder / "data", clips), kinds


def test_what_is_wrong_with_a_video_is_said_and_the_others_are_done(tmp_path, here, capsys):
    data, kinds = bad_corpus(tmp_path)
    with pytest.raises(AslError, match=r"train: no landmarks of 10 of 11 clips \(first: .*extract.json: mend them"):
        extract_landmarks(str(data))
    report = read_json(data / "landmarks" / "extract.json")
    assert {row["id"]: row["failed"] for row in report["clips"] if "failed" in row} == kinds
    assert all(row["reason"] for row in report["clips"])
    assert sum(report["failed"].values()) == 10 and report["failed"]["empty"] == 2
    assert list(contents(data)) == ["good.npz"]
    out = capsys.readouterr().out
    assert "absent: gone (train): " in out and "undecodable" in out
    assert sorted(log_ids(data)) == sorted(["good", *kinds])

    extract_landmarks(str(data), max_failures=0.95)
    with pytest.raises(AslError, match=r"train: 10 of 11 clips cannot be used \(first: gone: .*asl landmarks extract"):
        import_landmarks(str(data))
    imported = import_landmarks(str(data), max_failures=0.95)
    assert imported["splits"]["train"]["clips"] == 1 and imported["splits"]["train"]["not_extracted"] == 10
    assert [cut.id for cut in open_cuts(data, "train")] == ["good"]


def test_a_process_makes_one_estimator_and_another_after_a_failure(tmp_path, here):
    use_fake(delay=1e-9)  # not one that is there already
    data = make_corpus(tmp_path, videos=4)
    made = FakeEstimator.made
    extract_landmarks(str(data))
    assert FakeEstimator.made == made + 1
    write_video(tmp_path / "corpus" / "v02.mp4", 5, level=245)
    extract_landmarks(str(data), max_failures=0.5, force=True)
    assert FakeEstimator.made == made + 2


def test_a_bad_video_takes_the_landmarks_of_the_good_one_before_it_away(tmp_path, here):
    data = make_corpus(tmp_path, videos=2)
    extract_landmarks(str(data))
    (tmp_path / "corpus" / "v00.mp4").write_bytes(b"")
    with pytest.raises(AslError, match="v00: empty"):
        extract_landmarks(str(data))
    assert list(contents(data)) == ["v01.npz"]


def test_clips_out_of_line_are_listed_and_used(tmp_path, here, capsys):
    clips = [(f"v{i:02d}", "train", write_video(tmp_path / f"v{i:02d}.mp4", 5, i), 5, None) for i in range(18)]
    clips.append(("slow", "train", write_video(tmp_path / "slow.mp4", 5, fps=12.5), 5, None))
    clips.append(("large", "train", write_video(tmp_path / "large.mp4", 5, size=(320, 240)), 5, None))
    report = extract_landmarks(str(write_corpus(tmp_path / "data", clips)))
    odd = {row["id"]: row["odd"] for row in report["clips"]}
    assert odd == {"slow": "rate out of line", "large": "size out of line"}
    assert "12.5" not in report["rates"] and report["rates"] == {"25": 19, "25/2": 1}
    assert "odd, and used" in capsys.readouterr().out


def test_the_files_length_and_rate_count_not_those_of_stage_1(tmp_path, here):
    video = write_video(tmp_path / "a.mp4", 30, fps=30000 / 1001)
    data = write_corpus(tmp_path / "data", [("a/b", "train", video, 99, None), (".c", "train", video, 9, (0.2, 0.5))])
    extract_landmarks(str(data))
    import_landmarks(str(data))
    cut, other = open_cuts(data, "train")
    assert cut.features.sampling_rate == 30000 and cut.num_frames == 30 and cut.duration == pytest.approx(1.001)
    assert cut.supervisions[0].duration == cut.duration and other.num_frames == 9
    assert sorted(contents(data)) == ["%2Ec.npz", "a%2Fb.npz"]


def test_a_folder_of_frames_has_the_rate_that_stage_1_wrote(tmp_path, here):
    import cv2

    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(12):
        cv2.imwrite(str(folder / f"f_{i:03d}.png"), np.full((96, 96, 3), 60 + i, np.uint8))
    data = write_corpus(tmp_path / "data", [("a", "train", folder, 12, None)])
    extract_landmarks(str(data))
    assert read_landmarks(data / "landmarks" / "clips" / "a.npz").array.shape[0] == 12
    (folder / "f_011.png").unlink()  # not what stage 1 saw any more
    with pytest.raises(AslError, match="a: changed: .*stage 1"):
        extract_landmarks(str(data))
    shutil.rmtree(folder)
    with pytest.raises(AslError, match="a: absent"):
        extract_landmarks(str(data))


def test_a_video_that_is_replaced_while_it_is_read_is_read_again(tmp_path, here, monkeypatch):
    data = make_corpus(tmp_path, videos=0, long=6)
    extract_landmarks(str(data))
    video, spans = tmp_path / "corpus" / "long.mp4", extract_video.extract_spans
    first, second = video.read_bytes(), write_video(tmp_path / "other.mp4", 72, 51).read_bytes()
    expected = contents(data)

    def replaced(times):
        left = [times]

        def read(*args, **options):
            for number, clip in enumerate(spans(*args, **options)):
                if number == 3 and left[0]:
                    left[0] -= 1
                    (tmp_path / "new").write_bytes(second if left[0] % 2 == 0 else first)
                    os.replace(tmp_path / "new", video)
                yield clip

        return read

    monkeypatch.setattr(extract_video, "extract_spans", replaced(1))
    extract_landmarks(str(data), force=True)
    for clip in list_video_clips(data):
        assert read_done(clip, Settings()) is not None
    assert all(content != expected[name] for name, content in contents(data).items()) and len(contents(data)) == 6

    video.write_bytes(first)
    monkeypatch.setattr(extract_video, "extract_spans", replaced(2))
    with pytest.raises(AslError, match="6 of 6 clips .*changes while it is read"):
        extract_landmarks(str(data))
    assert contents(data) == {}
    extract_landmarks(str(data))
    assert len(contents(data)) == 6


def test_a_full_disk_ends_it_with_one_sentence_and_what_is_done_is_kept(tmp_path, here, monkeypatch):
    data = make_corpus(tmp_path, videos=4)
    write, files = np.lib.format.write_array, []

    def full(entry, array, **options):
        if array.dtype.kind == "U":  # a file begins with what is told of it
            files.append(entry)
        elif len(files) == 3:
            entry.write(b"half")
            raise OSError(28, "No space left on device")
        write(entry, array, **options)

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(AslError, match="cannot write .*npz: No space left on device; free space"):
        extract_landmarks(str(data))
    assert sorted(contents(data)) == ["v02.npz", "v03.npz"]
    monkeypatch.undo()
    use_fake()
    extract_landmarks(str(data))
    assert len(contents(data)) == 4


def test_import_refuses_landmarks_of_another_video_or_span(tmp_path, here):
    data = make_corpus(tmp_path, videos=2)
    extract_landmarks(str(data))
    import_landmarks(str(data))
    write_video(tmp_path / "corpus" / "v01.mp4", 40, 8)
    with pytest.raises(AslError, match="v01.npz was not extracted from .*v01.mp4 as it is now"):
        import_landmarks(str(data))
    assert read_json(data / "landmarks" / "report.json")["splits"]["train"]["changed"] == 1
    extract_landmarks(str(data))
    assert import_landmarks(str(data))["splits"]["train"]["clips"] == 2
    rows = [dict(s, custom={**s["custom"], "source_times": [0.0, 0.4]}) for _, s in read_pairs(data / "train")]
    write_jsonl(data / "train" / "supervisions.jsonl.gz", rows)
    with pytest.raises(AslError, match="2 of 2 clips cannot be used .*extract it again"):
        import_landmarks(str(data))
    (tmp_path / "corpus" / "v00.mp4").unlink()


def test_landmarks_stay_while_their_videos_cannot_be_looked_at(tmp_path, here):
    """As on a network disk that is away for a moment: that is no other video."""
    data = make_corpus(tmp_path, videos=3)
    extract_landmarks(str(data))
    before, corpus = contents(data), tmp_path / "corpus"
    corpus.rename(tmp_path / "away")
    corpus.symlink_to(corpus)  # a loop: every look at it is an OSError, and not that there is no such file
    report = extract_landmarks(str(data))
    assert report["this_run"]["kept"] == 3 and report["failed"] == {} and contents(data) == before


def test_nothing_is_removed_before_what_makes_it_anew_is_there(tmp_path, here, monkeypatch):
    data = make_corpus(tmp_path, videos=3)
    extract_landmarks(str(data))
    before = contents(data)
    for options in ({"rate": "12.5"}, {"force": True}):
        with pytest.raises(AslError, match="no Dask scheduler answers"):
            extract_landmarks(str(data), executor="dask", scheduler="tcp://127.0.0.1:1", **options)
        assert contents(data) == before

    def none_there():
        raise AslError("MediaPipe cannot be imported")

    monkeypatch.setattr("asl.data.extracting.estimator_maker", lambda settings: none_there)
    monkeypatch.setattr("asl.data.extract_video.pickle.dumps", lambda make: b"none")
    with pytest.raises(AslError, match="MediaPipe cannot be imported"):
        extract_landmarks(str(data), rate="12.5")
    assert contents(data) == before


def test_what_stage_1_found_to_be_bad_counts_among_what_failed(tmp_path, here, capsys):
    data = make_corpus(tmp_path, videos=3)
    bad = [
        {"id": "broken", "split": "train", "status": "bad", "reason": "broken.mp4: empty file; copy it again"},
        {"id": "other", "split": "train", "status": "left_out", "reason": "another source"},
        {"id": "elsewhere", "split": "test", "status": "bad", "reason": "a split without videos"},
    ]
    write_json(data / "report.json", {"not_used": bad})
    with pytest.raises(AslError, match=r"train: no landmarks of 1 of 4 clips \(first: broken: bad in stage 1: broken.mp4: em"):
        extract_landmarks(str(data), max_failures=0.2)
    assert "bad in stage 1: broken (train): broken.mp4: empty file" in capsys.readouterr().out
    report = extract_landmarks(str(data), max_failures=0.25)
    assert report["splits"]["train"] == {"listed": 4, "extracted": 3, "failed": 1}
    assert report["failed"] == {"bad in stage 1": 1} and [row["id"] for row in report["clips"]] == ["broken"]


def test_no_video_is_said(make_data, capsys):
    data = make_data(train=2)
    report = extract_landmarks(str(data))
    assert "no clip has a video" in capsys.readouterr().out
    assert report["splits"] == {} and report == read_json(data / "landmarks" / "extract.json")


def test_two_splits_do_not_share_a_clip(tmp_path):
    video = write_video(tmp_path / "a.mp4", 5)
    data = write_corpus(tmp_path / "data", [("a", "train", video, 5, None), ("a", "val", video, 5, None)])
    with pytest.raises(AslError, match="val and train both list 'a'"):
        extract_landmarks(str(data))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"nj": 0}, "--nj 0"),
        ({"executor": "dusk"}, "--executor dusk .*did you mean 'dask'"),
        ({"executor": "dask"}, "needs the address"),
        ({"scheduler": "tcp://x:1"}, "--scheduler tcp://x:1 is of --executor dask"),
        ({"face": 500}, "--face 500"),
        ({"max_failures": 2.0}, "--max-failures 2"),
        ({"rate": "fast"}, "fps 'fast'"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, message):
    data = write_corpus(tmp_path / "data", [("a", "train", tmp_path / "a.mp4", 5, None)])
    with pytest.raises(AslError, match=message):
        extract_landmarks(str(data), **options)


def test_problems_of_which_no_landmarks_are_kept_are_known_ones():
    assert set(extract_video.FATAL) <= set(PROBLEMS)


def test_the_task_may_be_done_twice(tmp_path):
    data = make_corpus(tmp_path, videos=1)
    clips, log = tuple(list_video_clips(data)), data / "landmarks" / "extract.log"
    (data / "landmarks" / "clips").mkdir(parents=True)
    task = VideoTask(clips, Settings(), FakeEstimator, log)
    assert extract_video.extract_video(task).decoded == 20
    made = clips[0].out.stat()
    second = extract_video.extract_video(task)
    assert second.made == ["v00"] and second.decoded == 0 and clips[0].out.stat().st_mtime_ns == made.st_mtime_ns
    about = read_about(clips[0].out)
    assert about["id"] == "v00" and about["frames"] == 20 and about["estimator"] == {"name": "fake"}
    assert not [row for row in read_jsonl(data / "train" / "recordings.jsonl.gz") if row["id"] != "v00"]
