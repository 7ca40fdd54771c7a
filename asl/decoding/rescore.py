"""Lattice rescoring: the graph's grammar is taken out of every path, another n-gram put in."""

import math
from dataclasses import dataclass
from typing import Any, Dict, Hashable, List, Protocol, Sequence, Tuple

import numpy as np

from asl.graph.lattice import Lattice, empty_lattice, topological


class Automaton(Protocol):
    """A language model word by word, natural logarithms; ``asl.lang.arpa.NGram`` is one of words, ``Grammar`` of ids."""

    def start(self) -> Hashable: ...

    def step(self, state: Any, word: Any) -> Tuple[float, Hashable]: ...

    def finish(self, state: Any) -> float: ...


@dataclass
class Rescoring:
    """A path's score becomes ``score - old_scale * old + new_scale * new``.

    Args:
        old: the grammar in the path's score, of word ids.
        new: the n-gram that takes its place, of words.
        old_scale: how much of the old one goes; ``lm_scale`` of the search for all of it.
        new_scale: weight of the new one.
        symbols: ``words.txt`` in the order of its ids.
    """

    old: Automaton
    new: Automaton
    old_scale: float
    new_scale: float
    symbols: Sequence[str]

    def step(self, state: Tuple[Any, Any], word: int) -> Tuple[float, Tuple[Any, Any]]:
        """What one more word changes, and the state of both models after it."""
        (gone, old), (come, new) = self.old.step(state[0], word), self.new.step(state[1], self.symbols[word])
        return change(self.old_scale, gone, self.new_scale, come), (old, new)

    def finish(self, state: Tuple[Any, Any]) -> float:
        """What the end changes."""
        return change(self.old_scale, self.old.finish(state[0]), self.new_scale, self.new.finish(state[1]))


def rescore_lattice(lattice: Lattice, rescoring: Rescoring) -> Lattice:
    """Return the lattice with its states told apart by what both language models remember of the words before.

    Exact: every path is there with its new score, but for words of probability zero in the new model, which are
    on no path. Ljolje et al., *Efficient general lattice generation and rescoring*, 1999.

    Args:
        lattice: of words alone (``word_lattice``), or of either engine.
        rescoring: the two models and their weights.
    """
    if len(lattice.final) == 0:
        return lattice
    _, levels = topological(lattice)
    begin = np.searchsorted(lattice.src, np.arange(len(lattice.final) + 1)).tolist()
    words = [
        tuple(lattice.words[first:end].tolist())
        for first, end in zip(lattice.splits[:-1].tolist(), lattice.splits[1:].tolist())
    ]
    dst, score = lattice.dst.tolist(), lattice.score.tolist()
    here: List[Dict[Tuple[Any, Any], int]] = [{} for _ in lattice.final]
    here[0][rescoring.old.start(), rescoring.new.start()] = 0
    final: List[float] = [-math.inf]
    rows: List[Tuple[int, int, float, int]] = []
    for state in np.concatenate([states for states, _ in levels]).tolist():
        for memory, number in here[state].items():
            if lattice.final[state] > -np.inf:
                final[number] = float(lattice.final[state]) + rescoring.finish(memory)
            for arc in range(begin[state], begin[state + 1]):
                total, after = 0.0, memory
                for word in words[arc]:
                    more, after = rescoring.step(after, word)
                    total += more
                if total > -math.inf:
                    reached = here[dst[arc]].setdefault(after, len(final))
                    if reached == len(final):
                        final.append(-math.inf)
                    rows.append((number, reached, score[arc] + total, arc))
    return _lattice(rows, final, words)


def change(old_scale: float, old: float, new_scale: float, new: float) -> float:
    """Return what a score changes by where a log-probability ``new`` takes the place of ``old``."""
    if new == -math.inf:
        return -math.inf
    # what the old model excludes is on no path of its own lattice; a reading from elsewhere loses nothing
    return new_scale * new - (old_scale * old if old > -math.inf else 0.0)


def _lattice(rows: List[Tuple[int, int, float, int]], final: List[float], words: List[Tuple[int, ...]]) -> Lattice:
    if not rows and max(final) == -math.inf:
        return empty_lattice()
    rows.sort(key=lambda row: row[0])
    src, dst = (np.array([row[column] for row in rows], np.int32) for column in (0, 1))
    splits = np.concatenate([[0], np.cumsum([len(words[row[3]]) for row in rows])]).astype(np.int64)
    said = np.array([word for row in rows for word in words[row[3]]], np.int32)
    return Lattice(src, dst, np.array([row[2] for row in rows], np.float64), said, splits, np.array(final))
