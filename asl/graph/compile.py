"""``asl graph compile``: lexicon and grammar -> L, G and a decoding graph for one engine."""

from pathlib import Path

from asl.common.errors import AslError
from asl.graph.engine import get_engine
from asl.graph.grammar import write_grammar
from asl.graph.lexicon import write_lexicon_fsts


def compile_graph(
    lang: str = "data/lang",
    out: str = "exp/ctc/graph",
    grammar: str = "one-sign",
    engine: str = "auto",
    topology: str = "ctc",
) -> None:
    """Write L.fst.txt, L_disambig.fst.txt and G.fst.txt into the lang folder and compile H∘L∘G into OUT.

    A graph that is there already and was made of just these inputs is left as it is.

    Args:
        lang: folder with tokens.txt, words.txt and lexicon.txt (stage 1).
        out: folder of the compiled graph.
        grammar: one-sign (exactly one word, all equally probable) or the path of an n-gram in ARPA format.
        engine: k2, kaldi, or auto (k2 where it imports).
        topology: ctc (a repeated token needs a blank between) or compact (it needs none; for large n-grams).

    Raises:
        AslError: the lang folder or the ARPA file is incomplete or wrong, or the engine is not there.
    """
    searcher = get_engine(engine)
    if not Path(lang).is_dir():
        raise AslError(f"no lang folder {lang}; run stage 1, or give --lang")
    write_lexicon_fsts(lang)
    write_grammar(lang, grammar)
    if searcher.is_current(lang, out, topology):
        print(f"{out}: the {searcher.name} graph is up to date")
        return
    info = searcher.compile(lang, out, topology)
    size = f"{info['words']} words, {info['tokens']} tokens"
    print(f"{out}: {info['engine']} graph, {topology} topology, {size}")
    print(f"L∘G {info['lg_states']} states, {info['lg_arcs']} arcs; H∘L∘G {info['states']} states, "
          f"{info['arcs']} arcs; {info['seconds']:.2f} s")
