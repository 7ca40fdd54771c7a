"""Decoding while the frames come in: partial hypotheses, end-pointing, and a final result equal to the offline one.

What is streamed here are the network's outputs; from landmarks to hypotheses, ``asl.tasks.streaming`` joins this with
a causal pipeline and an encoder of limited context. How far a network looks ahead is measured by ``look_ahead``.
"""

import time
from dataclasses import dataclass, field
from typing import Callable, List, Optional

import numpy as np
import torch

from asl.common.errors import AslError
from asl.decoding.hypothesis import check_log_probs
from asl.graph.engine import BestPath, Graph
from asl.graph.kaldi_engine import best_path_of, faster_options
from asl.graph.options import SearchOptions

Network = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class EndPointing:
    """When an utterance has ended, in output frames (Kaldi's rules, with the blank for silence).

    Args:
        blank: ends after so many frames of blank behind a decoded word; None: never for that.
        blank_alone: ends after so many frames of blank where no word was decoded; None: never for that.
        longest: ends after so many frames, whatever they are; None: never for that.
    """

    blank: Optional[int] = 12
    blank_alone: Optional[int] = None
    longest: Optional[int] = 500

    def __post_init__(self) -> None:
        for name in ("blank", "blank_alone", "longest"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise AslError(f"end-pointing: {name} is {value} frames; give 1 or more, or None for never")

    def why(self, frames: int, trailing_blanks: int, words: int) -> Optional[str]:
        """Return the name of the rule by which the utterance has ended, or None."""
        if self.longest is not None and frames >= self.longest:
            return "longest"
        if words:
            return "blank" if self.blank is not None and trailing_blanks >= self.blank else None
        return "blank_alone" if self.blank_alone is not None and trailing_blanks >= self.blank_alone else None


@dataclass
class Partial:
    """What is known after a chunk.

    Args:
        words: of the best path so far; later ones may change.
        stable: how many of them, from the first, have not changed for ``StreamingDecoder.settle`` chunks.
        frames: output frames so far.
        trailing_blanks: blanks at the end of the best path so far.
        ended: the rule of ``EndPointing`` by which the utterance has ended, None where it has not.
        seconds: what the search of this chunk took.
    """

    words: List[str]
    stable: int
    frames: int
    trailing_blanks: int
    ended: Optional[str]
    seconds: float


@dataclass
class StreamingDecoder:
    """Searches one utterance chunk by chunk (kaldi-decoder's ``FasterDecoder``).

    Args:
        graph: of the kaldi engine, from its ``load``.
        fst: the graph under the options' weights, ``engine.weighted(graph, options)``.
        options: as offline.
        end_pointing: when an utterance has ended.
        settle: chunks for which a word has to stay to be called stable.

    Example::

        engine = get_engine("kaldi")
        graph = engine.load("exp/ctc/graph")
        decoder = StreamingDecoder(graph, engine.weighted(graph, options), options)
        for chunk in chunks:                      # (frames, tokens)
            partial = decoder.accept(chunk)
            if partial.ended:
                break
        path = decoder.finish()                   # what engine.search gives for all frames at once
    """

    graph: Graph
    fst: object
    options: SearchOptions = field(default_factory=SearchOptions)
    end_pointing: EndPointing = field(default_factory=EndPointing)
    settle: int = 3

    def __post_init__(self) -> None:
        if self.graph.info.get("engine") != "kaldi":
            raise AslError(f"{self.graph.folder}: streaming is the kaldi engine's alone; load its graph, or compile "
                           "one with --engine kaldi")
        self.reset()

    def reset(self) -> None:
        """Begin another utterance."""
        import kaldi_decoder

        self.decoder = kaldi_decoder.FasterDecoder(self.fst, faster_options(self.options))
        self.decoder.init_decoding()
        self.frames = 0
        self.seconds: List[float] = []
        self._history: List[List[str]] = []

    def accept(self, log_probs: torch.Tensor) -> Partial:
        """Search the next frames and say what is known so far.

        Args:
            log_probs: ``(frames, tokens)``, the frames that follow those given before.

        Raises:
            AslError: NaN, or another number of tokens.
        """
        import kaldi_decoder

        began = time.perf_counter()
        checked = check_log_probs(log_probs[None], torch.tensor([len(log_probs)]), len(self.graph.lang.tokens))[0]
        if len(checked):
            scores = (checked * self.options.acoustic_scale).cpu().numpy()
            # frames are numbered from the begin of the utterance, and the array holds those of the chunk alone
            self.decoder.advance_decoding(kaldi_decoder.DecodableCtc(scores, self.frames))
            self.frames += len(checked)
        path = self._best(final=False)
        tokens = path.tokens if path else []
        blanks = len(tokens) - 1 - max(np.flatnonzero(tokens), default=-1)
        words = path.words if path else []
        self._history = [*self._history[-(self.settle - 1):], words] if self.settle > 1 else [words]
        ended = self.end_pointing.why(self.frames, int(blanks), len(words))
        self.seconds.append(time.perf_counter() - began)
        return Partial(words, self._stable(), self.frames, int(blanks), ended, self.seconds[-1])

    def finish(self) -> Optional[BestPath]:
        """Return the best path that ends where the graph does; None where none does, as offline."""
        return self._best(final=True) if self.frames and self.decoder.reached_final() else None

    def _best(self, final: bool) -> Optional[BestPath]:
        return best_path_of(self.decoder, self.graph.lang.symbols, final) if self.frames else None

    def _stable(self) -> int:
        if len(self._history) < self.settle:
            return 0
        count = 0
        for words in zip(*self._history):
            if len(set(words)) > 1:
                break
            count += 1
        return count


def look_ahead(network: Network, inputs: torch.Tensor, subsampling: int = 1) -> Optional[int]:
    """Measure how many input frames behind the first of its own an output frame depends on.

    Input frames in the middle and at the end are changed, and the earliest output that changes with them is looked
    for: exact for the given network, whatever it is made of.

    Args:
        network: ``(1, frames, features)`` -> ``(1, frames', outputs)``, in eval mode, lengths taken as full.
        inputs: a clip of ``(frames, features)``, longer than any finite look-ahead that is to be found.
        subsampling: input frames for one output frame; ``subsampling - 1`` of the look-ahead are its own.

    Returns:
        Frames; None where the first output depends on the last frame: the network wants the whole clip.
    """
    with torch.no_grad():
        before = network(inputs[None])[0]
        most = 0
        middle = len(inputs) // 2
        for frame in (*range(middle, middle + subsampling), len(inputs) - 1):
            changed = inputs.clone()
            changed[frame] += 1.0
            moved = (network(changed[None])[0] != before).any(dim=-1).nonzero()
            if len(moved):
                if int(moved[0]) == 0:
                    return None
                most = max(most, frame - int(moved[0]) * subsampling)
    return most
