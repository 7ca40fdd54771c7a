"""The optimiser, its schedule and the averages: small pieces against their definitions."""

import pytest
import torch
from torch import nn

from asl.common.errors import AslError
from asl.tasks.base import WarmupCosine, clip_gradients, parameter_groups
from asl.tasks.curves import draw_curves
from tests.tasks.toy import ToyEncoder, ToyTask


def test_warmup_rises_to_one_and_cosine_falls_to_nothing():
    factor = WarmupCosine(10, 110)
    values = [factor(step) for step in range(111)]
    assert values[:10] == pytest.approx([(i + 1) / 11 for i in range(10)])
    assert values[10] == 1.0 and values[60] == pytest.approx(0.5) and values[110] == pytest.approx(0.0)
    assert all(a > b for a, b in zip(values[10:], values[11:]))


def test_warmup_takes_at_most_half_of_a_short_training():
    factor = WarmupCosine(1000, 10)
    assert max(factor(step) for step in range(10)) == 1.0


def test_norms_and_biases_have_no_weight_decay():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Conv1d(4, 4, 3))
    decayed, free = parameter_groups(model, 0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert {id(p) for p in decayed["params"]} == {id(model[0].weight), id(model[2].weight)}
    assert len(decayed["params"]) + len(free["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clipping_is_torchs_own(max_norm):
    generator = torch.Generator().manual_seed(1)
    parameters = [nn.Parameter(torch.zeros(n, 3)) for n in (2, 5)]
    for p in parameters:
        p.grad = torch.randn(p.shape, generator=generator)
    mine = [p.grad.clone() for p in parameters]
    expected = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    assert torch.allclose(clip_gradients(mine, max_norm), expected)
    for a, p in zip(mine, parameters):
        assert torch.allclose(a, p.grad)


def test_a_task_without_its_input_says_what_to_give():
    with pytest.raises(AslError, match="feature_parts=None and vocab_size=0"):
        ToyTask(ToyEncoder)


def test_curves_are_drawn_from_any_number_of_epochs(tmp_path):
    row = {"epoch": 1, "train/loss": 1.0, "val/loss": 2.0, "val/top1": 0.5, "lr": 1e-3, "grad_norm": None,
           "clips_per_second": 10.0, "data_wait": 0.1}
    for count in (1, 40):
        draw_curves([{**row, "epoch": i + 1} for i in range(count)], tmp_path / f"{count}.png")
        assert (tmp_path / f"{count}.png").stat().st_size > 5000
