"""The k2 engine: a whole batch at once, on a GPU where the log-probs are there, and differentiable."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np
import torch

from asl.common.compat import torch_load
from asl.common.files import atomic_path
from asl.graph.engine import BestPath, Engine, Graph, Lattices
from asl.graph import epsilon
from asl.graph.fst import Fst
from asl.graph.lattice import Lattice, empty_lattice
from asl.graph.options import SearchOptions

_NO_BOUND = 2**30
# k2 keeps every arc that leaves a live state for 30 frames before it prunes: with the graph of a large n-gram
# that is gigabytes for a few utterances. So many arcs of the graph, times utterances, are searched at once.
_ARCS_AT_ONCE = 4_000_000


@dataclass
class _Part:
    """Lattices of some utterances (a ``k2.Fsa`` vector), and the place of each of them in the batch."""

    fsas: Any
    rows: List[int]


class K2Engine(Engine):
    """``k2.intersect_dense_pruned``; the graph has no epsilons, label 0 is the blank.

    Without epsilons there is no backing off: every history of an n-gram gets an arc for every word. Where
    that would be millions of arcs, the graph keeps its epsilons as arcs that take a null frame (label 0,
    tokens are id + 1; ``null_frames`` in ``k2.json``): twice the frames, but about as many arcs
    as the graph has with epsilons.
    """

    name = "k2"
    graph_file = "HLG.pt"

    def decode(
        self, graph: Graph, log_probs: torch.Tensor, lengths: torch.Tensor, options: SearchOptions
    ) -> Lattices:
        import k2

        if log_probs.device.type not in ("cpu", "cuda"):  # k2 knows no other
            log_probs = log_probs.cpu()
        if graph.fst.device != log_probs.device:
            graph.fst, graph.weighted = graph.fst.to(log_probs.device), None
        fst = self.weighted(graph, options)
        scores, frames = log_probs * options.acoustic_scale, lengths.tolist()
        nulls = has_null_frames(graph)
        if nulls:
            scores = add_null_frames(scores)
        rows = [row for row, length in enumerate(frames) if length > 0]
        at_once = max(1, _ARCS_AT_ONCE // fst.num_arcs)
        parts = []
        for first in range(0, len(rows), at_once):
            these = rows[first:first + at_once]
            ends = [2 * frames[row] + 1 if nulls else frames[row] for row in these]
            segments = torch.tensor([[row, 0, end] for row, end in zip(these, ends)], dtype=torch.int32)
            fsas = k2.intersect_dense_pruned(
                fst, k2.DenseFsaVec(scores, segments),
                search_beam=options.beam, output_beam=options.lattice_beam,
                min_active_states=options.min_active or 0, max_active_states=options.max_active or _NO_BOUND,
            )
            parts.append(_Part(fsas, these))
        return Lattices(parts, graph, len(frames))

    def best_path(self, lattices: Lattices) -> List[Optional[BestPath]]:
        import k2

        out: List[Optional[BestPath]] = [None] * len(lattices)
        symbols, nulls = lattices.graph.lang.symbols, has_null_frames(lattices.graph)
        for part in lattices.data:
            paths = k2.shortest_path(part.fsas, use_double_scores=True)
            scores = part.fsas.get_tot_scores(use_double_scores=True, log_semiring=False).tolist()
            labels, words, ends = paths.labels.tolist(), _words(paths), _arc_splits(paths)
            for index, row in enumerate(part.rows):
                arcs = slice(ends[index], ends[index + 1])
                if arcs.start < arcs.stop:
                    said = [symbols[word] for arc in words[arcs] for word in arc]
                    tokens = [label for label in labels[arcs] if label >= 0]
                    tokens = [label - 1 for label in tokens[1::2]] if nulls else tokens
                    out[row] = BestPath(said, scores[index], tokens)
        return out

    def arrays(self, lattices: Lattices) -> List[Lattice]:
        out = [empty_lattice()] * len(lattices)
        for part in lattices.data:
            for row, lattice in zip(part.rows, _arrays(part.fsas.to("cpu"))):
                out[row] = lattice
        return out

    def _reweigh(self, fst: Any, lm_scale: float, insertion_penalty: float) -> Any:
        import k2

        _, splits = _ragged(fst)
        num_words = (splits[1:] - splits[:-1]).to(torch.float32)
        weighted = k2.Fsa(fst.arcs.clone(), aux_labels=fst.aux_labels)
        weighted.scores = fst.scores * lm_scale - num_words * insertion_penalty
        return weighted

    def _save(self, graph: Fst, path: Path) -> Dict[str, int]:
        nulls = epsilon.count_arcs(graph) > epsilon.MOST_ARCS
        fsa = to_k2(graph, nulls)
        values, splits = _ragged(fsa)
        tensors = {"arcs": fsa.arcs.values(), "aux_values": values, "aux_splits": splits}
        with atomic_path(path) as tmp:
            torch.save(tensors, tmp)
        return {"states": fsa.shape[0], "arcs": fsa.num_arcs, "null_frames": nulls}

    def _load(self, path: Path) -> Any:
        import k2

        tensors = torch_load(path)
        fsa = k2.Fsa(tensors["arcs"])
        fsa.aux_labels = _words_ragged(tensors["aux_values"], tensors["aux_splits"])
        return fsa


def has_null_frames(graph: Graph) -> bool:
    """Whether a graph wants its log-probs from ``add_null_frames``."""
    return bool(graph.info.get("null_frames"))


def add_null_frames(log_probs: torch.Tensor) -> torch.Tensor:
    """Return ``(batch, 2 frames + 1, tokens + 1)``: null, real, null, …, null; column 0 is the null frames'."""
    batch, frames, tokens = log_probs.shape
    out = log_probs.new_full((batch, 2 * frames + 1, tokens + 1), -math.inf)
    out[:, ::2, 0] = 0.0
    out[:, 1::2, 1:] = log_probs
    return out


