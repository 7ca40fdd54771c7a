"""The decoding methods behind one interface: batches of outputs in, hypotheses of all clips out."""

from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from asl.common.errors import AslError
from asl.common.files import PathLike, hash_file, read_json
from asl.decoding.beam import prefix_beam_search
from asl.decoding.classify import softmax_nbest
from asl.decoding.graph import Found, Passes, warn
from asl.decoding.greedy import greedy_search
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.parallel import Searcher
from asl.decoding.prior import check_prior_scale, less_prior
from asl.decoding.times import spelling_of
from asl.graph.engine import GRAMMAR_FILE
from asl.graph.options import SearchOptions
from asl.lang.tokens import TokenTable
from asl.scoring.refs import Words, read_references
from asl.scoring.wer import rate
from asl.tasks.networks import Networks
from asl.tasks.pieces import Spelling
from asl.tasks.posteriors import Outputs
from asl.tasks.prior import read_log_prior
from asl.tasks.rescoring import NbestRescoring, lattice_rescoring
from asl.tasks.word_lm import load_lm

Nbests = List[List[Hypothesis]]


class Method(ABC):
    """A way of decoding; ``options``, ``engine`` and ``counts`` are for decode.json."""

    engine: Optional[str] = None

    def __init__(self) -> None:
        self.options: Dict[str, Any] = {}
        self.counts: Dict[str, Any] = {}

    @abstractmethod
    def search(self, batch: Outputs, shift: Optional[List[float]]) -> list:
        """Search a batch; one thing for each clip, which ``finish`` understands."""

    def finish(self, ids: Sequence[str], found: list, shift: Optional[List[float]]) -> Nbests:
        """Make hypotheses of what ``search`` gave for all clips."""
        return found

    def close(self) -> None:
        """Give back what is held."""


class Softmax(Method):
    """Isolated signs: the most probable classes."""

    def __init__(self, tokens: TokenTable, nbest: int) -> None:
        super().__init__()
        self.classes, self.nbest = tokens.units, nbest

    def search(self, batch: Outputs, shift: Optional[List[float]]) -> list:
        return softmax_nbest(batch.log_probs, self.classes, self.nbest)


class Greedy(Method):
    """The best token of each frame."""

    def __init__(self, spelling: Spelling) -> None:
        super().__init__()
        self.spelling = spelling

    def search(self, batch: Outputs, shift: Optional[List[float]]) -> list:
        found = greedy_search(batch.log_probs, batch.lengths, self.spelling.tokens, shift)
        return self.spelling.detokenised(found)


class Beam(Method):
    """Prefix beam search without a graph."""

    def __init__(self, spelling: Spelling, beam_size: int, nbest: int) -> None:
        super().__init__()
        self.spelling, self.nbest, self.options = spelling, nbest, {"beam_size": beam_size}

    def search(self, batch: Outputs, shift: Optional[List[float]]) -> list:
        tokens, beam_size = self.spelling.tokens, self.options["beam_size"]
        found = prefix_beam_search(batch.log_probs, batch.lengths, tokens, beam_size, self.nbest, shift)
        return self.spelling.detokenised(found)


class GraphSetting(NamedTuple):
    """What ``asl decode`` is told about the graph; None where it says nothing. See there."""

    engine: str
    graph: str
    nbest: int
    beam: Optional[float]
    lattice_beam: float
    min_active: Optional[int]
    max_active: Optional[int]
    acoustic_scale: Optional[float]
    lm_scale: Optional[float]
    insertion_penalty: Optional[float]
    lattice: bool
    mbr: bool
    nj: int
    rescore: Optional[str]
    rescore_scale: Optional[float]
    rescore_keep: float
    tuned: Optional[str]
    prior_scale: Optional[float]


