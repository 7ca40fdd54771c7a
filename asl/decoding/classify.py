"""Isolated signs with a softmax head: the n most probable classes are the n-best list."""

from typing import List, Optional, Sequence

import torch

from asl.common.errors import AslError
from asl.decoding.hypothesis import Hypothesis


def softmax_nbest(
    log_probs: torch.Tensor, classes: Sequence[str], n: int, durations: Optional[Sequence[float]] = None
) -> List[List[Hypothesis]]:
    """Return for each clip its ``n`` most probable classes, best first; equal ones in the order of classes.

    Args:
        log_probs: ``(batch, classes)``, normalised.
        classes: the word of each class.
        n: how many hypotheses to return; all classes where there are fewer.
        durations: length of each clip in seconds; where given, the sign spans its whole clip.

    Returns:
        For each clip its hypotheses; the score is the log-probability, the confidence the probability.

    Raises:
        AslError: the network has another number of classes, or a clip's log-probs are NaN.
    """
    if log_probs.dim() != 2 or n < 1:
        raise ValueError(f"expected (batch, classes) and n >= 1, got {tuple(log_probs.shape)} and {n}")
    if log_probs.shape[1] != len(classes):
        raise AslError(
            f"the network has {log_probs.shape[1]} classes but the lang folder has {len(classes)} words; "
            "use the lang folder that the network was trained with"
        )
    log_probs = log_probs.detach().to("cpu", torch.float32)
    bad = log_probs.isnan().any(dim=1).nonzero()
    if len(bad):
        raise AslError(f"log-probs of clip {int(bad[0])} of the batch are NaN; has the training diverged?")
    scores, order = torch.sort(log_probs, dim=1, descending=True, stable=True)
    out: List[List[Hypothesis]] = []
    for row, (clip_scores, clip_order) in enumerate(zip(scores[:, :n].tolist(), order[:, :n].tolist())):
        times = None if durations is None else [(0.0, float(durations[row]))]
        confidences = scores[row, :n].exp().tolist()
        out.append([
            Hypothesis([classes[index]], score, times, confidence)
            for index, score, confidence in zip(clip_order, clip_scores, confidences)
        ])
    return out
