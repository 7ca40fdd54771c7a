"""Greedy CTC decoding: the best token of each frame, repeats merged, blanks dropped (Graves et al. 2006)."""

from typing import List, Optional, Sequence

import torch

from asl.decoding.hypothesis import Hypothesis, check_log_probs
from asl.decoding.times import token_runs
from asl.lang.tokens import TRANSITION, TokenTable


def greedy_search(
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    tokens: TokenTable,
    frame_shift: Optional[Sequence[float]] = None,
) -> List[List[Hypothesis]]:
    """Return for each utterance its one greedy hypothesis; its words are tokens, transitions left out.

    Args:
        log_probs: ``(batch, frames, tokens)``, normalised, blank is 0.
        lengths: ``(batch,)`` valid frames.
        tokens: the token table of the network.
        frame_shift: for each utterance, seconds from one frame to the next; where given, times are set.

    Returns:
        One list of one hypothesis for each utterance; the score is that of the best alignment.

    Raises:
        AslError: the log-probs are NaN or of another number of tokens.
    """
    log_probs = check_log_probs(log_probs, lengths, len(tokens)).cpu()
    best, ids = log_probs.max(dim=2)
    between = tokens.id(TRANSITION) if TRANSITION in tokens else 0
    out: List[List[Hypothesis]] = []
    for row, length in enumerate(lengths.tolist()):
        runs = [run for run in token_runs(ids[row, :length].tolist()) if run[0] != between]
        times = None
        if frame_shift is not None:
            times = [(first * frame_shift[row], end * frame_shift[row]) for _, (first, end) in runs]
        words = tokens.decode([token for token, _ in runs])
        out.append([Hypothesis(words, float(best[row, :length].double().sum()), times)])
    return out
