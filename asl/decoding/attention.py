"""Beam search over text decoders, many clips at a time: attention, CTC prefixes and language models in one score.

A text's score is

    total(y) = sum_i weight_i log p_i(y) + ctc_weight log p_CTC(y begins the text),   score(y) = total(y) / norm(n)

where the weights of the decoders sum to ``1 - ctc_weight`` (Watanabe et al. 2017, Hori et al. 2017), those of
language models are their scales (shallow fusion, Gulcehre et al. 2015), and ``norm(n) = n ** length_penalty`` for ``n``
tokens, the end counted: with 1 the score is the mean of a token (Koehn and Knowles 2017, Six challenges for neural machine
translation). Wu et al. 2016 divide by ``((5 + n) / 6) ** length_penalty``; of a network that is not sure of its tokens the
best text is then the empty one, the more so the longer the right one would be.
"""

import math
from dataclasses import dataclass
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.decoding.ctc_prefix import CtcPrefixScorer

SHORTEST = 10  # the longest length is never less: a few frames may still be a sentence


@dataclass(frozen=True)
class BeamOptions:
    """How a beam search goes on and when it ends.

    Args:
        beam_size: hypotheses that go on after each token.
        nbest: hypotheses returned, ``beam_size`` at most.
        length_penalty: exponent of the normalisation above; 0: none, and short texts win.
        max_length: longest text, in tokens for a frame of the memory; ten tokens are always allowed. Where CTC has a
            say a text has no more tokens than the memory has frames anyway.
        no_repeat: no n-gram of so many tokens stands twice in a text; 0: any may.
        ctc_weight: share of the CTC prefix score, 0 (none) to below 1.
        candidates: tokens that are tried for each hypothesis, the decoders' (and language models') best, where CTC has
            a say; default twice the beam. The end is always tried.

    Raises:
        AslError: a value out of its range, by the option's name.
    """

    beam_size: int = 5
    nbest: int = 1
    length_penalty: float = 1.0
    max_length: float = 2.0
    no_repeat: int = 0
    ctc_weight: float = 0.0
    candidates: Optional[int] = None

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise AslError(f"--beam-size {self.beam_size}: give 1 (greedily) or more")
        if not 1 <= self.nbest <= self.beam_size:
            raise AslError(f"--nbest {self.nbest} --beam-size {self.beam_size}: give 1 <= nbest <= beam-size")
        if not math.isfinite(self.length_penalty):
            raise AslError(f"--length-penalty {self.length_penalty}: give a number, 0 for none")
        if not 0 < self.max_length < math.inf:
            raise AslError(f"--max-length {self.max_length}: give a number above 0, tokens for each frame of the encoder")
        if self.no_repeat < 0:
            raise AslError(f"--no-repeat {self.no_repeat}: give 0 (off) or the length of the n-grams")
        check_ctc_weight(self.ctc_weight)

    def norm(self, tokens: int) -> float:
        """What the total of a text of so many tokens, the end counted, is divided by."""
        return float(tokens**self.length_penalty)

    def longest(self, frames: Tensor) -> List[int]:
        """Tokens that the text of each clip has at most, the end not counted."""
        return [max(SHORTEST, math.ceil(self.max_length * count)) for count in frames.tolist()]


def check_ctc_weight(weight: float) -> float:
    """Return ``weight``; AslError unless it is a share below 1."""
    if not 0 <= weight < 1:
        raise AslError(f"--ctc-weight {weight}: give a share from 0 (none) to below 1")
    return weight


class Part(NamedTuple):
    """Something that tells the next token: a text decoder, or a language model.

    Attributes:
        weight: of its log-probabilities.
        scorer: has ``step(tokens (rows,), state) -> (log_probs (rows, vocabulary + 1), state)``; the last column is
            the end, whose id also begins every text; id 0 is never chosen.
        state: of one row for each clip, before the first step; has ``select(rows) -> state``, which repeats, drops
            and reorders rows.
        device: where the scorer wants its tokens.
    """

    weight: float
    scorer: Any
    state: Any
    device: Any = "cpu"

    def step(self, tokens: Tensor, state: Any) -> Tuple[Tensor, Any]:
        """Weighted log-probabilities on the CPU, and the state after ``tokens``."""
        log_probs, state = self.scorer.step(tokens.to(self.device), state)
        return log_probs.detach().float().cpu() * self.weight, state

    def select(self, state: Any, rows: Tensor) -> Any:
        """The given rows of a state."""
        return state.select(rows.to(self.device))


