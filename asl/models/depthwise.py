"""Depthwise convolution over time, with a gradient that a CPU computes fast."""

from typing import Any, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_BLOCK = 32  # most frames of a block of the weight's gradient


class DepthwiseConv(nn.Conv2d):
    """Every channel is convolved with a kernel of its own; as many frames come out as went in.

    On a CPU torch spends most of a small network's backward pass in the gradient of the kernels (measured with
    1.13 and 2.13: 11 to 15 ms for 64 clips of 32 frames and 384 channels, against 0.5 ms for the convolution
    itself); here it is a batch of matrix products instead.

    Args:
        channels: channels.
        kernel: frames that an output sees (odd).

    Shape: ``(batch, frames, channels)`` -> the same.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        # an image one row high: the same sums as Conv1d, computed twice as fast on a CPU
        super().__init__(
            channels, channels, (1, kernel), padding=(0, kernel // 2), groups=channels, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and torch.is_grad_enabled():
            return _FastGradient.apply(x, self.weight)
        return _convolve(x, self.weight)


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    image = x.transpose(1, 2)[:, :, None]
    out = F.conv2d(image, weight, padding=(0, weight.shape[-1] // 2), groups=len(weight))
    return out[:, :, 0].transpose(1, 2)


class _FastGradient(torch.autograd.Function):
    """``_convolve``, differentiated by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        y = _convolve(x, weight)
        ctx.save_for_backward(x.to(y.dtype), weight)  # under autocast y is narrower
        ctx.dtype = x.dtype
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        grad_x = _convolve(grad, weight.flip(-1).to(grad.dtype))
        return grad_x.to(ctx.dtype), kernel_gradient(x, grad, weight.shape[-1]).view_as(weight).to(weight)


def kernel_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """Gradient of a depthwise kernel, ``sum over batch and t of grad[t] x[t + k - kernel // 2]``.

    For every channel one matrix product gives the products of all pairs of frames in a block; the sums along
    its diagonals are the gradient.

    Args:
        x, grad: ``(batch, frames, channels)`` input, and gradient of the output.
        kernel: frames of the kernel (odd).

    Returns:
        ``(channels, kernel)`` float32.
    """
    batch, frames, channels = x.shape
    blocks = -(-frames // _BLOCK)
    block = -(-frames // blocks)
    rest = blocks * block - frames
    wide = block + kernel - 1
    x = F.pad(x.permute(2, 0, 1).contiguous(), (kernel // 2, kernel // 2 + rest))
    x = x.unfold(2, wide, block).reshape(channels, batch * blocks, wide)
    grad = F.pad(grad.permute(2, 0, 1), (0, rest)).reshape(channels, batch * blocks, block)
    pairs = torch.bmm(x.transpose(1, 2), grad)  # (channels, wide, block): frame of x, frame of the gradient
    diagonals = pairs.as_strided((channels, kernel, block), (wide * block, block, block + 1))
    return diagonals.sum(dim=-1, dtype=torch.float32)
