"""Stage 2: every clip once, the same bytes whenever it dies, and each kind of bad clip named."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import asl.data.archives
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.common.jsonl import read_jsonl, write_jsonl
from asl.data.importing import import_landmarks
from asl.data.storage import ArchiveReader, open_cuts

from .conftest import two_hands


@pytest.fixture(autouse=True)
def small_archives(monkeypatch):
    monkeypatch.setattr(asl.data.archives, "MAX_CLIPS", 4)


def contents(data):
    """Every file of stage 2 and its bytes."""
    files = [*(data / "landmarks").rglob("*"), *data.glob("*/cuts.jsonl.gz"), *data.rglob(".tmp*")]
    return {str(p.relative_to(data)): p.read_bytes() for p in files if p.is_file()}


def ids(data, split):
    return [cut.id for cut in open_cuts(data, split)]


def test_every_clip_is_there_once_with_its_text_and_its_landmarks(make_data, capsys):
    data = make_data(train=10, val=3)
    report = import_landmarks(str(data))
    assert ids(data, "train") == [f"train{i:03d}" for i in range(10)] and len(ids(data, "val")) == 3
    assert report["splits"]["train"]["clips"] == 10 and report["layouts"] == {"hands42": "train000"}
    assert report == read_json(data / "landmarks" / "report.json")
    assert sorted(p.name for p in (data / "landmarks").glob("*.h5")) == [
        "train-00000.h5", "train-00001.h5", "train-00002.h5", "val-00000.h5",
    ]  # fmt: skip
    cut = next(iter(open_cuts(data, "train")))
    read = ArchiveReader().read(cut).reshape(-1, 42, 3)
    source = two_hands(20, seed=0).reshape(20, 42, 3)
    known = np.isfinite(read[..., 0])
    assert read.dtype == np.float16 and known.sum() == (source[..., 0] != -1).sum()
    assert cut.supervisions[0].text == "book" and cut.supervisions[0].speaker == "signer0"
    out = capsys.readouterr().out
    assert "two hands" in out and "train" in out and "4 archives made" in out


def test_any_number_of_processes_gives_the_same_bytes(make_data):
    data = make_data(train=10, val=3)
    import_landmarks(str(data))
    one = contents(data)
    import_landmarks(str(data), nj=2, force=True)
    assert contents(data) == one


def test_finished_archives_are_kept_and_changed_inputs_are_made_again(make_data, capsys):
    data = make_data(train=10, val=3)
    import_landmarks(str(data))
    before = contents(data)
    times = {p: p.stat().st_mtime_ns for p in (data / "landmarks").glob("*.h5")}
    import_landmarks(str(data))
    assert contents(data) == before
    assert {p: p.stat().st_mtime_ns for p in times} == times
    assert "0 archives made" in capsys.readouterr().out

    source = data.parent / "corpus" / "train005.npy"
    np.save(source, np.load(source)[::-1])
    import_landmarks(str(data))
    changed = {name for name, content in contents(data).items() if content != before[name]}
    assert "landmarks/train-00001.h5" in changed and "landmarks/train-00000.h5" not in changed
    assert "1 archives made" in capsys.readouterr().out


def test_a_damaged_archive_is_made_again(make_data):
    data = make_data(train=5)
    import_landmarks(str(data))
    before = contents(data)
    archive = data / "landmarks" / "train-00000.h5"
    archive.write_bytes(archive.read_bytes()[:1000])
    import_landmarks(str(data))
    assert contents(data) == before


def test_clips_that_are_no_longer_listed_leave_nothing_behind(make_data):
    data = make_data(train=10, val=3)
    import_landmarks(str(data))
    for kind in ("recordings", "supervisions"):
        path = data / "train" / f"{kind}.jsonl.gz"
        write_jsonl(path, list(read_jsonl(path))[:5])
        (data / "val" / f"{kind}.jsonl.gz").unlink()
    (data / "val" / "cuts.jsonl.gz").unlink()
    import_landmarks(str(data))
    assert len(ids(data, "train")) == 5
    assert sorted(contents(data)) == [
        "landmarks/.index/train-00000.jsonl.gz", "landmarks/.index/train-00001.jsonl.gz",
        "landmarks/report.json", "landmarks/train-00000.h5", "landmarks/train-00001.h5",
        "train/cuts.jsonl.gz",
    ]  # fmt: skip


@pytest.mark.parametrize("nj", [1, 2])
def test_killed_at_any_moment_and_started_again_it_ends_the_same(make_data, root, nj):
    data = make_data(train=30, val=5)
    import_landmarks(str(data))
    whole = contents(data)
    slow = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "import asl.data.archives as a, asl.common.files as f, os\n"
        "a.MAX_CLIPS = 4; read = a._read_clip; replace = os.replace\n"
        "def slow(*args): time.sleep(0.01); return read(*args)\n"
        "def slow_replace(*args): time.sleep(0.02); replace(*args); time.sleep(0.02)\n"
        "a._read_clip = slow; os.replace = slow_replace\n"
        "from asl.data.importing import import_landmarks\n"
        "print('ready', flush=True)\n"
        "import_landmarks(sys.argv[2], nj=int(sys.argv[3]), force=len(sys.argv) > 4)"
    )
    command = [sys.executable, "-c", slow, str(root), str(data), str(nj)]
    kills = 0
    for i, wait in enumerate((0.03, 0.17, 0.31, 0.45, 0.6)):
        child = subprocess.Popen(command + ["force"] * (i == 0), stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "ready\n"
        time.sleep(wait)
        kills += child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert kills >= 2
    time.sleep(1.0 if nj > 1 else 0)  # the workers of the killed one see that it is gone
    import_landmarks(str(data))
    assert contents(data) == whole


def test_while_archives_change_there_are_no_cuts(make_data, monkeypatch):
    data = make_data(train=5)
    import_landmarks(str(data))

    def die(job):
        raise KeyboardInterrupt

    monkeypatch.setattr("asl.data.importing.make_archive", die)
    with pytest.raises(KeyboardInterrupt):
        import_landmarks(str(data), force=True)
    assert not (data / "train" / "cuts.jsonl.gz").exists()


def spoil(path: Path, how: str):
    array = np.load(path)
    if how == "missing":
        path.unlink()
    elif how == "cut short":
        path.write_bytes(path.read_bytes()[:500])
    elif how == "shape":
        np.save(path, array[:, :, :20])
    elif how == "nothing found":
        np.save(path, np.full_like(array, -1))
    elif how == "zero frames":
        np.save(path, array[:0])
    elif how == "other length":
        np.save(path, np.concatenate([array, array[:3]]))


@pytest.mark.parametrize(
    "how, kind, message",
    [
        ("missing", "missing", "train002.npy"),
        ("cut short", "unusable", "train002.npy.*cut short"),
        ("shape", "unusable", r"train002.npy: shape \(34, 2, 20, 3\)"),
        ("nothing found", "unusable", "train002.npy: no hand .*found in any of its 34 frames"),
        ("zero frames", "unusable", "train002.npy: zero frames"),
        ("other length", "changed", "train002.npy has 37 frames, but stage 1 wrote down 1.360 s"),
    ],
)
def test_a_clip_that_cannot_be_used_is_named_and_may_be_left_out(make_data, capsys, how, kind, message):
    data = make_data(train=10, val=2)
    spoil(data.parent / "corpus" / "train002.npy", how)
    message = rf"train: 1 of 10 clips cannot be used \(first: train002: .*{message}"
    with pytest.raises(AslError, match=message):
        import_landmarks(str(data))
    assert not list(data.glob("*/cuts.jsonl.gz"))
    report = read_json(data / "landmarks" / "report.json")
    assert [(f["id"], f["kind"]) for f in report["failed"]] == [("train002", kind)]
    assert f"{kind}: train002 (train): " in capsys.readouterr().out

    import_landmarks(str(data), max_failures=0.1)
    assert "0 archives made" in capsys.readouterr().out
    assert len(ids(data, "train")) == 9 and "train002" not in ids(data, "train")


def test_a_split_without_any_usable_clip_is_an_error_at_any_allowance(make_data):
    data = make_data(train=2, val=1)
    spoil(data.parent / "corpus" / "val000.npy", "nothing found")
    with pytest.raises(AslError, match="val: 1 of 1 clips cannot be used"):
        import_landmarks(str(data), max_failures=1.0)


def test_a_full_disk_is_one_sentence_and_leaves_no_half_written_file(make_data, monkeypatch):
    data = make_data(train=10)
    write, written = Path.write_bytes, []

    def full(self, content):
        written.append(self)
        if len(written) == 2:
            write(self, content[:100])
            raise OSError(28, "No space left on device")
        return write(self, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(AslError, match="cannot write .*train-00001.h5: No space left on device; free space"):
        import_landmarks(str(data))
    assert sorted(contents(data)) == ["landmarks/.index/train-00000.jsonl.gz", "landmarks/train-00000.h5"]
    monkeypatch.undo()
    monkeypatch.setattr(asl.data.archives, "MAX_CLIPS", 4)
    import_landmarks(str(data))
    assert len(ids(data, "train")) == 10


def test_manifests_that_do_not_fit_are_refused(make_data, tmp_path):
    with pytest.raises(AslError, match="run stage 1"):
        import_landmarks(str(tmp_path))
    data = make_data(train=4)
    recordings, supervisions = (data / "train" / f"{k}.jsonl.gz" for k in ("recordings", "supervisions"))
    rows = list(read_jsonl(supervisions))
    for wrong in ([rows[0], *rows[2:]], [*rows, {**rows[0], "id": "x", "recording_id": "x"}], rows[:3]):
        write_jsonl(supervisions, wrong)
        with pytest.raises(AslError, match="supervisions.jsonl.gz.*run stage 1 again"):
            import_landmarks(str(data))
    write_jsonl(supervisions, rows)
    recordings.write_bytes(recordings.read_bytes()[:-30])
    with pytest.raises(AslError, match="recordings.jsonl.gz.*cut short"):
        import_landmarks(str(data))


def test_clips_of_different_layouts_are_refused(make_data):
    data = make_data(train=4)
    path = data.parent / "corpus" / "train003.npy"
    np.save(path, np.random.default_rng(0).random((len(np.load(path)), 33, 4)).astype(np.float32))
    with pytest.raises(AslError, match=r"hands42 \(clip train000\), pose33 \(clip train003\).*--layout"):
        import_landmarks(str(data))


def test_wrong_options_are_refused(make_data):
    data = str(make_data(train=1))
    with pytest.raises(AslError, match="--nj 0"):
        import_landmarks(data, nj=0)
    with pytest.raises(AslError, match="--max-failures 5"):
        import_landmarks(data, max_failures=5)
    with pytest.raises(AslError, match="did you mean 'hands42'"):
        import_landmarks(data, layout="hand42")


@pytest.mark.corpora
def test_real_clips_come_through_whole(corpora, tmp_path, monkeypatch):
    from asl.corpora.wlasl import prepare

    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    prepare(corpus_dir=str(corpora / "wlasl"), subset=5)
    report = import_landmarks()
    stage1 = json.loads(Path("data/report.json").read_text())
    for split in ("train", "val"):
        assert report["splits"][split]["clips"] == stage1["splits"][split]["found"] == len(ids("data", split))
    assert os.path.getsize("data/landmarks/train-00000.h5") < 4e6
