"""A lattice as arrays, the same for both engines, and its unique word sequences."""

import heapq
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

Words = Tuple[int, ...]
# how far below the best path the first look for readings goes, and how much further each next one
_FIRST_BEAM, _WIDEN = 1.0, 2.0


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


def unique_readings(lattice: Lattice, n: int) -> List[Tuple[Words, float]]:
    """Return the ``n`` best word sequences, each once, with the score of its best path; best first.

    Exact: where ``n`` readings are found among the paths within some beam of the best path, no other reading
    has a better path. The beam starts small, for most arcs of a lattice are on no path that matters.
    """
    if len(lattice.final) == 0:
        return []
    forward, levels = topological(lattice)
    through = forward[lattice.src] + lattice.score + _backward(lattice, levels)[lattice.dst]
    best = (forward + lattice.final).max()
    if best == -np.inf:
        return []
    order = np.concatenate([states for states, _ in levels])
    beam, widest = _FIRST_BEAM, best - through[through > -np.inf].min(initial=best)
    while True:
        found = _readings(lattice, through >= best - beam, order, n)
        if beam > widest or (len(found) == n and found[-1][1] >= best - beam):
            return found
        beam *= _WIDEN


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


def _readings(lattice: Lattice, keep: np.ndarray, order: np.ndarray, n: int) -> List[Tuple[Words, float]]:
    """Return the ``n`` best readings of the paths along the arcs ``keep``.

    Each state keeps its ``n`` best distinct beginnings. One that is not among them is no part of the
    result: the better ones, continued in the same way, are ``n`` distinct readings.
    """
    arcs = np.flatnonzero(keep)
    leaving: Dict[int, List[Tuple[int, Words, float]]] = {}
    words_of = (lattice.splits[arcs], lattice.splits[arcs + 1])
    columns = (lattice.src[arcs], lattice.dst[arcs], lattice.score[arcs], *words_of)
    for src, dst, score, first, last in zip(*(column.tolist() for column in columns)):
        words = tuple(lattice.words[first:last].tolist()) if first < last else ()
        leaving.setdefault(src, []).append((dst, words, score))
    begun: Dict[int, Dict[Words, float]] = {0: {(): 0.0}}
    ended: Dict[Words, float] = {}
    for state in order.tolist():
        if state not in begun:
            continue
        here = _best(begun.pop(state), n)
        if lattice.final[state] > -np.inf:
            _merge(ended, here, (), float(lattice.final[state]))
        for dst, words, score in leaving.get(state, ()):
            _merge(begun.setdefault(dst, {}), here, words, score)
    return sorted(_best(ended, n).items(), key=lambda reading: (-reading[1], reading[0]))


def _merge(into: Dict[Words, float], readings: Dict[Words, float], words: Words, score: float) -> None:
    for begin, begin_score in readings.items():
        reading = begin + words if words else begin
        total = begin_score + score
        if total > into.get(reading, -np.inf):
            into[reading] = total


def _best(readings: Dict[Words, float], n: int) -> Dict[Words, float]:
    if len(readings) <= n:
        return readings
    return dict(heapq.nlargest(n, readings.items(), key=lambda reading: reading[1]))
