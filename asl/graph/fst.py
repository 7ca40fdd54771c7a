"""A transducer as arrays: what is built, read out of OpenFst and handed to either engine."""

import os
import struct
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Tuple

import numpy as np

from asl.common.errors import AslError

# OpenFst's binary file: magic number, version of the vector type, properties (expanded and mutable)
_MAGIC, _VERSION, _PROPERTIES = 2125659606, 2, 3
# how many costs a weight has, by arc type: a lattice has (graph cost, acoustic cost)
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

    def openfst(self) -> Any:
        """Return the transducer as a ``kaldifst.StdVectorFst`` with the same state numbers."""
        import kaldifst

        with _passing_file() as path:
            path.write_bytes(_serialise(self))
            return kaldifst.StdVectorFst.read(str(path))


def from_openfst(fst: Any) -> Fst:
    """Return a ``kaldifst.StdVectorFst`` or ``kaldifst.Lattice`` as arrays, a lattice's two costs added.

    It goes through OpenFst's binary file: the text form keeps six digits only, and kaldifst's iterators
    do not know lattices.
    """
    with _passing_file() as path:
        if not fst.write(str(path)):
            raise AslError(f"cannot write the temporary file {path}; is the disk full?")
        return _parse(path.read_bytes())


@contextmanager
def _passing_file() -> Iterator[Path]:
    """A file that is gone afterwards; in memory on Linux: a disk takes ten times as long as a small lattice."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("fst")
        try:
            yield Path(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "fst"


def _serialise(fst: Fst) -> bytes:
    names = b"".join(struct.pack("<i", len(name)) + name for name in (b"vector", b"standard"))
    start = 0 if fst.num_states else -1
    header = struct.pack("<iiQqqq", _VERSION, 0, _PROPERTIES, start, fst.num_states, fst.num_arcs)
    # the layout that _parse reads: three words a state, each followed by its arcs of four words
    counts = np.bincount(fst.src, minlength=fst.num_states)
    heads = 3 * np.arange(fst.num_states) + 4 * (np.cumsum(counts) - counts)
    arcs = 3 * (fst.src.astype(np.int64) + 1) + 4 * np.arange(fst.num_arcs)
    body = np.zeros(3 * fst.num_states + 4 * fst.num_arcs, "<i4")
    body[heads], body[heads + 1] = fst.final.view(np.int32), counts
    for offset, column in enumerate((fst.ilabel, fst.olabel, fst.cost.view(np.int32), fst.dst)):
        body[arcs + offset] = column
    return struct.pack("<i", _MAGIC) + names + header + body.tobytes()


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
    at += struct.calcsize("<iiQqqq")
    body = np.frombuffer(data, "<i4", offset=at)
    # a state is its final weight, the number of its arcs (64 bits) and its arcs; an arc is
    # (ilabel, olabel, weight, next state): all of them words of 32 bits
    num_costs = _NUM_COSTS[arc_type]
    head, arc = num_costs + 2, num_costs + 3
    # a view gives Python's numbers one by one as fast as a list, without holding all of them
    heads, words, position = [], memoryview(data)[at:].cast("i"), 0
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
