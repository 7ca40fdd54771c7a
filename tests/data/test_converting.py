"""asl landmarks convert and export: nothing is lost, nothing is made twice, and all that fails is listed."""

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.data.converting import convert_landmarks, list_clips
from asl.data.exporting import export_landmarks
from asl.data.file_making import LOG
from asl.data.importing import import_landmarks
from asl.data.storage import ArchiveReader, open_cuts
from asl.landmarks.layouts import get_layout
from asl.landmarks.reading import Clip, read_landmarks
from asl.landmarks.writing import write_landmarks

FPS = Fraction(24000, 1001)


def make_clip(seed=0, layout="holistic178", frames=4):
    form, rng = get_layout(layout), np.random.default_rng(seed)
    array = rng.random((frames, form.num_points, form.num_dims)).astype(np.float32)
    array[..., -1] = 1
    array[rng.random(array.shape[:2]) < 0.2] = np.nan
    return Clip(array, layout, FPS, 640, 480)


@pytest.fixture
def corpus(tmp_path):
    """Seven .npz in two folders, and what is no landmarks."""
    source = tmp_path / "corpus"
    for i in range(7):
        write_landmarks(source / ("train" if i < 4 else "val") / f"c{i}.npz", make_clip(i))
    (source / "README").write_text("x")
    (source / ".hidden.npz").write_text("x")
    return source


def files(folder):
    return {p.relative_to(folder).as_posix(): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*")
            if p.is_file() and not p.name.startswith(".") and p.name != "convert.json"}  # fmt: skip


def test_a_folder_to_pose_and_back(corpus, tmp_path, capsys):
    report = convert_landmarks(str(corpus), str(tmp_path / "pose"), to="pose")
    assert (report["listed"], report["made"], report["frames"], report["failed"]) == (7, 7, 28, [])
    assert report == read_json(tmp_path / "pose" / "convert.json")
    out = capsys.readouterr().out
    assert "1 files that are no landmarks are left alone" in out and "7 clips: 7 made, 0 kept, 0 failed" in out
    convert_landmarks(str(tmp_path / "pose"), str(tmp_path / "npz"), to="npz", nj=2)
    for i in range(7):
        name = f"{'train' if i < 4 else 'val'}/c{i}"
        first, last = read_landmarks(corpus / f"{name}.npz"), read_landmarks(tmp_path / "npz" / f"{name}.npz")
        assert (last.layout, last.fps, last.width, last.height) == ("holistic178", FPS, 640, 480)
        np.testing.assert_allclose(last.array, first.array, rtol=0, atol=6e-8)


def test_what_is_done_and_unchanged_is_kept(corpus, tmp_path):
    out = tmp_path / "out"
    convert_landmarks(str(corpus), str(out), to="pose")
    before = files(out)
    assert convert_landmarks(str(corpus), str(out), to="pose", nj=2)["kept"] == 7 and files(out) == before

    write_landmarks(corpus / "val" / "c5.npz", make_clip(9))  # another clip
    (out / "train" / "c1.pose").unlink()
    (out / "train" / "c2.pose").write_bytes(b"cut short")
    with open(out / LOG, "a") as log:
        log.write('{"id": "val/c6", "ke')  # killed while writing
    report = convert_landmarks(str(corpus), str(out), to="pose")
    assert (report["made"], report["kept"]) == (3, 4)
    after = files(out)
    assert {name for name in after if after[name] != before[name]} == {"val/c5.pose", "train/c1.pose", "train/c2.pose"}
    assert after["train/c2.pose"][1] == before["train/c2.pose"][1]
    assert convert_landmarks(str(corpus), str(out), to="pose", layout="hands42")["made"] == 7
    assert convert_landmarks(str(corpus), str(out), to="pose", layout="hands42", force=True)["made"] == 7


