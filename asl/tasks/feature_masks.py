"""Channel masks: bands of the feature vector vanish from a whole clip (Park et al. 2019, SpecAugment).

Bands lie inside the vector as the pipeline orders it, part by part, so that a band is some neighbouring points of a hand,
the body or the face. Stretches of time vanish in ``asl.landmarks.augment``, whole parts in ``asl.tasks.part_dropout``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from asl.common.errors import AslError


@dataclass(frozen=True)
class FeatureMaskConfig:
    """How many bands of the feature vector vanish from a training clip.

    Args:
        bands: bands of each clip; they may overlap. 0: none.
        share: a band is up to so much of the feature vector, drawn evenly.
    """

    bands: int = 0
    share: float = 0.1

    def __post_init__(self) -> None:
        if self.bands < 0 or not 0 < self.share < 1:
            raise AslError(
                f"task.init_args.feature_mask has bands {self.bands} and share {self.share}; give 0 (off) or more bands "
                "and a share above 0 and below 1"
            )


def mask_bands(features: Tensor, config: FeatureMaskConfig) -> Tensor:
    """Set bands of ``(batch, frames, features)`` to 0 in all frames; drawn from torch's generator on the CPU."""
    if not config.bands:
        return features
    batch, width = features.shape[0], features.shape[-1]
    drawn = torch.rand(2, batch, config.bands, 1)
    length = drawn[0] * config.share * width
    start = drawn[1] * (width - length)
    channel = torch.arange(width)
    hidden = ((channel >= start) & (channel < start + length)).any(dim=1)
    return features * (~hidden).to(features)[:, None, :]
