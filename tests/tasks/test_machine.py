"""Mixed precision and torch.compile: what works is trained, what does not is refused by name."""

import pytest
import torch
from torch import nn

from asl.common.compat import compile_module, torch_load
from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.tasks import ctc, machine
from asl.tasks.config import TrainerConfig
from asl.tasks.pretrain import PretrainTask
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

CAN_COMPILE = hasattr(nn.Module, "compile")
CONFIG = """
seed: 2
task:
  class_path: {task}
  init_args:
    encoder: {encoder}
    optimizer: {{lr: 5.0e-3, warmup_steps: 3}}
data:
  pipeline: {{layout: hands42, frames: null}}
  batch_size: 4
  num_workers: 0
trainer: {{max_epochs: 3, ema_decay: 0.9, accelerator: cpu, threads: 1}}
"""
SMALL = {
    "ConvTransformer": "{class_path: ConvTransformer, init_args: {dim: 16, part_dim: 8, stages: 2, blocks: 1, heads: 2}}",
    "small": "{class_path: ConvTransformer, init_args: {dim: 8, part_dim: 4, stages: 1, blocks: 1, heads: 2}}",
    "BiLstm": "{class_path: BiLstm, init_args: {hidden: 8, part_dim: 8}}",
}


@pytest.fixture
def prepared(imported, tmp_path, monkeypatch):  # noqa: F811
    def prepare(task, encoder="ConvTransformer"):
        imported(train=12, val=3)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "conf.yaml").write_text(CONFIG.format(task=task, encoder=SMALL[encoder]))

    return prepare


def train(exp, *options):
    main(["--config", "conf.yaml", "--exp", exp, *options])
    rows = [row["train/loss"] for row in read_jsonl(f"{exp}/logs/epochs.jsonl")]
    return rows, torch_load(f"{exp}/checkpoints/last.ckpt")["state_dict"]


@pytest.mark.parametrize("task", ["IsolatedTask", "CtcTask"])
@pytest.mark.parametrize("encoder", ["ConvTransformer", "BiLstm"])
def test_bf16_on_a_cpu(prepared, task, encoder, monkeypatch):
    prepared(task, encoder)
    types = []
    plain = ctc.ctc_loss

    def watched(log_probs, *rest):
        losses = plain(log_probs, *rest)
        types.append((log_probs.dtype, losses.dtype))
        return losses

    monkeypatch.setattr(ctc, "ctc_loss", watched)
    whole, _ = train("exp/whole")
    half, weights = train("exp/half", "--trainer.precision", "bf16")
    assert set(types) == ({(torch.float32, torch.float32)} if task == "CtcTask" else set())
    # near, and not the same: it was half of the digits
    assert half == pytest.approx(whole, rel=0.1) and half != whole
    assert all(v.dtype == torch.float32 for v in weights.values() if v.is_floating_point())
    assert all(torch.isfinite(v).all() for v in weights.values())


def test_precisions_that_a_device_has_not_are_refused(monkeypatch):
    def ready(**options):
        machine.fit_to_machine(nn.Module(), TrainerConfig(**options))

    with pytest.raises(AslError, match="precision 16 needs a CUDA GPU, this runs on cpu; use bf16 or 32"):
        ready(accelerator="cpu", precision="16")
    for precision in ("16", "bf16"):
        with pytest.raises(AslError, match=f"precision {precision} .*mps"):
            ready(accelerator="mps", precision=precision)
    ready(accelerator="gpu", precision="16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert machine.device_type("auto") == "mps" and machine.device_type("gpu") == "cuda"


@pytest.mark.slow
def test_compiled_training_has_the_same_checkpoints(prepared):
    prepared("IsolatedTask", "small")
    options = ["--trainer.max_epochs", "1", "--data.pipeline.frames", "16"]  # compiled once for one shape
    if not CAN_COMPILE:
        with pytest.raises(AslError, match=rf"trainer.compile needs torch 2.2 or newer, this is {torch.__version__[:4]}"):
            train("exp/compiled", *options, "--trainer.compile", "eager")
        return
    whole, weights = train("exp/whole", *options)
    frames = sum(torch._dynamo.utils.counters["frames"].values())
    compiled, others = train("exp/compiled", *options, "--trainer.compile", "eager")
    assert sum(torch._dynamo.utils.counters["frames"].values()) > frames  # it was compiled
    assert list(weights) == list(others)
    assert compiled == pytest.approx(whole, rel=1e-3)
    assert all(torch.allclose(weights[n].float(), others[n].float(), atol=1e-2) for n in weights)


def test_what_cannot_be_compiled_is_named(monkeypatch):
    if CAN_COMPILE:
        monkeypatch.setattr("shutil.which", lambda name: None)
        with pytest.raises(AslError, match=r"inductor needs a C\+\+ compiler"):
            compile_module(nn.Linear(2, 2), "inductor")
    task = PretrainTask.__new__(PretrainTask)
    with pytest.raises(AslError, match="trainer.compile cannot follow PretrainTask"):
        machine.fit_to_machine(task, TrainerConfig(accelerator="cpu", compile="eager"))
