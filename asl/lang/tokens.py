"""Symbol tables as Kaldi writes them (``symbol id`` a line), and the table of the network's outputs."""

import re
from pathlib import Path
from typing import Dict, List, Sequence

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike, write_text

BLANK = "<blk>"
# the movement from one sign to the next (epenthesis), a token of its own where a lang folder has it
TRANSITION = "<trans>"
_DISAMBIG = re.compile(r"#\d+")


def is_disambig(symbol: str) -> bool:
    """True for ``#0``, ``#1``, …: symbols that keep a graph determinizable and are never a network output."""
    return _DISAMBIG.fullmatch(symbol) is not None


def read_lines(path: PathLike) -> List[List[str]]:
    """Return the fields of each line of a UTF-8 text file; line ``i + 1`` is element ``i``.

    Raises:
        AslError: the file is absent or is not UTF-8 text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise AslError(f"{path} does not exist; check the path or run the stage that makes it") from None
    except (OSError, UnicodeDecodeError) as e:
        raise AslError(f"cannot read {path}: {e}; it must be UTF-8 text") from e
    # not splitlines(): it also breaks at characters that may stand inside a line
    return [line.split() for line in text.split("\n")]


def read_symbols(path: PathLike) -> Dict[str, int]:
    """Read a symbol table: ``symbol id`` a line, ids from 0 without a gap, in order.

    Raises:
        AslError: the file is absent or empty, or a line is malformed; names file and line.
    """
    symbols: Dict[str, int] = {}
    for number, fields in enumerate(read_lines(path), 1):
        if not fields:
            continue
        if len(fields) != 2 or not (fields[1].isascii() and fields[1].isdigit()):
            raise AslError(f"{path} line {number}: expected 'symbol id', found {' '.join(fields)!r}")
        symbol, index = fields[0], int(fields[1])
        if symbol in symbols:
            raise AslError(f"{path} line {number}: symbol {symbol!r} stands twice; remove one")
        if index != len(symbols):
            raise AslError(f"{path} line {number}: expected id {len(symbols)}, found {index}; ids run from 0")
        symbols[symbol] = index
    if not symbols:
        raise AslError(f"{path} holds no symbol; make it again (stage 1)")
    return symbols


def write_symbols(path: PathLike, symbols: Sequence[str]) -> None:
    """Write a symbol table atomically; a symbol's id is its position."""
    write_text(path, "".join(f"{symbol} {index}\n" for index, symbol in enumerate(symbols)))


class TokenTable:
    """The network's outputs: blank (id 0), then the units in their given order.

    Disambiguation symbols (``#0``, ``#1``, …) follow the units in the file. They belong to graphs alone:
    ``len``, ``in``, ``units``, ``id`` and ``token`` leave them out, so ``len(table)`` is the output size.

    Args:
        units: the tokens without blank, in the order of their ids (1, 2, …).
        num_disambig: how many disambiguation symbols stand after them (``#0`` is always there).

    Example:
        >>> table = TokenTable(["book", "drink"])
        >>> table.encode(["drink", "book"]), len(table), table.token(0)
        ([2, 1], 3, '<blk>')
    """

    def __init__(self, units: Sequence[str], num_disambig: int = 1) -> None:
        self.units: List[str] = list(units)
        self._symbols = [BLANK, *self.units]
        self._ids = {symbol: index for index, symbol in enumerate(self._symbols)}
        if num_disambig < 1:
            raise ValueError("num_disambig counts #0 and so is at least 1")
        if len(self._ids) != len(self._symbols):
            twice = next(s for i, s in enumerate(self._symbols) if self._ids[s] != i)
            raise AslError(f"token {twice!r} stands twice; every token needs its own name")
        bad = [s for s in self.units if is_disambig(s) or s.split() != [s]]
        if bad:
            raise AslError(f"token {bad[0]!r} cannot be used: it is empty, holds whitespace or is '#n'")
        self.disambig: List[str] = [f"#{n}" for n in range(num_disambig)]

    @classmethod
    def read(cls, path: PathLike) -> "TokenTable":
        """Read ``tokens.txt``.

        Raises:
            AslError: absent or malformed file (line named), blank not first, disambiguation symbols not last.
        """
        symbols = list(read_symbols(path))
        if symbols[0] != BLANK:
            raise AslError(f"{path} line 1: expected '{BLANK} 0', found {symbols[0]!r}; the blank has id 0")
        units = [s for s in symbols[1:] if not is_disambig(s)]
        num_disambig = len(symbols) - 1 - len(units)
        if symbols[1 + len(units):] != [f"#{n}" for n in range(num_disambig)] or not num_disambig:
            raise AslError(f"{path}: '#0', '#1', … must stand after all units; make it again (stage 1)")
        return cls(units, num_disambig)

    def write(self, path: PathLike) -> None:
        """Write ``tokens.txt`` atomically: blank, units, disambiguation symbols."""
        write_symbols(path, self._symbols + self.disambig)

    def __len__(self) -> int:
        return len(self._symbols)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def id(self, token: str) -> int:
        """Return the id of ``token``.

        Raises:
            AslError: no such token; the nearest one is named.
        """
        try:
            return self._ids[token]
        except KeyError:
            near = did_you_mean(token, self.units)
            raise AslError(f"token {token!r} is not in the token table{near}") from None

    def token(self, index: int) -> str:
        """Return the token with id ``index`` (0 is the blank).

        Raises:
            AslError: ``index`` is not in ``range(len(table))``.
        """
        if not 0 <= index < len(self._symbols):
            raise AslError(f"token id {index} is not in the token table, which has ids 0 to {len(self) - 1}")
        return self._symbols[index]

    def encode(self, words: Sequence[str]) -> List[int]:
        """Return the id of each token of ``words``; unknown ones raise AslError as ``id`` does."""
        return [self.id(word) for word in words]

    def decode(self, ids: Sequence[int]) -> List[str]:
        """Return the token of each id; ids out of range raise AslError as ``token`` does."""
        return [self.token(int(index)) for index in ids]
