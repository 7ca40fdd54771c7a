"""The words of a lattice: its best readings, and a lattice of words alone, each reading with its best path's score."""

import logging
from typing import Any, List, Optional, Tuple

import numpy as np

from asl.graph.fst import Fst, from_openfst
from asl.graph.lattice import Lattice, empty_lattice, prune

Words = Tuple[int, ...]
# Kaldi's default of 1/1024 would move scores by up to that at each word
_DELTA = 1e-5
# a lattice whose words need more states is pruned until it fits: determinization can be exponential
MOST_STATES = 5_000
_NARROWER, _NARROW = 0.6, 1e-3
log = logging.getLogger(__name__)


def unique_readings(lattice: Lattice, n: int) -> List[Tuple[Words, float]]:
    """Return the ``n`` best word sequences, each once, with the score of its best path; best first.

    Exact but for the rounding of float32: in the determinised lattice each reading is one path, and of those the
    ``n`` best are taken. Where it had to be pruned (more than ``MOST_STATES`` states), the readings that may not
    be the next best are left out; a warning says so where they are fewer than ``n`` for it.
    """
    import kaldifst

    if len(lattice.final) == 0:
        return []
    words, beam = _of_words(lattice, None, max(MOST_STATES, n))
    found = []
    # a single path would come without the states that the conversion begins at
    for path in kaldifst.convert_nbest_to_vector(kaldifst.shortest_path(words, max(n, 2))):
        _, said, _, cost = kaldifst.get_linear_symbol_sequence(path)
        found.append((tuple(said), -cost.value))
    found.sort(key=lambda reading: (-reading[1], reading[0]))
    sure = [reading for reading in found[:n] if reading[1] >= found[0][1] - beam]
    if 0 < len(sure) < n and beam < np.inf:
        log.warning("a lattice of %d arcs has too many word sequences: the %d within %.2f of the best are taken, "
                    "not %d", len(lattice.src), len(sure), beam, n)
    return sure


def word_lattice(lattice: Lattice, beam: Optional[float] = None) -> Lattice:
    """Return the determinised and minimal acceptor of a lattice's readings, one word on each arc.

    Frames and alignments are gone, so it is some ten times smaller: what asks for words (n-best, oracle,
    rescoring) is fast and exact on it. Mohri, *Finite-State Transducers in Language and Speech Processing*, 1997.

    Args:
        lattice: of either engine.
        beam: leave out what is on no path within this of the best one; None for all of it. A lattice
            that would need more than ``MOST_STATES`` states is pruned further until it fits.
    """
    import kaldifst

    if len(lattice.final) == 0:
        return lattice
    words, within = _of_words(lattice, beam, MOST_STATES)
    if within < (np.inf if beam is None else beam):
        log.warning("a lattice of %d arcs has too many word sequences: pruned to those within %.2f of the best",
                    len(lattice.src), within)
    kaldifst.minimize_encoded(words, delta=_DELTA)
    kaldifst.connect(words)
    arrays = from_openfst(words)
    if arrays.num_states == 0:
        return empty_lattice()
    splits = np.arange(arrays.num_arcs + 1)
    return Lattice(arrays.src, arrays.dst, -arrays.cost, arrays.olabel, splits, -arrays.final)


def _of_words(lattice: Lattice, beam: Optional[float], most: int) -> Tuple[Any, float]:
    """Return the determinised acceptor of the words (OpenFst), and how far below the best path it is whole."""
    pruned, within, width = lattice, np.inf, np.inf
    if beam is not None:
        within = beam
        pruned, width = prune(lattice, within)
    while True:
        words = _determinise(pruned, most if width > _NARROW else -1)
        if words is not None:
            return words, within
        if width == np.inf:
            _, width = prune(lattice, width)
        within = width * _NARROWER
        pruned, width = prune(pruned, within)


def _determinise(lattice: Lattice, max_states: int) -> Optional[Any]:
    import kaldifst

    fst = _acceptor(lattice).openfst()
    kaldifst.arcsort(fst, "olabel")
    try:
        kaldifst.determinize_star(fst, delta=_DELTA, max_states=max_states)
    except RuntimeError as e:  # it throws at its bound
        if "aborted" not in str(e):
            raise
        return None
    return fst


def _acceptor(lattice: Lattice) -> Fst:
    """The lattice with one word an arc at most; an arc with several becomes a chain through new states."""
    counts = np.diff(lattice.splits)
    label = np.zeros(len(lattice.src), np.int32)
    label[counts > 0] = lattice.words[lattice.splits[:-1][counts > 0]]
    src, dst, score = lattice.src.copy(), lattice.dst.copy(), lattice.score
    rows, states = [], len(lattice.final)
    for arc in np.flatnonzero(counts > 1).tolist():
        more = lattice.words[lattice.splits[arc] + 1:lattice.splits[arc + 1]].tolist()
        end, dst[arc] = int(dst[arc]), states
        for word in more:
            states += 1
            rows.append((states - 1, states, word))
        rows[-1] = (states - 1, end, more[-1])
    extra = np.array(rows, np.int32).reshape(-1, 3)
    cost = -np.concatenate([score, np.zeros(len(extra), np.float32)]).astype(np.float32)
    src, dst, label = (np.concatenate([a, b]).astype(np.int32) for a, b in zip((src, dst, label), extra.T))
    order = np.argsort(src, kind="stable")
    final = np.concatenate([-lattice.final, np.full(states - len(lattice.final), np.inf)]).astype(np.float32)
    return Fst(src[order], dst[order], label[order], label[order], cost[order], final)