class Found(NamedTuple):
    """A text: its token ids without the end, its score, and whether it was cut off at the longest length."""

    ids: List[int]
    score: float
    cut: bool = False


@torch.no_grad()
def beam_search(
    parts: Sequence[Part],
    sos_eos: int,
    frames: Tensor,
    options: BeamOptions = BeamOptions(),
    ctc: Optional[CtcPrefixScorer] = None,
) -> List[List[Found]]:
    """Return for each clip its n best texts, best first; never none.

    Of the candidates of a clip, in the order of their totals, the ends among the first ``beam_size`` are finished
    hypotheses and the ``beam_size`` best of the others go on. A clip is done when ``beam_size`` hypotheses have
    finished, or when nothing that goes on could still be among the n best (totals only fall). What has the longest length
    must end there; it counts as cut off where a token was more probable than the end. What other clips are in the
    batch changes nothing.

    Args:
        parts: decoders and language models; log-probabilities all of them, so that totals only fall.
        sos_eos: id of begin and end, one more than the last token's.
        frames: ``(clips,)`` frames of the memory, by which the longest length goes.
        options: see there.
        ctc: the prefix scorer of the batch, where ``options.ctc_weight`` is above 0.

    Raises:
        AslError: a score is NaN (the clip's place in the batch is named).
    """
    if (ctc is not None) != (options.ctc_weight > 0):
        raise ValueError("a CTC prefix scorer and a ctc_weight above 0 go together")
    return _Search(parts, sos_eos, frames, options, ctc).run()


