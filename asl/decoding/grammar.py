"""What the graph's own grammar says of word sequences: what rescoring takes out again."""

import math
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.graph.engine import GRAMMAR_FILE

# the states of G.fst.txt that the words so far may have led to, each with how much worse than the best it is
State = Tuple[Tuple[int, float], ...]
_DIGITS = 5


class Grammar:
    """G as the search sees it: the best path of a word sequence, back-off arcs taken at will.

    An n-gram's own score of a sequence may be lower: a search may back off where the longer n-gram is listed
    and worse. To take exactly the grammar's part out of a path's score it has to be this one.

    Args:
        path: ``G.fst.txt`` with word ids.
        symbols: ``words.txt`` in the order of its ids.
    """

    def __init__(self, path: PathLike, symbols: Sequence[str]) -> None:
        self.arcs: Dict[Tuple[int, int], List[Tuple[int, float]]] = {}
        self.silent: Dict[int, List[Tuple[int, float]]] = {}
        self.final: Dict[int, float] = {}
        self.known: Dict[Tuple[State, int], Tuple[float, State]] = {}
        backoff, first = list(symbols).index("#0"), None
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as e:
            raise AslError(f"cannot read {path} ({e.strerror}); compile the graph again, it is kept beside it") from e
        for number, line in enumerate(text.splitlines(), 1):
            fields = line.split()
            try:
                self._add(fields, backoff)
            except (ValueError, IndexError):
                raise AslError(f"{path} line {number}: {line!r} is no arc and no end; compile the graph again") from None
            first = int(fields[0]) if first is None and fields else first
        if first is None:
            raise AslError(f"{path} is empty; compile the graph again")
        self.first: State = self._close({first: 0.0})[1]

    def start(self) -> State:
        """The state before the first word."""
        return self.first

    def step(self, state: State, word: int) -> Tuple[float, State]:
        """Return the log-probability of a word id in ``state`` and the state after it; -inf where it cannot follow."""
        if (state, word) not in self.known:
            reached: Dict[int, float] = {}
            for source, cost in state:
                for target, more in self.arcs.get((source, word), ()):
                    reached[target] = min(cost + more, reached.get(target, math.inf))
            self.known[state, word] = self._close(reached)
        return self.known[state, word]

    def finish(self, state: State) -> float:
        """Return the log-probability that the words end in ``state``."""
        return -min((cost + self.final.get(source, math.inf) for source, cost in state), default=math.inf)

    def score(self, words: Sequence[int]) -> float:
        """Return the log-probability of a whole sequence of word ids."""
        state, total = self.start(), 0.0
        for word in words:
            more, state = self.step(state, word)
            total += more
        return total + self.finish(state)

    def _add(self, fields: List[str], backoff: int) -> None:
        if len(fields) in (1, 2):
            self.final[int(fields[0])] = float(fields[1]) if len(fields) == 2 else 0.0
        elif fields:
            source, target, word, said = (int(field) for field in fields[:4])
            cost = float(fields[4]) if len(fields) > 4 else 0.0
            if said == 0 or word == backoff:
                self.silent.setdefault(source, []).append((target, cost))
            else:
                self.arcs.setdefault((source, said), []).append((target, cost))

    def _close(self, reached: Dict[int, float]) -> Tuple[float, State]:
        waiting = list(reached)
        while waiting:
            source = waiting.pop()
            for target, more in self.silent.get(source, ()):
                if reached[source] + more < reached.get(target, math.inf) - 10.0**-_DIGITS:
                    reached[target] = reached[source] + more
                    waiting.append(target)
        if not reached:
            return -math.inf, ()
        best = min(reached.values())
        state = tuple(sorted((source, round(cost - best, _DIGITS)) for source, cost in reached.items()))
        return -best, state
