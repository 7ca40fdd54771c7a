"""A lattice as arrays, the same for both engines."""

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np


@dataclass
class Lattice:
    """What is left of a graph after the search of one utterance: acyclic, state 0 is the start.

    Args:
        src, dst: ``(arcs,)`` int32, arcs in the order of their source state.
        score: ``(arcs,)`` natural logarithms, acoustic and graph scores together.
        words: ``(words,)`` int32, the word ids on the arcs, arc after arc.
        splits: ``(arcs + 1,)``; the words of arc ``a`` are ``words[splits[a]:splits[a + 1]]``.
        final: ``(states,)`` scores, minus infinity where a state is not final.
    """

    src: np.ndarray
    dst: np.ndarray
    score: np.ndarray
    words: np.ndarray
    splits: np.ndarray
    final: np.ndarray


def empty_lattice() -> Lattice:
    """Return the lattice of an utterance that was not found in the graph."""
    none = np.empty(0, np.int32)
    return Lattice(none, none, np.empty(0, np.float32), none, np.zeros(1, np.int64), np.empty(0, np.float32))


def prune(lattice: Lattice, beam: float) -> Tuple[Lattice, float]:
    """Leave out arcs and states that are on no path within ``beam`` of the best one.

    Returns:
        What is left, and how far its worst arc's best path lies below the best one: ``beam`` at most.
    """
    if len(lattice.final) == 0:
        return lattice, 0.0
    forward, levels = topological(lattice)
    backward = _backward(lattice, levels)
    best = backward[0]
    if best == -np.inf:
        return empty_lattice(), 0.0
    through = forward[lattice.src] + lattice.score + backward[lattice.dst]
    least = max(best - beam, np.finfo(np.float64).min)
    arcs = np.flatnonzero(through >= least)
    on_path = forward + backward >= least
    on_path[0] = True
    number = np.cumsum(on_path) - 1
    counts = (lattice.splits[1:] - lattice.splits[:-1])[arcs]
    first = np.repeat(lattice.splits[arcs] - np.cumsum(counts) + counts, counts)
    words = lattice.words[first + np.arange(counts.sum())]
    splits = np.concatenate([[0], np.cumsum(counts)])
    src, dst = (number[states[arcs]].astype(np.int32) for states in (lattice.src, lattice.dst))
    width = best - min(through[arcs].min(initial=best), best)
    return Lattice(src, dst, lattice.score[arcs], words, splits, lattice.final[on_path]), float(width)


def topological(lattice: Lattice) -> Tuple[np.ndarray, List[Tuple[np.ndarray, np.ndarray]]]:
    """Return each state's best score from the start; states and leaving arcs of each topological level."""
    num_states = len(lattice.final)
    forward = np.full(num_states, -np.inf)
    forward[0] = 0.0
    begin = np.searchsorted(lattice.src, np.arange(num_states + 1))
    waiting = np.bincount(lattice.dst, minlength=num_states)
    states, levels = np.flatnonzero(waiting == 0), []
    while len(states):
        counts = begin[states + 1] - begin[states]
        arcs = np.repeat(begin[states] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        levels.append((states, arcs))
        reached = lattice.dst[arcs]
        np.maximum.at(forward, reached, forward[lattice.src[arcs]] + lattice.score[arcs])
        np.subtract.at(waiting, reached, 1)
        states = np.unique(reached)
        states = states[waiting[states] == 0]
    return forward, levels


def _backward(lattice: Lattice, levels: List[Tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    backward = lattice.final.astype(np.float64)
    for _, arcs in reversed(levels):
        np.maximum.at(backward, lattice.src[arcs], lattice.score[arcs] + backward[lattice.dst[arcs]])
    return backward
