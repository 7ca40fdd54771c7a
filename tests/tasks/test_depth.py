"""Fine-tuning by depth: which layers learn, when, and how fast."""

import pytest
import torch
from torch import nn

from asl.common.compat import torch_load
from asl.common.errors import AslError
from asl.models import BiLstm, ConvTransformer
from asl.tasks.base import OptimizerConfig, parameter_groups
from asl.tasks.depth import FreezeConfig, by_depth, frozen_layers
from asl.tasks.experiment import read_result
from asl.tasks.isolated import IsolatedTask
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

PARTS = {"hand_left": 6, "hand_right": 6}
SMALL = {
    "conv_transformer": lambda p: ConvTransformer(p, dim=8, part_dim=4, blocks=2, kernel=3, heads=2),
    "bilstm": lambda p: BiLstm(p, hidden=4, part_dim=4),
}
CONFIG = """
seed: 2
task:
  class_path: IsolatedTask
  init_args:
    encoder: {class_path: ConvTransformer, init_args: {dim: 16, part_dim: 8, stages: 1, blocks: 1, heads: 2}}
    optimizer: {warmup_steps: 1}
data: {pipeline: {frames: 16}, batch_size: 4, num_buckets: 1, num_workers: 0}
trainer: {max_epochs: 3, accelerator: cpu, ema_decay: 0.9}
"""
LAYERS = ("encoder.frontend.", "encoder.conv_stages.0.0.", "encoder.transformers.0.", "head.")


def small_task(name="conv_transformer", **options):
    return IsolatedTask(SMALL[name], feature_parts=PARTS, vocab_size=4, optimizer=OptimizerConfig(**options))


@pytest.mark.parametrize("name", SMALL)
def test_layers_are_in_the_order_in_which_a_clip_goes_through_them(name):
    torch.manual_seed(0)
    encoder = SMALL[name](PARTS)
    groups = encoder.layer_groups()
    inside = [id(p) for group in groups for module in group for p in module.parameters()]
    assert sorted(inside) == sorted(id(p) for p in encoder.parameters())  # each in one layer
    seen = []
    for i, group in enumerate(groups):
        for module in group:
            module.register_forward_hook(lambda module, given, out, i=i: seen.append(i))
    encoder(torch.randn(2, 9, 12), torch.tensor([9, 5]))
    assert seen == sorted(seen) and set(seen) == set(range(len(groups)))
    assert len(groups) == {"conv_transformer": 7, "bilstm": 2}[name]


def test_the_learning_rate_falls_from_the_output_to_the_input():
    task = small_task()
    groups = by_depth(task, parameter_groups(task, 0.1), lr=1.0, decay=0.5)
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert rate.keys() == {id(p) for p in task.parameters()}
    assert {rate[id(p)] for p in task.head.parameters()} == {1.0} and groups[0]["lr"] == 1.0
    for i, layer in enumerate(task.encoder.layer_groups()):
        assert {rate[id(p)] for module in layer for p in module.parameters()} == {0.5 ** (7 - i)}
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    assert decayed == {id(p) for p in task.parameters() if p.dim() >= 2}


