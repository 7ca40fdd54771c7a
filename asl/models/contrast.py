"""Frames that are near in time are alike, far ones and other clips' are not."""

from typing import Tuple

import torch
from torch import Tensor
from torch.nn import functional as F


def near_pairs(lengths: Tensor, anchors: int, near: int, uniforms: Tensor) -> Tuple[Tensor, Tensor]:
    """Draw frames and for each of them another one at most ``near`` frames away (in a clip of one: itself).

    Args:
        lengths: ``(batch,)``.
        anchors: frames of each clip.
        uniforms: ``(batch, 2 * anchors)`` in [0, 1).

    Returns:
        Two of ``(batch, anchors)``, int64.
    """
    last = (lengths - 1).clamp(min=0)[:, None]
    at = (uniforms[:, :anchors] * lengths[:, None]).long().minimum(last)
    step = (uniforms[:, anchors:] * 2 * near).long() - near
    step = torch.where(step >= 0, step + 1, step)  # -near to -1 and 1 to near
    other = at + step
    other = torch.where((other < 0) | (other > last), at - step, other)
    return at, other.clamp(min=0).minimum(last)


def temporal_contrast(x: Tensor, at: Tensor, near: Tensor, far: int, temperature: float) -> Tensor:
    """InfoNCE (van den Oord et al. 2018): find the near frame of each anchor among all.

    What stands against it are the near frames of all other anchors, but those of the same clip that are less
    than ``far`` frames away from this anchor.

    Args:
        x: ``(batch, frames, dim)``, compared by the cosine.
        at, near: ``(batch, anchors)``, from ``near_pairs``.
        far: frames.
        temperature: by which similarities are divided.

    Returns:
        A scalar in nats; the logarithm of the number of pairs where nothing is told apart.
    """
    clip = torch.arange(len(x), device=x.device)[:, None].expand_as(at)
    a, b = (F.normalize(x[clip, t].float(), dim=-1).flatten(0, 1) for t in (at, near))
    same_clip = clip.reshape(-1, 1) == clip.reshape(1, -1)
    close = (at.reshape(-1, 1) - near.reshape(1, -1)).abs() < far
    own = torch.eye(len(a), dtype=torch.bool, device=x.device)
    similar = (a @ b.t() / temperature).masked_fill(same_clip & close & ~own, float("-inf"))
    return F.cross_entropy(similar, torch.arange(len(a), device=x.device))
