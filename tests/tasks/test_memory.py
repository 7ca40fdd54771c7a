"""The largest batches are tried first, which changes nothing; a batch that is too large is named."""

import re
from types import SimpleNamespace

import pytest
import torch

from asl.common.compat import torch_load
from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.data.largest import largest
from asl.data.sampler import share
from asl.tasks.isolated import IsolatedTask
from asl.tasks.memory import MemoryGuard, describe, is_out_of_memory, memory_in_use
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_guards import assert_equal

TASKS = {
    "isolated": "class_path: IsolatedTask",
    "ctc": "class_path: CtcTask",
    "pretrain": "class_path: PretrainTask",
}
CONFIG = """
seed: 2
task:
  {task}
  init_args:
    encoder:
      class_path: ConvTransformer
      init_args: {{dim: 16, part_dim: 8, stages: 1, blocks: 1, heads: 2, dropout: 0.3, drop_path: 0.2}}
    optimizer: {{warmup_steps: 3}}
data:
  pipeline: {{layout: hands42, frames: null, trim: false, descriptors: {descriptors}, augment: {{mirror: 0.5, noise: 0.01}}}}
  batch_size: 4
  num_buckets: 2
  num_workers: 0
trainer: {{max_epochs: 2, ema_decay: 0.9, accelerator: cpu, threads: 1}}
"""


@pytest.fixture
def prepared(imported, tmp_path, monkeypatch):  # noqa: F811
    def prepare(task="isolated"):
        imported(train=14, val=3, frames=lambda i: 60 if i % 2 else 30)
        monkeypatch.chdir(tmp_path)
        descriptors = "true" if task == "pretrain" else "false"
        (tmp_path / "conf.yaml").write_text(CONFIG.format(task=TASKS[task], descriptors=descriptors))

    return prepare


def train(exp, *options):
    main(["--config", "conf.yaml", "--exp", exp, *options])


@pytest.mark.parametrize("task", list(TASKS))
def test_a_trial_changes_nothing(prepared, task, monkeypatch, tmp_path):
    prepared(task)
    tried = []
    whole = MemoryGuard.on_train_start

    def watched(self, trainer, task):
        before = torch.random.get_rng_state()
        whole(self, trainer, task)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert all(p.grad is None for p in task.parameters()) and task.train_losses == {}
        tried.append(self.try_largest)

    monkeypatch.setattr(MemoryGuard, "on_train_start", watched)
    train("exp/tried")
    train("exp/not", "--trainer.try_largest", "false")
    assert tried == [True, False]
    ends = [torch_load(f"exp/{name}/checkpoints/last.ckpt") for name in ("tried", "not")]
    for key in ("state_dict", "ema", "optimizer_states", "lr_schedulers"):
        assert_equal(ends[0][key], ends[1][key])
    # running means were counted in two epochs of training and not once more
    rows = [[r["train/loss"] for r in read_jsonl(f"exp/{n}/logs/epochs.jsonl")] for n in ("tried", "not")]
    assert rows[0] == rows[1]


def hungry(monkeypatch, frames):
    """Let batches of more than so many frames ask for more memory than there is."""
    right = IsolatedTask.training_loss

    def training_loss(self, batch):
        if batch["features"].shape[0] * batch["features"].shape[1] > frames:
            torch.empty(2**60, dtype=torch.uint8)
        return right(self, batch)

    monkeypatch.setattr(IsolatedTask, "training_loss", training_loss)


def test_a_batch_that_is_too_large_is_named_before_training(prepared, monkeypatch, tmp_path):
    prepared()
    hungry(monkeypatch, 200)
    with pytest.raises(AslError) as error:
        train("exp/a")
    message = str(error.value)
    start = "memory ran out in a trial of the largest training batch (by frames, and by frames times tokens)"
    assert message.startswith(start)
    # the long clips have 60 frames, which the augmentation plays a little faster or slower
    assert re.search(r"is 4 clips of up to \d\d frames and 1 tokens, features \(4, \d\d, \d+\), ids train", message)
    assert message.endswith("set data.batch_size below 4, or lower data.max_frames")
    assert not list((tmp_path / "exp/a/checkpoints").glob("*"))
    # as it says, it goes with fewer
    train("exp/b", "--data.batch_size", "3", "--trainer.max_epochs", "1")


def test_memory_that_runs_out_in_training(prepared, monkeypatch):
    prepared()
    hungry(monkeypatch, 200)
    with pytest.raises(AslError, match=r"in training, epoch 1, batch \d: the batch is 4 clips .*ids train"):
        train("exp/a", "--trainer.try_largest", "false")


def test_memory_that_runs_out_in_validation(prepared, monkeypatch, tmp_path):
    prepared()

    def validation_metrics(self, batch):
        torch.empty(2**60, dtype=torch.uint8)

    monkeypatch.setattr(IsolatedTask, "validation_metrics", validation_metrics)
    with pytest.raises(AslError, match=r"in validation, batch 1: the batch is 3 clips .*ids val000, val001, val002"):
        train("exp/a")


def test_other_errors_pass(prepared, monkeypatch):
    prepared()

    def training_loss(self, batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(IsolatedTask, "training_loss", training_loss)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        train("exp/a")


def test_what_out_of_memory_looks_like():
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as real:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(real.value)
    for text in ("CUDA out of memory. Tried to allocate 2.00 GiB", "MPS backend out of memory"):
        assert is_out_of_memory(RuntimeError(text))
    assert not is_out_of_memory(RuntimeError("size mismatch"))


def test_what_is_to_be_lowered():
    batch = {"features": torch.zeros(2, 30, 5), "feature_lengths": torch.tensor([30, 20]), "ids": ["a", "b"],
             "token_lengths": torch.tensor([3, 7])}  # fmt: skip
    assert describe(batch) == (
        "2 clips of up to 30 frames and 7 tokens, features (2, 30, 5), ids a, b; "
        "set data.batch_size below 2, or lower data.max_frames_tokens"
    )
    one = {name: value[:1] for name, value in batch.items()}
    assert describe(one).endswith("ids a; leave the clip out, or lower the sizes of the network")


def test_the_largest_of_some_batches():
    def batch(index, *clips):
        cuts = [SimpleNamespace(num_frames=frames, tokens=tokens) for frames, tokens in clips]
        return share(0, index, cuts, True, 0, 1)

    batches = [batch(0, (50, 1), (10, 1)), batch(1, (40, 5), (40, 1)), batch(2, (30, 2), (30, 2), (35, 3))]
    found = largest(iter(batches), lambda cut: cut.tokens)
    # 100, 80, 105 frames with padding; 100, 400, 315 frames times tokens
    assert [(why, b.index) for why, b in found] == [("by frames", 2), ("by frames times tokens", 1)]
    both = largest(iter(batches[:1]), lambda cut: cut.tokens)
    assert [(why, b.index) for why, b in both] == [("by frames, and by frames times tokens", 0)]


def test_memory_in_use():
    device = torch.device("cpu")
    before = memory_in_use(device)
    assert 0.02 < before < 50
    held = torch.ones(50_000_000)
    assert memory_in_use(device) > before + 0.15 and held[0] == 1
