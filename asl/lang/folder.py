"""A lang folder read as one thing: tokens, words and lexicon that agree with each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.lang.lexicon import Entry, is_special, read_lexicon
from asl.lang.tokens import TokenTable, read_symbols

LANG_FILES = ("tokens.txt", "words.txt", "lexicon.txt")


@dataclass
class Lang:
    """What ``data/lang`` holds.

    Args:
        tokens: the network's outputs.
        symbols: ``words.txt`` in the order of its ids: ``<eps>``, the words, ``#0``, ``<s>``, ``</s>``.
        entries: the lexicon, ``(word, units)`` in the order of the file.
    """

    tokens: TokenTable
    symbols: List[str]
    entries: List[Entry]

    @property
    def words(self) -> List[str]:
        """The words proper, in the order of their ids; with a softmax head class ``i`` is ``words[i]``."""
        return [symbol for symbol in self.symbols if not is_special(symbol)]

    @property
    def word_ids(self) -> Dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.symbols)}


def read_lang(lang_dir: PathLike) -> Lang:
    """Read ``tokens.txt``, ``words.txt`` and ``lexicon.txt`` of a folder and check that they fit.

    Raises:
        AslError: a file is absent or wrong, with its line; see ``TokenTable.read`` and ``read_lexicon``.
    """
    lang_dir = Path(lang_dir)
    tokens = TokenTable.read(lang_dir / "tokens.txt")
    words = read_symbols(lang_dir / "words.txt")
    if words.get("<eps>") != 0 or "#0" not in words:
        raise AslError(f"{lang_dir / 'words.txt'}: '<eps> 0' and '#0' must be there; make it again (stage 1)")
    return Lang(tokens, list(words), read_lexicon(lang_dir / "lexicon.txt", tokens, words))
