"""Mixup: clips and their targets blended in pairs (Zhang et al. 2018), or their pooled vectors (Verma 2019).

Of sentences, whose targets have no times, features are blended in time and losses by share (Meng et al. 2021,
MixSpeech): see ``TemporalMix``.
"""

from dataclasses import dataclass
from typing import Callable, Literal, NamedTuple, Optional

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.models.masking import length_mask


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


class TemporalMix(NamedTuple):
    """How a batch of sentences is blended: ``share`` of each clip, the rest of its ``partner``, both ``(batch,)``.

    The partner is stretched or squeezed to the clip's length, so that both begin and end together and the clip keeps
    its length. The loss is ``share * loss(own text) + (1 - share) * loss(partner's text)``.
    """

    share: Tensor
    partner: Tensor

    def blend(self, features: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, frames, features)``, ``(batch,)`` -> the blended features; 0 beyond the lengths."""
        share = self.share.to(features.dtype)[:, None, None]
        return share * features + (1 - share) * stretched(features[self.partner], lengths[self.partner], lengths)

    def blend_losses(self, own: Tensor, partners: Tensor) -> Tensor:
        """Losses ``(batch,)`` of the own texts and of the partners' texts, blended."""
        share = self.share.to(own.dtype)
        return share * own + (1 - share) * partners


def stretched(features: Tensor, lengths: Tensor, to: Tensor) -> Tensor:
    """Interpolate each clip in time, linearly, from its length to another one.

    Args:
        features: ``(batch, frames, features)``.
        lengths: ``(batch,)`` of the clips.
        to: ``(batch,)`` that they shall have, at most ``frames``.

    Returns:
        ``(batch, frames, features)``: the first frame and the last are the clip's; 0 beyond ``to``.
    """
    frames = features.shape[1]
    step = (lengths - 1).clamp(min=0).float() / (to - 1).clamp(min=1).float()
    place = torch.arange(frames, device=features.device).float() * step[:, None]
    place = torch.minimum(place, (lengths - 1).clamp(min=0)[:, None].float())
    below = place.floor().long()
    above = torch.minimum(below + 1, (lengths - 1).clamp(min=0)[:, None])
    part = (place - below).to(features.dtype)[..., None]
    rows = torch.arange(len(features), device=features.device)[:, None]
    between = (1 - part) * features[rows, below] + part * features[rows, above]
    return between * length_mask(to, frames)[..., None].to(features.dtype)


def draw_temporal_mix(config: Optional[MixupConfig], fits: Callable[[Tensor], Tensor], batch: int,
                      device: torch.device) -> Optional[TemporalMix]:  # fmt: skip
    """Draw how a batch of sentences is mixed; None where it is not.

    Args:
        config: ``at`` has no meaning here: features are mixed.
        fits: partner of each clip ``(batch,)`` -> whether the clip has frames enough for the partner's text,
            bool ``(batch,)``; where it has not, it stays as it is.
    """
    mix = draw_mix(config, batch, device)
    if mix is None:
        return None
    share = torch.where(fits(mix.partner), mix.share, 1.0)
    return TemporalMix(share, mix.partner)


def draw_mix(config: Optional[MixupConfig], batch: int, device: torch.device) -> Optional[Mix]:
    """Draw how a batch is mixed, from torch's generator on the CPU; None where it is not."""
    if config is None or float(torch.rand(())) >= config.probability:
        return None
    alpha = torch.tensor(config.alpha)
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    return Mix(share, torch.randperm(batch).to(device))