class _Search:
    """The hypotheses of the clips that are not done: of each clip equally many, dead ones with a total of -inf.

    Attributes:
        clips: ``(live,)`` places in the batch. tokens: ``(live, width, length)``, the begin first.
        base: ``(live, width)`` totals without CTC. states, prefixes: their rows are ``live * width``.
    """

    def __init__(
        self, parts: Sequence[Part], sos_eos: int, frames: Tensor, options: BeamOptions, ctc: Optional[CtcPrefixScorer]
    ) -> None:
        self.parts, self.sos_eos, self.options, self.ctc = parts, sos_eos, options, ctc
        self.longest = torch.tensor(options.longest(frames))
        self.clips = torch.arange(len(frames))
        self.tokens = torch.full((len(frames), 1, 1), sos_eos)
        self.base = torch.zeros(len(frames), 1, dtype=torch.float64)
        self.states = [part.state for part in parts]
        self.prefixes = None if ctc is None else ctc.start()
        self.finished: List[List[Found]] = [[] for _ in range(len(frames))]

    def run(self) -> List[List[Found]]:
        while len(self.clips):
            self._step()
        return [sorted(found, key=lambda one: -one.score)[:self.options.nbest] for found in self.finished]

    def _step(self) -> None:
        """One more token, or the end, for each hypothesis."""
        live, width, length = self.tokens.shape
        base, totals, ids, forced = self._candidates()
        count = ids.shape[1] + 1
        best, places = totals.view(live, -1).topk(min(2 * self.options.beam_size, width * count), dim=1)
        ends = places % count == count - 1
        self._finish(best, places // count, ends, forced)
        beam = min(self.options.beam_size, best.shape[1])
        best, order = best.masked_fill(ends, -math.inf).topk(beam, dim=1)
        places = places.gather(1, order)
        going = torch.tensor([not self._is_done(clip, total, length) for clip, total in zip(self.clips.tolist(), best[:, 0].tolist())])
        rows = (places // count + torch.arange(live)[:, None] * width)[going].flatten()
        tokens = torch.nn.functional.pad(ids, (0, 1)).view(live, -1).gather(1, places)[going]
        self.clips, self.base = self.clips[going], base.view(live, -1).gather(1, places)[going]
        self.base = self.base.masked_fill(best[going] == -math.inf, -math.inf)
        if not len(self.clips):
            return
        self.tokens = torch.cat([self.tokens.flatten(0, 1)[rows].view(*tokens.shape, length), tokens[..., None]], dim=2)
        self.states = [part.select(state, rows) for part, state in zip(self.parts, self.states)]
        if self.ctc is not None:
            self.prefixes = self.ctc.extend(self.prefixes, rows, tokens.flatten())

    def _candidates(self) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
        """What could follow each row: its best tokens and, last, the end.

        Returns:
            totals without CTC and totals ``(rows, candidates + 1)``, ids ``(rows, candidates)``, and whether the end
            is less probable than a token but must be ``(rows,)``.
        """
        local, rows = self._log_probs(), self.base.numel()
        end = local[:, self.sos_eos].double()
        if self.options.no_repeat:
            forbid_repeats(local, self.tokens.flatten(0, 1)[:, 1:], self.options.no_repeat)
        wanted = self.options.beam_size
        if self.ctc is not None:
            wanted = self.options.candidates or 2 * wanted
        # of the tokens alone: where few may follow, the blank and the end would be among the best
        values, ids = local[:, 1:self.sos_eos].topk(min(wanted, self.sos_eos - 1), dim=1)
        values, ids = values.double(), ids + 1
        must_end = (self.longest[self.clips] < self.tokens.shape[2])[:, None].expand(self.base.shape).flatten()
        forced = must_end & (values[:, 0] > end)
        values[must_end] = -math.inf
        base = self.base.view(rows, 1) + torch.cat([values, end[:, None]], dim=1)
        if self.ctc is None:
            return base, base, ids, forced
        ctc = torch.cat([self.ctc.score(self.prefixes, ids), self.ctc.end(self.prefixes)[:, None]], dim=1)
        return base, base + self.options.ctc_weight * ctc, ids, forced

    def _log_probs(self) -> Tensor:
        """The weighted sum over the parts ``(rows, vocabulary + 1)``; the states go on."""
        last = self.tokens[:, :, -1].flatten()
        stepped = [part.step(last, state) for part, state in zip(self.parts, self.states)]
        self.states = [state for _, state in stepped]
        local = stepped[0][0]
        for log_probs, _ in stepped[1:]:
            local = local + log_probs
        bad = local.isnan().any(dim=1)
        if bad.any():
            clip = int(self.clips[int(bad.nonzero()[0]) // self.base.shape[1]])
            raise AslError(f"log-probs of utterance {clip} of the batch are NaN; has training diverged?")
        return local

    def _finish(self, totals: Tensor, rows: Tensor, ends: Tensor, forced: Tensor) -> None:
        """Note the ends among the first ``beam_size`` candidates of each clip."""
        width, length = self.tokens.shape[1:]
        among = ends & (totals > -math.inf)
        among[:, self.options.beam_size:] = False
        norm = self.options.norm(length)
        for place, rank in among.nonzero().tolist():
            row = int(rows[place, rank])
            ids = self.tokens[place, row, 1:].tolist()
            found = Found(ids, float(totals[place, rank]) / norm, bool(forced[place * width + row]))
            self.finished[int(self.clips[place])].append(found)

    def _is_done(self, clip: int, total: float, length: int) -> bool:
        """Whether nothing with ``total`` at most and ``length`` tokens matters any more."""
        found, options = self.finished[clip], self.options
        if total == -math.inf or len(found) >= options.beam_size:
            return True
        if len(found) < options.nbest:
            return False
        longest = int(self.longest[clip]) + 1
        norm = options.norm(longest if options.length_penalty > 0 else length + 1)
        return total / norm <= sorted((one.score for one in found), reverse=True)[options.nbest - 1]


def forbid_repeats(log_probs: Tensor, tokens: Tensor, size: int) -> None:
    """Set to -inf, in place, what would make an n-gram of ``size`` tokens stand twice in its row.

    Args:
        log_probs: ``(rows, vocabulary + 1)``, of the next token; for token 0 of no meaning.
        tokens: ``(rows, length)`` so far, the begin left out.
        size: 1 or more.
    """
    length = tokens.shape[1]
    if length < size:
        return
    last = tokens[:, length - size + 1:]
    windows = tokens.unfold(1, size, 1)  # (rows, length - size + 1, size)
    again = (windows[..., :-1] == last[:, None]).all(dim=2)
    log_probs.scatter_(1, windows[..., -1].masked_fill(~again, 0), -math.inf)
