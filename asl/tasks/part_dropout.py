"""Dropout by part: a part of the feature vector is taken away from a whole clip (Neverova et al. 2016, ModDrop)."""

from typing import Dict

import torch
from torch import Tensor

from asl.common.errors import AslError


def drop_parts(features: Tensor, feature_parts: Dict[str, int], probability: float) -> Tensor:
    """Set parts of the feature vector (a hand, the face, a second stream) to 0 in all frames of a clip.

    A clip that would lose every part keeps them all: there would be nothing to learn from. What stays is not
    scaled: a missing hand is 0 in the data too.

    Args:
        features: ``(batch, frames, features)``.
        feature_parts: ordered widths of the parts.
        probability: that a part of a clip is dropped, each for itself; drawn from torch's generator on the CPU.

    Returns:
        ``(batch, frames, features)``.
    """
    if probability == 0:
        return features
    keep = torch.rand(len(features), len(feature_parts)) >= probability
    keep |= ~keep.any(dim=1, keepdim=True)
    widths = torch.tensor(list(feature_parts.values()))
    mask = keep.repeat_interleave(widths, dim=1).to(features)
    return features * mask[:, None, :]


def checked_probability(probability: float) -> float:
    """Return ``probability``; AslError unless it is one below 1."""
    if not 0 <= probability < 1:
        raise AslError(f"task.init_args.part_dropout is {probability}; give 0 (off) or a probability below 1")
    return probability