def to_k2(graph: Fst, null_frames: bool = False) -> Any:
    """Return a graph of ``topology.py`` as an arc-sorted ``k2.Fsa``; labels are token ids, words ragged.

    k2 takes label 0 for the blank where frames are matched, so that a graph for it has no epsilons. With
    ``null_frames`` they are 0 and tokens are id + 1.
    """
    import k2

    free = epsilon.with_null_frames(graph) if null_frames else epsilon.remove_epsilons(graph)
    label = free.label if null_frames else np.where(free.label > 0, free.label - 1, free.label)
    arcs = np.stack([free.src, free.dst, label, (-free.cost).view(np.int32)], axis=1)
    fsa = k2.Fsa(torch.from_numpy(np.ascontiguousarray(arcs, np.int32)))
    fsa.aux_labels = _words_ragged(torch.from_numpy(free.words), torch.from_numpy(free.splits))
    return k2.arc_sort(k2.connect(fsa))


def _arrays(fsas: Any) -> Iterator[Lattice]:
    arcs, scores = fsas.arcs.values().numpy(), fsas.scores.detach().numpy()
    words, splits = (tensor.numpy() for tensor in _ragged(fsas))
    ends, state_ends = _arc_splits(fsas), fsas.arcs.row_splits(1).tolist()
    for index, (first, last) in enumerate(zip(ends, ends[1:])):
        if first == last:
            yield empty_lattice()
            continue
        final = np.full(state_ends[index + 1] - state_ends[index], -np.inf, np.float32)
        final[-1] = 0.0  # k2 has one final state, the last
        src, dst = arcs[first:last, 0], arcs[first:last, 1]
        yield Lattice(src, dst, scores[first:last], words, splits[first:last + 1], final)


def _words_ragged(words: torch.Tensor, splits: torch.Tensor) -> Any:
    import k2

    return k2.RaggedTensor(k2.ragged.create_ragged_shape2(row_splits=splits), words)


def _ragged(fsa: Any) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return the words on the arcs (without epsilons and -1) and where each arc's begin and end."""
    words = fsa.aux_labels
    words = words.remove_values_leq(0)
    return words.values, words.shape.row_splits(1)


def _words(fsa: Any) -> List[Tuple[int, ...]]:
    values, splits = (tensor.tolist() for tensor in _ragged(fsa))
    return [tuple(values[begin:end]) for begin, end in zip(splits, splits[1:])]


def _arc_splits(fsas: Any) -> List[int]:
    """Return where the arcs of each FSA of a vector begin and end."""
    states = fsas.arcs.row_splits(1).long()
    return fsas.arcs.row_splits(2)[states].tolist()
