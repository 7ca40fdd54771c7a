"""Oracle errors: how near a lattice's nearest reading is to the reference."""

from typing import Sequence

import numpy as np

from asl.graph.lattice import Lattice, topological


def oracle_errors(lattice: Lattice, reference: Sequence[int]) -> int:
    """Return the fewest substitutions, insertions and deletions of any path of the lattice.

    Exact: for each state the least edit distance between the words on any path to it and each beginning of the
    reference, state after state in topological order.

    Args:
        lattice: of either engine, or of words alone; an empty one has no words, all of the reference is deleted.
        reference: word ids; any number that is no word's id for a word that the lattice cannot hold.
    """
    wanted = np.asarray(reference, np.int64)
    if len(lattice.final) == 0:
        return len(wanted)
    place = np.arange(len(wanted) + 1)
    errors = np.full((len(lattice.final), len(place)), np.inf)
    errors[0] = place
    _, levels = topological(lattice)
    for _, arcs in levels:
        if not len(arcs):
            continue
        arrived = errors[lattice.src[arcs]]
        counts = lattice.splits[arcs + 1] - lattice.splits[arcs]
        for step in range(int(counts.max())):
            rows = np.flatnonzero(counts > step)
            words = lattice.words[lattice.splits[arcs[rows]] + step]
            arrived[rows] = _say(arrived[rows], words, wanted, place)
        order = np.argsort(lattice.dst[arcs], kind="stable")
        states, first = np.unique(lattice.dst[arcs[order]], return_index=True)
        errors[states] = np.minimum(errors[states], np.minimum.reduceat(arrived[order], first))
    fewest = errors[lattice.final > -np.inf, -1].min(initial=np.inf)
    return int(fewest) if np.isfinite(fewest) else len(wanted)


def _say(errors: np.ndarray, words: np.ndarray, wanted: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Edit distances ``(rows, 1 + reference)`` after one more word each."""
    said = errors + 1  # the word is inserted
    wrong = words[:, None] != wanted[None, :]
    said[:, 1:] = np.minimum(said[:, 1:], errors[:, :-1] + wrong)
    # words of the reference deleted behind it
    return np.minimum.accumulate(said - place, axis=1) + place