def test_a_freeze_is_a_function_of_epoch_and_step():
    assert not FreezeConfig().holds(0, 0) and not FreezeConfig(epochs=3).holds(0, 0)
    assert FreezeConfig(2).holds(99, 9999)
    assert [FreezeConfig(2, epochs=3).holds(epoch, 10 * epoch) for epoch in (0, 2, 3)] == [True, True, False]
    assert [FreezeConfig(2, steps=30).holds(step // 10, step) for step in (0, 29, 30)] == [True, True, False]


@pytest.fixture
def train(imported, tmp_path, monkeypatch):  # noqa: F811
    """``train(exp, *options)`` -> what ``last.ckpt`` holds."""
    imported(train=18, val=5)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf.yaml").write_text(CONFIG)

    def run(exp, *options):
        prefix = "--task.init_args.optimizer."
        words = [prefix + o[2:] if o.startswith(("--freeze", "--layer")) else o for o in options]
        main(["--config", "conf.yaml", "--exp", f"exp/{exp}", *words])
        return torch_load(f"exp/{exp}/checkpoints/last.ckpt")

    return run


def changed(before, after):
    """For each of LAYERS whether anything in it differs, running statistics too."""
    return [
        any(not torch.equal(before[n], after[n]) for n in before if n.startswith(layer)) for layer in LAYERS
    ]


def test_frozen_layers_stay_as_they_came_and_so_do_their_statistics(train):
    base = train("base", "--trainer.max_epochs", "1")["state_dict"]
    start = ["--init-from", "exp/base"]
    for_ever = train("for_ever", *start, "--freeze.layers", "2")
    assert changed(base, for_ever["state_dict"]) == [False, False, True, True]
    frozen = [n for n in base if n.startswith(LAYERS[:2])]
    assert all(torch.allclose(base[n].float(), for_ever["ema"][n].float(), rtol=1e-5) for n in frozen)
    for exp, layers, ends, expected in (
        ("a", "2", ("--freeze.epochs", "3"), [False, False, True, True]),
        ("b", "2", ("--freeze.epochs", "2"), [True, True, True, True]),
        ("c", "3", ("--freeze.steps", "15"), [False, False, False, True]),
    ):
        after = train(exp, *start, "--freeze.layers", layers, *ends)["state_dict"]
        assert changed(base, after) == expected, exp
    whole = read_result("exp/base")["parameters"]
    assert read_result("exp/for_ever")["parameters"] == whole  # how large a network is, not what learnt last


def test_nothing_drops_out_of_a_frozen_encoder(train, monkeypatch):
    modes, step = {}, IsolatedTask.training_step

    def watch(self, batch, batch_idx):
        layers = (self.encoder.frontend, self.encoder.transformers[0], self.head)
        modes[self.trainer.current_epoch, batch_idx] = [module.training for module in layers]
        return step(self, batch, batch_idx)

    monkeypatch.setattr(IsolatedTask, "training_step", watch)
    train("a", "--freeze.layers", "1", "--freeze.epochs", "2", "--trainer.max_epochs", "3")
    assert len(modes) == 15
    assert modes == {(epoch, batch): [epoch >= 2, True, True] for epoch, batch in modes}


class Killed(Exception):
    pass


@pytest.mark.parametrize("dies_at", [3, 9])
def test_a_run_killed_around_the_thaw_ends_with_the_same_weights(train, monkeypatch, dies_at):
    options = ["--freeze.layers", "2", "--freeze.steps", "7", "--layer_decay", "0.7"]
    options += ["--trainer.save_every_steps", "1"]
    whole = train("whole", *options)
    step, calls = IsolatedTask.training_step, []

    def dying(self, batch, batch_idx):
        calls.append(batch_idx)
        if len(calls) == dies_at:
            raise Killed
        return step(self, batch, batch_idx)

    monkeypatch.setattr(IsolatedTask, "training_step", dying)
    with pytest.raises(Killed):
        train("killed", *options)
    killed = train("killed", *options)
    for key in ("state_dict", "ema"):
        assert [n for n, v in whole[key].items() if not torch.equal(v, killed[key][n])] == []


def test_what_cannot_be_is_named(train):
    with pytest.raises(AslError, match="freeze.layers is 4, but the encoder has 3"):
        train("a", "--freeze.layers", "4")
    with pytest.raises(AslError, match="epochs 1 and steps 2"):
        FreezeConfig(1, 1, 2)
    with pytest.raises(AslError, match="layer_decay is 1.5"):
        OptimizerConfig(layer_decay=1.5)
    bare = nn.Module()
    bare.encoder = nn.Linear(2, 2)
    with pytest.raises(AslError, match="an encoder with layer_groups"):
        frozen_layers(bare, 1)
