"""A lang folder read as one thing: tokens, words and lexicon that agree with each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.lang.lexicon import Entry, is_special, read_lexicon
from asl.lang.lexicon_probs import read_probs
from asl.lang.tokens import TRANSITION, TokenTable, read_symbols

LANG_FILES = ("tokens.txt", "words.txt", "lexicon.txt")
PROBS_FILE = "lexiconp.txt"
# where the tokens are sentencepieces: their model, and how text is normalised before it is cut
PIECES_FILE, TEXT_FILE = "sentencepiece.model", "text.json"


@dataclass
class Lang:
    """What ``data/lang`` holds.

    Args:
        tokens: the network's outputs.
        symbols: ``words.txt`` in the order of its ids: ``<eps>``, the words, ``#0``, ``<s>``, ``</s>``.
        entries: the lexicon, ``(word, units)`` in the order of the file.
        probs: of each entry, given its word, from ``lexiconp.txt``; None where there is no such file.
    """

    tokens: TokenTable
    symbols: List[str]
    entries: List[Entry]
    probs: Optional[List[float]] = None

    @property
    def words(self) -> List[str]:
        """The words proper, in the order of their ids; with a softmax head class ``i`` is ``words[i]``."""
        return [symbol for symbol in self.symbols if not is_special(symbol)]

    @property
    def has_transition(self) -> bool:
        """Whether the movement between two signs is a token (``<trans>``)."""
        return TRANSITION in self.tokens

    @property
    def word_ids(self) -> Dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.symbols)}


def read_lang(lang_dir: PathLike) -> Lang:
    """Read ``tokens.txt``, ``words.txt``, ``lexicon.txt`` and, where it is there, ``lexiconp.txt`` of a folder.

    Raises:
        AslError: a file is absent or wrong, with its line, or they do not fit; see ``TokenTable.read``,
            ``read_lexicon`` and ``read_probs``.
    """
    lang_dir = Path(lang_dir)
    tokens = TokenTable.read(lang_dir / "tokens.txt")
    words = read_symbols(lang_dir / "words.txt")
    if words.get("<eps>") != 0 or "#0" not in words:
        raise AslError(f"{lang_dir / 'words.txt'}: '<eps> 0' and '#0' must be there; make it again (stage 1)")
    entries = read_lexicon(lang_dir / "lexicon.txt", tokens, words)
    probs = lang_dir / PROBS_FILE
    return Lang(tokens, list(words), entries, read_probs(probs, entries) if probs.exists() else None)
