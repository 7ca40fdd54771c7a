"""The tokens' priors taken out of CTC posteriors, before they meet a grammar that has its own (Miao et al. 2015)."""

import math
from typing import Sequence

import torch
from torch import Tensor

from asl.common.errors import AslError


def check_prior_scale(scale: float) -> float:
    """Return ``scale``; AslError unless it is a finite number, 0 or above."""
    if not (math.isfinite(scale) and scale >= 0):
        raise AslError(f"prior scale is {scale}; it has to be a number, 0 (off) or above")
    return scale


def floored_log(shares: Sequence[float], frames: int) -> Tensor:
    """Logarithm of the tokens' mean posteriors over ``frames``, float32 ``(tokens,)``; none is below ``1 / frames``.

    Of a token whose posteriors do not add up to one frame the mean is noise, and a division by it would have it
    recognised for no other reason than that it never was: it counts as one that was seen in one frame.
    """
    return torch.tensor(shares, dtype=torch.float64).clamp(min=1 / frames).log().float()


def less_prior(log_probs: Tensor, log_prior: Tensor, scale: float) -> Tensor:
    """Return ``log_probs - scale * log_prior``: scaled likelihoods, up to a constant for each frame.

    Args:
        log_probs: ``(batch, frames, tokens)``. log_prior: ``(tokens,)``. scale: 0 leaves the log-probs as they are.
    """
    return log_probs - scale * log_prior.to(log_probs) if scale else log_probs
