"""What every decoder returns, and what every decoder asks of its input."""

from dataclasses import dataclass
from typing import List, Optional, Tuple

import torch

from asl.common.errors import AslError


@dataclass
class Hypothesis:
    """One reading of an utterance.

    Args:
        words: the words (glosses), none for an empty reading.
        score: natural logarithm; each decoder says of what (a probability, or a best path's).
        times: start and end of each word in seconds from the start of the clip, where the decoder knows them.
        confidence: posterior probability of the whole reading (0 to 1), where the decoder knows it.
        word_confidences: that of each word at its place, where the decoder knows it.
    """

    words: List[str]
    score: float
    times: Optional[List[Tuple[float, float]]] = None
    confidence: Optional[float] = None
    word_confidences: Optional[List[float]] = None


def check_log_probs(log_probs: torch.Tensor, lengths: torch.Tensor, num_tokens: int) -> torch.Tensor:
    """Return ``log_probs`` as float32, detached, after checking that a decoder can use it.

    Args:
        log_probs: ``(batch, frames, tokens)``, each frame normalised.
        lengths: ``(batch,)`` valid frames of each utterance.
        num_tokens: what the last dimension has to be.

    Raises:
        AslError: another number of tokens than the network has, or NaN in a valid frame (the utterance's
            place in the batch is named).
        ValueError: shapes or lengths that do not belong together.
    """
    if log_probs.dim() != 3 or lengths.shape != log_probs.shape[:1]:
        raise ValueError(f"expected (B, T, V) and (B,), got {tuple(log_probs.shape)}, {tuple(lengths.shape)}")
    if log_probs.shape[2] != num_tokens:
        raise AslError(
            f"the network has {log_probs.shape[2]} outputs but tokens.txt has {num_tokens} tokens, blank "
            "counted; use the lang folder that the network was trained with"
        )
    log_probs = log_probs.detach().to(torch.float32)
    if (lengths > log_probs.shape[1]).any() or (lengths < 0).any():
        raise ValueError(f"lengths {lengths.tolist()}: not within {log_probs.shape[1]} frames")
    valid = torch.arange(log_probs.shape[1])[None, :] < lengths.cpu()[:, None]
    bad = (log_probs.isnan().any(dim=2).cpu() & valid).any(dim=1).nonzero()
    if len(bad):
        raise AslError(f"log-probs of utterance {int(bad[0])} of the batch are NaN; has training diverged?")
    return log_probs
