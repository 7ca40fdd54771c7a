"""The kaldi engine in processes: each loads the graph from its file, for threads would wait for one another."""

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch

from asl.common.arguments import check_nj
from asl.common.errors import AslError
from asl.decoding.graph import Found, Passes, search_readings
from asl.decoding.hypothesis import check_log_probs
from asl.graph.engine import Graph, get_engine
from asl.graph.options import SearchOptions

# parts of a batch that each process is given, so that none waits long for another
_PARTS_EACH = 4
_here: Dict[str, Any] = {}


class Searcher:
    """Searches batches in this process, or in ``nj`` others; use it as a context, or ``close`` it.

    Args:
        engine: name of the engine, ``auto`` too.
        graph_dir: folder of its compiled graph.
        options: how wide to search, and the weights.
        passes: what is done beside the search; may be changed up to the first search.
        nj: processes; more than one for the kaldi engine alone (k2 searches a batch at once).

    Raises:
        AslError: the engine or the graph is not there, or ``nj`` does not fit it.
    """

    def __init__(
        self, engine: str, graph_dir: str, options: SearchOptions, passes: Optional[Passes] = None, nj: int = 1
    ) -> None:
        self.engine = get_engine(engine)
        check_nj(nj)
        if nj > 1 and self.engine.name != "kaldi":
            raise AslError(f"--nj {nj}: the {self.engine.name} engine searches a batch at once in one process; "
                           "leave it out, or use --engine kaldi")
        self.graph: Graph = self.engine.load(graph_dir)
        self.options, self.passes, self.nj = options, passes or Passes(), nj
        self.counts: Counter = Counter()
        self.pool: Optional[ProcessPoolExecutor] = None

    def __enter__(self) -> "Searcher":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        if self.pool is not None:
            self.pool.shutdown()

    def search(
        self, log_probs: torch.Tensor, lengths: torch.Tensor, references: Optional[Sequence[Sequence[str]]] = None
    ) -> List[Found]:
        """Search a batch, see ``search_readings``; what is counted is added to ``counts``."""
        if self.nj == 1:
            return search_readings(self.engine, self.graph, log_probs, lengths, self.options, self.passes,
                                   self.counts, references)
        if self.pool is None:  # models travel once, with the process
            start = (self.engine.name, str(self.graph.folder), self.passes)
            self.pool = ProcessPoolExecutor(self.nj, get_context("spawn"), _load, start)
        rows = [p[:n].cpu().numpy() for p, n in zip(
            check_log_probs(log_probs, lengths, len(self.graph.lang.tokens)), lengths.tolist())]
        size = max(1, -(-len(rows) // (_PARTS_EACH * self.nj)))
        parts = [slice(first, first + size) for first in range(0, len(rows), size)]
        try:
            jobs = [
                self.pool.submit(_search, rows[part], self.options, references and references[part])
                for part in parts
            ]
            out: List[Found] = []
            for part, job in zip(parts, jobs):
                found, counts = job.result()
                self.counts.update(counts)
                for one, frames in zip(found, rows[part]):
                    one.log_probs = frames
                out += found
            return out
        except BrokenProcessPool:
            raise AslError("a process of the search ended by itself: is there memory for "
                           f"{self.nj} copies of the graph? Give a smaller --nj") from None


def _load(engine: str, graph_dir: str, passes: Passes) -> None:
    torch.set_num_threads(1)
    _here["engine"] = get_engine(engine)
    _here["graph"], _here["passes"] = _here["engine"].load(graph_dir), passes


def _search(
    rows: List[np.ndarray], options: SearchOptions, references: Optional[Sequence[Sequence[str]]]
) -> Tuple[List[Found], Counter]:
    """Search utterances; their frames do not travel back."""
    counts: Counter = Counter()
    lengths = torch.tensor([len(row) for row in rows])
    padded = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)
    what = (_here["engine"], _here["graph"], padded, lengths, options, _here["passes"], counts, references)
    found = search_readings(*what)
    for one in found:
        one.log_probs = None
    return found, counts
