"""Training: it learns, it goes on where it was killed, it leaves all that a run was."""

import json
import random
import signal
import time

from pathlib import Path

import pytest
import torch

from asl.common.compat import torch_load
from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.tasks.experiment import load_task, read_result
from asl.tasks.train import main


def weights(exp, key="state_dict", name="last"):
    return torch_load(exp / "checkpoints" / f"{name}.ckpt")[key]


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert [n for n in a if not torch.equal(a[n], b[n])] == []


def test_overfitting_a_few_clips_reaches_no_error(run_train):
    exp = run_train(
        "exp/few", "--overfit", "5", "--trainer.max_epochs", "80",
        "--task.init_args.encoder.init_args.dropout", "0",
    )
    assert read_result(exp)["val"]["top1"] == 1.0


def test_what_a_run_leaves(run_train, capsys):
    exp = run_train()
    assert sorted(p.name for p in (exp / "lang").iterdir()) == ["lexicon.txt", "tokens.txt", "words.txt"]
    assert sorted(p.name for p in (exp / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert list((exp / "logs").glob("events.out.tfevents*"))
    assert (exp / "curves.png").read_bytes()[:4] == b"\x89PNG"
    version = json.loads((exp / "version.json").read_text())
    assert version["packages"]["torch"] and version["seed"] == 3
    assert version["command"][:2] == ["asl", "train"]
    assert {"commit", "dirty", "python"} <= version.keys()

    rows = list(read_jsonl(exp / "logs" / "epochs.jsonl"))
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    names = {"train/loss", "val/top1", "lr", "grad_norm", "clips_per_second", "data_wait", "seconds"}
    assert names <= rows[0].keys()
    assert all(0 <= row["data_wait"] <= 1 for row in rows)
    assert rows[-1]["lr"] == 0 and rows[0]["lr"] == pytest.approx(1e-2)

    result = read_result(exp)
    assert result["val"]["top1"] == rows[-1]["val/top1"] and result["checkpoint"] == "last"
    assert result["parameters"] == sum(p.numel() for p in load_task(exp).task.parameters())
    assert result["best"]["val"]["top1"] == max(row["val/top1"] for row in rows)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("epoch ") for line in lines) == 6


def test_the_seed_decides_and_only_the_seed(run_train):
    a = weights(run_train("exp/a", "--trainer.max_epochs", "2"))
    b = weights(run_train("exp/b", "--trainer.max_epochs", "2"))
    c = weights(run_train("exp/c", "--trainer.max_epochs", "2", "--seed", "4"))
    assert_same(a, b)
    assert not torch.equal(a["head.weight"], c["head.weight"])


class Killed(Exception):
    pass


def timeless(exp):
    timed = ("seconds", "data_wait", "clips_per_second", "memory_gb")
    rows = read_jsonl(exp / "logs" / "epochs.jsonl")
    return [{k: v for k, v in row.items() if k not in timed} for row in rows]


@pytest.mark.parametrize(
    "options", [[], ["--trainer.accumulate_grad_batches", "2", "--trainer.checkpoint", "ema"]]
)
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(run_train, monkeypatch, options):
    from tests.tasks.toy import ToyTask

    whole = run_train("exp/whole", *options)
    step = ToyTask.training_step
    calls = []

    def dying(self, batch, batch_idx):
        calls.append(batch_idx)
        if len(calls) in (13, 20):  # in the middle of an epoch: it is trained again from its start
            raise Killed
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ToyTask, "training_step", dying)
    for _ in range(2):
        with pytest.raises(Killed):
            run_train("exp/broken", *options)
    broken = run_train("exp/broken", *options)
    assert_same(weights(whole), weights(broken))
    assert_same(weights(whole, "ema"), weights(broken, "ema"))
    assert_same(weights(whole, name="best"), weights(broken, name="best"))
    assert timeless(whole) == timeless(broken)
    assert read_result(whole)["val"] == read_result(broken)["val"]


@pytest.mark.slow
def test_sigkill_at_any_moment_leaves_whole_checkpoints_and_the_same_end(run_train, start_train, project):
    options = ["--trainer.max_epochs", "60"]
    chance = random.Random(1)
    kills = 0
    while kills < 2:
        process = start_train("exp/killed", *options)
        for line in process.stdout:
            if line.startswith("epoch "):
                break
        time.sleep(chance.uniform(0, 0.4))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        for name in ("last", "best"):
            assert "state_dict" in torch_load(project / f"exp/killed/checkpoints/{name}.ckpt")
    assert kills >= 1
    killed = run_train("exp/killed", *options)
    whole = run_train("exp/whole", *options)
    assert_same(weights(killed), weights(whole))


