"""The real rooms together: landmarks, data module, network and trainer, killed in an epoch and resumed."""

import pytest
import torch

from asl.common.compat import torch_load
from asl.common.jsonl import read_jsonl
from asl.tasks.experiment import load_task
from asl.tasks.isolated import IsolatedTask
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

CONFIG = """
seed: 2
task:
  class_path: IsolatedTask
  init_args:
    encoder: {class_path: ConvTransformer, init_args: {dim: 16, part_dim: 8, stages: 1, blocks: 1, heads: 2}}
    optimizer: {warmup_steps: 3}
data:
  pipeline: {layout: hands42, frames: 16, augment: {mirror: 0.5}}
  batch_size: 4
  num_buckets: 1
trainer: {max_epochs: 4, ema_decay: 0.9, accelerator: cpu, try_largest: false}
"""


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    "workers, options, again",
    [("0", [], 5), ("2", [], 5), ("2", ["--trainer.save_every_steps", "1"], 2),
     ("0", ["--trainer.save_every_steps", "1", "--trainer.accumulate_grad_batches", "2"], 3)],
    ids=["0-epochs", "2-epochs", "2-steps", "0-steps-accumulated"],
)  # fmt: skip
def test_a_run_killed_in_an_epoch_ends_with_the_same_weights(
    imported, tmp_path, monkeypatch, workers, options, again  # noqa: F811
):
    imported(train=18, val=5)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf.yaml").write_text(CONFIG)
    options = ["--config", "conf.yaml", "--data.num_workers", workers, *options]
    main([*options, "--exp", "exp/whole"])

    step, calls = IsolatedTask.training_step, []

    def dying(self, batch, batch_idx):
        calls.append((self.trainer.current_epoch, batch_idx))
        if len(calls) in (8, 15):  # the third batch of the second epoch; in the third epoch
            raise Killed
        return step(self, batch, batch_idx)

    monkeypatch.setattr(IsolatedTask, "training_step", dying)
    for _ in range(2):
        with pytest.raises(Killed):
            main([*options, "--exp", "exp/killed"])
    main([*options, "--exp", "exp/killed"])
    # with a checkpoint at every step nothing but the two batches (and, accumulated, one before) came twice
    assert len(calls) == 20 + again

    whole, killed = (torch_load(f"exp/{name}/checkpoints/last.ckpt") for name in ("whole", "killed"))
    for key in ("state_dict", "ema"):
        assert [n for n, v in whole[key].items() if not torch.equal(v, killed[key][n])] == []
    losses = [
        [row["val/loss"] for row in read_jsonl(f"exp/{name}/logs/epochs.jsonl")]
        for name in ("whole", "killed")
    ]
    assert losses[0] == losses[1] and len(losses[0]) == 4
    assert load_task("exp/killed", "ema").task.vocab_size == 5
