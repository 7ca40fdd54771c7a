"""``asl graph compile``: lexicon and grammar -> L, M, G and a decoding graph for one engine."""

import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from asl.common.errors import AslError
from asl.graph.engine import get_engine
from asl.graph.grammar import ONE_SIGN, listed, write_grammar
from asl.graph.lexicon import write_lexicon_fsts
from asl.graph.morphology import remove_morphology, write_morphology
from asl.lang.arpa import read_arpa
from asl.lang.morphology import read_morphology


def compile_graph(
    lang: str = "data/lang",
    out: str = "exp/ctc/graph",
    grammar: str = "one-sign",
    engine: str = "auto",
    topology: str = "ctc",
    morphology: Optional[str] = None,
    transition_prob: Optional[float] = None,
    pronunciations: str = "max",
) -> None:
    """Write L.fst.txt, L_disambig.fst.txt and G.fst.txt into the lang folder and compile H∘L∘G into OUT.

    A graph that is there already and was made of just these inputs is left as it is.

    The vocabulary is closed: words that the lexicon lacks are never recognised ('asl lexicon oov' counts them in a
    split), nor words that are in no n-gram; these are counted and listed.

    Args:
        lang: folder with tokens.txt, words.txt, lexicon.txt (stage 1) and perhaps lexiconp.txt, the lexicon with the
            probability of each pronunciation behind its word.
        out: folder of the compiled graph.
        grammar: one-sign (exactly one word, all equally probable) or the path of an n-gram in ARPA format.
        engine: k2, kaldi, or auto (k2 where it imports).
        topology: ctc (a repeated token needs a blank between), compact (it needs none; for large n-grams) or
            left-to-right (two states: a token lasts two frames at least; no blank is needed anywhere).
        morphology: rules from the glosses of the lexicon to the words of the grammar (see asl/lang/morphology.py);
            the graph is H∘L∘M∘G then. Default: none.
        transition_prob: how probable the movement between two signs is to show as a token of its own, where
            tokens.txt has <trans>; default 0.5 there.
        pronunciations: probabilities of a word's pronunciations are divided by their max (as Kaldi does), by their
            sum, or by none.

    Raises:
        AslError: the lang folder, the ARPA file or the rules are incomplete or wrong, or the engine is not there.
    """
    searcher = get_engine(engine)
    if not Path(lang).is_dir():
        raise AslError(f"no lang folder {lang}; run stage 1, or give --lang")
    began = time.perf_counter()
    write_lexicon_fsts(lang, pronunciations, transition_prob)
    made = {"L": time.perf_counter() - began}
    if morphology is None:
        remove_morphology(lang)
    else:
        made["M"] = _write_morphology(lang, morphology, grammar)
    began = time.perf_counter()
    write_grammar(lang, grammar)
    made["G"] = time.perf_counter() - began
    if searcher.is_current(lang, out, topology):
        print(f"{out}: the {searcher.name} graph is up to date")
        return
    info = searcher.compile(lang, out, topology)
    size = f"{info['words']} words, {info['tokens']} tokens"
    print(f"{out}: {info['engine']} graph, {topology} topology, {size}")
    print("\n".join(_table(info, made)))


def _write_morphology(lang: str, rules: str, grammar: str) -> float:
    """Write M and say what it does; return the seconds."""
    began = time.perf_counter()
    words: Optional[Sequence[str]] = None
    if grammar != ONE_SIGN and Path(grammar).is_file():  # else write_grammar says that there is none
        words = read_arpa(grammar).words
    report = write_morphology(lang, read_morphology(rules), words)
    dropped = f" ({listed(report.dropped)})" if report.dropped else ""
    print(f"M: {report.glosses} glosses, {len(report.words)} words; the rules change {report.changed} glosses, "
          f"drop {len(report.dropped)}{dropped}")  # fmt: skip
    if report.idle:
        print(f"M: compounds whose parts are no glosses: {listed(report.idle)}")
    unsaid = sorted(set(words or ()) - set(report.words))
    if unsaid:
        print(f"M: {len(unsaid)} words of the grammar that no gloss gives: {listed(unsaid)}")
    return time.perf_counter() - began


def _table(info: Dict[str, Any], made: Dict[str, float]) -> List[str]:
    """Sizes and times of each step, one a line."""
    rows = [(s["name"], s["states"], s["arcs"], s["seconds"] + made.get(s["name"], 0.0)) for s in info["stages"]]
    spent = sum(s["seconds"] for s in info["stages"])
    rows.append((f"H∘L∘{'M∘' if 'M' in made else ''}G", info["states"], info["arcs"], info["seconds"] - spent))
    return [f"  {name:14} {states:9} states {arcs:9} arcs {seconds:7.2f} s" for name, states, arcs, seconds in rows]