def test_a_killed_conversion_goes_on(tmp_path):
    source, out = tmp_path / "corpus", tmp_path / "out"
    for i in range(16):
        write_landmarks(source / f"c{i:02d}.npz", make_clip(i, "holistic543", frames=30))
    command = [sys.executable, "-m", "asl", "landmarks", "convert", str(source), str(out), "--to", "npz", "--layout",
               "hands_body67"]  # fmt: skip
    with subprocess.Popen(command) as process:
        while not (out / "c03.npz").exists() and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    there = sorted(out.glob("c*.npz"))
    assert 4 <= len(there) < 16 and all(read_landmarks(path).layout == "hands_body67" for path in there)
    report = convert_landmarks(str(source), str(out), to="npz", layout="hands_body67")
    assert report["kept"] >= len(there) - 1 and report["kept"] + report["made"] == 16
    names = [*(f"c{i:02d}.npz" for i in range(16)), "convert.json"]
    assert sorted(p.name for p in out.iterdir() if p.name != LOG) == names


def test_what_fails_is_listed_and_leaves_no_file(corpus, tmp_path, capsys):
    out = tmp_path / "out"
    convert_landmarks(str(corpus), str(out), to="pose")
    (corpus / "val" / "c4.npz").write_bytes(b"not landmarks")
    write_landmarks(corpus / "new.npy", make_clip())
    with pytest.raises(AslError, match="2 of 8 clips failed .first: new: .*frames per second.* --max-failures"):
        convert_landmarks(str(corpus), str(out), to="pose")
    assert [row["id"] for row in read_json(out / "convert.json")["failed"]] == ["new", "val/c4"]
    assert not (out / "val" / "c4.pose").exists() and not (out / "new.pose").exists()
    report = convert_landmarks(str(corpus), str(out), to="pose", fps="25", max_failures=0.2)
    assert len(report["failed"]) == 1 and read_landmarks(out / "new.pose").fps == 25
    shown = capsys.readouterr().out
    assert "note: new: the picture's size is not known" in shown
    assert "note: train/c0 and 5 more: it says itself that it has 24000/1001 frames per second" in shown
    assert "failed: val/c4: " in shown


def test_one_clip_alone(corpus, tmp_path, capsys):
    source = corpus / "val" / "c4.npz"
    convert_landmarks(str(source), str(tmp_path / "a.pose"), width=320, height=200)
    assert read_landmarks(tmp_path / "a.pose").width == 640
    assert "its picture is 640 x 480, which is taken" in capsys.readouterr().out
    convert_landmarks(str(source), str(tmp_path / "folder"), to="npy", layout="hands42")
    assert read_landmarks(tmp_path / "folder" / "c4.npy").layout == "hands42"
    assert ".npy files do not hold frames per second" in capsys.readouterr().out


def test_openpose_folders(tmp_path, capsys):
    source = tmp_path / "json"
    body = [[100.0 + i, 200.0, 0.5] for i in range(25)]
    for name in ("a", "b"):
        (source / name).mkdir(parents=True)
        for number in (0, 2):
            people = [{"pose_keypoints_2d": sum(body, [])}]
            (source / name / f"{name}_{number:012d}_keypoints.json").write_text(json.dumps({"people": people}))
    with pytest.raises(AslError, match="do not say how large the picture was"):
        convert_landmarks(str(source), str(tmp_path / "out"), to="pose", fps="25")
    (source / "picture.json").write_text('{"width": 640, "height": 480, "fps": 50}')
    report = convert_landmarks(str(source), str(tmp_path / "out"), to="pose")
    assert report["frames"] == 6 and "a and 1 more: 1 of 3 frame numbers are missing" in capsys.readouterr().out
    found = read_landmarks(tmp_path / "out" / "b.pose")
    assert (found.layout, found.fps, found.width) == ("openpose137", 50, 640) and np.isnan(found.array[1]).all()
    (source / "picture.json").write_text('{"width": 1280, "height": 480, "fps": 50}')
    assert convert_landmarks(str(source), str(tmp_path / "out"), to="pose")["made"] == 2
    convert_landmarks(str(source / "a"), str(tmp_path / "a.npy"))
    np.testing.assert_array_equal(read_landmarks(tmp_path / "a.npy").array, read_landmarks(source / "a").array)


