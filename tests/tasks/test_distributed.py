"""Several processes train what one trains: the same batches, the same weights, whatever the number of clips."""

import os
import re
import subprocess
import sys

import pytest
import torch

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.tasks import distributed
from asl.tasks.experiment import read_result
from asl.tasks.isolated import IsolatedTask
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_train import Killed, weights

COMMON = """
data:
  pipeline: {{layout: hands42, frames: {frames}, augment: {{mirror: 0.5, noise: 0.01}}}}
  batch_size: 4
  num_buckets: {buckets}
  num_workers: 0
trainer: {{max_epochs: 2, ema_decay: 0.9, accelerator: cpu, threads: 1, save_every_steps: 1}}
"""
ISOLATED = """
seed: 2
task:
  class_path: IsolatedTask
  init_args:
    encoder:
      class_path: ConvTransformer
      init_args: {dim: 16, part_dim: 8, stages: 1, blocks: 1, heads: 2, dropout: 0, drop_path: 0}
    dropout: 0
    class_weights: true
    optimizer: {warmup_steps: 2}
""" + COMMON.format(frames=16, buckets=1)
CTC = """
seed: 3
task:
  class_path: CtcTask
  init_args:
    encoder: {class_path: BiLstm, init_args: {hidden: 8, layers: 1, part_dim: 8, dropout: 0}}
    dropout: 0
    optimizer: {warmup_steps: 2}
""" + COMMON.format(frames="null", buckets=2)
TRANSLATE = """
seed: 4
task:
  class_path: TranslateTask
  init_args:
    encoder:
      class_path: TransformerEncoder
      init_args: {dim: 16, part_dim: 8, layers: 1, heads: 2, feedforward: 16, subsampling: 2, dropout: 0}
    decoder: {dim: 16, layers: 1, heads: 2, feedforward: 16, dropout: 0}
    dropout: 0
    optimizer: {warmup_steps: 2}
""" + COMMON.format(frames="null", buckets=2)
SENTENCES = "book drink go home book|go|drink drink drink|home go".split("|")


# Biases that shift what is normalised right after (by a batch norm, whose mean they shift, or by a softmax) have
# no gradient but rounding, of which Adam makes whole steps. They change nothing.
IDLE = re.compile(r"frontend\.(parts\..*bias|norm\.running_mean)|attention\.in_proj_bias|pool\.score\.bias"
                  r"|halvings\.\d\.(convolve\.bias|norm\.running_mean)|\.key\.bias")  # fmt: skip


@pytest.fixture
def launch(tmp_path, root):
    """``launch(*words)`` runs ``python *words`` to its end with the two gloo processes that it starts."""

    def run(*words):
        env = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
        env.update(PYTHONPATH=str(root), OMP_NUM_THREADS="1")
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
        )
        return done.returncode, done.stdout

    return run


def torchrun(count):
    return ["-m", "torch.distributed.run", "--nproc_per_node", count, "--standalone", "-m", "asl"]


def assert_alike(a, b):
    """Weights, averages and rows of two runs are equal to 1e-5."""
    for key in ("state_dict", "ema"):
        one, two = weights(a, key), weights(b, key)
        assert one.keys() == two.keys()
        compared = [name for name in one if not IDLE.search(name)]
        assert len(compared) > 10
        far = {n: float((one[n].float() - two[n].float()).abs().max()) for n in compared}
        assert {n: d for n, d in far.items() if not d < 1e-5} == {}
    rows, others = (list(read_jsonl(exp / "logs/epochs.jsonl")) for exp in (a, b))
    assert len(rows) == len(others)
    for row, other in zip(rows, others):
        for name in row:
            if name.startswith("train/") or name in ("epoch", "step", "lr", "grad_norm"):
                assert row[name] == pytest.approx(other[name], rel=1e-4, abs=1e-5), name
            elif name.startswith("val/"):  # the running mean follows an idle bias late
                assert row[name] == pytest.approx(other[name], rel=1e-3), name


@pytest.fixture
def prepared(imported, tmp_path, monkeypatch):  # noqa: F811
    """Nine training clips in batches of four: in the last one there is none for the second process."""

    def prepare(config, **options):
        imported(train=9, val=3, **options)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "conf.yaml").write_text(config)

    return prepare


