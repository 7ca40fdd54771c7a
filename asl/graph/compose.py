"""L∘G, made once for both engines, so that they search the same graph and agree in their scores."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.graph.fst import Fst, from_openfst
from asl.lang.folder import read_lang

# Kaldi's default of 1/1024 moves the weights by up to half of that, which tells in the scores
_DELTA = 1e-5
_LINE = re.compile(r"\s*\d+(\s+\d+\s+\d+\s+\d+)?(\s+(-?\d+\.?\d*([eE][-+]?\d+)?|Infinity))?\s*")


def compose_lg(lang_dir: PathLike) -> Fst:
    """Return L∘G of a lang folder (token ids : word ids), determinized and minimal.

    As in Kaldi's ``mkgraph.sh``: compose, determinize, minimise, then make disambiguation symbols epsilon.

    Raises:
        AslError: a file is absent or no FST, or no word sequence of G can be spelt with L.
    """
    import kaldifst

    lang_dir = Path(lang_dir)
    lexicon = read_openfst_text(lang_dir / "L_disambig.fst.txt")
    grammar = read_openfst_text(lang_dir / "G.fst.txt")
    kaldifst.arcsort(lexicon, "olabel")
    kaldifst.arcsort(grammar, "ilabel")
    lg = kaldifst.compose(lexicon, grammar)
    kaldifst.determinize_star(lg, delta=_DELTA)
    kaldifst.minimize_encoded(lg, delta=_DELTA)
    kaldifst.connect(lg)
    arrays = from_openfst(lg)
    if arrays.num_arcs == 0:
        raise AslError(f"{lang_dir}: L_disambig.fst.txt can spell nothing of G.fst.txt; make both again")
    num_tokens = len(read_lang(lang_dir).tokens)
    arrays.ilabel = np.where(arrays.ilabel >= num_tokens, 0, arrays.ilabel).astype(np.int32)
    return arrays


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
