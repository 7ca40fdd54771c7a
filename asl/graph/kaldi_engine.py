"""The kaldi engine: kaldi-decoder on any CPU, one utterance after the other, with wheels alone."""

from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np
import torch

from asl.common.errors import AslError
from asl.common.files import atomic_path
from asl.graph.engine import BestPath, Engine, Graph, Lattices
from asl.graph.fst import Fst, from_openfst
from asl.graph.lattice import Lattice, empty_lattice
from asl.graph.options import SearchOptions


class KaldiEngine(Engine):
    """``LatticeSimpleDecoder``; the graph's input labels are token id + 1, as ``DecodableCtc`` wants them."""

    name = "kaldi"
    graph_file = "HLG.fst"

    def decode(
        self, graph: Graph, log_probs: torch.Tensor, lengths: torch.Tensor, options: SearchOptions
    ) -> Lattices:
        import kaldi_decoder

        if options.min_active is not None or options.max_active is not None:
            raise AslError("the kaldi engine makes lattices by beam alone: leave min_active and max_active "
                           "out and set beam, or use --engine k2")
        config = kaldi_decoder.LatticeSimpleDecoderConfig(options.beam, options.lattice_beam)
        decoders: List[Optional[Any]] = []
        for frames, length in zip(log_probs, lengths.tolist()):
            decoder = kaldi_decoder.LatticeSimpleDecoder(graph.fst, config)
            scores = (frames[:length] * options.acoustic_scale).cpu().numpy()
            # it warns and returns a path that ends nowhere where no final state was reached
            found = length > 0 and decoder.decode(kaldi_decoder.DecodableCtc(scores))
            decoders.append(decoder if found and np.isfinite(decoder.final_relative_cost()) else None)
        return Lattices(decoders, graph, len(decoders))

    def best_path(self, lattices: Lattices) -> List[Optional[BestPath]]:
        import kaldifst

        symbols = lattices.graph.lang.symbols
        out: List[Optional[BestPath]] = []
        for decoder in lattices.data:
            if decoder is None:
                out.append(None)
                continue
            _, path = decoder.get_best_path()
            _, labels, words, weight = kaldifst.get_linear_symbol_sequence(path)
            score = -(weight.value1 + weight.value2)
            out.append(BestPath([symbols[word] for word in words], score, [label - 1 for label in labels]))
        return out

    def arrays(self, lattices: Lattices) -> List[Lattice]:
        return [_arrays(decoder) for decoder in lattices.data]

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


def _arrays(decoder: Optional[Any]) -> Lattice:
    if decoder is None:
        return empty_lattice()
    _, raw = decoder.get_raw_lattice()
    fst = from_openfst(raw)
    splits = np.concatenate([[0], np.cumsum(fst.olabel > 0)])
    return Lattice(fst.src, fst.dst, -fst.cost, fst.olabel[fst.olabel > 0], splits, -fst.final)
