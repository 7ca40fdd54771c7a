"""A step whose loss or gradient is not finite leaves nothing behind but a row in a file."""

import math

import lightning as L
import pytest
import torch

from asl.common.compat import torch_load
from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.tasks import base
from asl.tasks.ema import WeightAverage
from asl.tasks.experiment import read_result
from asl.tasks.guards import NonFiniteGuard, judge, some
from tests.tasks.test_resume import EVERY_STEP, killed_at, same_run  # noqa: F401 (a fixture)
from tests.tasks.test_train import Killed
from tests.tasks.toy import ToyData, ToyTask


@pytest.fixture
def spoil(monkeypatch):
    """``spoil(how, (epoch, batch), ...)`` lets these batches go wrong."""
    right = ToyTask.training_loss

    def start(how, *places):
        def training_loss(self, batch):
            loop = self.trainer.fit_loop
            if (loop.epoch_progress.current.processed, loop.epoch_loop.batch_idx) not in places:
                return right(self, batch)
            if how == "input":  # reaches the running means in the forward pass
                return right(self, {**batch, "features": batch["features"] * math.nan})
            losses = right(self, batch)
            if how == "loss":
                return {name: value + math.inf for name, value in losses.items()}
            return {name: value + (0 * self.head.weight).sqrt().sum() for name, value in losses.items()}

        monkeypatch.setattr(ToyTask, "training_loss", training_loss)

    return start


def state(exp):
    checkpoint = torch_load(exp / "checkpoints" / "last.ckpt")
    return [checkpoint[key] for key in ("state_dict", "ema", "optimizer_states")]


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert key == "lr" or assert_equal(a[key], b[key]) is None
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_equal(x, y)
    else:
        assert torch.equal(a, b) if torch.is_tensor(a) else a == b


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("how, what", [("input", "the loss is nan"), ("loss", "the loss is inf"),
                                       ("gradient", "the gradient's norm is nan")])  # fmt: skip
def test_a_bad_step_changes_nothing(run_train, killed_at, spoil, monkeypatch, how, what, precision, capsys):  # noqa: F811
    options = ["--trainer.max_epochs", "1", "--trainer.precision", precision, *EVERY_STEP]
    with monkeypatch.context() as patched:
        # the state after four of five batches
        step = ToyTask.training_step

        def dying(self, batch, batch_idx):
            if batch_idx == 4:
                raise Killed
            return step(self, batch, batch_idx)

        patched.setattr(ToyTask, "training_step", dying)
        with pytest.raises(Killed):
            run_train("exp/four", *options)
    spoil(how, (0, 4))
    exp = run_train("exp/bad", *options)
    assert_equal(state(exp), state(exp.parent / "four"))
    row, = read_jsonl(exp / "logs" / "nonfinite.jsonl")
    assert (row["epoch"], row["batch"], row["what"], row["dropped"]) == (1, 5, what, 8)
    assert len(row["ids"]) == 8 and all(i.startswith("clip") for i in row["ids"])
    epoch, = read_jsonl(exp / "logs" / "epochs.jsonl")
    assert epoch["nonfinite"] == 1 == read_result(exp)["nonfinite"]
    assert math.isfinite(epoch["train/loss"]) and math.isfinite(epoch["grad_norm"])
    # the schedule goes on: a step that was not made is a step of it
    assert epoch["step"] == 5 and epoch["lr"] == 0
    assert f"epoch 1, batch 5: {what}, the step of 8 clips is left out (1 of at most 10; clip" in capsys.readouterr().out


def test_accumulated_gradients_are_dropped_together(run_train, spoil, monkeypatch):
    options = ["--trainer.max_epochs", "1", "--trainer.accumulate_grad_batches", "2", "--data.clips", "32"]
    options += EVERY_STEP
    with monkeypatch.context() as patched:
        step = ToyTask.training_step

        def dying(self, batch, batch_idx):
            if batch_idx == 2:
                raise Killed
            return step(self, batch, batch_idx)

        patched.setattr(ToyTask, "training_step", dying)
        with pytest.raises(Killed):
            run_train("exp/two", *options)
    spoil("input", (0, 2))  # the first of the two batches of the last step
    exp = run_train("exp/bad", *options)
    assert_equal(state(exp), state(exp.parent / "two"))
    row, = read_jsonl(exp / "logs" / "nonfinite.jsonl")
    assert row["batch"] == 3 and len(row["ids"]) == 8 and row["dropped"] == 16


