"""The time-delay network: its lengths, its context, and that padding does not leak."""

import pytest
import torch

from asl.common.errors import AslError
from asl.models import Tdnn

PARTS = {"pose": 7}


@pytest.mark.parametrize("subsampling", [1, 2])
def test_padding_changes_nothing(subsampling):
    torch.manual_seed(0)
    encoder = Tdnn(PARTS, dim=8, part_dim=4, subsampling=subsampling).eval()
    x = torch.randn(2, 20, 7)
    short = torch.tensor([13])
    alone, lengths = encoder(x[:1, :13], short)
    padded, both = encoder(x, torch.tensor([13, 20]))
    assert lengths.tolist() == [-(-13 // subsampling)] and both.tolist() == [lengths[0], -(-20 // subsampling)]
    assert torch.allclose(alone[0], padded[0, : lengths[0]], atol=1e-6)
    assert (padded[0, lengths[0] :] == 0).all()


def test_an_output_rests_on_its_context_and_on_nothing_else():
    torch.manual_seed(0)
    encoder = Tdnn(PARTS, dim=8, part_dim=4, kernels=[3, 5, 3], dilations=[1, 1, 2], subsampling=2).eval()
    x = torch.randn(1, 60, 7, requires_grad=True)
    hidden, _ = encoder(x, torch.tensor([60]))
    (gradient,) = torch.autograd.grad(hidden[0, 15].sum(), x)
    touched = gradient[0].abs().sum(dim=1).nonzero().flatten()
    assert encoder.context == 1 + 2 * (2 + 2) + 1
    assert 30 - encoder.context <= touched.min() and touched.max() <= 30 + encoder.context
    assert touched.max() - touched.min() >= encoder.context


def test_kernels_that_are_even_or_too_few_are_refused():
    for kernels, dilations in (([4], [1]), ([3, 3], [1]), ([], [])):
        with pytest.raises(AslError, match="odd"):
            Tdnn(PARTS, kernels=kernels, dilations=dilations)
