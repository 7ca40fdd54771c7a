"""L∘G, made once for both engines, so that they search the same graph and agree in their scores."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Optional

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.graph.fst import Fst, from_openfst
from asl.graph.morphology import FST_FILE, graph_files
from asl.lang.folder import Lang, read_lang
from asl.lang.lexicon import disambiguate
from asl.lang.tokens import read_symbols

# Kaldi's default of 1/1024 moves the weights by up to half of that, which tells in the scores
_DELTA = 1e-5
_LINE = re.compile(r"\s*\d+(\s+\d+\s+\d+\s+\d+)?(\s+(-?\d+\.?\d*([eE][-+]?\d+)?|Infinity))?\s*")


@dataclass
class Stage:
    """One step of the composition: what it gave, how large that is and how long it took."""

    name: str
    states: int
    arcs: int
    seconds: float


def compose_lg(lang_dir: PathLike, stages: Optional[List[Stage]] = None) -> Fst:
    """Return L∘G of a lang folder (token ids : word ids), determinized and minimal; L∘M∘G where it has an M.

    As in Kaldi's ``mkgraph.sh``: compose, determinize, minimise, then make disambiguation symbols epsilon.

    Args:
        lang_dir: the folder with the transducers as text.
        stages: where given, gets the sizes and times of each step.

    Raises:
        AslError: a file is absent or no FST, L has no label for a disambiguation symbol that is needed or one that
            tokens.txt lacks, or no word sequence of G can be spelt with L.
    """
    import kaldifst

    lang_dir, watch = Path(lang_dir), _Watch([] if stages is None else stages)
    lang = read_lang(lang_dir)
    lexicon = read_openfst_text(lang_dir / "L_disambig.fst.txt")
    grammar = watch.lap("G", read_openfst_text(lang_dir / "G.fst.txt"))
    _check(lexicon, grammar, lang, lang_dir)
    name = "G"
    if (lang_dir / FST_FILE).exists():
        name, morphology = "M∘G", watch.lap("M", read_openfst_text(lang_dir / FST_FILE))
        kaldifst.arcsort(morphology, "olabel")
        kaldifst.arcsort(grammar, "ilabel")
        grammar = kaldifst.compose(morphology, grammar)
        kaldifst.connect(grammar)
        watch.lap(name, grammar)
    kaldifst.arcsort(lexicon, "olabel")
    kaldifst.arcsort(grammar, "ilabel")
    watch.lap("L", lexicon)
    lg = watch.lap(f"L∘{name}", kaldifst.compose(lexicon, grammar))
    kaldifst.determinize_star(lg, delta=_DELTA)
    watch.lap("determinized", lg)
    kaldifst.minimize_encoded(lg, delta=_DELTA)
    kaldifst.connect(lg)
    watch.lap("minimal", lg)
    arrays = from_openfst(lg)
    if arrays.num_arcs == 0:
        raise AslError(f"{lang_dir}: L_disambig.fst.txt can spell nothing of G.fst.txt; make both again")
    arrays.ilabel = np.where(arrays.ilabel >= len(lang.tokens), 0, arrays.ilabel).astype(np.int32)
    return arrays


class _Watch:
    """Writes down what each step gave and how long it took."""

    def __init__(self, stages: List[Stage]) -> None:
        self.stages, self.since = stages, time.perf_counter()

    def lap(self, name: str, fst: Any) -> Any:
        seconds = time.perf_counter() - self.since
        arcs = sum(fst.num_arcs(state) for state in range(fst.num_states))
        self.stages.append(Stage(name, fst.num_states, arcs, round(seconds, 3)))
        self.since = time.perf_counter()
        return fst


def _check(lexicon: Any, grammar: Any, lang: Lang, lang_dir: Path) -> None:
    """Refuse an L that determinization would not end with, or that has labels of another token table."""
    where, tokens = lang_dir / "L_disambig.fst.txt", len(lang.tokens)
    labels = set(np.unique(from_openfst(lexicon).ilabel).tolist())
    highest = tokens + len(lang.tokens.disambig) - 1
    if max(labels, default=0) > highest:
        raise AslError(f"{where} has the label {max(labels)}, and tokens.txt ends at {highest}; make it again")
    used = disambiguate(lang.entries)[1]
    missing = [n for n in range(1, used + 1) if tokens + n not in labels]
    if missing:
        raise AslError(f"{where} has no '#{missing[0]}', which words that sound alike need; make it again by "
                       "'asl graph compile'")
    back_off = read_symbols(graph_files(lang_dir)["words.txt"])["#0"]
    if tokens not in labels and (from_openfst(grammar).ilabel == back_off).any():
        raise AslError(f"{where} has no '#0', by which G backs off; make it again by 'asl graph compile'")


def read_openfst_text(path: Path) -> Any:
    """Read OpenFst text with integer labels as a ``kaldifst.StdVectorFst``.

    Raises:
        AslError: the file is absent, or a line is not one of an FST (it is named).
    """
    import kaldifst

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AslError(f"{path} does not exist; make it by 'asl graph compile'") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not _LINE.fullmatch(line):
            raise AslError(f"{path} line {number}: {line!r} is no arc (src dst ilabel olabel [cost]) or end")
    if not text.strip():
        raise AslError(f"{path} is empty; make it again by 'asl graph compile'")
    return kaldifst.compile(text)
