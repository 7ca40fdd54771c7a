"""Mixup: clips and their targets blended in pairs (Zhang et al. 2018), or their pooled vectors (Verma 2019)."""

from dataclasses import dataclass
from typing import Callable, Literal, NamedTuple, Optional

import torch
from torch import Tensor

from asl.common.errors import AslError


@dataclass(frozen=True)
class MixupConfig:
    """Blend every clip of a training batch with another one of it, all with the same share.

    Args:
        alpha: the share is drawn from Beta(alpha, alpha): near 0 or 1 for a small alpha, even for 1.
        at: input: the features (best where every clip has the same number of frames); pooled: the hidden
            vector of the whole clip (manifold mixup).
        probability: of a batch being mixed at all.
    """

    alpha: float = 0.2
    at: Literal["input", "pooled"] = "input"
    probability: float = 1.0


def checked(config: Optional[MixupConfig]) -> Optional[MixupConfig]:
    """Return ``config``; AslError where its numbers cannot be."""
    if config is not None and (config.alpha <= 0 or not 0 <= config.probability <= 1):
        raise AslError(
            f"task.init_args.mixup has alpha={config.alpha} and probability={config.probability}; give an "
            "alpha above 0 and a probability from 0 to 1, or mixup: null for none"
        )
    return config


class Mix(NamedTuple):
    """How a batch is blended: ``share`` of each clip, the rest of its ``partner`` ``(batch,)``."""

    share: float
    partner: Tensor

    def blend(self, x: Tensor) -> Tensor:
        """Blend along the first dimension."""
        return self.share * x + (1 - self.share) * x[self.partner]

    def blend_losses(self, losses: Callable[[Tensor], Tensor], targets: Tensor) -> Tensor:
        """``losses(targets)`` ``(batch,)`` blended with those of the partners' targets."""
        return self.share * losses(targets) + (1 - self.share) * losses(targets[self.partner])


def draw_mix(config: Optional[MixupConfig], batch: int, device: torch.device) -> Optional[Mix]:
    """Draw how a batch is mixed, from torch's generator on the CPU; None where it is not."""
    if config is None or float(torch.rand(())) >= config.probability:
        return None
    alpha = torch.tensor(config.alpha)
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return Mix(share, torch.randperm(batch).to(device))
