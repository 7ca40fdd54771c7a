"""Floating-point operations of matrix products and convolutions, counted as they are called, forward and backward."""

import re
from collections import Counter
from typing import Any, Callable, Sequence


def flop_counter() -> Any:
    """A context in which ``.count`` adds up the floating-point operations of matrix products and convolutions.

    Own code and not ``torch.utils.flop_counter``, which torch 1.13 lacks; a test compares the two.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    class Flops(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.count, self.by_operator = 0, Counter()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            name = func.overloadpacket.__name__
            flops = flops_of(name, args, out)
            self.count += flops
            self.by_operator[name] += flops
            return out

    return Flops()


def flops_of(name: str, args: Sequence[Any], out: Any) -> int:
    """Floating-point operations of one call of ``aten::name``; ValueError for products it has no formula for."""
    if name in ("mm", "bmm"):
        return 2 * out.numel() * args[0].shape[-1]
    if name in ("addmm", "baddbmm"):
        return 2 * out.numel() * args[1].shape[-1]
    if name == "convolution":
        return _convolution(args[1], out.shape, args[0].shape, transposed=args[6])
    if name == "convolution_backward":
        grad, x, weight, needed = args[0], args[1], args[2], args[10]
        once = _convolution(weight, grad.shape, x.shape, transposed=args[7])
        return once * (int(needed[0]) + int(needed[1]))
    if name.startswith("_scaled_dot_product") or "attention" in name:
        backward = "backward" in name
        q, k, v = args[1:4] if backward else args[:3]
        scores = 2 * q[..., 0].numel() * k.shape[-2]
        # backward: the scores once more, then two products for each of the two of the forward pass
        return scores * (3 * q.shape[-1] + 2 * v.shape[-1] if backward else q.shape[-1] + v.shape[-1])
    if name in ("mkldnn_rnn_layer", "mkldnn_rnn_layer_backward"):
        x, inward, recurrent = args[:3]  # backward: a product for what came in and one for the weights
        once = 2 * x[..., 0].numel() * (inward.numel() + recurrent.numel())
        return once * (2 if "backward" in name else 1)
    if re.search(r"(mkldnn|onednn|cudnn|miopen)|_rnn|lstm|gru|addmv|^mv$|^dot$|matmul|linear", name):
        raise ValueError(f"aten::{name} multiplies matrices and has no formula here; add it")
    return 0


def _convolution(weight: Any, out: Sequence[int], x: Sequence[int], transposed: bool) -> int:
    """A product for every entry of the kernel at every place of the output (of the input, if transposed)."""
    places = x if transposed else out
    area = 1
    for n in places[2:]:
        area *= n
    return 2 * places[0] * area * weight.numel()


def count_flops(run: Callable[[], None]) -> int:
    """Floating-point operations of one call of ``run``."""
    with flop_counter() as flops:
        run()
    return flops.count
