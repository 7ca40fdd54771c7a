"""The one interface of the engines that search graphs, and the choice between them."""

import dataclasses
import importlib
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike, hash_paths, read_json, write_json, write_text
from asl.graph.compose import Stage, compose_lg
from asl.graph.fst import Fst
from asl.graph.lattice import Lattice
from asl.graph.morphology import FST_FILE, WORDS_FILE, graph_files
from asl.graph.options import SearchOptions
from asl.graph.topology import apply_topology
from asl.graph.words import unique_readings
from asl.lang.folder import LANG_FILES, PROBS_FILE, Lang, read_lang

ENGINES = {"k2": "asl.graph.k2_engine:K2Engine", "kaldi": "asl.graph.kaldi_engine:KaldiEngine"}
# raise it where a graph that was compiled before is not what the code would make now
_FORMAT = 2
# beside the graph: what words its grammar allows and how probable they are, for rescoring
GRAMMAR_FILE = "G.fst.txt"


@dataclass
class Graph:
    """A compiled graph: the engine's own form of it, and what its labels mean.

    Args:
        fst: the graph as it was compiled.
        lang: tokens, words and lexicon.
        info: what ``<engine>.json`` holds.
        folder: where it was loaded from.
        weighted: the graph under other weights, for the ``(lm_scale, insertion_penalty)`` searched last.
        gain: what its arcs give to a token at most, for the weights of the last lattices (``kaldi_engine.py``).
    """

    fst: Any
    lang: Lang
    info: Dict[str, Any]
    folder: Path
    weighted: Optional[Tuple[Tuple[float, float], Any]] = None
    gain: Optional[Tuple[Tuple[float, float], float]] = None


@dataclass
class BestPath:
    """The best path of one utterance.

    Args:
        words: what it says.
        score: natural logarithm of the path alone (Viterbi), as ``SearchOptions`` defines it.
        tokens: token id of each frame, blank (0) included.
    """

    words: List[str]
    score: float
    tokens: List[int]


@dataclass
class Reading:
    """One word sequence of a lattice; the score is that of its best path, as in ``BestPath``."""

    words: List[str]
    score: float


@dataclass
class Lattices:
    """The search of a batch; ``data`` is the engine's own. ``len`` is the number of utterances."""

    data: Any
    graph: Graph
    size: int

    def __len__(self) -> int:
        return self.size


