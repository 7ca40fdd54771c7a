"""The benchmark of extraction runs, and tells landmarks that are the same from others."""

import json
import subprocess
import sys

import numpy as np

from asl.landmarks.estimator import make_estimator
from asl.landmarks.npz_files import write_npz
from asl.landmarks.spans import Span, extract_spans
from tests.bench.extract import compare
from tests.landmarks import made_videos as made


def test_it_compares_part_by_part():
    rng = np.random.default_rng(0)
    part = rng.random((5, 21, 3)).astype(np.float32)
    part[2] = np.nan
    half = part.astype(np.float16)
    row = compare(part, half)
    assert row["same_shape"] and row["same_frames_found"] and row["same_bits"] and row["found"] == 4
    assert row["mean"] == float(np.nanmean(np.abs(part - half.astype(np.float32))[..., :2]))
    moved = part + np.float32(0.01)
    moved[3] = np.nan
    row = compare(moved, part)
    assert not row["same_bits"] and not row["same_frames_found"] and abs(row["mean"] - 0.01) < 1e-6
    assert compare(part[:4], part) == {"same_shape": False}


def test_it_runs(tmp_path, root):
    clips, landmarks = tmp_path / "clips", tmp_path / "landmarks"
    clips.mkdir()
    landmarks.mkdir()
    path = made.numbered_video(clips / "a.mp4", 4)
    estimator = make_estimator()
    (extracted,) = extract_spans(path, [Span("a")], estimator)
    estimator.close()
    write_npz(landmarks / "a.npz", extracted, {})
    command = [sys.executable, str(root / "tests/bench/extract.py"), "--only", "reference", "time", "--rounds", "1"]
    folders = ["--corpus-dir", str(tmp_path), "--out", str(tmp_path)]
    done = subprocess.run([*command, *folders], stdout=subprocess.PIPE, text=True, check=True)
    assert "same_bits: 4 of 4 parts of 1 clips" in done.stdout and "asl, file to file" in done.stdout
    result = json.loads((tmp_path / "extract.json").read_text())
    assert result["time"]["frames"] == 4 and len(result["time"]["seconds"]) == 4
