"""A transducer as arrays: what is built, read out of OpenFst and handed to either engine."""

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Tuple

import numpy as np

from asl.common.errors import AslError

_MAGIC = 2125659606
# how many costs a weight has, by arc type of OpenFst's binary file: a lattice has (graph cost, acoustic cost)
_NUM_COSTS = {"standard": 1, "lattice4": 2}


@dataclass
class Fst:
    """A weighted transducer; state 0 is the start, weights are costs (negative natural logarithms).

    Args:
        src, dst, ilabel, olabel: ``(arcs,)`` int32, in the order of source states; label 0 is epsilon.
        cost: ``(arcs,)`` float32.
        final: ``(states,)`` float32, infinite where a state is not final.
    """

    src: np.ndarray
    dst: np.ndarray
    ilabel: np.ndarray
    olabel: np.ndarray
    cost: np.ndarray
    final: np.ndarray

    @property
    def num_states(self) -> int:
        return len(self.final)

    @property
    def num_arcs(self) -> int:
        return len(self.src)

    def text(self) -> str:
        """Return OpenFst's text form: ``src dst ilabel olabel cost`` an arc, ``state cost`` a final state."""
        rows = zip(*(a.tolist() for a in (self.src, self.dst, self.ilabel, self.olabel, self.cost)))
        lines = [f"{s} {d} {i} {o} {c:.9g}" for s, d, i, o, c in rows]
        lines += [f"{s} {self.final[s]:.9g}" for s in np.flatnonzero(np.isfinite(self.final)).tolist()]
        # the start of a text is the source of its first line
        first = next((n for n, line in enumerate(lines) if line.split(" ", 1)[0] == "0"), 0)
        return "\n".join(lines[first:first + 1] + lines[:first] + lines[first + 1:]) + "\n"

    def openfst(self) -> Any:
        """Return the transducer as a ``kaldifst.StdVectorFst`` with the same state numbers."""
        import kaldifst

        return kaldifst.compile(self.text(), keep_state_numbering=True)


def from_openfst(fst: Any) -> Fst:
    """Return a ``kaldifst.StdVectorFst`` or ``kaldifst.Lattice`` as arrays, a lattice's two costs added.

    It goes through OpenFst's binary file: the text form keeps six digits only, and kaldifst's iterators
    do not know lattices.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fst"
        if not fst.write(str(path)):
            raise AslError(f"cannot write a temporary file in {folder}; is the disk full?")
        return _parse(path.read_bytes())


def _string(data: bytes, at: int) -> Tuple[str, int]:
    (size,) = struct.unpack_from("<i", data, at)
    return data[at + 4:at + 4 + size].decode("ascii"), at + 4 + size


def _parse(data: bytes) -> Fst:
    (magic,) = struct.unpack_from("<i", data, 0)
    kind, at = _string(data, 4)
    arc_type, at = _string(data, at)
    if magic != _MAGIC or kind != "vector" or arc_type not in _NUM_COSTS:
        raise ValueError(f"not a vector FST of a known arc type: {kind} {arc_type}")
    *_, start, num_states, _num_arcs = struct.unpack_from("<iiQqqq", data, at)
    body = np.frombuffer(data, "<i4", offset=at + struct.calcsize("<iiQqqq"))
    # a state is its final weight, the number of its arcs (64 bits) and its arcs; an arc is
    # (ilabel, olabel, weight, next state): all of them words of 32 bits
    num_costs = _NUM_COSTS[arc_type]
    head, arc = num_costs + 2, num_costs + 3
    heads, words, position = [], body.tolist(), 0
    for _ in range(num_states):
        heads.append(position)
        position += head + arc * words[position + num_costs]
    heads = np.array(heads, np.int64)[:, None]
    counts = body[heads[:, 0] + num_costs]
    in_arc = np.ones(position, bool)
    in_arc[heads + np.arange(head)] = False
    arcs = body[:position][in_arc].reshape(-1, arc)
    src = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    cost = np.ascontiguousarray(arcs[:, 2:-1]).view("<f4").sum(axis=1, dtype=np.float32)
    final = body[heads + np.arange(num_costs)].view("<f4").sum(axis=1, dtype=np.float32)
    fst = Fst(src, arcs[:, -1].copy(), arcs[:, 0].copy(), arcs[:, 1].copy(), cost, final)
    return fst if start <= 0 else _start_first(fst, start)


def _start_first(fst: Fst, start: int) -> Fst:
    """Exchange the numbers of state 0 and ``start``."""
    number = np.arange(fst.num_states, dtype=np.int32)
    number[[0, start]] = number[[start, 0]]
    src, dst = number[fst.src], number[fst.dst]
    order = np.argsort(src, kind="stable")
    columns = [a[order] for a in (src, dst, fst.ilabel, fst.olabel, fst.cost)]
    return Fst(*columns, fst.final[number])
