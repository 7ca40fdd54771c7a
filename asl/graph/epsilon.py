"""A graph without epsilons, as k2 wants it, that loses no word and no path.

``k2.remove_epsilon`` keeps one of several epsilon paths between two states, the best: of two words that
sound alike one would be gone from n-best lists, and sums over paths would be too small.
"""

from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.graph.fst import Fst

# the epsilon arcs that leave each state: (next state, word or 0, cost)
_Silent = Dict[int, List[Tuple[int, int, float]]]
# a path of epsilon arcs: (where it leads, its words, its cost)
_Chain = Tuple[int, Tuple[int, ...], float]

# longer ones are cycles: a chain has a back-off for each order of the n-gram and a word or two
_LONGEST = 100


@dataclass
class EpsilonFree:
    """Arcs in the order of their source; those to the one final state (the last) have input label -1.

    Args:
        src, dst, label: ``(arcs,)`` int32, input labels as in the graph they come from.
        cost: ``(arcs,)`` float32.
        words: int32, the words on the arcs, arc after arc.
        splits: ``(arcs + 1,)`` int32; the words of arc ``a`` are ``words[splits[a]:splits[a + 1]]``.
    """

    src: np.ndarray
    dst: np.ndarray
    label: np.ndarray
    cost: np.ndarray
    words: np.ndarray
    splits: np.ndarray


def remove_epsilons(fst: Fst) -> EpsilonFree:
    """Replace each chain of epsilon arcs and the arc behind it by one arc with all their words.

    Raises:
        AslError: epsilon arcs make a cycle.
    """
    begin = np.searchsorted(fst.src, np.arange(fst.num_states + 1))
    speaking = np.flatnonzero(fst.ilabel > 0)
    first = np.searchsorted(speaking, begin)
    silent: _Silent = {}
    for arc in np.flatnonzero(fst.ilabel == 0).tolist():
        step = (int(fst.dst[arc]), int(fst.olabel[arc]), float(fst.cost[arc]))
        silent.setdefault(int(fst.src[arc]), []).append(step)
    parts = []
    for state in range(fst.num_states):
        for reached, words, cost in _chains(silent, state):
            arcs = speaking[first[reached]:first[reached + 1]]
            if len(arcs):
                columns = (fst.dst[arcs], fst.ilabel[arcs], fst.cost[arcs] + cost, fst.olabel[arcs])
                parts.append((state, words, *columns))
            if np.isfinite(fst.final[reached]):
                last, end, no_word = (np.array([number]) for number in (fst.num_states, -1, 0))
                parts.append((state, words, last, end, fst.final[reached:reached + 1] + cost, no_word))
    return _join(parts)


def _chains(silent: _Silent, state: int) -> List[_Chain]:
    """Return all paths of epsilon arcs from ``state``, the empty one first."""
    chains: List[_Chain] = [(state, (), 0.0)]
    newest, length = list(chains), 0
    while newest:
        newest = [
            (dst, (*words, word) if word else words, cost + more)
            for reached, words, cost in newest for dst, word, more in silent.get(reached, ())
        ]
        chains += newest
        length += 1
        if length > _LONGEST:
            raise AslError("G.fst.txt has a cycle of epsilon arcs; an n-gram has none, make it again")
    return chains


def _join(parts: list) -> EpsilonFree:
    src, dst, label, cost, words, counts = [], [], [], [], [np.empty(0, np.int32)], []
    for state, before, *columns, own in parts:
        size = len(own)
        src.append(np.full(size, state))
        for column, values in zip((dst, label, cost), columns):
            column.append(values)
        table = np.concatenate([np.tile(before, (size, 1)), own[:, None]], axis=1)
        words.append(table[table > 0])
        counts.append((table > 0).sum(axis=1))
    if not parts:
        raise AslError("the graph is empty; it accepts nothing")
    splits = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int32)
    ints = [np.concatenate(column).astype(np.int32) for column in (src, dst, label)]
    costs, all_words = np.concatenate(cost).astype(np.float32), np.concatenate(words).astype(np.int32)
    return EpsilonFree(*ints, costs, all_words, splits)
