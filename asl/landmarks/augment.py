"""Random changes that leave a sign the same sign, on whole batches at once.

Every draw comes from generators given by the caller, so a batch's augmentation is a function of its seeds.
All work on picture coordinates ``x`` ``(batch, frames, points, dims)``, 0 where ``known`` ``(batch, frames,
points)`` is False; the first dims are x, y, z.
"""

import math
from dataclasses import dataclass
from typing import Callable, List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor


@dataclass
class AugmentConfig:
    """How much of what. A probability or a strength of 0 switches a change off.

    Attributes:
        crop: each end of the clip is cut by up to this share of its length.
        warp: largest bend of time, in (0, 1).
        speed: playing speed is drawn log-uniformly from [1/speed, speed] (only where frames are not fixed).
        jitter: share of the frames that are left out or shown twice, as many of the one as of the other.
        mirror: probability of the left/right swap.
        affine: probability of an affine change of the picture plane.
        rotate: largest rotation in the picture plane, degrees.
        turn: largest rotation about the vertical axis, degrees (needs z).
        scale: sizes are multiplied by up to 1 ± scale, x and y apart.
        shear: largest shear.
        noise: standard deviation of the noise on every point, as a share of the picture.
        wobble: standard deviation of a slow drift of each part, as a share of the picture.
        drop_hand: probability that one hand vanishes for a stretch of the clip.
        drop_finger: probability that one finger of each hand is lost for the whole clip.
        time_mask: probability that a stretch of frames vanishes.
        time_masks: how often such a stretch is drawn.
        mask_share: longest stretch that vanishes, as a share of the clip.
    """

    crop: float = 0.1
    warp: float = 0.3
    speed: float = 1.25
    jitter: float = 0.0
    mirror: float = 0.5
    affine: float = 0.75
    rotate: float = 15.0
    turn: float = 20.0
    scale: float = 0.2
    shear: float = 0.1
    noise: float = 0.002
    wobble: float = 0.0
    drop_hand: float = 0.1
    drop_finger: float = 0.1
    time_mask: float = 0.5
    time_masks: int = 1
    mask_share: float = 0.25


# one for the whole batch, or one for each clip; None: torch's own
Generators = Union[None, torch.Generator, Sequence[torch.Generator]]


class Draw:
    """Uniform and normal numbers for a batch of clips (the first dimension of every shape), on one device.

    With a generator for each clip what a clip is given depends on it alone, not on the clips beside it.

    Args:
        generators: where the numbers come from.
        device: where they are wanted. They are drawn on the CPU: the same numbers on every device.
    """

    def __init__(self, generators: Generators, device: torch.device):
        self.generators, self.device = generators, device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return (low + (high - low) * self._draw(torch.rand, shape)).to(self.device)

    def normal(self, *shape: int) -> Tensor:
        return self._draw(torch.randn, shape).to(self.device)

    def normal_in_time(self, lengths: Tensor, frames: int, *shape: int) -> Tensor:
        """``(batch, frames, *shape)``; a clip draws for its own ``lengths`` ``(batch,)`` frames, the rest is 0."""
        out = torch.zeros(len(lengths), frames, *shape)
        for row, length, generator in zip(out, lengths.tolist(), self._each(len(lengths))):
            row[:length] = torch.randn((length, *shape), generator=generator)
        return out.to(self.device)

    def uniform_in_time(self, lengths: Tensor, frames: int) -> Tensor:
        """``(batch, frames)`` in [0, 1); a clip draws for its own ``lengths`` frames, the rest is 0."""
        out = torch.zeros(len(lengths), frames)
        for row, length, generator in zip(out, lengths.tolist(), self._each(len(lengths))):
            row[:length] = torch.rand(length, generator=generator)
        return out.to(self.device)

    def _draw(self, make: Callable[..., Tensor], shape: Tuple[int, ...]) -> Tensor:
        if self.generators is None or isinstance(self.generators, torch.Generator):
            return make(shape, generator=self.generators)
        return torch.stack([make(shape[1:], generator=g) for g in self._each(shape[0])])

    def _each(self, batch: int) -> List[Optional[torch.Generator]]:
        if self.generators is None or isinstance(self.generators, torch.Generator):
            return [self.generators] * batch
        return list(self.generators)

    def chance(self, p: float, *shape: int) -> Tensor:
        return self.uniform(*shape) < p


def skip_and_repeat(
    position: Tensor, lengths: Tensor, fixed: bool, config: AugmentConfig, draw: Draw
) -> Tuple[Tensor, Tensor]:
    """Leave frames out and show others twice, at random.

    Args:
        position: ``(batch, frames)`` where each frame is read.
        lengths: ``(batch,)`` frames of each clip.
        fixed: a clip keeps its number of frames: what is left is spread over them.

    Returns:
        The same of the changed clips. A clip keeps one frame at least.
    """
    if config.jitter == 0:
        return position, lengths
    drawn = draw.uniform_in_time(lengths, position.shape[1])
    times = 1 + (drawn > 1 - config.jitter / 2).long() - (drawn < config.jitter / 2).long()
    rows: List[Tensor] = []
    for row, count, length in zip(position, times, lengths.tolist()):
        shown = row[:length].repeat_interleave(count[:length]) if int(count[:length].sum()) else row[:1]
        if fixed:
            at = torch.arange(length, device=row.device) * len(shown)
            shown = shown[torch.div(at, length, rounding_mode="floor")]
        rows.append(shown)
    changed = lengths if fixed else torch.tensor([len(row) for row in rows], device=lengths.device)
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), changed


