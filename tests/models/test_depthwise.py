"""The hand-made gradient of the depthwise convolution against torch's own."""

import pytest
import torch
from torch import nn

from asl.models.depthwise import DepthwiseConv


@pytest.mark.parametrize("frames, kernel", [(1, 5), (5, 7), (32, 17), (33, 3), (70, 17)])
def test_output_and_gradients_are_those_of_torch(frames, kernel):
    torch.manual_seed(0)
    conv = DepthwiseConv(4, kernel).double()
    plain = nn.Conv1d(4, 4, kernel, padding=kernel // 2, groups=4, bias=False).double()
    plain.weight.data.copy_(conv.weight.detach()[:, :, 0])
    x = torch.randn(3, frames, 4, dtype=torch.double, requires_grad=True)
    ours, theirs = conv(x), plain(x.transpose(1, 2)).transpose(1, 2)
    assert torch.allclose(ours, theirs)
    grad = torch.randn_like(ours)
    grad_x, grad_weight = torch.autograd.grad(ours, (x, conv.weight), grad)
    expected_x, expected_weight = torch.autograd.grad(theirs, (x, plain.weight), grad)
    assert torch.allclose(grad_x, expected_x)
    assert torch.allclose(grad_weight[:, :, 0], expected_weight, rtol=1e-4, atol=1e-4)  # summed in float32


def test_with_and_without_gradients_the_output_is_the_same():
    conv = DepthwiseConv(4, 7)
    x = torch.randn(2, 20, 4)
    with torch.no_grad():
        fixed = conv(x)
    assert torch.equal(fixed, conv(x).detach())


def test_in_bfloat16_the_gradient_has_the_weights_type_and_is_near():
    torch.manual_seed(0)
    conv = DepthwiseConv(4, 7)
    x = torch.randn(2, 20, 4)
    conv(x).square().sum().backward()
    exact = conv.weight.grad.clone()
    conv.weight.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
    assert y.dtype == torch.bfloat16
    y.float().square().sum().backward()
    assert conv.weight.grad.dtype == torch.float32
    assert (conv.weight.grad - exact).norm() < 0.02 * exact.norm()
