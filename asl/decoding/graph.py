"""Decoding in a compiled graph H∘L∘G, with either engine."""

import logging
import math
from collections import Counter
from typing import List, Optional, Sequence

import numpy as np
import torch

from asl.decoding.hypothesis import Hypothesis, check_log_probs
from asl.decoding.times import spelling_of, word_times
from asl.graph.engine import BestPath, Engine, Graph, Reading
from asl.graph.options import SearchOptions

log = logging.getLogger(__name__)
# an utterance whose search reached no end of the graph is searched again with a beam so much wider
_WIDER = (4.0, 16.0, 1e6)
# the readings that share the probability out, where fewer are asked for
_FOR_CONFIDENCE = 50


def decode_graph(
    engine: Engine,
    graph: Graph,
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    options: Optional[SearchOptions] = None,
    nbest: int = 1,
    frame_shift: Optional[Sequence[float]] = None,
    counts: Optional[Counter] = None,
) -> List[List[Hypothesis]]:
    """Return for each utterance its n best word sequences in the graph, best first.

    An utterance for which the beam was too narrow to reach an end of the graph is searched again with
    wider ones; one that has no path at all (fewer frames than its shortest reading needs) gets an empty
    hypothesis with score minus infinity. Both are counted and said in a warning.

    Args:
        engine, graph: from ``get_engine`` and its ``load``.
        log_probs: ``(batch, frames, tokens)``, normalised, blank is 0.
        lengths: ``(batch,)`` valid frames.
        options: how wide to search; None for the defaults.
        nbest: how many hypotheses to return; fewer where the lattice holds fewer (see ``lattice_beam``).
        frame_shift: for each utterance, seconds from one frame of ``log_probs`` to the next; where given,
            the best hypothesis gets the times of its words.
        counts: where given, ``searched``, ``widened`` and ``empty`` utterances are added to it.

    Returns:
        Hypotheses. The score is that of the best path (Viterbi): log-probs times ``acoustic_scale`` plus
        grammar; the confidence is its share among the readings in the lattice, the 50 best at most.

    Raises:
        AslError: the log-probs are NaN or of another number of tokens, or the engine lacks an option.
    """
    options = options or SearchOptions()
    log_probs = check_log_probs(log_probs, lengths, len(graph.lang.tokens))
    paths: List[Optional[BestPath]] = [None] * len(lengths)
    readings: List[List[Reading]] = [[] for _ in paths]
    todo, widened = list(range(len(paths))), 0
    for factor in (1.0, *_WIDER):
        if not todo:
            break
        widened = len(todo) if factor == _WIDER[0] else widened
        lattices = engine.decode(graph, log_probs[todo], lengths[todo], options.wider(factor))
        found = zip(todo, engine.best_path(lattices), engine.nbest(lattices, max(nbest, _FOR_CONFIDENCE)))
        for row, path, its_readings in found:
            paths[row], readings[row] = path, its_readings
        todo = [row for row in todo if paths[row] is None]
    if widened:
        log.warning("beam %g was too narrow for %d of %d utterances; wider ones found %d, %d have no path",
                    options.beam, widened, len(paths), widened - len(todo), len(todo))
    if counts is not None:
        counts.update(searched=len(paths), widened=widened - len(todo), empty=len(todo))
    spelling, out = spelling_of(graph.lang), []
    for row, path in enumerate(paths):
        if path is None:
            out.append([Hypothesis([], -math.inf, None if frame_shift is None else [], 0.0)])
            continue
        hypotheses = _hypotheses(path, readings[row])[:nbest]
        if frame_shift is not None:
            hypotheses[0].times = word_times(path.tokens, path.words, spelling, frame_shift[row])
        out.append(hypotheses)
    return out


def _hypotheses(path: BestPath, readings: List[Reading]) -> List[Hypothesis]:
    """The best path's reading first, also where another one has the same score."""
    others = [reading for reading in readings if reading.words != path.words]
    scores = np.array([path.score] + [reading.score for reading in others])
    shares = np.exp(scores - np.logaddexp.reduce(scores))
    words = [path.words] + [reading.words for reading in others]
    return [Hypothesis(w, float(s), None, float(c)) for w, s, c in zip(words, scores, shares)]
