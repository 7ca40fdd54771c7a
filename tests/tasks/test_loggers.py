"""Weights & Biases, offline: the same run after a resume; a clear word where the package is not there."""

import sys

import pytest

from asl.common.errors import AslError
from asl.common.files import read_json
from tests.tasks.test_resume import EVERY_STEP, killed_at  # noqa: F401 (a fixture)


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def folders(exp):
    """What the package wrote: a folder for each process that logged."""
    return sorted((exp / "logs" / "wandb").glob("offline-run-*"))


def run_of(folder):
    """A run's id from its folder's name; the package adds a number where two start within one second."""
    return folder.name.split("-")[3]


def test_a_resumed_run_keeps_its_id(run_train, killed_at, offline):  # noqa: F811
    exp, trained = killed_at("exp/a", (7,), "--trainer.max_epochs", "2", "--trainer.wandb", "signs", *EVERY_STEP)
    assert "killed" in trained
    run = read_json(exp / "logs" / "wandb.json")
    assert run["project"] == "signs"
    assert folders(exp) and {run_of(folder) for folder in folders(exp)} == {run["id"]}
    written = b"".join(path.read_bytes() for folder in folders(exp) for path in folder.glob("run-*.wandb"))
    for name in (b"train/loss", b"val/top1", b"grad_norm", b"memory_gb", b"signs"):
        assert name in written
    assert list((exp / "logs").glob("events.out.tfevents*"))


def test_two_runs_of_one_process_are_two(run_train, offline):
    exps = [run_train(f"exp/{name}", "--trainer.max_epochs", "1", "--trainer.wandb", "signs") for name in "ab"]
    ids = [read_json(exp / "logs" / "wandb.json")["id"] for exp in exps]
    assert ids[0] != ids[1]
    assert [[run_of(folder) for folder in folders(exp)] for exp in exps] == [[i] for i in ids]


def test_without_the_package(run_train, monkeypatch, project):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(AslError, match=r"package wandb is not installed; pip install 'asl\[wandb\]'"):
        run_train("exp/a", "--trainer.wandb", "signs")
    assert not (project / "exp/a/logs/wandb.json").exists()