def test_what_makes_no_sense_is_refused(corpus, tmp_path):
    def refused(match, *words, **options):
        with pytest.raises(AslError, match=match):
            convert_landmarks(*map(str, words), **options)

    refused("does not exist", tmp_path / "none", tmp_path / "out", to="pose")
    refused("say by --to", corpus, tmp_path / "out")
    refused("holds many clips", corpus, tmp_path / "out.pose")
    refused("lies in", corpus, corpus / "out", to="pose")
    refused("give both", corpus, tmp_path / "out", to="pose", width=3)
    refused("--nj 0", corpus, tmp_path / "out", to="pose", nj=0)
    refused("is not a .npz file", corpus / "val" / "c4.npz", tmp_path / "x.pose", to="npz")
    refused("is the file that is converted", corpus / "val" / "c4.npz", corpus / "val" / "c4.npz")
    (tmp_path / "empty").mkdir()
    refused("no landmark file in it", tmp_path / "empty", tmp_path / "out", to="pose")
    write_landmarks(corpus / "val" / "c4.pose", make_clip())
    with pytest.raises(AslError, match="c4.npz and .*c4.pose would both become val/c4"):
        list_clips(corpus)


def stored(data, split):
    """The arrays of a split's cuts by id."""
    reader = ArchiveReader()
    found = {cut.id: reader.read(cut) for cut in open_cuts(data, split)}
    reader.close()
    return found


def test_cuts_are_exported_as_they_are_stored(imported, tmp_path, capsys):
    data = imported(train=3, val=2, rates=(FPS,))
    for to in ("pose", "npz", "npy"):
        out = tmp_path / to
        report = export_landmarks(str(out), str(data), "train", to=to)
        assert report["made"] == 3
        assert sorted(p.stem for p in out.glob(f"*.{to}")) == ["train000", "train001", "train002"]
        for clip_id, array in stored(data, "train").items():
            found = read_landmarks(out / f"{clip_id}.{to}")
            np.testing.assert_array_equal(found.array.reshape(len(array), -1), array)  # float16: exact in .pose too
            assert found.layout == "hands42" and found.fps in (FPS, None)
        assert export_landmarks(str(out), str(data), "train", to=to, nj=2)["kept"] == 3
    assert "1024 x 1024 pixels were taken" in capsys.readouterr().out
    export_landmarks(str(tmp_path / "pose"), str(data), "train", width=640, height=480)
    assert read_landmarks(tmp_path / "pose" / "train000.pose").width == 640
    with pytest.raises(AslError, match="hands_body51 cannot be cut out of hands42"):
        export_landmarks(str(tmp_path / "pose"), str(data), "train", layout="hands_body51")


def test_exported_clips_have_their_files_picture_and_follow_their_archives(tmp_path):
    from asl.corpora.manifests import Clip as Listed
    from asl.corpora.manifests import write_manifests

    clips = []
    for i, name in enumerate(("a.b", "d%e")):
        path = tmp_path / "corpus" / f"{name}.npz"
        write_landmarks(path, make_clip(i, "hands_body51"))
        clips.append(Listed(name, "val", "word", "here", path, num_frames=4, fps=FPS))
    write_manifests(clips, tmp_path / "data", None)
    import_landmarks(str(tmp_path / "data"))
    out = tmp_path / "out"
    export_landmarks(str(out), str(tmp_path / "data"))
    assert sorted(p.name for p in out.glob("*.pose")) == ["a.b.pose", "d%25e.pose"]
    found = read_landmarks(out / "a.b.pose")
    assert (found.width, found.height, found.layout) == (640, 480, "hands_body51")
    assert export_landmarks(str(out), str(tmp_path / "data"), layout="hands42")["made"] == 2
    import_landmarks(str(tmp_path / "data"), layout="hands42")
    assert export_landmarks(str(out), str(tmp_path / "data"))["made"] == 2
    assert read_landmarks(out / "a.b.pose").layout == "hands42"
    with pytest.raises(AslError, match="test.*does not exist"):
        export_landmarks(str(out), str(tmp_path / "data"), "test")