class Engine(ABC):
    """Compiles, loads and searches H∘L∘G. Both engines search the same graph, see ``compose.py``."""

    name: str
    graph_file: str

    def is_current(self, lang_dir: PathLike, out_dir: PathLike, topology: str = "ctc") -> bool:
        """True where ``out_dir`` holds this engine's graph of just these inputs."""
        out_dir = Path(out_dir)
        info_path = out_dir / f"{self.name}.json"
        if not info_path.exists() or not (out_dir / self.graph_file).exists():
            return False
        try:
            info = read_json(info_path)
        except AslError:  # damaged: compile it again
            return False
        same_inputs = info.get("hash") == self._hash(lang_dir, topology)
        return same_inputs and info.get("lang_hash") == _lang_hash(out_dir)

    def compile(self, lang_dir: PathLike, out_dir: PathLike, topology: str = "ctc") -> Dict[str, Any]:
        """Compile the graph of a lang folder into ``out_dir``, unless it is there and current.

        Args:
            lang_dir: holds tokens, words, lexicon, ``L_disambig.fst.txt`` and ``G.fst.txt``.
            out_dir: gets the graph, copies of tokens, words and lexicon (where the folder has an M, of the words
                that M gives), and ``<engine>.json``.
            topology: ``ctc``, ``compact`` or ``left-to-right``, see ``topology.py``.

        Returns:
            What ``<engine>.json`` holds: engine, topology, sizes and seconds of each step, hash of the inputs.

        Raises:
            AslError: the lang folder is incomplete or wrong, or the graph would be too large.
        """
        lang_dir, out_dir = Path(lang_dir), Path(out_dir)
        info_path = out_dir / f"{self.name}.json"
        if self.is_current(lang_dir, out_dir, topology):
            return read_json(info_path)
        began = time.perf_counter()
        stages: List[Stage] = []
        lg = compose_lg(lang_dir, stages)
        composed = time.perf_counter()
        graph = apply_topology(lg, topology)
        stages.append(Stage("H applied", graph.num_states, graph.num_arcs, time.perf_counter() - composed))
        info_path.unlink(missing_ok=True)  # what it describes is about to go
        for name, source in {**graph_files(lang_dir), GRAMMAR_FILE: lang_dir / GRAMMAR_FILE}.items():
            write_text(out_dir / name, source.read_text(encoding="utf-8"))
        lang = read_lang(out_dir)
        sizes = self._save(graph, out_dir / self.graph_file)
        info = {
            "engine": self.name, "topology": topology, "words": len(lang.words), "tokens": len(lang.tokens),
            "lg_states": lg.num_states, "lg_arcs": lg.num_arcs, **sizes,
            "seconds": round(time.perf_counter() - began, 3), "stages": [dataclasses.asdict(s) for s in stages],
            "hash": self._hash(lang_dir, topology), "lang_hash": _lang_hash(out_dir),
        }
        write_json(info_path, info)
        return info

    def load(self, graph_dir: PathLike) -> Graph:
        """Load the graph that ``compile`` made.

        Raises:
            AslError: there is none for this engine, or tokens, words, lexicon or grammar beside it were changed.
        """
        graph_dir = Path(graph_dir)
        info_path = graph_dir / f"{self.name}.json"
        if not info_path.exists():
            there = [name for name in ENGINES if (graph_dir / f"{name}.json").exists()]
            has = f"it has one for {' and '.join(there)}" if there else "it has none at all"
            raise AslError(
                f"{graph_dir} holds no graph for the {self.name} engine, {has}; "
                f"run asl graph compile --engine {self.name} --out {graph_dir}"
            )
        info = read_json(info_path)
        if info.get("lang_hash") != _lang_hash(graph_dir):
            raise AslError(f"{graph_dir}: tokens, words, lexicon or grammar changed after the graph was compiled; "
                           f"run asl graph compile --engine {self.name} --out {graph_dir} again")
        path = graph_dir / self.graph_file
        if not path.exists():
            raise AslError(f"{path} does not exist; run asl graph compile --engine {self.name}")
        return Graph(self._load(path), read_lang(graph_dir), info, graph_dir)

    def weighted(self, graph: Graph, options: SearchOptions) -> Any:
        """Return the engine's graph under ``lm_scale`` and ``insertion_penalty``; that of the last call is kept."""
        weights = (options.lm_scale, options.insertion_penalty)
        if weights == (1.0, 0.0):
            return graph.fst
        if graph.weighted is None or graph.weighted[0] != weights:
            graph.weighted = weights, self._reweigh(graph.fst, *weights)
        return graph.weighted[1]

    def search(
        self, graph: Graph, log_probs: torch.Tensor, lengths: torch.Tensor, options: SearchOptions
    ) -> List[Optional[BestPath]]:
        """Return the best path of each utterance alone, without a lattice; arguments as of ``decode``."""
        return self.best_path(self.decode(graph, log_probs, lengths, options))

    @abstractmethod
    def decode(
        self, graph: Graph, log_probs: torch.Tensor, lengths: torch.Tensor, options: SearchOptions
    ) -> Lattices:
        """Search a batch.

        Args:
            graph: from this engine's ``load``.
            log_probs: ``(batch, frames, tokens)`` float32, blank is token 0.
            lengths: ``(batch,)`` valid frames.
            options: how wide to search.

        Raises:
            AslError: an option is asked that this engine does not have.
        """

    @abstractmethod
    def best_path(self, lattices: Lattices) -> List[Optional[BestPath]]:
        """Return the best path of each utterance, None where the search reached no end of the graph."""

    @abstractmethod
    def arrays(self, lattices: Lattices) -> List[Lattice]:
        """Return each utterance's lattice as arrays, empty where the search reached no end."""

    def nbest(self, lattices: Lattices, n: int) -> List[List[Reading]]:
        """Return for each utterance its ``n`` best word sequences, each once, best first."""
        symbols = lattices.graph.lang.symbols
        found = (unique_readings(lattice, n) for lattice in self.arrays(lattices))
        return [
            [Reading([symbols[word] for word in words], score) for words, score in readings]
            for readings in found
        ]

    @abstractmethod
    def _reweigh(self, fst: Any, lm_scale: float, insertion_penalty: float) -> Any:
        """Return a copy of a loaded graph, its scores times ``lm_scale``, less the penalty for each word."""

    @abstractmethod
    def _save(self, graph: Fst, path: Path) -> Dict[str, int]:
        """Write the engine's form of the graph atomically; return its ``states`` and ``arcs``."""

    @abstractmethod
    def _load(self, path: Path) -> Any:
        """Read what ``_save`` wrote."""

    def _hash(self, lang_dir: PathLike, topology: str) -> str:
        names = (*LANG_FILES, PROBS_FILE, "L_disambig.fst.txt", FST_FILE, WORDS_FILE, "G.fst.txt")
        return f"{self.name} {topology} {_FORMAT} {hash_paths(Path(lang_dir) / name for name in names)}"


def _lang_hash(folder: PathLike) -> str:
    """Of what lies beside a graph: the grammar, too, which rescoring takes out of its scores."""
    return hash_paths(Path(folder) / name for name in (*LANG_FILES, GRAMMAR_FILE))


def k2_missing() -> Optional[str]:
    """Return None where k2 imports, else why not."""
    try:
        import k2  # noqa: F401
    except Exception as e:  # a k2 built for another torch fails in many ways, from ImportError to OSError
        return f"{type(e).__name__}: {e}".splitlines()[0]
    return None


def get_engine(name: str) -> Engine:
    """Return the engine ``k2`` or ``kaldi``; ``auto`` takes k2 where it imports.

    Raises:
        AslError: unknown name, or k2 is asked for and does not import.
    """
    if name not in ("auto", *ENGINES):
        raise AslError(f"unknown engine {name!r}{did_you_mean(name, ENGINES)}; there are: auto, k2, kaldi")
    missing = None if name == "kaldi" else k2_missing()
    if name == "k2" and missing:
        raise AslError(
            f"k2 does not import ({missing}); use --engine kaldi, or set up an environment that has k2: "
            "tools/setup_env.sh with Python 3.10, or with --k2-index URL"
        )
    chosen = name if name != "auto" else ("kaldi" if missing else "k2")
    module, _, cls = ENGINES[chosen].partition(":")
    return getattr(importlib.import_module(module), cls)()
