"""H, the topology of CTC, applied to L∘G arc by arc.

Composing with H as a transducer of its own would need its V² arcs in memory (with gloss tokens V is in
the thousands: ``k2.ctc_topo(10000)`` takes 3.8 GB). What survives of them is few: from a state of L∘G
only the tokens on the arcs that leave it can follow. So the product is built from what L∘G has, and is the
same as ``compose(H, L∘G)``, free of states that cannot be reached.

Topologies (Graves et al. 2006; Laptev et al., "CTC Variations Through New WFST Topologies", 2022):

- ``ctc``: CTC as it was trained; a token that is repeated needs a blank between. The grammar's arcs are
  repeated for each token that may have come before: an n-gram with V unigrams has about V² arcs.
- ``compact``: no blank is needed between repeated tokens (``k2.ctc_topo(modified=True)``); about four arcs
  for each of L∘G. Scores differ from ``ctc`` only for readings that repeat a token.
"""

from array import array
from typing import Callable, Dict, List, Tuple

import numpy as np

from asl.common.errors import AslError, did_you_mean
from asl.graph.fst import Fst

TOPOLOGIES = ("ctc", "compact")
# labels of the graph: 0 is epsilon, 1 the blank, n + 1 the token with id n
BLANK = 1
MAX_ARCS = 4_000_000
# The mode of a product state says what came last: token n (mode n > 0), a blank or nothing yet (0), or an
# epsilon of L∘G after token n (-1 - n). Nothing but a token follows an epsilon: blanks and repeats come
# before it, otherwise one alignment would be several paths.
_AFTER_BLANK = 0


def apply_topology(lg: Fst, topology: str, max_arcs: int = MAX_ARCS) -> Fst:
    """Return H∘(L∘G) for a topology.

    Every alignment of a reading is exactly one path, so that sums over paths are right as well as the best.

    Args:
        lg: token ids (0 is epsilon) : word ids.
        topology: ``ctc`` or ``compact``.
        max_arcs: where the graph would get larger it is refused.

    Returns:
        The graph; input labels are token id + 1 (``BLANK`` is 1, epsilon 0), one consumed per frame.

    Raises:
        AslError: unknown topology, or more than ``max_arcs`` arcs.
    """
    if topology not in TOPOLOGIES:
        near = did_you_mean(topology, TOPOLOGIES)
        raise AslError(f"unknown topology {topology!r}{near}; there are: {', '.join(TOPOLOGIES)}")
    return _Product(lg, max_arcs, topology).build()


class _Product:
    """States are pairs (state of L∘G, mode), made as they are reached."""

    def __init__(self, lg: Fst, max_arcs: int, topology: str) -> None:
        self.max_arcs, self.topology = max_arcs, topology
        self.final_costs = lg.final.tolist()
        self.leaving: List[List[Tuple[int, int, int, float]]] = [[] for _ in range(lg.num_states)]
        columns = (lg.src, lg.dst, lg.ilabel, lg.olabel, lg.cost)
        for src, dst, token, word, cost in zip(*(column.tolist() for column in columns)):
            self.leaving[src].append((dst, token, word, cost))
        self.numbers: Dict[Tuple[int, int], int] = {}
        self.pairs: List[Tuple[int, int]] = []
        self.ints, self.costs = array("i"), array("f")

    def state(self, lg_state: int, mode: int) -> int:
        number = self.numbers.setdefault((lg_state, mode), len(self.pairs))
        if number == len(self.pairs):
            self.pairs.append((lg_state, mode))
        return number

    def arc(self, src: int, dst: int, token: int, word: int = 0, cost: float = 0.0) -> None:
        """Add an arc; ``token`` -1 is epsilon, 0 the blank."""
        self.ints.extend((src, dst, token + 1, word))
        self.costs.append(cost)

    def build(self) -> Fst:
        if self.final_costs:
            self.state(0, _AFTER_BLANK)
        expand: Callable[[int, int, int], None] = self.ctc if self.topology == "ctc" else self.compact
        done = 0
        while done < len(self.pairs):  # grows while it runs
            expand(done, *self.pairs[done])
            done += 1
            if len(self.costs) > self.max_arcs:
                advice = "; use --topology compact or a smaller grammar" if self.topology == "ctc" else ""
                raise AslError(f"the graph would have more than {self.max_arcs} arcs{advice}")
        src, dst, ilabel, olabel = np.array(self.ints, np.int32).reshape(-1, 4).T.copy()
        return Fst(src, dst, ilabel, olabel, np.array(self.costs, np.float32), self.finals())

    def finals(self) -> np.ndarray:
        compact = self.topology == "compact"
        # in compact a token's own state is left through the blank's
        costs = [np.inf if compact and mode > 0 else self.final_costs[s] for s, mode in self.pairs]
        return np.array(costs, np.float32)

    def ctc(self, number: int, lg_state: int, mode: int) -> None:
        last = mode if mode >= 0 else -1 - mode
        if mode >= 0:
            self.arc(number, number, last)
        if mode > 0:
            self.arc(number, self.state(lg_state, _AFTER_BLANK), 0)
        for dst, token, word, cost in self.leaving[lg_state]:
            if token == 0:
                self.arc(number, self.state(dst, -1 - last), -1, word, cost)
            elif token != last:
                self.arc(number, self.state(dst, token), token, word, cost)

    def compact(self, number: int, lg_state: int, mode: int) -> None:
        if mode > 0:  # a token that lasts two frames or more
            self.arc(number, number, mode)
            self.arc(number, self.state(lg_state, _AFTER_BLANK), mode)
            return
        if mode == _AFTER_BLANK:
            self.arc(number, number, 0)
        for dst, token, word, cost in self.leaving[lg_state]:
            if token == 0:
                self.arc(number, self.state(dst, -1), -1, word, cost)
            else:
                self.arc(number, self.state(dst, _AFTER_BLANK), token, word, cost)
                self.arc(number, self.state(dst, token), token, word, cost)