def test_isolated_signs_under_torchrun(prepared, launch, tmp_path):
    prepared(ISOLATED)
    main(["--config", "conf.yaml", "--exp", "exp/one"])
    status, said = launch(*torchrun(2), "train", "--config", "conf.yaml", "--exp", "exp/two")
    assert status == 0, said
    assert said.count("epoch 2/2") == 1 and said.count("from the start") == 1
    assert_alike(tmp_path / "exp/one", tmp_path / "exp/two")
    status, said = launch(*torchrun(2), "train", "--config", "conf.yaml", "--exp", "exp/two")
    assert status == 0 and said.count("is trained already (2 epochs)") == 1
    status, said = launch(*torchrun(2), "train", "--resume", "exp/two")
    assert status != 0 and "is trained already (2 epochs): there is nothing to resume" in said


def test_ctc_with_accumulation_by_devices(prepared, launch, tmp_path):
    prepared(CTC, texts=lambda i: SENTENCES[i % 4], frames=lambda i: 40 + 3 * i)
    options = ["--config", "conf.yaml", "--trainer.accumulate_grad_batches", "2"]
    options += ["--trainer.checkpoint", "mean_last", "--trainer.mean_of", "2"]
    main([*options, "--exp", "exp/one"])
    status, said = launch("-m", "asl", "train", *options, "--exp", "exp/two", "--devices", "2")
    assert status == 0, said
    assert said.count("epoch 2/2") == 1
    assert_alike(tmp_path / "exp/one", tmp_path / "exp/two")
    one, two = (read_result(tmp_path / "exp" / name)["val"] for name in ("one", "two"))
    assert one == pytest.approx(two, rel=1e-3) and {"loss", "ter"} <= one.keys()


def test_translation_whose_loss_is_a_mean_over_tokens(prepared, launch, tmp_path):
    prepared(TRANSLATE, texts=lambda i: SENTENCES[i % 4], frames=lambda i: 40 + 3 * i)
    main(["--config", "conf.yaml", "--exp", "exp/one"])
    status, said = launch("-m", "asl", "train", "--config", "conf.yaml", "--exp", "exp/two", "--devices", "2")
    assert status == 0, said
    assert said.count("(measured alike)") == 1
    assert_alike(tmp_path / "exp/one", tmp_path / "exp/two")
    one, two = (read_result(tmp_path / "exp" / name) for name in ("one", "two"))
    assert one["train"] == pytest.approx(two["train"], rel=1e-3) and one["gap"] == pytest.approx(two["gap"], abs=1e-3)


def test_what_one_process_began_two_go_on_with_inside_an_epoch(prepared, launch, tmp_path, monkeypatch):
    prepared(ISOLATED)
    main(["--config", "conf.yaml", "--exp", "exp/one"])
    step, calls = IsolatedTask.training_step, []

    def dying(self, batch, batch_idx):
        calls.append(batch_idx)
        if len(calls) == 5:  # the second batch of the second epoch
            raise Killed
        return step(self, batch, batch_idx)

    monkeypatch.setattr(IsolatedTask, "training_step", dying)
    with pytest.raises(Killed):
        main(["--config", "conf.yaml", "--exp", "exp/two"])
    status, said = launch(*torchrun(2), "train", "--resume", "exp/two")
    assert status == 0, said
    assert_alike(tmp_path / "exp/one", tmp_path / "exp/two")


def test_an_error_of_the_first_process_ends_all(prepared, launch, tmp_path):
    prepared(ISOLATED)
    main(["--config", "conf.yaml", "--exp", "exp/one", "--trainer.max_epochs", "1"])
    # as a recipe's cmd.sh puts it before the command of a stage
    via = [*torchrun(2)[:-2], "--no_python", sys.executable, "-m", "asl.cli"]
    status, said = launch(*via, "train", "--config", "conf.yaml", "--exp", "exp/one")
    assert status != 0 and "trainer.max_epochs (1 there, 2 now)" in said


class TestProcesses:
    def test_options_are_checked(self, monkeypatch):
        assert distributed.processes(2, 1, "cpu") == (2, 1)
        with pytest.raises(AslError, match="--nodes 2: start the training on every machine with torchrun"):
            distributed.processes(4, 2, "cpu")
        with pytest.raises(AslError, match="Apple's GPU takes one process"):
            distributed.processes(2, 1, "mps")
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        with pytest.raises(AslError, match="--devices 3, but there are 2 GPUs here"):
            distributed.processes(3, 1, "gpu")

    def test_torchrun_says_how_many_there_are(self, monkeypatch):
        for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("LOCAL_WORLD_SIZE", "4"), ("WORLD_SIZE", "8")):
            monkeypatch.setenv(name, value)
        assert distributed.processes(1, 1, "cpu") == distributed.processes(4, 2, "cpu") == (4, 2)
        with pytest.raises(AslError, match="--devices is 2, but torchrun started 4; leave --devices out"):
            distributed.processes(2, 1, "cpu")
