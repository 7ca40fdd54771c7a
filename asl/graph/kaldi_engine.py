"""The kaldi engine: kaldi-decoder on any CPU, one utterance after the other, with wheels alone."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import torch

from asl.common.errors import AslError
from asl.common.files import atomic_path
from asl.graph.engine import BestPath, Engine, Graph, Lattices
from asl.graph.fst import Fst, from_openfst
from asl.graph.lattice import Lattice, empty_lattice
from asl.graph.options import SearchOptions

_NO_BOUND = 2**31 - 1
# wherever a path is, a blank may come next (or there is another with the same score where it may)
_BLANK_ANYWHERE = ("ctc", "compact")


class KaldiEngine(Engine):
    """``LatticeSimpleDecoder``, and ``FasterDecoder`` where the best path alone is asked for.

    The graph's input labels are token id + 1, as ``DecodableCtc`` wants them.
    """

    name = "kaldi"
    graph_file = "HLG.fst"

    def decode(
        self, graph: Graph, log_probs: torch.Tensor, lengths: torch.Tensor, options: SearchOptions
    ) -> Lattices:
        import kaldi_decoder

        if options.min_active is not None or options.max_active is not None:
            raise AslError("the kaldi engine makes lattices by beam alone: leave min_active and max_active "
                           "out and set beam, ask for the best path alone (--lattice false), or use --engine k2")
        config = kaldi_decoder.LatticeSimpleDecoderConfig(options.beam, options.lattice_beam)
        fst, lattices = self.weighted(graph, options), []
        least = -options.beam - self._gain(graph, options)
        for frames, length in zip(log_probs, lengths.tolist()):
            decoder = kaldi_decoder.LatticeSimpleDecoder(fst, config)
            scores = scaled(frames[:length], options)
            # half of the decoder's time goes to arcs that come before the first good one, which makes its beam narrow
            scores = np.where(scores < scores[:, :1] + least, np.float32(-np.inf), scores)
            # it warns and returns a path that ends nowhere where no final state was reached
            found = length > 0 and decoder.decode(kaldi_decoder.DecodableCtc(scores))
            ended = found and np.isfinite(decoder.final_relative_cost())
            lattices.append(decoder.get_raw_lattice()[1] if ended else None)
        return Lattices(lattices, graph, len(lattices))

    def search(
        self, graph: Graph, log_probs: torch.Tensor, lengths: torch.Tensor, options: SearchOptions
    ) -> List[Optional[BestPath]]:
        import kaldi_decoder

        fst, config = self.weighted(graph, options), faster_options(options)
        paths: List[Optional[BestPath]] = []
        for frames, length in zip(log_probs, lengths.tolist()):
            decoder = kaldi_decoder.FasterDecoder(fst, config)
            if length > 0:
                decoder.decode(kaldi_decoder.DecodableCtc(scaled(frames[:length], options)))
            ended = length > 0 and decoder.reached_final()
            paths.append(best_path_of(decoder, graph.lang.symbols) if ended else None)
        return paths

    def best_path(self, lattices: Lattices) -> List[Optional[BestPath]]:
        import kaldifst

        symbols = lattices.graph.lang.symbols
        return [None if raw is None else _spoken(kaldifst.shortest_path(raw), symbols) for raw in lattices.data]

    def arrays(self, lattices: Lattices) -> List[Lattice]:
        return [empty_lattice() if raw is None else _arrays(raw) for raw in lattices.data]

    def _gain(self, graph: Graph, options: SearchOptions) -> float:
        """By how much more than the beam a token may be worse than its frame's blank and still be within the beam.

        Wherever a frame's best path comes from, it may go on with a blank at no cost. A token's path is worse than
        that by what the two log-probs differ, but for what the graph's arcs add to it: costs are below 0 for a
        bonus for words, and where backing off adds probability. Infinite where a token has to last on.
        """
        if graph.info["topology"] not in _BLANK_ANYWHERE:
            return np.inf
        weights = (options.lm_scale, options.insertion_penalty)
        if graph.gain is None or graph.gain[0] != weights:
            graph.gain = weights, most_gained(from_openfst(self.weighted(graph, options)))
        return graph.gain[1]

    def _reweigh(self, fst: Any, lm_scale: float, insertion_penalty: float) -> Any:
        arrays = from_openfst(fst)
        arrays.cost = arrays.cost * np.float32(lm_scale) + (arrays.olabel > 0) * np.float32(insertion_penalty)
        ends = np.isfinite(arrays.final)
        arrays.final[ends] *= np.float32(lm_scale)
        return arrays.openfst()

    def _save(self, graph: Fst, path: Path) -> Dict[str, int]:
        import kaldifst

        fst = graph.openfst()
        kaldifst.connect(fst)
        kaldifst.arcsort(fst, "ilabel")
        with atomic_path(path) as tmp:
            if not fst.write(str(tmp)):
                raise AslError(f"cannot write {path}; is the disk full?")
        return {"states": fst.num_states, "arcs": sum(fst.num_arcs(state) for state in range(fst.num_states))}

    def _load(self, path: Path) -> Any:
        import kaldifst

        fst = kaldifst.StdVectorFst.read(str(path))
        if fst is None:
            raise AslError(f"{path} is damaged; remove it and run asl graph compile --engine kaldi again")
        return fst


def scaled(frames: torch.Tensor, options: SearchOptions) -> np.ndarray:
    """Return the log-probs ``(frames, tokens)`` of an utterance as the decoder wants them."""
    return (frames * options.acoustic_scale).cpu().numpy()


def faster_options(options: SearchOptions) -> Any:
    """Return the options as ``FasterDecoder`` has them; its own bound from below, 20 states, is not taken."""
    import kaldi_decoder

    most = _NO_BOUND if options.max_active is None else options.max_active
    return kaldi_decoder.FasterDecoderOptions(options.beam, most, options.min_active or 0)


def best_path_of(decoder: Any, symbols: Sequence[str], final: bool = True) -> BestPath:
    """Return a decoder's best path; with ``final`` false the best so far, wherever in the graph it ends."""
    return _spoken(decoder.get_best_path(use_final_probs=final)[1], symbols)


def most_gained(fst: Fst) -> float:
    """Return the most that a path of epsilons and the arc with a label behind them add to a score, 0 at least."""
    gain = np.full(fst.num_states, -np.inf)
    spoken = fst.ilabel > 0
    np.maximum.at(gain, fst.src[spoken], -fst.cost[spoken])
    src, dst, cost = fst.src[~spoken], fst.dst[~spoken], fst.cost[~spoken]
    while (gain[dst] - cost > gain[src]).any():
        np.maximum.at(gain, src, gain[dst] - cost)
    return float(gain.max(initial=0.0))


def _spoken(path: Any, symbols: Sequence[str]) -> BestPath:
    import kaldifst

    _, labels, words, weight = kaldifst.get_linear_symbol_sequence(path)
    score = -(weight.value1 + weight.value2)
    return BestPath([symbols[word] for word in words], score, [label - 1 for label in labels])


def _arrays(raw: Any) -> Lattice:
    fst = from_openfst(raw)
    splits = np.concatenate([[0], np.cumsum(fst.olabel > 0)])
    return Lattice(fst.src, fst.dst, -fst.cost, fst.olabel[fst.olabel > 0], splits, -fst.final)