def test_a_finished_run_is_not_trained_again(run_train, capsys):
    exp = run_train()
    before = (exp / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    run_train()
    assert "trained already" in capsys.readouterr().out
    assert (exp / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before


def test_a_run_killed_after_its_last_epoch_still_gets_its_result(run_train):
    exp = run_train()
    before = read_result(exp)
    (exp / "train.json").unlink()
    run_train()
    assert read_result(exp) == before


def test_another_configuration_in_the_same_folder_is_refused_and_named(run_train, project):
    exp = run_train()
    with pytest.raises(AslError) as error:
        run_train("exp/a", "--task.init_args.smoothing", "0.2", "--trainer.max_epochs", "7")
    message = str(error.value)
    assert "task.init_args.smoothing (0.0 there, 0.2 now)" in message
    assert "trainer.max_epochs (6 there, 7 now)" in message and "--force" in message
    # where it runs is no part of what it is
    run_train("exp/a", "--threads", "1", "--data.num_workers", "1")
    run_train("exp/a", "--task.init_args.smoothing", "0.2", "--force")
    assert load_task(exp).config.task.init_args.smoothing == 0.2


def test_other_tokens_in_the_same_folder_are_refused(run_train, project):
    run_train()
    tokens = project / "data" / "lang" / "tokens.txt"
    tokens.write_text(tokens.read_text().replace("sign1", "other"))
    with pytest.raises(AslError, match="other tokens"):
        run_train()


def test_patience_stops_early_and_stays_stopped(run_train):
    options = ["--trainer.patience", "2", "--trainer.max_epochs", "60"]
    options += ["--task.init_args.optimizer.lr", "1e-9"]
    exp = run_train("exp/a", *options)
    result = read_result(exp)
    assert result["epochs"] == result["best"]["epoch"] + 2 < 60
    (exp / "train.json").unlink()
    run_train("exp/a", *options)
    assert read_result(exp)["epochs"] == result["epochs"]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_checkpoint(run_train, monkeypatch, project):
    from tests.tasks.toy import ToyTask

    loss = ToyTask.training_loss

    def broken(self, batch):
        factor = float("nan") if self.trainer.current_epoch == 2 else 1.0
        return {name: value * factor for name, value in loss(self, batch).items()}

    monkeypatch.setattr(ToyTask, "training_loss", broken)
    with pytest.raises(AslError, match="nan in epoch 3"):
        run_train()
    assert all(torch.isfinite(v).all() for v in weights(project / "exp/a").values())


def test_vocabulary_of_an_older_config_that_does_not_fit_the_data_is_refused(run_train, project):
    with pytest.raises(AslError, match="vocab_size 9, the data have 5"):
        run_train("exp/a", "--task.init_args.vocab_size", "9")


def test_batches_of_another_width_name_both_numbers(run_train, monkeypatch):
    from tests.tasks.toy import ToyData

    batch = ToyData.batch

    def wider(self, rows):
        narrow = batch(self, rows)
        return {**narrow, "features": torch.cat([narrow["features"]] * 2, -1)}

    monkeypatch.setattr(ToyData, "batch", wider)
    with pytest.raises(AslError, match="takes 6 features a frame, the data have 12"):
        run_train()


class TestInitFrom:
    def test_the_weights_of_the_other_run_are_the_start(self, run_train, project):
        first = run_train("exp/first", "--trainer.checkpoint", "ema")
        second = run_train(
            "exp/second", "--init-from", "exp/first",
            "--task.init_args.optimizer.lr", "0", "--trainer.ema_decay", "0",
        )
        names = [n for n in weights(second) if n.startswith(("head", "encoder.layer"))]
        assert names and all(torch.equal(weights(first, "ema")[n], weights(second)[n]) for n in names)

    def test_differences_are_refused_by_name_unless_allowed(self, run_train, project):
        from asl.lang.prepare import write_lang

        first = run_train("exp/first")
        write_lang([f"sign{i}" for i in range(6)], project / "data" / "lang")
        with pytest.raises(AslError) as error:
            run_train("exp/second", "--init-from", "exp/first")
        assert "head.weight (5, 8) there, (7, 8) here" in str(error.value)
        assert "--init-allow" in str(error.value)
        with pytest.raises(AslError, match="hed: no parameter has this prefix; did you mean 'head'"):
            run_train("exp/second", "--init-from", "exp/first", "--init-allow", "hed")
        second = run_train(
            "exp/second", "--init-from", "exp/first", "--init-allow", "head",
            "--task.init_args.optimizer.lr", "0", "--trainer.ema_decay", "0",
        )
        assert weights(second)["head.weight"].shape == (7, 8)
        assert torch.equal(weights(first)["encoder.layer.weight"], weights(second)["encoder.layer.weight"])

    def test_a_run_that_is_not_there(self, run_train):
        with pytest.raises(AslError, match="no experiment folder exp/nowhere"):
            run_train("exp/second", "--init-from", "exp/nowhere")


def test_disk_full_while_a_checkpoint_is_written(run_train, monkeypatch, project):
    import errno

    write = Path.write_bytes

    def full(path, data):
        write(path, bytes(data)[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(AslError, match="No space left"):
        run_train()
    assert not list((project / "exp/a/checkpoints").iterdir())
    monkeypatch.setattr(Path, "write_bytes", write)
    run_train()


def test_exp_is_asked_for(project):
    with pytest.raises(AslError, match="--exp"):
        main(["--config", "conf.yaml"])
