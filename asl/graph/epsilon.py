"""A graph without epsilons, as k2 wants it, that loses no word and no path.

``k2.remove_epsilon`` keeps one of several epsilon paths between two states, the best: of two words that
sound alike one would be gone from n-best lists, and sums over paths would be too small.

Without epsilons a state of an n-gram has an arc for every word that it can back off to. Where that is too
many, epsilons stay, as arcs that take a frame of their own (``with_null_frames``): the search is given a
null frame before, between and behind the real ones.
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

# where a graph would have more arcs than these without epsilons, null frames are taken
MOST_ARCS = 4_000_000
# longer ones are cycles: a chain has a back-off for each order of the n-gram and a word or two
_LONGEST = 100


@dataclass
class EpsilonFree:
    """Arcs in the order of their source; those to the one final state (the last) have input label -1.

    Args:
        src, dst, label: ``(arcs,)`` int32, input labels as in the graph they come from; 0: a null frame.
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
    silent, parts = _silent(fst), []
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


def count_arcs(fst: Fst) -> float:
    """Return how many arcs ``remove_epsilons`` would give.

    Raises:
        AslError: epsilon arcs make a cycle.
    """
    speaking = fst.ilabel > 0
    own = np.bincount(fst.src[speaking], minlength=fst.num_states) + np.isfinite(fst.final).astype(np.float64)
    src, dst = fst.src[~speaking], fst.dst[~speaking]
    total, newest, length = own.copy(), own, 0
    while newest.any():
        newest = np.bincount(src, newest[dst], minlength=fst.num_states)
        total += newest
        length += 1
        _check_length(length)
    return float(total.sum())


def with_null_frames(fst: Fst) -> EpsilonFree:
    """Replace each chain of epsilon arcs by one arc that takes a null frame (label 0).

    Frames come as null, real, null, …, real, null. Each state becomes two: one before a null frame, left by a
    chain of epsilons (the empty one too), and one before a real frame, left by the other arcs. So each path
    of the graph is exactly one path here, with the same score.

    Raises:
        AslError: epsilon arcs make a cycle.
    """
    size, silent = fst.num_states, _silent(fst)
    rows = [(state, *chain) for state in range(size) for chain in _chains(silent, state)]
    src, reached, said, costs = zip(*rows) if rows else ((), (), (), ())
    speaking, ends = np.flatnonzero(fst.ilabel > 0), np.flatnonzero(np.isfinite(fst.final))
    # the other halves of the states are numbered from size on, the final state is the last
    after = np.concatenate([fst.src[speaking], ends]) + size
    order = np.argsort(after, kind="stable")
    dst = np.concatenate([fst.dst[speaking], np.full(len(ends), 2 * size)])[order]
    label = np.concatenate([fst.ilabel[speaking], np.full(len(ends), -1)])[order]
    word = np.concatenate([fst.olabel[speaking], np.zeros(len(ends), np.int32)])[order]
    cost = np.concatenate([fst.cost[speaking], fst.final[ends]])[order]
    counts = np.concatenate([np.fromiter(map(len, said), np.int64, len(said)), word > 0])
    spoken = np.fromiter((w for words in said for w in words), np.int32)
    return EpsilonFree(
        np.concatenate([np.array(src, np.int32), after[order]]).astype(np.int32),
        np.concatenate([np.array(reached, np.int32) + size, dst]).astype(np.int32),
        np.concatenate([np.zeros(len(src), np.int32), label]).astype(np.int32),
        np.concatenate([np.array(costs, np.float32), cost]).astype(np.float32),
        np.concatenate([spoken, word[word > 0]]).astype(np.int32),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
    )


def _silent(fst: Fst) -> _Silent:
    silent: _Silent = {}
    arcs = np.flatnonzero(fst.ilabel == 0)
    columns = (fst.src[arcs], fst.dst[arcs], fst.olabel[arcs], fst.cost[arcs])
    for src, dst, word, cost in zip(*(column.tolist() for column in columns)):
        silent.setdefault(src, []).append((dst, word, cost))
    return silent


def _check_length(length: int) -> None:
    if length > _LONGEST:
        raise AslError("G.fst.txt has a cycle of epsilon arcs; an n-gram has none, make it again")


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
        _check_length(length)
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
