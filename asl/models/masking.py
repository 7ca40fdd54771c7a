"""Padding that does not leak: masks for normalisation, pooling and subsampling."""

from contextlib import contextmanager
from typing import Iterator, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.common.processes import summed_with_gradient, world_size


def length_mask(lengths: Tensor, frames: int) -> Tensor:
    """``(batch, frames)`` True inside each sequence."""
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the frames inside: ``(batch, frames, channels)`` -> ``(batch, channels)``."""
    w = mask[..., None].to(x.dtype)
    return (x * w).sum(dim=1) / w.sum(dim=1).clamp(min=1)


def average_frames(x: Tensor, lengths: Tensor, by: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Average every ``by`` frames into one, over the frames inside only.

    Returns:
        ``(batch, ceil(frames / by), channels)``, the new lengths, and their mask.
    """
    frames = x.shape[1]
    pad = (-frames) % by
    mask = F.pad(length_mask(lengths, frames), (0, pad)).view(x.shape[0], -1, by).to(x.dtype)
    x = F.pad(x, (0, 0, 0, pad)).view(x.shape[0], -1, by, x.shape[2])
    x = (x * mask[..., None]).sum(2) / mask.sum(2).clamp(min=1)[..., None]
    lengths = (lengths + by - 1) // by
    return x, lengths, length_mask(lengths, x.shape[1])


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the frames inside the sequences; padding stays 0.

    Where several processes share a batch, mean and variance are those of the whole batch (Ioffe and Szegedy 2015,
    over the processes as torch's SyncBatchNorm, which takes no tensors on a CPU). In training one frame alone has no
    variance: it is normalised by the running estimates, which stay as they are.

    Shape: ``(batch, frames, channels)``, mask ``(batch, frames)`` -> ``(batch, frames, channels)``.

    Attributes:
        counts: whether this process's sequences belong to the batch (False for spare ones, see ``asl.data``).
    """

    counts = True

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        normalise = self._over_processes if self.training and world_size() > 1 else self._here
        if bool(mask.all()):
            return normalise(x.flatten(0, 1)).view_as(x)
        out = torch.zeros_like(x)
        out[mask] = normalise(x[mask])
        return out

    def _here(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 1:  # torch would end the run for a short clip that is alone in its batch
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)

    def _over_processes(self, x: Tensor) -> Tensor:
        """``(n, channels)`` -> the same, normalised by the mean and variance over all processes' rows."""
        rows = x.float()
        counted = rows if self.counts else rows[:0]
        sums = summed_with_gradient(torch.cat([counted.sum(0), counted.new_tensor([len(counted)])]))
        n = sums[-1].detach()
        mean = sums[:-1] / n
        variance = summed_with_gradient((counted - mean).square().sum(0)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1).clamp(min=1), self.momentum)
        y = (rows - mean) * (variance + self.eps).rsqrt()
        return (y * self.weight + self.bias).to(x.dtype)


def span_mask(
    lengths: Tensor, frames: int, share: float, span: int, guard: int, uniforms: Tensor
) -> Tuple[Tensor, Tensor]:
    """Choose spans of frames that are to be hidden (wav2vec 2.0, Baevski et al. 2020, section 3.1).

    Args:
        lengths: ``(batch,)`` frames of each clip.
        frames: of the whole batch.
        share: spans are drawn for so much of a clip; they may overlap.
        span: frames of one.
        guard: the last so many frames of a stretch are hidden but not asked for.
        uniforms: ``(batch, 1 + spans at most)`` in [0, 1): what the spans are drawn by.

    Returns:
        ``(batch, frames)`` frames that are hidden, and those of them that may be asked for.
    """
    wanted = (share * lengths / span + uniforms[:, 0]).long().clamp(min=1)
    room = (lengths - span + 1).clamp(min=1)[:, None]
    start = (uniforms[:, 1:] * room).long().minimum(room - 1)
    drawn = torch.arange(start.shape[1], device=start.device)[None, :] < wanted[:, None]
    time = torch.arange(frames, device=start.device)[None, None, :]
    inside = (time >= start[..., None]) & (time < start[..., None] + span) & drawn[..., None]
    of_clip = length_mask(lengths, frames)
    hidden = inside.any(dim=1) & of_clip
    unseen, asked = hidden | ~of_clip, hidden.clone()
    for ahead in range(1, guard + 1):
        asked[:, :-ahead] &= unseen[:, ahead:]
    return hidden, asked


@contextmanager
def hide_frames(encoder: nn.Module, hidden: Tensor, vector: Tensor) -> Iterator[None]:
    """While this lasts, ``encoder.frontend`` gives ``vector`` ``(channels,)`` for the frames ``hidden``.

    Behind the front-end and not before it, so that its normalisation measures what it will see in
    fine-tuning.

    Raises:
        AslError: the encoder has no front-end, or one of another number of frames or channels.
    """
    frontend = getattr(encoder, "frontend", None)
    if frontend is None:
        raise AslError(
            f"{type(encoder).__name__} has no 'frontend' behind which frames could be hidden; give that name "
            "to the module that makes one vector a frame"
        )

    def replace(module: nn.Module, given: object, out: Tensor) -> Tensor:
        if out.shape != (*hidden.shape, len(vector)):
            raise AslError(
                f"the front-end of {type(encoder).__name__} gives {tuple(out.shape)}; to hide frames it must "
                f"give {(*hidden.shape, len(vector))}: one vector a frame, as wide as the encoder's output"
            )
        return torch.where(hidden[..., None], vector.to(out.dtype), out)

    handle = frontend.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()