def test_past_the_limit_training_stops_and_names_the_clips(run_train, spoil, project):
    spoil("input", (0, 1), (1, 0), (1, 3))
    with pytest.raises(AslError) as error:
        run_train("exp/a", "--trainer.max_nonfinite", "2")
    message = str(error.value)
    assert message.startswith("epoch 2, batch 4: the loss is nan (clips clip") and "3 more" in message
    assert "trainer.max_nonfinite 2" in message and "nonfinite.jsonl" in message and "optimizer.lr" in message
    assert len(list(read_jsonl(project / "exp/a/logs/nonfinite.jsonl"))) == 3
    # what came before is kept: the limit is no part of what a run is, and it goes on from there
    exp = run_train("exp/a", "--trainer.max_nonfinite", "3")
    assert read_result(exp)["nonfinite"] == 3


def test_a_resumed_run_leaves_out_the_same_steps(run_train, killed_at, spoil):  # noqa: F811
    spoil("input", (0, 1), (2, 3))
    whole = run_train("exp/whole")
    broken, trained = killed_at("exp/broken", (4, 9, 15), *EVERY_STEP)
    assert trained.count("killed") == 3
    same_run(whole, broken)
    rows = [list(read_jsonl(exp / "logs" / "nonfinite.jsonl")) for exp in (whole, broken)]
    assert rows[0] == rows[1] and len(rows[0]) == 2


def test_the_same_without_a_limit_of_the_gradient(run_train, spoil):
    spoil("gradient", (1, 2))
    exp = run_train("exp/a", "--trainer.gradient_clip_val", "0", "--trainer.max_epochs", "2")
    assert all(torch.isfinite(v).all() for v in state(exp)[0].values())
    assert read_result(exp)["nonfinite"] == 1


def test_what_becomes_of_a_step():
    assert judge(False, False, None) is None and judge(False, False, 1024.0) is None
    assert judge(True, False, None) == judge(True, True, 1024.0) == "nonfinite"
    assert judge(False, True, None) == "nonfinite"
    assert judge(False, True, 1024.0) == "scale"  # fp16's way of finding its scale
    assert judge(False, True, 1.0) == "nonfinite"  # nothing left to lower


def test_ids_in_a_message():
    assert some(["a", "b"]) == "a, b"
    assert some([str(i) for i in range(9)]) == "0, 1, 2, 3, 4 and 4 more"


if hasattr(torch.amp, "GradScaler"):  # from torch 2.3 on fp16 works on a CPU too, though nobody would want it

    def test_fp16_lowering_its_scale_is_no_failure(tmp_path, monkeypatch):
        from lightning.pytorch.plugins import MixedPrecision

        from tests.tasks import toy

        plain = torch.optim.AdamW
        monkeypatch.setattr(base, "adamw", lambda groups, lr, betas: plain(groups, lr=lr, betas=betas))
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**30)  # the first gradients overflow
        guard, average = NonFiniteGuard(tmp_path, limit=0), WeightAverage(0.5, validate=False)
        seen = []

        class Watch(L.Callback):
            def on_train_batch_end(self, trainer, task, *args):
                weight = task.head.weight.detach().clone()
                seen.append((task.left_out, weight, average.average["head.weight"].clone()))

        torch.manual_seed(0)
        data = ToyData(toy.Pipeline())
        task = ToyTask(lambda parts: toy.ToyEncoder(parts, 8), feature_parts=data.pipeline.feature_parts, vocab_size=5)
        start = task.head.weight.detach().clone()
        trainer = L.Trainer(
            accelerator="cpu", max_epochs=8, plugins=[MixedPrecision("16-mixed", "cpu", scaler)], logger=False,
            callbacks=[guard, average, Watch()], enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, gradient_clip_val=1.0,
        )  # fmt: skip
        trainer.fit(task, datamodule=data)
        outcomes = [left_out for left_out, *_ in seen]
        lowered = outcomes.index(None)
        assert lowered >= 5 and set(outcomes[:lowered]) == {"scale"} and "nonfinite" not in outcomes
        for _, weight, averaged in seen[:lowered]:
            assert torch.equal(weight, start) and torch.equal(averaged, start)
        assert not torch.equal(seen[-1][1], start) and guard.rows == []
        assert scaler.get_scale() < 2.0**26
