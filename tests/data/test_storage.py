"""Landmarks on disk: nothing is lost, times are exact, folders can be moved, lhotse's commands read them."""

import errno
import os
import pickle
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.data.storage import (
    ArchiveReader, cut_fps, cut_layout, make_cut, open_cuts, write_archive, write_cuts
)  # fmt: skip

RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60000, 1001)]


def lhotse(*words):
    """Run a command of lhotse's own command line in the working directory."""
    from click.testing import CliRunner
    from lhotse.bin.modes import cli_base, cut, validate  # noqa: F401 (importing them adds the commands)
    from lhotse.features.io import close_cached_file_handles

    close_cached_file_handles()  # of the same relative path in another folder
    done = CliRunner().invoke(cli_base.cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def clip(frames=11, dtype=np.float16, seed=0):
    array = np.random.default_rng(seed).normal(0, 1, (frames, 42, 3)).astype(dtype)
    array[2:4, :21] = np.nan
    return array


def write_split(root, clips, rates=(Fraction(25),)):
    """One archive and its cuts for ``{id: array}``."""
    write_archive(root / "landmarks" / "train-00000.h5", clips.items())
    rows = []
    for i, (clip_id, array) in enumerate(clips.items()):
        fps = rates[i % len(rates)]
        duration = len(array) / float(fps)
        supervision = {"id": clip_id, "recording_id": clip_id, "start": 0.0, "duration": duration}
        row = {"id": clip_id}
        rows.append(make_cut(row, supervision, array, fps, "hands42", "../landmarks/train-00000.h5"))
    write_cuts(root / "train" / "cuts.jsonl.gz", rows)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_is_read_is_bit_for_bit_what_was_written(tmp_path, dtype):
    clips = {"a": clip(11, dtype), "b/c.d%": clip(5, dtype, 1), "b": clip(3, dtype, 2)}
    write_split(tmp_path, clips)
    reader = ArchiveReader()
    for cut, array in zip(open_cuts(tmp_path, "train"), clips.values()):
        read = reader.read(cut)
        assert read.dtype == dtype and read.tobytes() == array.tobytes()
        assert cut_layout(cut) == "hands42" and cut.features.num_features == 126
    reader.close()


def test_the_same_clips_give_the_same_bytes(tmp_path):
    for name in ("one.h5", "two.h5"):
        write_archive(tmp_path / name, {"a": clip(), "b": clip(7)}.items())
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()


def test_every_frame_rate_validates_and_truncates_exactly(tmp_path, monkeypatch):
    lengths = (1, 2, 29, 30, 31, 299, 3001)
    clips = {f"c{n}x{r}": clip(n, seed=n) for n in lengths for r in range(len(RATES))}
    write_split(tmp_path, clips, RATES)
    monkeypatch.chdir(tmp_path / "train")
    lhotse("validate", "--read-data", "cuts.jsonl.gz")
    reader = ArchiveReader()
    for i, (cut, array) in enumerate(zip(open_cuts(tmp_path, "train"), clips.values())):
        fps = RATES[i % len(RATES)]
        assert cut.num_frames == len(array) and cut_fps(cut) == fps
        for first, count in [(0, 1), (1, 1), (7, 13), (len(array) - 3, 2)]:
            if first >= 0 and first + count <= len(array):
                part = cut.truncate(offset=first / float(fps), duration=count / float(fps))
                expected = array[first : first + count].reshape(count, -1)
                assert part.num_frames == count
                np.testing.assert_array_equal(reader.read(part), expected)
                np.testing.assert_array_equal(part.load_features(), expected)


def test_lhotse_commands_read_it_from_the_manifests_folder(tmp_path, monkeypatch):
    from lhotse import CutSet

    write_split(tmp_path, {"a": clip(60), "b": clip(45)}, RATES[1:3])
    monkeypatch.chdir(tmp_path / "train")
    lhotse("cut", "truncate", "-d", "1.0", "--preserve-id", "cuts.jsonl.gz", "short.jsonl.gz")
    lhotse("validate", "--read-data", "short.jsonl.gz")
    lhotse("cut", "pad", "-d", "3.0", "cuts.jsonl.gz", "long.jsonl.gz")
    names = ("cuts.jsonl.gz", "short.jsonl.gz", "long.jsonl.gz")
    shapes = [cut.load_features().shape for name in names for cut in CutSet.from_file(name)]
    assert shapes == [(60, 126), (45, 126), (25, 126), (30, 126), (75, 126), (90, 126)]


def test_the_lhotse_command_validates_it(tmp_path):
    write_split(tmp_path, {"a": clip(60), "b": clip(45)}, RATES[1:3])
    command = [Path(sys.executable).with_name("lhotse"), "validate", "--read-data", "cuts.jsonl.gz"]
    subprocess.run(command, cwd=tmp_path / "train", check=True)


def test_a_moved_folder_is_read_from_any_working_directory(tmp_path, monkeypatch):
    write_split(tmp_path / "here", {"a": clip()})
    shutil.move(str(tmp_path / "here"), str(tmp_path / "there"))
    monkeypatch.chdir(tmp_path)
    for data in ("there", tmp_path / "there"):
        (cut,) = open_cuts(data, "train")
        assert os.path.isabs(cut.features.storage_path)
        assert ArchiveReader().read(cut).shape == (11, 126)


def test_cuts_are_a_lazy_lhotse_cutset(tmp_path):
    write_split(tmp_path, {f"c{i}": clip(5, seed=i) for i in range(4)})
    cuts = open_cuts(tmp_path, "train")
    assert cuts.is_lazy
    assert [c.id for c in cuts] == [c.id for c in cuts] == ["c0", "c1", "c2", "c3"]
    assert [c.id for c in cuts.filter(_later)] == ["c2", "c3"]


def _later(cut):
    return cut.id > "c1"


def test_a_missing_manifest_names_the_splits_that_there_are(tmp_path):
    with pytest.raises(AslError, match=r"test/cuts.jsonl.gz does not exist; run stage 2"):
        open_cuts(tmp_path, "test")
    write_split(tmp_path, {"a": clip()})
    with pytest.raises(AslError, match=r"test/cuts.jsonl.gz does not exist; there are cuts for: train"):
        open_cuts(tmp_path, "test")


def test_a_manifest_cut_short_names_file_and_line(tmp_path):
    write_split(tmp_path, {f"c{i}": clip(5, seed=i) for i in range(50)})
    path = tmp_path / "train" / "cuts.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(AslError, match=r"cuts.jsonl.gz after line \d+.*cut short"):
        list(open_cuts(tmp_path, "train"))
    write_cuts(path, [{"id": "x"}])
    with pytest.raises(AslError, match=r"cuts.jsonl.gz line 1: not a cut with landmarks"):
        list(open_cuts(tmp_path, "train"))


def test_a_missing_or_damaged_archive_names_cut_and_file(tmp_path):
    write_split(tmp_path, {"a": clip(), "b": clip()})
    cut, other = open_cuts(tmp_path, "train")
    path = tmp_path / "landmarks" / "train-00000.h5"
    write_archive(path, [("b", clip(4))])
    with pytest.raises(AslError, match=r"cut a: .*train-00000.h5 holds no 'a'"):
        ArchiveReader().read(cut)
    with pytest.raises(AslError, match=r"cut b: .*holds 4 frames .*, the manifest says 11 of 126"):
        ArchiveReader().read(other)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(AslError, match=r"cut a: cannot read .*train-00000.h5"):
        ArchiveReader().read(cut)
    path.unlink()
    with pytest.raises(AslError, match=r"cut a: the manifest names .*train-00000.h5, which does not exist"):
        ArchiveReader().read(cut)


def test_a_full_disk_is_one_sentence_and_leaves_no_archive(tmp_path, monkeypatch):
    def full(self, data):
        with open(self, "wb") as f:
            f.write(data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(AslError, match=r"cannot write .*a.h5: No space left on device; free space"):
        write_archive(tmp_path / "a.h5", [("a", clip())])
    assert list(tmp_path.iterdir()) == []


def test_the_reader_holds_few_archives_open_and_travels_to_other_processes(tmp_path):
    for n in range(5):
        write_split(tmp_path / str(n), {"a": clip(seed=n)})
    cuts = [next(iter(open_cuts(tmp_path / str(n), "train"))) for n in range(5)]
    reader = ArchiveReader(max_open=2)
    first = [reader.read(cut).tobytes() for cut in cuts]
    assert len(reader._open) == 2
    assert [pickle.loads(pickle.dumps(reader)).read(cut).tobytes() for cut in cuts] == first
