"""The throughput benchmark runs, and its count of floating-point operations is right."""

import pytest
import torch
from torch import nn

from tests.bench import throughput
from tests.bench.flops import count_flops

NEWER = int(torch.__version__.split(".")[0]) >= 2  # torch.utils.flop_counter is there
SMALL = ["dim=16", "part_dim=8", "stages=1", "blocks=1", "kernel=3", "heads=2"]


def loss_of(module, *inputs):
    def run():
        out = module(*inputs)
        (out[0] if isinstance(out, tuple) else out).sum().backward()

    return run


def by_hand():
    """Modules, their inputs, and the floating-point operations of forward and backward by hand."""
    batch, frames, dim = 2, 5, 8
    x = torch.randn(batch, frames, dim, requires_grad=True)
    linear = 2 * batch * frames * dim * dim
    yield nn.Linear(dim, dim), (x,), 3 * linear
    yield nn.Linear(dim, dim), (x.detach(),), 2 * linear  # the input wants no gradient
    image = torch.randn(batch, dim, 1, frames, requires_grad=True)
    depthwise = nn.Conv2d(dim, dim, (1, 3), padding=(0, 1), groups=dim, bias=False)
    yield depthwise, (image,), 3 * 2 * batch * dim * frames * 3
    attention = nn.MultiheadAttention(dim, 2, dropout=0.1, batch_first=True)
    products = 2 * 2 * batch * frames * frames * dim  # scores, and the values weighted by them
    yield attention, (x, x, x, None, False), 3 * (4 * linear + products)


def test_floating_point_operations_are_those_counted_by_hand():
    for module, inputs, expected in by_hand():
        assert count_flops(loss_of(module, *inputs)) == expected, module
        if NEWER and getattr(module, "groups", 1) == 1:  # theirs takes a grouped kernel for a full one
            from torch.utils.flop_counter import FlopCounterMode

            with FlopCounterMode(display=False) as theirs:
                loss_of(module, *inputs)()
            assert theirs.get_total_flops() == expected, module


def test_a_product_without_a_formula_is_named():
    with pytest.raises(ValueError, match="aten::dot multiplies"):
        count_flops(lambda: torch.dot(torch.ones(3), torch.ones(3)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax.yaml", "ctc.yaml", "bilstm.yaml"])
def test_the_parts_of_a_step_are_measured(name, root):
    config = root / "egs" / "wlasl" / "conf" / name
    small = [f"--task.init_args.encoder.init_args.{s}" for s in SMALL]
    if name == "bilstm.yaml":
        small = ["--task.init_args.encoder.init_args.hidden=8", "--task.init_args.encoder.init_args.part_dim=8"]
    threads = torch.get_num_threads()
    found = throughput.measure(config, threads, 1, [*small, "--data.batch_size=3"])
    names = [row.name for row in found["rows"]]
    assert names[0] == "front-end" and names[-1] == "averaged weights" and "head" in names
    assert ("  attention" in names) == (name != "bilstm.yaml") != ("lstm" in names)
    whole = sum(row.flops for row in found["rows"] if not row.name.startswith(" "))
    assert whole == found["step"].flops > 0
    assert found["limit"] > 0 and found["trainer"] > 0 and found["clips"] == 3
    assert "whole step" in throughput.report(found, threads)
