"""The n best texts of CTC in the order of a text decoder (the second pass of Yao et al. 2021, WeNet).

What CTC's prefix beam search holds is read by the decoder, token by token as it stands, so that nothing has to be
searched twice. Scores are those of ``asl.decoding.attention``, CTC's being that of the whole text.
"""

import math
from typing import List, Sequence, Tuple

import torch
from torch import Tensor

from asl.decoding.attention import BeamOptions, Found, Part
from asl.decoding.beam import search_prefixes
from asl.decoding.hypothesis import check_log_probs


@torch.no_grad()
def rescore_ctc(
    log_probs: Tensor, lengths: Tensor, parts: Sequence[Part], sos_eos: int, options: BeamOptions, texts: int
) -> List[List[Found]]:
    """Return for each clip its n best texts, best first.

    Args:
        log_probs: CTC's, ``(batch, frames, sos_eos)``, normalised, blank is 0.
        lengths: ``(batch,)`` valid frames.
        parts: decoders and language models, as of ``beam_search``.
        sos_eos: id of begin and end.
        options: beam_size prefixes are kept in each frame; nbest, length_penalty and ctc_weight are as there.
        texts: how many of a clip are rescored, ``beam_size`` at most.
    """
    frames = check_log_probs(log_probs, lengths, sos_eos).cpu().double().numpy()
    clips = [search_prefixes(frames[row, :n], options.beam_size)[:texts] for row, n in enumerate(lengths.tolist())]
    flat = [(row, ids, score) for row, prefixes in enumerate(clips) for ids, score in prefixes]
    owners = torch.tensor([row for row, _, _ in flat])
    totals = torch.zeros(len(flat), dtype=torch.float64)
    for part in parts:
        totals += sum_log_probs(part, owners, [ids for _, ids, _ in flat], sos_eos)
    found: List[List[Found]] = [[] for _ in clips]
    for (row, ids, score), total in zip(flat, totals.tolist()):
        # what the n-gram rules out is ruled out, whatever its weight
        whole = total + options.ctc_weight * score if total > -math.inf else -math.inf
        found[row].append(Found(ids, whole / options.norm(len(ids) + 1)))
    return [sorted(one, key=lambda text: -text.score)[:options.nbest] for one in found]


def sum_log_probs(part: Part, owners: Tensor, texts: Sequence[List[int]], sos_eos: int) -> Tensor:
    """Weighted log-probability of each text, its end included: ``(texts,)`` float64.

    Args:
        owners: ``(texts,)`` the row of ``part.state`` that each text belongs to.
    """
    # the longest first, so that a step is made for those alone that are not at their end
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    lengths = [len(texts[row]) for row in order]
    inputs, targets = _padded([texts[row] for row in order], sos_eos)
    state, sums = part.select(part.state, owners[order]), torch.zeros(len(texts), dtype=torch.float64)
    going = len(order)
    for place in range(inputs.shape[1]):
        still = sum(length >= place for length in lengths)
        if still < going:
            state, going = part.select(state, torch.arange(still)), still
        log_probs, state = part.step(inputs[:going, place], state)
        sums[:going] += log_probs.gather(1, targets[:going, place, None])[:, 0].double()
    return torch.empty_like(sums).index_copy_(0, torch.tensor(order), sums)


def _padded(texts: Sequence[List[int]], sos_eos: int) -> Tuple[Tensor, Tensor]:
    """``sos a b``, ``a b eos``: both ``(texts, longest + 1)``."""
    whole = torch.full((len(texts), max(map(len, texts)) + 2), sos_eos)
    for row, ids in enumerate(texts):
        whole[row, 1:len(ids) + 1] = torch.tensor(ids, dtype=torch.long)
    return whole[:, :-1], whole[:, 1:]
