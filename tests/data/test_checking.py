"""``asl landmarks check``: a data folder's landmarks measured, by clip and in all, and said what cannot be."""

import gc
import json
import weakref

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.corpora.manifests import Clip, write_manifests
from asl.data.checking import check_landmarks
from asl.data.importing import import_landmarks
from asl.data.quality_rows import measured_clips
from asl.data.showing import read_cut
from asl.landmarks.layouts import get_layout
from asl.landmarks.quality import measure


@pytest.fixture
def no_plot(monkeypatch):
    """The plot is seen in other tests: it takes a second."""
    monkeypatch.setattr("asl.data.checking.draw_quality", lambda totals, path, title: path.write_bytes(b"PNG"))


def test_report_rows_table_and_plot(imported, capsys):
    data = imported(train=6, val=2)
    capsys.readouterr()
    report = check_landmarks(str(data), show=3)
    assert report == json.loads((data / "check/report.json").read_text())
    assert (data / "check/quality.png").stat().st_size > 20_000
    rows = list(read_jsonl(data / "check/clips.jsonl.gz"))
    assert [row["id"] for row in rows] == [f"train{i:03d}" for i in range(6)] + ["val000", "val001"]

    # the sums are the clips' own, measured a second time
    train = report["splits"]["train"]
    measured = [measure(read_cut(str(data), "train", f"train{i:03d}")[1], "hands42") for i in range(6)]
    frames = sum(len(q.unreliable) for q in measured)
    assert (train["clips"], train["frames"]) == (6, frames)
    left, bad = (sum(n) for n in zip(*((q.present["hand_left"].sum(), q.unreliable.sum()) for q in measured)))
    assert train["found"]["hand_left"] == pytest.approx(left / frames, abs=1e-5)
    assert train["unreliable"] == pytest.approx(bad / frames, abs=1e-5)
    gaps = np.concatenate([q.gaps["hand_right"] for q in measured])
    assert train["gaps"]["hand_right"] == dict(
        count=len(gaps), median=int(np.sort(gaps)[(len(gaps) - 1) // 2]), longest=gaps.max(),
        short=pytest.approx((gaps <= 3).mean(), abs=1e-5),
    )  # fmt: skip
    jitters = [q.jitter["hand_left"] for q in measured]
    assert train["jitter"]["hand_left"]["median"] == pytest.approx(np.median(jitters), abs=1e-4)
    steps = [q.implausible["place_jump"] for q in measured]
    jumps = train["implausible"]["place_jump"]
    assert (jumps["count"], jumps["of"]) == tuple(np.sum(steps, axis=0))
    assert jumps["clips"] == sum(n > 0 for n, _ in steps)

    # the worst clips stand first, in the report and in what is printed
    shares = [row["unreliable"] for row in report["worst"]]
    assert shares == sorted((row["unreliable"] for row in rows), reverse=True) and len(shares) == 8
    printed = capsys.readouterr().out
    assert "left hand found" in printed and "not judged: hands off the body's wrists" in printed
    assert "the worst 3 clips" in printed and report["worst"][0]["id"] in printed
    assert printed.index(report["worst"][0]["id"]) < printed.index(report["worst"][1]["id"])
    assert report["not_judged"]["hands42"] and report["layouts"] == {"hands42": 8}


def test_one_split_another_folder_and_nothing_else_touched(imported, tmp_path, no_plot):
    data = imported(train=2, val=2)
    before = {p: p.stat().st_mtime_ns for p in data.rglob("*") if p.is_file()}
    report = check_landmarks(str(data), split="val", out=str(tmp_path / "out"))
    assert list(report["splits"]) == ["val"] and {row["split"] for row in report["worst"]} == {"val"}
    assert {p: p.stat().st_mtime_ns for p in data.rglob("*") if p.is_file()} == before
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["clips.jsonl.gz", "quality.png", "report.json"]


def test_only_a_threshold_fails_and_after_the_report(imported, no_plot):
    data = imported(train=3)
    share = check_landmarks(str(data))["splits"]["train"]["unreliable"]
    assert share > 0.02
    check_landmarks(str(data), max_unreliable=min(share + 0.01, 1))
    (data / "check/report.json").unlink()
    with pytest.raises(AslError, match=r"train: .* % of the frames are unreliable, more than --max-unreliable 0.01"):
        check_landmarks(str(data), max_unreliable=0.01)
    assert (data / "check/report.json").is_file()


@pytest.mark.parametrize("layout", ["nose_wrists3", "openpose137", "hands_body51"])
def test_other_layouts(tmp_path, layout, request):
    """Parts that a layout has not are left out of table and plot; a part that is never found is 0 %."""
    if layout != "nose_wrists3":  # the one with the emptiest panels is drawn
        request.getfixturevalue("no_plot")
    form = get_layout(layout)
    rng, clips = np.random.default_rng(0), []
    for i in range(2):
        array = rng.random((12, form.num_points, form.num_dims)).astype(np.float32)
        array[:, list(form.parts.get("hand_left", ()))] = np.nan
        np.save(tmp_path / f"{i}.npy", array)
        clip = Clip(f"c{i}", "test", "BOOK", "here", tmp_path / f"{i}.npy")
        clip.num_frames, clip.fps = 12, 25
        clips.append(clip)
    write_manifests(clips, tmp_path / "data", None)
    import_landmarks(str(tmp_path / "data"))
    test = check_landmarks(str(tmp_path / "data"))["splits"]["test"]
    assert set(test["found"]) - {"any_hand"} == set(form.parts)
    assert test["found"].get("hand_left", 0) == 0 and test["found"]["pose"] == 1
    assert ("off_wrist" in test["implausible"]) == (layout != "nose_wrists3")
    assert "jitter" in test and test["jitter"].get("hand_left") in (None, {"median": None, "high": None})


def test_clips_are_streamed(imported):
    """Of no clip is anything kept when the next one comes."""
    data, alive = imported(train=8), []
    for clip in measured_clips(data, "train"):
        alive.append(weakref.ref(clip.array))
        clip = None  # noqa: PLW2901
        gc.collect()
        assert sum(ref() is not None for ref in alive) <= 1


def test_what_is_wrong_is_said(imported, tmp_path, no_plot):
    with pytest.raises(AslError, match="no <split>/cuts.jsonl.gz; run stage 2"):
        check_landmarks(str(tmp_path))
    data = imported(train=2)
    with pytest.raises(AslError, match="test.*does not exist; there are cuts for: train"):
        check_landmarks(str(data), split="test")
    with pytest.raises(AslError, match="--max-unreliable 2: give a share"):
        check_landmarks(str(data), max_unreliable=2)
    (data / "landmarks/train-00000.h5").write_bytes(b"")
    with pytest.raises(AslError, match="train000: cannot read .*run stage 2 again"):
        check_landmarks(str(data))
    assert not (data / "check").exists() or list((data / "check").iterdir()) == []
