"""Lang folders with grammars."""

import pytest

from asl.graph.grammar import write_grammar
from asl.graph.lexicon import write_lexicon_fsts
from asl.lang.prepare import write_lang
from tests.graph.byhand import ARPA


@pytest.fixture
def make_lang(tmp_path):
    """``make_lang(words or lexicon, grammar)`` -> a lang folder with its FSTs; ``arpa`` is ``ARPA``."""

    def make(words, grammar="one-sign", name="lang"):
        lexicon = words if isinstance(words, dict) else None
        write_lang(list(words), tmp_path / name, lexicon)
        if grammar == "arpa":
            (tmp_path / "G.arpa").write_text(ARPA)
            grammar = str(tmp_path / "G.arpa")
        write_lexicon_fsts(tmp_path / name)
        write_grammar(tmp_path / name, grammar)
        return tmp_path / name

    return make