class Graph(Method):
    """Search in H∘L∘G, then rescoring and minimum Bayes risk where they are asked for."""

    def __init__(
        self, given: GraphSetting, networks: Networks, references: Optional[Dict[str, Words]] = None
    ) -> None:
        super().__init__()
        tuned = {} if given.tuned is None else read_tuned(given.tuned, given.graph)
        wide = search_options(given, tuned)
        said = given.prior_scale
        self.prior_scale = check_prior_scale(tuned.get("prior_scale", 0.0) if said is None else said)
        self.log_prior = read_log_prior(networks) if self.prior_scale else None
        if not given.lattice and (given.rescore or given.mbr):
            raise AslError("--lattice false gives the best path alone: leave --rescore and --mbr out with it")
        self.given, self.references, self.nbest_pass = given, references, None
        self.searcher = Searcher(given.engine, given.graph, wide, nj=given.nj)
        self.engine = self.searcher.engine.name
        passes = self.searcher.passes
        passes.lattice, passes.mbr, passes.nbest = given.lattice, given.mbr, given.nbest if given.lattice else 1
        self.options = {**vars(wide), "prior_scale": self.prior_scale, "lattice": given.lattice, "mbr": given.mbr,
                        "nj": given.nj}  # fmt: skip
        if given.tuned is not None:
            self.options["tuned"] = given.tuned
        if given.rescore is not None:
            self._add_rescoring(given.rescore, wide)
        self.spelling = spelling_of(self.searcher.graph.lang)

    def _add_rescoring(self, path: str, wide: SearchOptions) -> None:
        given, graph, passes = self.given, self.searcher.graph, self.searcher.passes
        for name in ("rescore", "rescore_keep"):
            self.options[name] = getattr(given, name)
        new_scale = wide.lm_scale if given.rescore_scale is None else given.rescore_scale
        self.options["rescore_scale"] = new_scale
        if not 0 <= given.rescore_keep <= 1:
            raise AslError(f"--rescore-keep {given.rescore_keep}: give a share from 0 (none of the graph's grammar) to 1")
        old_scale = wide.lm_scale * (1 - given.rescore_keep)
        lm = load_lm(path)
        if hasattr(lm, "step"):
            passes.rescoring = lattice_rescoring(graph, lm, old_scale, new_scale)
        else:
            self.nbest_pass = NbestRescoring(graph, lm, old_scale, new_scale)

    def search(self, batch: Outputs, shift: Optional[List[float]]) -> list:
        wanted = None
        if self.references is not None and self.given.lattice:
            wanted = [self.references[key] for key in batch.ids]
        log_probs = batch.log_probs
        if self.log_prior is not None:
            log_probs = less_prior(log_probs, self.log_prior, self.prior_scale)
        found = self.searcher.search(log_probs, batch.lengths, wanted)
        return found if self.nbest_pass is not None else self._hypotheses(found, shift)

    def finish(self, ids: Sequence[str], found: list, shift: Optional[List[float]]) -> Nbests:
        counts: Counter = self.searcher.counts
        if self.nbest_pass is not None:
            self.nbest_pass.rescore(ids, found, self.given.mbr)
            counts["not_rescored"] = self.nbest_pass.not_rescored
        warn(counts, self.searcher.options)
        self.counts = {name: counts[name] for name in ("searched", "widened", "empty")}
        if self.given.rescore is not None:
            self.counts["not_rescored"] = counts["not_rescored"]
        if "oracle_errors" in counts:
            errors, words = counts["oracle_errors"], counts["reference_words"]
            self.counts["oracle"] = {"wer": round(rate(errors, words), 4), "errors": errors, "words": words}
        return found if self.nbest_pass is None else self._hypotheses(found, shift)

    def close(self) -> None:
        self.searcher.close()

    def _hypotheses(self, found: List[Found], shift: Optional[List[float]]) -> Nbests:
        passes = self.searcher.passes
        shifts: Sequence[Optional[float]] = [None] * len(found) if shift is None else shift
        return [one.hypotheses(passes.nbest, passes.mbr, self.spelling, s) for one, s in zip(found, shifts)]


TUNED = ("acoustic_scale", "lm_scale", "insertion_penalty", "beam")


def search_options(given: GraphSetting, tuned: Dict[str, float]) -> SearchOptions:
    """What was said stands, then what was tuned, then the defaults."""
    said = {name: getattr(given, name) for name in TUNED}
    chosen = {name: tuned[name] for name in TUNED if name in tuned}
    if given.lattice and "beam" in chosen:  # what suffices for the best path alone
        chosen["beam"] = max(chosen["beam"], given.lattice_beam)
    chosen.update((name, value) for name, value in said.items() if value is not None)
    return SearchOptions(
        lattice_beam=given.lattice_beam, min_active=given.min_active, max_active=given.max_active, **chosen
    )


def read_tuned(folder: PathLike, graph: PathLike) -> Dict[str, float]:
    """What ``asl tune`` found best, from its best.json: ``TUNED`` and prior_scale (0 where it has none).

    Raises:
        AslError: it is not there or not whole, or was found for a graph with another grammar.
    """
    path = Path(folder) / "best.json"
    best = read_json(path)
    names = (*TUNED, "prior_scale")
    best = {"prior_scale": 0.0, **best} if isinstance(best, dict) else {}
    if not all(isinstance(best.get(name), (int, float)) for name in names):
        raise AslError(f"{path} has not all of {', '.join(TUNED)}; run asl tune --out {folder} again")
    if best.get("grammar") != grammar_hash(graph):
        raise AslError(f"{path} was tuned for {best.get('graph')}, and {graph} has another grammar: run asl tune "
                       "for it, or give --lm-scale and the others yourself")
    return {name: float(best[name]) for name in names}


def grammar_hash(graph: PathLike) -> str:
    """Hash of the grammar that a graph was compiled with; AslError where it is not beside it."""
    path = Path(graph) / GRAMMAR_FILE
    if not path.is_file():
        raise AslError(f"{path} does not exist; compile the graph again (asl graph compile --out {graph})")
    return hash_file(path)


def references_of(data: PathLike, split: str) -> Optional[Dict[str, Words]]:
    """The split's references by id, for the oracle; None where it has none."""
    path = Path(data) / split / "supervisions.jsonl.gz"
    return read_references(data, split) if path.is_file() else None
