"""The k2 engine: a whole batch at once, on a GPU where the log-probs are there, and differentiable."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import torch

from asl.common.compat import torch_load
from asl.common.files import atomic_path
from asl.graph.engine import BestPath, Engine, Graph, Lattices
from asl.graph.epsilon import remove_epsilons
from asl.graph.fst import Fst
from asl.graph.lattice import Lattice, empty_lattice
from asl.graph.options import SearchOptions

_NO_BOUND = 2**30


@dataclass
class _Batch:
    """Lattices of the utterances that have a frame, and the place of each of them in the batch."""

    fsas: Any
    rows: List[int]


class K2Engine(Engine):
    """``k2.intersect_dense_pruned``; the graph has no epsilons, label 0 is the blank."""

    name = "k2"
    graph_file = "HLG.pt"

    def decode(
        self, graph: Graph, log_probs: torch.Tensor, lengths: torch.Tensor, options: SearchOptions
    ) -> Lattices:
        import k2

        rows = [row for row, length in enumerate(lengths.tolist()) if length > 0]
        if not rows:
            return Lattices(_Batch(None, []), graph, len(lengths))
        segments = torch.tensor([[row, 0, int(lengths[row])] for row in rows], dtype=torch.int32)
        if log_probs.device.type not in ("cpu", "cuda"):  # k2 knows no other
            log_probs = log_probs.cpu()
        dense = k2.DenseFsaVec(log_probs * options.acoustic_scale, segments)
        if graph.fst.device != log_probs.device:
            graph.fst = graph.fst.to(log_probs.device)
        fsas = k2.intersect_dense_pruned(
            graph.fst, dense, search_beam=options.beam, output_beam=options.lattice_beam,
            min_active_states=options.min_active or 0, max_active_states=options.max_active or _NO_BOUND,
        )
        return Lattices(_Batch(fsas, rows), graph, len(lengths))

    def best_path(self, lattices: Lattices) -> List[Optional[BestPath]]:
        import k2

        out: List[Optional[BestPath]] = [None] * len(lattices)
        batch, symbols = lattices.data, lattices.graph.lang.symbols
        if not batch.rows:
            return out
        paths = k2.shortest_path(batch.fsas, use_double_scores=True)
        scores = batch.fsas.get_tot_scores(use_double_scores=True, log_semiring=False).tolist()
        labels, words = paths.labels.tolist(), _words(paths)
        ends = _arc_splits(paths)
        for index, row in enumerate(batch.rows):
            arcs = slice(ends[index], ends[index + 1])
            if arcs.start < arcs.stop:
                said = [symbols[word] for arc in words[arcs] for word in arc]
                out[row] = BestPath(said, scores[index], [label for label in labels[arcs] if label >= 0])
        return out

    def arrays(self, lattices: Lattices) -> List[Lattice]:
        out = [empty_lattice()] * len(lattices)
        batch = lattices.data
        if not batch.rows:
            return out
        fsas = batch.fsas.to("cpu")
        arcs, scores = fsas.arcs.values().numpy(), fsas.scores.detach().numpy()
        words, splits = (tensor.numpy() for tensor in _ragged(fsas))
        ends, state_ends = _arc_splits(fsas), fsas.arcs.row_splits(1).tolist()
        for index, row in enumerate(batch.rows):
            first, last = ends[index], ends[index + 1]
            final = np.full(state_ends[index + 1] - state_ends[index], -np.inf, np.float32)
            final[-1:] = 0.0  # k2 has one final state, the last; none where the lattice is empty
            if first < last:
                src, dst = arcs[first:last, 0], arcs[first:last, 1]
                out[row] = Lattice(src, dst, scores[first:last], words, splits[first:last + 1], final)
        return out

    def _save(self, graph: Fst, path: Path) -> Dict[str, int]:
        fsa = to_k2(graph)
        values, splits = _ragged(fsa)
        tensors = {"arcs": fsa.arcs.values(), "aux_values": values, "aux_splits": splits}
        with atomic_path(path) as tmp:
            torch.save(tensors, tmp)
        return {"states": fsa.shape[0], "arcs": fsa.num_arcs}

    def _load(self, path: Path) -> Any:
        import k2

        tensors = torch_load(path)
        fsa = k2.Fsa(tensors["arcs"])
        fsa.aux_labels = _words_ragged(tensors["aux_values"], tensors["aux_splits"])
        return fsa


def to_k2(graph: Fst) -> Any:
    """Return a graph of ``topology.py`` as an arc-sorted ``k2.Fsa``; labels are token ids, words ragged.

    k2 takes label 0 for the blank where frames are matched, so that a graph for it has no epsilons.
    """
    import k2

    free = remove_epsilons(graph)
    label = np.where(free.label > 0, free.label - 1, free.label)
    arcs = np.stack([free.src, free.dst, label, (-free.cost).view(np.int32)], axis=1)
    fsa = k2.Fsa(torch.from_numpy(np.ascontiguousarray(arcs, np.int32)))
    fsa.aux_labels = _words_ragged(torch.from_numpy(free.words), torch.from_numpy(free.splits))
    return k2.arc_sort(k2.connect(fsa))


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
