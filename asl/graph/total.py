"""Sums over the paths of k2 graphs, differentiable with regard to the log-probs: what sequence losses are made of."""

from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.graph.engine import Engine, Graph, get_engine
from asl.graph.k2_engine import add_null_frames, has_null_frames
from asl.graph.options import SearchOptions
from asl.graph.restrict import Restricter, vector

# arcs of the graph times utterances that are searched at once; k2's memory goes by it
_ARCS_AT_ONCE = 4_000_000
_NO_BOUND = 2**30


class TotalScores:
    """A graph, and the natural logarithms of sums over all of its paths or over those that say given words.

    Args:
        graph_dir: folder of a graph that ``asl graph compile --engine k2`` made.
        options: ``lattice_beam``: what is worse than an utterance's best path by more than this is left out of a sum
            (by forward and backward scores, so of what is left nothing is lost). ``acoustic_scale``; and for the
            search of the whole graph, where it is pruned, ``beam``, ``min_active`` and ``max_active``.
        exact: whether the whole graph is searched without pruning in the frames; its states times frames must then
            fit into memory.

    Raises:
        AslError: k2 does not import, or there is no graph for it.
    """

    def __init__(self, graph_dir: PathLike, options: SearchOptions, exact: bool) -> None:
        self.engine: Engine = get_engine("k2")
        self.graph: Graph = self.engine.load(graph_dir)
        self.graph_dir, self.options, self.exact = graph_dir, options, exact
        self.restricter = Restricter(self.graph)
        self._plain: Any = None  # the graph without words, on the device where it was asked for last

    def of_graph(self, log_probs: Tensor, lengths: Tensor) -> Tensor:
        """Sums over all paths of the graph.

        Args:
            log_probs: ``(batch, frames, tokens)``, blank is token 0.
            lengths: ``(batch,)``.

        Returns:
            ``(batch,)`` float64; minus infinity where no path was found that reaches the graph's end.
        """
        import k2

        log_probs = where_k2_is(log_probs)
        graph = self._graph_on(log_probs.device)
        scores, dense, rows = self._dense(log_probs, lengths)
        at_once = max(1, _ARCS_AT_ONCE // max(graph.num_arcs, 1))
        parts = []
        for first in range(0, len(rows), at_once):
            some = dense[first:first + at_once]
            frames = k2.DenseFsaVec(scores, some)
            if self.exact:
                copies = k2.create_fsa_vec([graph] * len(some))
                lattices = k2.intersect_dense(copies, frames, self.options.lattice_beam)
            else:
                lattices = k2.intersect_dense_pruned(
                    graph, frames, self.options.beam, self.options.lattice_beam,
                    self.options.min_active or 0, self.options.max_active or _NO_BOUND,
                )  # fmt: skip
            parts.append(lattices.get_tot_scores(use_double_scores=True, log_semiring=True))
        return _in_order(parts, rows, len(lengths))

    def of_words(
        self,
        log_probs: Tensor,
        lengths: Tensor,
        readings: Sequence[Sequence[Sequence[str]]],
        ids: Sequence[str] = (),
        strict: bool = True,
    ) -> List[Tensor]:
        """Sums over the paths that say given words.

        Args:
            log_probs, lengths: as for ``of_graph``.
            readings: for each utterance some word sequences.
            ids: of the utterances, for messages.
            strict: whether words that the graph cannot say are an error; else their sum is minus infinity.

        Returns:
            For each utterance float64 ``(its readings,)``; minus infinity where it has too few frames for the words.

        Raises:
            AslError: a word that the graph does not know, or words that it cannot say; the utterance is named.
        """
        import k2

        log_probs = where_k2_is(log_probs)
        scores, dense, rows = self._dense(log_probs, lengths)
        clips = list(ids) or [""] * len(readings)
        starts = torch.tensor([0, *map(len, readings)]).cumsum(dim=0).tolist()
        sums = log_probs.new_full((starts[-1],), -torch.inf, dtype=torch.float64)
        arcs, segments, places = [], [], []
        for segment, row in enumerate(rows):
            for place, words in enumerate(readings[row], starts[row]):
                found = self._arcs(words, clips[row], strict)
                if found is not None:
                    arcs.append(found)
                    segments.append(segment)
                    places.append(place)
        if arcs:
            frames = k2.DenseFsaVec(scores, dense)
            where = torch.tensor(segments, dtype=torch.int32, device=log_probs.device)
            graphs = vector(arcs, log_probs.device)
            lattices = k2.intersect_dense(graphs, frames, self.options.lattice_beam, a_to_b_map=where)
            totals = lattices.get_tot_scores(use_double_scores=True, log_semiring=True)
            sums = sums.index_copy(0, torch.tensor(places, device=sums.device), totals)
        return list(sums.split([len(one) for one in readings]))

    def best_readings(self, log_probs: Tensor, lengths: Tensor, n: int) -> List[List[List[str]]]:
        """The ``n`` best word sequences of each utterance by their best paths; none where the search found no end."""
        lattices = self.engine.decode(self.graph, log_probs.detach(), lengths, self.options)
        return [[reading.words for reading in readings] for readings in self.engine.nbest(lattices, n)]

    def _arcs(self, words: Sequence[str], clip: str, strict: bool) -> Optional[Tensor]:
        if not strict and any(word not in self.restricter.word_ids for word in words):
            return None
        arcs = self.restricter.of_words(self.restricter.ids(words, clip))
        if arcs is None and strict:
            where = f"clip {clip}: " if clip else ""
            raise AslError(
                f"{where}the graph {self.graph_dir} cannot say {' '.join(words)!r}; compile it with an n-gram of the "
                "training transcripts"
            )
        return arcs

    def _graph_on(self, device: torch.device) -> Any:
        import k2

        if self._plain is None or self._plain.device != device:
            self._plain = k2.Fsa(self.graph.fst.arcs.values().to(device))
        return self._plain

    def _dense(self, log_probs: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor, List[int]]:
        """Scores, the segments of the utterances with frames, the longest first as k2 wants them, and their rows."""
        scores, frames = log_probs * self.options.acoustic_scale, lengths.tolist()
        rows = sorted((row for row, n in enumerate(frames) if n > 0), key=lambda row: -frames[row])
        if has_null_frames(self.graph):
            scores, frames = add_null_frames(scores), [2 * n + 1 for n in frames]
        return scores, torch.tensor([[row, 0, frames[row]] for row in rows], dtype=torch.int32).view(-1, 3), rows


def where_k2_is(log_probs: Tensor) -> Tensor:
    """Log-probs on a device that this k2 knows, as float32; the gradient finds its way back."""
    import k2

    known = log_probs.device.type == "cpu" or (log_probs.device.type == "cuda" and k2.with_cuda)
    return (log_probs if known else log_probs.cpu()).float()


def _in_order(parts: List[Tensor], rows: List[int], batch: int) -> Tensor:
    """Sums of the rows -> ``(batch,)``, minus infinity for those that have none."""
    if not parts:
        return torch.full((batch,), -torch.inf, dtype=torch.float64)
    sums = torch.cat(parts)
    out = sums.new_full((batch,), -torch.inf)
    return out.index_copy(0, torch.tensor(rows, device=sums.device), sums)
