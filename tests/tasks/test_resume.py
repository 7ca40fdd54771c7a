"""A run that is killed inside an epoch goes on at the next batch and ends as if nothing had happened."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from asl.tasks.checkpoints import AtomicCheckpointIO, Place, read_place
from asl.tasks.experiment import read_result
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_train import Killed, assert_same, timeless, weights
from tests.tasks.toy import ToyTask

EVERY_STEP = ["--trainer.save_every_steps", "1"]


def same_run(a, b):
    """Weights, averages and the rows of all epochs, to the last bit."""
    for key, name in (("state_dict", "last"), ("ema", "last"), ("state_dict", "best")):
        assert_same(weights(a, key, name), weights(b, key, name))
    assert timeless(a) == timeless(b)
    first, second = read_result(a), read_result(b)
    assert [k for k in first if k not in ("train_seconds", "clips_per_second", "data_wait") and first[k] != second[k]] == []


@pytest.fixture
def killed_at(run_train, monkeypatch):
    """``killed_at(exp, batches, *options)`` trains and dies before the so many-th batch of all, again and again."""
    step = ToyTask.training_step

    def run(exp, batches, *options):
        trained = []

        def dying(self, batch, batch_idx):
            if len(trained) in batches:
                trained.append("killed")
                raise Killed
            trained.append((self.trainer.current_epoch, batch_idx))
            return step(self, batch, batch_idx)

        with monkeypatch.context() as patched:
            patched.setattr(ToyTask, "training_step", dying)
            while True:
                try:
                    return run_train(exp, *options), trained
                except Killed:
                    pass

    return run


# six epochs of five batches
@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    "options",
    [[], ["--trainer.accumulate_grad_batches", "2", "--trainer.checkpoint", "ema"]],
    ids=["plain", "accumulated"],
)
def test_going_on_inside_an_epoch(run_train, killed_at, options, workers):
    options = [*options, "--data.num_workers", workers]
    whole = run_train("exp/whole", *options)
    # first, second, fourth (an odd one) and last batch of an epoch, and twice in one epoch
    broken, trained = killed_at("exp/broken", (1, 7, 14, 17, 21, 25), *options, *EVERY_STEP)
    assert trained.count("killed") == 6
    same_run(whole, broken)
    if "2" in options[1:2]:
        return
    # each batch was trained once, in order and numbered as if nothing had happened
    assert [place for place in trained if place != "killed"] == [(e, b) for e in range(6) for b in range(5)]


def test_only_what_was_not_saved_is_trained_again(run_train, killed_at):
    whole = run_train("exp/whole")
    broken, trained = killed_at("exp/broken", (9,), "--trainer.save_every_steps", "3")
    # steps 3 and 6 (the second batch of epoch 2; epoch 1's end made a checkpoint of step 5): 5 + 3 = 8
    assert trained[8:12] == [(1, 3), "killed", (1, 3), (1, 4)]
    same_run(whole, broken)


def test_a_checkpoint_knows_its_place_and_one_at_the_clock_is_written(run_train, project, monkeypatch):
    places = []
    step = ToyTask.training_step

    def look(self, batch, batch_idx):
        path = project / "exp/a/checkpoints/last.ckpt"
        places.append(tuple(read_place(path)) if path.is_file() else None)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(ToyTask, "training_step", look)
    run_train("exp/a", "--trainer.max_epochs", "2", "--trainer.save_every_minutes", "1e-9")
    # the last batch of an epoch is followed by the checkpoint of its end
    expected = [None, *((0, b) for b in (1, 2, 3, 4)), (1, 0), *((1, b) for b in (1, 2, 3, 4))]
    assert places == expected
    assert read_place(project / "exp/a/checkpoints/last.ckpt") == Place(2, 0)


def test_where_nothing_is_due_nothing_is_written(run_train, monkeypatch):
    written = []
    save = AtomicCheckpointIO.save_checkpoint

    def watched(self, checkpoint, path, storage_options=None):
        written.append((path.name, checkpoint["asl"]["batch"]))
        return save(self, checkpoint, path, storage_options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", watched)
    run_train("exp/a", "--trainer.max_epochs", "2", "--trainer.save_every_minutes", "0")
    assert [batch for name, batch in written if name == "last.ckpt"] == [0, 0]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_sigkill_inside_an_epoch(run_train, start_train, project, workers):
    options = ["--data.clips", "1600", "--trainer.max_epochs", "2", *EVERY_STEP, "--data.num_workers", workers]
    process = start_train("exp/killed", *options)
    last = project / "exp/killed/checkpoints/last.ckpt"
    while process.poll() is None and not last.is_file():
        time.sleep(0.01)
    time.sleep(0.3)
    assert process.poll() is None, process.stdout.read()
    process.send_signal(signal.SIGKILL)
    process.wait()
    place = read_place(last)
    assert place.batch > 0, "it was not killed inside an epoch"
    same_run(run_train("exp/whole", *options), run_train("exp/killed", *options))


KILLED = """
seed: 2
task:
  class_path: IsolatedTask
  init_args:
    encoder: {class_path: ConvTransformer, init_args: {dim: 16, part_dim: 8, stages: 1, blocks: 1, heads: 2}}
data:
  pipeline: {layout: hands42, frames: 16, augment: {mirror: 0.5}}
  batch_size: 4
trainer: {max_epochs: 30, ema_decay: 0.9, accelerator: cpu, threads: 1}
"""


@pytest.mark.fault
@pytest.mark.parametrize("workers", ["0", "2"])
def test_twenty_sigkills_during_one_training_end_in_the_same_weights(
    imported, tmp_path, root, monkeypatch, workers  # noqa: F811
):
    imported(train=62, val=5)
    (tmp_path / "conf.yaml").write_text(KILLED)
    monkeypatch.chdir(tmp_path)
    begin = ["--config", "conf.yaml", "--exp", "exp/killed", "--data.num_workers", workers]
    begin += ["--trainer.accumulate_grad_batches", "2", "--trainer.save_every_steps", "2"]
    command = [sys.executable, "-m", "asl", "train"]
    last, chance, places = tmp_path / "exp/killed/checkpoints/last.ckpt", random.Random(1), []
    while len(places) < 20:
        before = last.stat().st_mtime_ns if last.is_file() else None
        words = ["--resume", "exp/killed"] if places else begin
        process = subprocess.Popen(
            [*command, *words], env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.DEVNULL
        )
        while process.poll() is None and (not last.is_file() or last.stat().st_mtime_ns == before):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.15))
        assert process.poll() is None, f"it ended after {len(places)} kills"
        process.send_signal(signal.SIGKILL)
        process.wait()
        places.append(tuple(read_place(last)))
    assert places == sorted(places) and sum(batch > 0 for _, batch in places) > 10
    main(["--resume", "exp/killed"])
    main(["exp/whole" if word == "exp/killed" else word for word in begin])
    same_run(tmp_path / "exp/whole", tmp_path / "exp/killed")
    assert not list((tmp_path / "exp/killed/checkpoints").glob(".tmp*"))
