"""A lattice of words alone: each reading is one path, with the score of its best path in the lattice."""

import logging
from typing import Optional

import numpy as np

from asl.graph.fst import Fst, from_openfst
from asl.graph.lattice import Lattice, empty_lattice, prune

# Kaldi's default of 1/1024 would move scores by up to that at each word
_DELTA = 1e-5
# a lattice whose words need more states is pruned until it fits: determinization can be exponential
MOST_STATES = 5_000
_NARROWER, _NARROW = 0.6, 1e-3
log = logging.getLogger(__name__)


def word_lattice(lattice: Lattice, beam: Optional[float] = None) -> Lattice:
    """Return the determinised and minimal acceptor of a lattice's readings, one word on each arc.

    Frames and alignments are gone, so it is some ten times smaller: what asks for words (n-best, oracle,
    rescoring) is fast and exact on it. Mohri, *Finite-State Transducers in Language and Speech Processing*, 1997.

    Args:
        lattice: of either engine.
        beam: leave out what is on no path within this of the best one; None for all of it. A lattice
            that would need more than ``MOST_STATES`` states is pruned further until it fits.
    """
    if len(lattice.final) == 0:
        return lattice
    pruned, width = prune(lattice, np.inf if beam is None else beam)
    while True:
        found = _determinise(pruned, MOST_STATES if width > _NARROW else -1)
        if found is not None:
            return found
        log.warning("a lattice of %d arcs has too many word sequences: pruned to those within %.2f of the best",
                    len(pruned.src), width * _NARROWER)
        pruned, width = prune(pruned, width * _NARROWER)


def _determinise(lattice: Lattice, max_states: int) -> Optional[Lattice]:
    import kaldifst

    fst = _acceptor(lattice).openfst()
    kaldifst.arcsort(fst, "olabel")
    try:
        kaldifst.determinize_star(fst, delta=_DELTA, max_states=max_states)
    except RuntimeError as e:  # it throws at its bound
        if "aborted" not in str(e):
            raise
        return None
    kaldifst.minimize_encoded(fst, delta=_DELTA)
    kaldifst.connect(fst)
    arrays = from_openfst(fst)
    if arrays.num_states == 0:
        return empty_lattice()
    splits = np.arange(arrays.num_arcs + 1)
    return Lattice(arrays.src, arrays.dst, -arrays.cost, arrays.olabel, splits, -arrays.final)


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
