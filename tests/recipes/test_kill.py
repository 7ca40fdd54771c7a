"""Killed at any moment and started again, a recipe ends with the same result: nothing lost, nothing twice."""

import gzip
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from asl.common.jsonl import read_jsonl
from asl.data.storage import ArchiveReader, open_cuts

pytestmark = pytest.mark.fault
MOMENTS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the time that the stage takes undisturbed


def outcome(recipe):
    """All that the stages are for: manifests, arrays by clip, hypotheses and numbers."""
    found = {}
    for path in sorted(recipe.folder.glob("data/*/*.jsonl.gz")):
        found[f"{path.parent.name}/{path.name}"] = gzip.decompress(path.read_bytes())
    for path in sorted(recipe.folder.glob("data/lang/*.txt")):
        found[path.name] = path.read_bytes()
    reader = ArchiveReader()
    for split in ("train", "val", "test"):
        for cut in open_cuts(recipe.folder / "data", split):
            assert (split, cut.id) not in found, "a clip stands twice"
            found[split, cut.id] = np.asarray(reader.read(cut)).tobytes()
    for path in sorted(recipe.exp.glob("decode_*/hyp.jsonl")):
        found[f"{path.parent.name} hypotheses"] = list(read_jsonl(path))
    for path in sorted(recipe.exp.glob("decode_*/wer_*")):
        found[f"{path.parent.name} numbers"] = path.read_bytes()
    return found


def undo(recipe, stage):
    """Remove what ``stage`` and the later ones made (training stays: it is not what is killed here)."""
    if stage == 1:
        shutil.rmtree(recipe.folder / "data")
    if stage == 2:
        shutil.rmtree(recipe.folder / "data/landmarks")
        for path in recipe.folder.glob("data/*/cuts.jsonl.gz"):
            path.unlink()
    if stage == 5:
        shutil.rmtree(recipe.exp / "graph")
    if stage >= 5:
        for path in recipe.exp.glob("decode_*"):
            shutil.rmtree(path)


@pytest.mark.parametrize("stage", [1, 2, 5, 6])
def test_killed_and_started_again(new_recipe, tmp_path, stage):
    recipe = new_recipe(tmp_path, "--engine", "kaldi")
    recipe.run("--stop-stage", "6")
    expected = outcome(recipe)
    undo(recipe, stage)
    began = time.monotonic()
    recipe.run("--stage", stage, "--stop-stage", stage)
    whole = time.monotonic() - began
    kills = 0
    for moment in MOMENTS:
        undo(recipe, stage)
        running = subprocess.Popen(
            recipe.command("--stage", stage, "--stop-stage", stage),
            env=recipe.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        time.sleep(moment * whole)
        kills += running.poll() is None
        os.killpg(running.pid, signal.SIGKILL) if running.poll() is None else None
        running.wait()
        recipe.run("--stage", stage, "--stop-stage", stage)
        recipe.run("--stage", 2 if stage < 5 else stage, "--stop-stage", "6")
        assert outcome(recipe) == expected, f"killed after {moment:.0%} of stage {stage}"
        assert not list(recipe.folder.rglob(".tmp*"))
    assert kills >= 3, "the stage was over before it was killed: nothing was tested"
