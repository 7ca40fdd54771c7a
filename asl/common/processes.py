"""Several processes that train one network together: how many there are, and sums over them.

torch is imported inside: ``common`` stays light.
"""

from typing import Any


def world_size() -> int:
    """How many processes train together; 1 where there is but this one."""
    import torch

    dist = torch.distributed
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    import torch

    return torch.distributed.get_rank() if world_size() > 1 else 0


def summed(x: Any) -> Any:
    """Return the sum of a tensor over all processes, without gradient; all must call this."""
    import torch

    x = x.detach().clone()
    if world_size() > 1:
        torch.distributed.all_reduce(x)
    return x


def summed_with_gradient(x: Any) -> Any:
    """The same; gradients flow back to the tensors of all processes."""
    if world_size() == 1:
        return x
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(x)


def gathered(x: Any) -> Any:
    """Return the tensors ``x`` of all processes, which are of one shape, as ``(processes, *shape)``."""
    import torch

    parts = [torch.empty_like(x) for _ in range(world_size())]
    if len(parts) == 1:
        return x[None]
    torch.distributed.all_gather(parts, x.contiguous())
    return torch.stack(parts)
