"""Decoding in a compiled graph H∘L∘G, with either engine."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch

from asl.decoding.hypothesis import Hypothesis, check_log_probs
from asl.decoding.oracle import oracle_errors
from asl.decoding.readings import FOR_CONFIDENCE, hypotheses_of
from asl.decoding.rescore import Rescoring, rescore_lattice
from asl.decoding.times import Spelling, aligned_times, spelling_of, word_times
from asl.graph.engine import BestPath, Engine, Graph, Reading
from asl.graph.lattice import Lattice
from asl.graph.options import SearchOptions
from asl.graph.words import unique_readings, word_lattice

log = logging.getLogger(__name__)
# an utterance whose search reached no end of the graph is searched again with a beam so much wider
_WIDER = (4.0, 16.0, 1e6)


@dataclass
class Passes:
    """What is done beside the search itself.

    Args:
        lattice: make lattices: without, there is the best path alone, several times as fast, without
            confidences.
        rescoring: rescore the lattices with another n-gram.
        mbr: put the reading of least expected word errors first, not the most probable one.
        nbest: hypotheses to return; fewer where the lattice holds fewer (see ``lattice_beam``).
    """

    lattice: bool = True
    rescoring: Optional[Rescoring] = None
    mbr: bool = False
    nbest: int = 1


@dataclass
class Found:
    """What the search found for one utterance.

    Args:
        path: the best path, None where there is none.
        readings: each word sequence once, best first, after rescoring; those that share the probability out.
        log_probs: ``(frames, tokens)`` of the utterance, for the times of readings other than the best path's.
        lattice: whether the readings come from a lattice.
    """

    path: Optional[BestPath]
    readings: List[Reading] = field(default_factory=list)
    log_probs: Optional[np.ndarray] = None
    lattice: bool = True

    def hypotheses(
        self, nbest: int, mbr: bool, spelling: Spelling, frame_shift: Optional[float]
    ) -> List[Hypothesis]:
        """Return the n best; arguments as of ``hypotheses_of``, with the seconds from frame to frame."""

        def times(words: Sequence[str]) -> Optional[List[Tuple[float, float]]]:
            assert self.path is not None and self.log_probs is not None and frame_shift is not None
            if list(words) == self.path.words:
                return word_times(self.path.tokens, words, spelling, frame_shift)
            return aligned_times(self.log_probs, words, spelling, frame_shift)

        out = hypotheses_of(self.readings, nbest, mbr, None if frame_shift is None else times if self.path else _none)
        if self.path is not None and not self.lattice:
            out[0].confidence = out[0].word_confidences = None
        return out


def _none(_: Sequence[str]) -> Optional[List[Tuple[float, float]]]:
    return []


def decode_graph(
    engine: Engine,
    graph: Graph,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    options: Optional[SearchOptions] = None,
    nbest: int = 1,
    frame_shift: Optional[Sequence[float]] = None,
    counts: Optional[Counter] = None,
    passes: Optional[Passes] = None,
) -> List[List[Hypothesis]]:
    """Return for each utterance its n best word sequences in the graph, best first.

    An utterance for which the beam was too narrow to reach an end of the graph is searched again with
    wider ones; one that has no path at all (fewer frames than its shortest reading needs) gets an empty
    hypothesis with score minus infinity. Both are counted and said in a warning.

    Args:
        engine, graph: from ``get_engine`` and its ``load``.
        log_probs: ``(batch, frames, tokens)``, normalised, blank is 0.
        lengths: ``(batch,)`` valid frames.
        options: how wide to search, and the weights of a path's parts; None for the defaults.
        nbest: how many hypotheses to return, where ``passes`` does not say.
        frame_shift: for each utterance, seconds from one frame of ``log_probs`` to the next; where given,
            the best hypothesis gets the times of its words.
        counts: where given, ``searched``, ``widened``, ``empty`` and ``not_rescored`` utterances are added.
        passes: rescoring, minimum Bayes risk, or the best path alone.

    Returns:
        Hypotheses. The score is that of the best path (Viterbi), see ``SearchOptions``; the confidence is its
        share among the readings in the lattice, the 100 best at most; the best one has that of each word.

    Raises:
        AslError: the log-probs are NaN or of another number of tokens, or the engine lacks an option.
    """
    passes = passes or Passes(nbest=nbest)
    counts = Counter() if counts is None else counts
    here: Counter = Counter()
    found = search_readings(engine, graph, log_probs, lengths, options or SearchOptions(), passes, here)
    warn(here, options or SearchOptions())
    counts.update(here)
    spelling = {} if frame_shift is None else spelling_of(graph.lang)
    shifts: Sequence[Optional[float]] = [None] * len(found) if frame_shift is None else frame_shift
    return [one.hypotheses(passes.nbest, passes.mbr, spelling, shift) for one, shift in zip(found, shifts)]


def search_readings(
    engine: Engine,
    graph: Graph,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    options: SearchOptions,
    passes: Passes,
    counts: Counter,
    references: Optional[Sequence[Sequence[str]]] = None,
) -> List[Found]:
    """Search a batch; arguments and errors as of ``decode_graph``, without its warning.

    Args:
        references: where given, the lattices' ``oracle_errors`` against them, before rescoring, and
            ``reference_words`` are added to ``counts``.
    """
    log_probs = check_log_probs(log_probs, lengths, len(graph.lang.tokens))
    out: List[Found] = [Found(None) for _ in lengths]
    lattices: Dict[int, Lattice] = {}
    todo, before = list(range(len(out))), 0
    for factor in (1.0, *_WIDER):
        if not todo:
            break
        before = len(todo) if factor == _WIDER[0] else before
        wide = options.wider(factor)
        if passes.lattice:
            searched = engine.decode(graph, log_probs[todo], lengths[todo], wide)
            paths = engine.best_path(searched)
            lattices.update(zip(todo, engine.arrays(searched)))
        else:
            paths = engine.search(graph, log_probs[todo], lengths[todo], wide)
        for row, path in zip(todo, paths):
            if path is not None:
                frames = log_probs[row, :lengths[row]].cpu().numpy()
                out[row] = Found(path, [Reading(path.words, path.score)], frames, passes.lattice)
        todo = [row for row in todo if out[row].path is None]
    counts.update(searched=len(out), widened=before - len(todo), empty=len(todo))
    for row, lattice in lattices.items():
        if references is not None:
            ids = graph.lang.word_ids
            counts["oracle_errors"] += oracle_errors(lattice, [ids.get(word, -1) for word in references[row]])
            counts["reference_words"] += len(references[row])
        if out[row].path is not None:
            out[row].readings = _readings(lattice, out[row].path, graph, passes, counts)
    return out


def warn(counts: Counter, options: SearchOptions) -> None:
    """Say what went wrong in a search."""
    if counts["widened"] or counts["empty"]:
        log.warning("beam %g was too narrow for %d of %d utterances; wider ones found %d, %d have no path",
                    options.beam, counts["widened"] + counts["empty"], counts["searched"], counts["widened"],
                    counts["empty"])
    if counts["not_rescored"]:
        log.warning("%d of %d utterances keep their first scores: their lattices hold no reading that the new "
                    "language model allows", counts["not_rescored"], counts["searched"])


def _readings(
    lattice: Lattice, path: Optional[BestPath], graph: Graph, passes: Passes, counts: Counter
) -> List[Reading]:
    count = max(passes.nbest, FOR_CONFIDENCE)
    if passes.rescoring is not None:
        rescored = unique_readings(rescore_lattice(word_lattice(lattice), passes.rescoring), count)
        if rescored:  # states may be left, and no way to an end
            return _spoken(rescored, graph)
        counts["not_rescored"] += 1
    readings = _spoken(unique_readings(lattice, count), graph)
    if path is None:
        return readings
    # the best path's reading first, also where another one has the same score
    first = Reading(path.words, path.score)
    return [first, *(reading for reading in readings if reading.words != path.words)]


def _spoken(found: List[Tuple[Tuple[int, ...], float]], graph: Graph) -> List[Reading]:
    symbols = graph.lang.symbols
    return [Reading([symbols[word] for word in words], score) for words, score in found]