def mirror(x: Tensor, known: Tensor, permutation: Tensor, chosen: Tensor) -> Tuple[Tensor, Tensor]:
    """Swap left and right in the ``chosen`` ``(batch,)`` clips: x becomes 1 - x, points change places.

    Args:
        permutation: ``(points,)`` the point that stands at each place after the swap.
    """
    flipped = x[:, :, permutation].clone()
    flipped_known = known[:, :, permutation]
    flipped[..., 0] = torch.where(flipped_known, 1 - flipped[..., 0], flipped[..., 0])
    pick = chosen[:, None, None]
    return torch.where(pick[..., None], flipped, x), torch.where(pick, flipped_known, known)


def affine(x: Tensor, known: Tensor, config: AugmentConfig, draw: Draw) -> Tensor:
    """Rotate (in the plane and about the vertical axis), scale and shear about the picture's middle."""
    batch = x.shape[0]
    on = draw.chance(config.affine, batch).to(x.dtype)
    angle = on * draw.uniform(batch, low=-1, high=1) * math.radians(config.rotate)
    turn = on * draw.uniform(batch, low=-1, high=1) * math.radians(config.turn)
    size = 1 + on * draw.uniform(batch, low=-1, high=1) * config.scale
    ratio = 1 + on * draw.uniform(batch, low=-1, high=1) * config.scale / 2
    shear = on * draw.uniform(batch, low=-1, high=1) * config.shear
    cos, sin, one, zero = angle.cos(), angle.sin(), torch.ones_like(on), torch.zeros_like(on)
    plane = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], -1).view(batch, 3, 3)
    about_y = torch.stack([turn.cos(), zero, turn.sin(), zero, one, zero, -turn.sin(), zero, turn.cos()], -1)
    stretch = torch.stack([size * ratio, shear, zero, zero, size / ratio, zero, zero, zero, size], -1)
    matrix = plane @ stretch.view(batch, 3, 3) @ about_y.view(batch, 3, 3)

    space = min(3, x.shape[-1])
    centre = x.new_tensor([0.5, 0.5, 0.0])[:space]
    moved = torch.einsum("bij,btpj->btpi", matrix[:, :space, :space], x[..., :space] - centre) + centre
    y = torch.cat([moved, x[..., space:]], dim=-1)
    return torch.where(known[..., None], y, x)


def jitter(
    x: Tensor,
    known: Tensor,
    lengths: Tensor,
    parts: Sequence[Sequence[int]],
    config: AugmentConfig,
    draw: Draw,
) -> Tensor:
    """Add noise to every point, and a slow drift (a half wave over the clip) to each part.

    Args:
        lengths: ``(batch,)`` frames of each clip.
    """
    batch, frames, points, _ = x.shape
    space = min(3, x.shape[-1])
    delta = torch.zeros_like(x)
    if config.noise > 0:
        delta[..., :space] += config.noise * draw.normal_in_time(lengths, frames, points, space)
    if config.wobble > 0:
        phase = draw.uniform(batch, 1, len(parts), 1, high=2 * math.pi)
        time = torch.arange(frames, device=x.device)[None, :] / (lengths - 1).clamp(min=1)[:, None]
        wave = torch.sin(math.pi * time[..., None, None] + phase)
        drift = config.wobble * wave * draw.normal(batch, 1, len(parts), space)
        for i, part in enumerate(parts):
            delta[:, :, list(part), :space] += drift[:, :, i : i + 1]
    return torch.where(known[..., None], x + delta, x)


def stretch_of(lengths: Tensor, frames: int, share: float, on: Tensor, draw: Draw) -> Tensor:
    """``(batch, frames)``: where ``on``, True in one random stretch of up to ``share`` of the clip's frames."""
    length = draw.uniform(len(lengths)) * share * lengths
    start = draw.uniform(len(lengths)) * (lengths - length)
    time = torch.arange(frames, device=on.device)[None, :]
    return (time >= start[:, None]) & (time < (start + length)[:, None]) & on[:, None]


def drop(
    known: Tensor, lengths: Tensor, hands: Sequence[Sequence[int]], config: AugmentConfig, draw: Draw
) -> Tensor:
    """Lose a hand for a stretch, a finger of each hand, and all points for stretches; return what is left.

    Args:
        lengths: ``(batch,)`` frames of each clip, padding not counted.
        hands: point indices of each hand (21 points: wrist, then thumb to little finger, four joints each).
    """
    batch, frames, points = known.shape
    known = known.clone()
    if config.time_mask > 0:
        for _ in range(config.time_masks):
            lost = stretch_of(lengths, frames, config.mask_share, draw.chance(config.time_mask, batch), draw)
            known &= ~lost[..., None]
    if hands and config.drop_hand > 0:
        which = (draw.uniform(batch) * len(hands)).long()
        lost = stretch_of(lengths, frames, 2 * config.mask_share, draw.chance(config.drop_hand, batch), draw)
        for i, hand in enumerate(hands):
            known[:, :, list(hand)] &= ~(lost & (which == i)[:, None])[..., None]
    if hands and config.drop_finger > 0:
        for hand in hands:
            on, finger = draw.chance(config.drop_finger, batch), (draw.uniform(batch) * 5).long()
            joint = torch.arange(21, device=known.device)[None, :]
            of_finger = torch.div(joint - 1, 4, rounding_mode="floor") == finger[:, None]
            lost = on[:, None] & (joint > 0) & of_finger
            known[:, :, list(hand)] &= ~lost[:, None, :]
    return known
