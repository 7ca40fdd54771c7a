"""What is left of a k2 graph where the words are given: the numerator of MMI, the reading of an n-best list."""

import functools
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch

from asl.common.errors import AslError, did_you_mean
from asl.graph.engine import Graph

# restricted graphs that are kept: a training set's transcripts, or the readings of some epochs' n-best lists
_KEPT = 50_000


class Restricter:
    """Cuts out of a graph the paths that say given words.

    All of the graph is in what is left: every pronunciation, the topology, the weights of lexicon and grammar. So
    the restricted graphs of all word sequences add up to the graph, and a sum over the first can never be more
    than one over the second.

    Args:
        graph: of ``K2Engine.load``.
    """

    def __init__(self, graph: Graph) -> None:
        fsa = graph.fst.to("cpu")
        arcs = fsa.arcs.values().numpy()
        self.word_ids, self.symbols = graph.lang.word_ids, graph.lang.words
        self.src, self.dst, self.label, self.score = arcs.T
        words = fsa.aux_labels.remove_values_leq(0)
        self.words, self.splits = words.values.numpy(), words.shape.row_splits(1).numpy()
        self.final = int(fsa.shape[0]) - 1
        # an arc's key is its source and its first word (0: none), so that those that can follow are found at once
        counts = np.diff(self.splits)
        first = np.zeros(len(counts), np.int64)
        first[counts > 0] = self.words[self.splits[:-1][counts > 0]]
        self.base = int(first.max(initial=0)) + 1
        keys = self.src.astype(np.int64) * self.base + first
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]
        self.of_words = functools.lru_cache(maxsize=_KEPT)(self._restrict)

    def ids(self, words: Sequence[str], clip: str = "") -> Tuple[int, ...]:
        """The ids of ``words``. Raises AslError where the graph's words.txt lacks one; names it and ``clip``."""
        for word in words:
            if word not in self.word_ids:
                where = f"clip {clip}: " if clip else ""
                near = did_you_mean(word, self.symbols)
                raise AslError(f"{where}word {word!r} is not among the graph's words{near}; compile it with them")
        return tuple(self.word_ids[word] for word in words)

    def _restrict(self, words: Tuple[int, ...]) -> Optional[torch.Tensor]:
        """Return the arcs that say ``words``, ``(arcs, 4)`` int32 as k2 has them, arc-sorted; None: there are none."""
        import k2

        numbers: Dict[Tuple[int, int], int] = {(0, 0): 0}
        todo: List[Tuple[int, int]] = [(0, 0)]
        found: List[Tuple[int, int, int, int]] = []  # source, state of the graph and place in the words, arc
        ends: List[Tuple[int, int]] = []
        for state, place in todo:  # grows while it runs
            number = numbers[state, place]
            for arc, reached in self._arcs(state, place, words):
                target = (int(self.dst[arc]), reached)
                if target[0] == self.final:
                    if reached == len(words):
                        ends.append((number, arc))
                    continue
                if target not in numbers:
                    numbers[target] = len(todo)
                    todo.append(target)
                found.append((number, numbers[target], int(self.label[arc]), int(self.score[arc])))
        last = len(todo)
        found += [(number, last, -1, int(self.score[arc])) for number, arc in ends]
        if not ends:
            return None
        arcs = torch.tensor(sorted(found), dtype=torch.int32)
        return k2.arc_sort(k2.connect(k2.Fsa(arcs))).arcs.values().clone()

    def _arcs(self, state: int, place: int, words: Tuple[int, ...]) -> List[Tuple[int, int]]:
        """The arcs from a state on which nothing or the words from ``place`` on stand, and the place behind them."""
        out = [(arc, place) for arc in self._range(state * self.base)]
        if place < len(words) and words[place] < self.base:
            for arc in self._range(state * self.base + words[place]):
                said = tuple(self.words[self.splits[arc]:self.splits[arc + 1]].tolist())
                if words[place:place + len(said)] == said:
                    out.append((arc, place + len(said)))
        return out

    def _range(self, key: int) -> List[int]:
        begin, end = np.searchsorted(self.keys, [key, key + 1])
        return self.order[begin:end].tolist()


def vector(arcs: Sequence[torch.Tensor], device: torch.device) -> Any:
    """Join restricted graphs as a ``k2.Fsa`` vector."""
    import k2

    return k2.create_fsa_vec([k2.Fsa(one) for one in arcs]).to(device)
