"""The mean of several epochs' weights as a checkpoint rule: which epochs, what is on disk, what decoding takes."""

import pytest
import torch

from asl.common.compat import torch_load
from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.tasks.checkpoints import AtomicCheckpointIO
from asl.tasks.experiment import load_task, read_result
from asl.tasks.weight_mean import mean_weights
from tests.tasks.test_train import Killed, assert_same
from tests.tasks.toy import ToyTask


@pytest.fixture
def epochs_of(monkeypatch):
    """What ``last.ckpt`` held after each epoch, and how many epoch files lay there then."""
    save, found = AtomicCheckpointIO.save_checkpoint, []

    def watched(self, checkpoint, path, storage_options=None):
        save(self, checkpoint, path, storage_options)
        if path.name == "last.ckpt" and checkpoint["asl"]["batch"] == 0:
            state = {n: v.clone() for n, v in checkpoint["state_dict"].items()}
            found.append((state, len(list(path.parent.glob("epoch-*")))))

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", watched)
    return found


def mean(states):
    return {
        n: torch.stack([s[n].double() for s in states]).mean(0).to(v.dtype) if v.is_floating_point() else v
        for n, v in states[-1].items()
    }


@pytest.mark.parametrize("rule", ["mean_last", "mean_best"])
def test_the_mean_of_the_chosen_epochs_is_what_is_decoded_and_reported(run_train, epochs_of, rule):
    exp = run_train("exp/a", "--trainer.checkpoint", rule, "--trainer.mean_of", "3")
    rows = list(read_jsonl(exp / "logs/epochs.jsonl"))
    chosen = [4, 5, 6]
    if rule == "mean_best":
        chosen = sorted(sorted(range(1, 7), key=lambda e: (-rows[e - 1]["val/top1"], e))[:3])
    expected = mean([epochs_of[e - 1][0] for e in chosen])
    kept = torch_load(exp / "checkpoints/mean.ckpt")
    assert kept["asl"] == {"rule": rule, "epochs": chosen}
    assert_same(kept["state_dict"], expected)
    assert_same(load_task(exp).task.state_dict(), expected)
    assert load_task(exp).checkpoint == rule
    # at most one more than asked for while training, none afterwards
    assert max(files for _, files in epochs_of) == 4
    assert sorted(p.name for p in (exp / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt", "mean.ckpt"]
    result = read_result(exp)
    assert result["checkpoint"] == rule and result["val"].keys() == {"loss", "top1"}
    assert result["val"]["loss"] not in [row["val/loss"] for row in rows]
    with pytest.raises(AslError, match=f"holds no weights by the rule .*: it is of {rule}"):
        load_task(exp, "mean_last" if rule == "mean_best" else "mean_best")


@pytest.mark.parametrize("rule", ["mean_last", "mean_best"])
def test_a_killed_run_ends_with_the_same_mean(run_train, monkeypatch, project, rule):
    options = ["--trainer.checkpoint", rule, "--trainer.mean_of", "2", "--trainer.save_every_steps", "1"]
    whole = run_train("exp/whole", *options)
    step, save, calls = ToyTask.training_step, AtomicCheckpointIO.save_checkpoint, []

    def dying(self, batch, batch_idx):
        calls.append(batch_idx)
        if len(calls) in (9, 18):
            raise Killed
        return step(self, batch, batch_idx)

    def dying_before_last(self, checkpoint, path, storage_options=None):
        calls.append(path.name)
        if path.name == "last.ckpt" and checkpoint["asl"] == {"measured": "state_dict", "epoch": 5, "batch": 0}:
            monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", save)
            raise Killed
        save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(ToyTask, "training_step", dying)
    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", dying_before_last)
    for _ in range(10):
        try:
            killed = run_train("exp/killed", *options)
            break
        except Killed:
            pass
    assert AtomicCheckpointIO.save_checkpoint is save, "it was not killed between the two files"
    one, two = (torch_load(exp / "checkpoints/mean.ckpt") for exp in (whole, killed))
    assert one["asl"] == two["asl"]
    assert_same(one["state_dict"], two["state_dict"])
    assert read_result(whole)["val"] == read_result(killed)["val"]
    # killed once more, after the mean was written and before its result was
    (killed / "train.json").unlink()
    for epoch in one["asl"]["epochs"]:
        AtomicCheckpointIO().save_checkpoint({"state_dict": one["state_dict"]}, killed / f"checkpoints/epoch-{epoch:04d}.ckpt")
    run_train("exp/killed", *options)
    assert_same(torch_load(killed / "checkpoints/mean.ckpt")["state_dict"], one["state_dict"])


def test_a_mean_that_no_run_made_is_refused(run_train):
    exp = run_train("exp/a", "--trainer.max_epochs", "1")
    with pytest.raises(AslError, match="mean.ckpt holds no weights by the rule mean_last: it is made at the end"):
        load_task(exp, "mean_last")
    with pytest.raises(AslError, match="trainer.mean_of is 0"):
        run_train("exp/b", "--trainer.mean_of", "0")


def test_counters_are_those_of_the_last(tmp_path):
    paths = [tmp_path / f"{i}.ckpt" for i in range(3)]
    for i, path in enumerate(paths):
        AtomicCheckpointIO().save_checkpoint({"state_dict": {"w": torch.full((2,), float(i)), "n": torch.tensor(i)}}, path)
    found = mean_weights(paths)
    assert found["w"].tolist() == [1.0, 1.0] and found["w"].dtype == torch.float32 and found["n"] == 2
