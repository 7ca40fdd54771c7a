"""What stands beside CTC in its loss: occupancies, the share of the blank, the tags of a segmentation."""

import math
from typing import List, Tuple

import torch
from torch import Tensor
from torch.nn import functional as F

from asl.common.compat import cpu_where_mps_cannot
from asl.data.segments import UNKNOWN
from asl.models.masking import length_mask


def ctc_loss(log_probs: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """``-log p(tokens)`` of each utterance ``(batch,)``, 0 where it has too few frames for its tokens.

    The data room keeps such utterances out of training and names them; augmentation can still make one too
    short, and an infinite loss would end the run.
    """
    return F.ctc_loss(
        cpu_where_mps_cannot(log_probs).transpose(0, 1),
        cpu_where_mps_cannot(tokens),
        cpu_where_mps_cannot(lengths),
        cpu_where_mps_cannot(token_lengths),
        reduction="none",
        zero_infinity=True,
    )


def uniform_divergence(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """``sum over the frames of KL(uniform || posterior)`` of each utterance ``(batch,)``.

    Label smoothing of CTC: in a frame the gradient of ``(1 - s) CTC + s KL`` with regard to the logits is the
    posterior less ``(1 - s)`` times CTC's occupancy and ``s`` times the uniform distribution, which is what label
    smoothing (Szegedy et al. 2016) makes of a frame's target. Kim et al. 2018 (Improved training for online
    end-to-end speech recognition systems) add a divergence to the uniform distribution to CTC in the same way.
    """
    inside = length_mask(lengths, log_probs.shape[1]).to(log_probs.dtype)
    divergence = -log_probs.mean(dim=-1) - math.log(log_probs.shape[-1])
    # what is beyond a length may be anything; 0 times infinity would be NaN
    return torch.where(inside > 0, divergence, torch.zeros_like(divergence)).sum(dim=1)


def occupancy(log_probs: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """How probable each symbol is in each frame, given that the utterance reads as its tokens.

    The gradient of the CTC loss with regard to the logits is the network's posterior less this one (Graves et
    al. 2006, equation 16), so one backward pass over the log-probs gives it.

    Args:
        log_probs: ``(batch, frames, vocab_size)``; others as for ``ctc_loss``.

    Returns:
        ``(batch, frames, vocab_size)`` without gradient, 0 beyond the lengths; rows inside sum to 1. Where an
        utterance has too few frames for its tokens the network's own posterior stands.
    """
    with torch.enable_grad():
        logits = log_probs.detach().float().requires_grad_()
        total = ctc_loss(logits.log_softmax(dim=-1), lengths, tokens, token_lengths).sum()
        (gradient,) = torch.autograd.grad(total, logits)
    inside = length_mask(lengths, log_probs.shape[1])[..., None]
    return ((logits.detach().exp() - gradient) * inside).clamp(min=0)


def pad_tokens(tokens: Tensor, token_lengths: Tensor) -> Tensor:
    """Joined tokens -> ``(batch, most tokens)``, blank (0) behind the last of an utterance."""
    counts: List[int] = token_lengths.tolist()
    return torch.nn.utils.rnn.pad_sequence(list(tokens.split(counts)), batch_first=True)


def token_means(hidden: Tensor, occupied: Tensor, tokens: Tensor) -> Tensor:
    """The hidden vectors of each token: the mean over frames, weighted by how probably the token is there.

    A token that stands several times in an utterance has one vector, over all its places.

    Args:
        hidden: ``(batch, frames, dim)``.
        occupied: of ``occupancy``, at the same frames.
        tokens: ``(batch, most tokens)``, of ``pad_tokens``.

    Returns:
        ``(batch, most tokens, dim)``.
    """
    weight = occupied.gather(2, tokens[:, None, :].expand(-1, occupied.shape[1], -1))
    weight = weight / weight.sum(dim=1, keepdim=True).clamp(min=1e-8)
    return weight.transpose(1, 2).to(hidden.dtype) @ hidden


def blank_share(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the frames of each utterance of the blank's posterior, ``(batch,)``."""
    inside = length_mask(lengths, log_probs.shape[1]).to(log_probs.dtype)
    return (log_probs[..., 0].exp() * inside).sum(dim=1) / lengths.clamp(min=1)


def blank_excess(log_probs: Tensor, lengths: Tensor, ratio: float) -> Tensor:
    """``max(0, blank_share - ratio)`` of each utterance ``(batch,)``: what is above the ratio is penalised."""
    return F.relu(blank_share(log_probs, lengths) - ratio)


def tags_of_outputs(tags: Tensor, subsampling: int, frames: int) -> Tensor:
    """Tags of input frames -> of output frames ``(batch, frames)``.

    An output frame begins a sign if one of its frames does, else is inside if one is, else outside; unknown
    where none of them is known.
    """
    missing = max(frames * subsampling - tags.shape[1], 0)
    tags = F.pad(tags, (0, missing), value=UNKNOWN)[:, : frames * subsampling]
    return tags.view(len(tags), frames, subsampling).amax(dim=2)


def segment_losses(logits: Tensor, tags: Tensor) -> Tensor:
    """Cross-entropy of the tags, a mean over the frames of each utterance whose tag is known.

    Args:
        logits: ``(batch, frames, 3)`` of outside, inside and begin.
        tags: ``(batch, frames)``.

    Returns:
        ``(batch,)``; 0 for an utterance of which no frame is known.
    """
    scores = logits.float().transpose(1, 2)
    losses = F.cross_entropy(scores, tags, ignore_index=UNKNOWN, reduction="none")
    return losses.sum(dim=1) / (tags != UNKNOWN).sum(dim=1).clamp(min=1)


def segment_hits(logits: Tensor, tags: Tensor) -> Tuple[Tensor, Tensor]:
    """Frames with the right tag, and frames whose tag is known."""
    known = tags != UNKNOWN
    return ((logits.argmax(dim=-1) == tags) & known).sum(), known.sum()
