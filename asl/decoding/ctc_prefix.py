"""CTC's probability of a text's beginning, for many beginnings at once.

Watanabe et al. 2017, Hybrid CTC/attention architecture for end-to-end speech recognition (algorithm 2); Hori,
Watanabe and Hershey 2017, Joint CTC/attention decoding for end-to-end speech recognition.

``psi(g)`` sums over all alignments of all texts that begin with ``g``. In the frame where the last token ``c`` of
``g c`` shows for the first time the alignment so far is one of exactly ``g``, so that

    psi(g c) = sum_t phi(t) p_t(c),  phi(t) = blank_g(t - 1) + token_g(t - 1), the latter only where c differs from g's last

``token_g(t)`` and ``blank_g(t)`` being the probabilities that the first ``t`` frames give exactly ``g`` and end in
its last token, or in a blank. They are needed only of what a search keeps. Their recursion over the frames is linear,
``r(t) = r(t - 1) p(t) + e(t)``, and is solved for all frames at once: with ``P(t)`` the product of ``p`` up to ``t``,
``r(t) = P(t) sum_{s <= t} e(s) / P(s)``, in logarithms and double precision.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from asl.decoding.hypothesis import check_log_probs

# e^-1000 stands for a probability of zero: the products over the frames stay finite
_LEAST = -1000.0


class PrefixState(NamedTuple):
    """Of each row: a beginning of the text of one clip.

    Attributes:
        in_token, in_blank: ``(rows, frames + 1)`` log-probabilities that the first 0, 1, … frames give exactly this
            text, their last frame being its last token, or a blank.
        last: ``(rows,)`` its last token; 0: it is empty.
        clips: ``(rows,)`` the clip's place in the batch.
    """

    in_token: Tensor
    in_blank: Tensor
    last: Tensor
    clips: Tensor


class CtcPrefixScorer:
    """Scores beginnings of texts against the CTC outputs of a batch.

    Args:
        log_probs: ``(batch, frames, tokens)``, normalised, blank is 0.
        lengths: ``(batch,)`` valid frames, at least one; what stands behind them counts for nothing.

    Raises:
        AslError: log-probs of a valid frame are NaN; names the clip's place in the batch.

    Example:
        >>> scorer = CtcPrefixScorer(torch.full((1, 2, 2), 0.5).log(), torch.tensor([2]))
        >>> start = scorer.start()
        >>> scorer.score(start, torch.tensor([[1]])).exp().tolist()  # all texts but the empty one
        [[0.75]]
        >>> scorer.end(scorer.extend(start, torch.tensor([0]), torch.tensor([1]))).exp().tolist()
        [0.75]
    """

    def __init__(self, log_probs: Tensor, lengths: Tensor) -> None:
        given = check_log_probs(log_probs, lengths, log_probs.shape[2])
        self.lengths = lengths.to(torch.long)
        inside = torch.arange(given.shape[1])[None, :] < self.lengths[:, None]
        given = given.clamp(min=_LEAST).masked_fill(~inside[..., None], 0.0)
        self.log_probs = given.transpose(1, 2).contiguous()  # (batch, tokens, frames)
        self.outside = torch.zeros(inside.shape, dtype=torch.float64).masked_fill(~inside, -math.inf)

    def start(self) -> PrefixState:
        """The empty beginning of each clip's text."""
        blank = self.log_probs[:, 0].double().cumsum(dim=1)
        in_blank = torch.nn.functional.pad(blank, (1, 0))
        clips = torch.arange(len(blank))
        return PrefixState(torch.full_like(in_blank, -math.inf), in_blank, torch.zeros_like(clips), clips)

    def score(self, state: PrefixState, tokens: Tensor) -> Tensor:
        """Return ``log psi`` of each row's text and one more token.

        Args:
            tokens: ``(rows, candidates)``, none of them the blank.

        Returns:
            ``(rows, candidates)`` float64; -inf where the clip has too few frames for the text.
        """
        emitted = self.log_probs[state.clips[:, None], tokens]  # (rows, candidates, frames)
        outside = self.outside[state.clips]
        after = torch.logaddexp(state.in_token, state.in_blank)[:, :-1] + outside
        different = torch.logsumexp(after[:, None] + emitted, dim=2)
        again = state.in_blank[:, :-1] + outside + self.log_probs[state.clips, state.last]
        return torch.where(tokens == state.last[:, None], torch.logsumexp(again, dim=1)[:, None], different)

    def end(self, state: PrefixState) -> Tensor:
        """Return the log-probability ``(rows,)`` that the clip's text is exactly the row's."""
        frames = self.lengths[state.clips][:, None]
        return torch.logaddexp(state.in_token.gather(1, frames), state.in_blank.gather(1, frames))[:, 0]

    def extend(self, state: PrefixState, rows: Tensor, tokens: Tensor) -> PrefixState:
        """The texts of ``rows`` ``(kept,)`` of the state (which may repeat), each with its token of ``tokens`` ``(kept,)``."""
        in_token, in_blank = state.in_token[rows], state.in_blank[rows]
        last, clips = state.last[rows], state.clips[rows]
        different = (tokens != last)[:, None]
        before = torch.where(different, torch.logaddexp(in_token, in_blank), in_blank)[:, :-1]
        emitted, blank = self.log_probs[clips, tokens].double(), self.log_probs[clips, 0].double()
        in_token = _recursion(before + emitted, emitted)
        in_blank = _recursion(in_token[:, :-1] + blank, blank)
        return PrefixState(in_token, in_blank, tokens, clips)


def _recursion(entering: Tensor, staying: Tensor) -> Tensor:
    """``r(t) = logaddexp(r(t - 1) + staying(t), entering(t))`` from ``r(0) = -inf`` on: ``(rows, frames + 1)``."""
    product = staying.cumsum(dim=1)
    return torch.nn.functional.pad(product + torch.logcumsumexp(entering - product, dim=1), (1, 0), value=-math.inf)
