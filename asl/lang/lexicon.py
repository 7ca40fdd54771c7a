"""The lexicon: which sequences of tokens a word is made of (``word token token …`` a line)."""

from collections import Counter
from typing import Dict, List, Sequence, Tuple

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike, write_text
from asl.lang.tokens import TRANSITION, TokenTable, is_disambig, read_lines

# a word and its units; a word with several pronunciations has several entries
Entry = Tuple[str, Tuple[str, ...]]


def read_lexicon(path: PathLike, tokens: TokenTable, words: Dict[str, int]) -> List[Entry]:
    """Read ``lexicon.txt`` and check it against the tokens and the words; return its entries in order.

    Args:
        path: the file, ``word token token …`` a line; empty lines are passed over.
        tokens: what the units must be of (the blank is no unit, nor is the transition between signs).
        words: ``words.txt`` as ``read_symbols`` gives it.

    Raises:
        AslError: a word without units, an unknown word or token, an entry that stands twice (each with its
            line), or a word of ``words`` that has no entry.
    """
    entries: Dict[Entry, int] = {}
    units = set(tokens.units) - {TRANSITION}
    for number, fields in enumerate(read_lines(path), 1):
        if not fields:
            continue
        word, pronunciation = fields[0], tuple(fields[1:])
        where = f"{path} line {number}: "
        if word not in words:
            raise AslError(f"{where}word {word!r} is not in words.txt{did_you_mean(word, words)}")
        if not pronunciation:
            raise AslError(f"{where}word {word!r} has no units; write 'word unit unit …'")
        for unit in pronunciation:
            if unit == TRANSITION:
                raise AslError(f"{where}{unit} in {word!r} is the transition between signs; no sign has it inside")
            if unit not in units:
                near = did_you_mean(unit, units)
                raise AslError(f"{where}unit {unit!r} of {word!r} is not in tokens.txt{near}")
        if (word, pronunciation) in entries:
            first = entries[word, pronunciation]
            raise AslError(f"{where}the entry of {word!r} stands already in line {first}; remove one")
        entries[word, pronunciation] = number
    spelt = {word for word, _ in entries}
    missing = [w for w in words if w not in spelt and not is_special(w)]
    if missing:
        count = len(missing)
        raise AslError(f"{path}: {count} words of words.txt have no entry, the first is {missing[0]!r}")
    return list(entries)


def write_lexicon(path: PathLike, entries: Sequence[Entry]) -> None:
    """Write ``lexicon.txt`` atomically, one entry a line."""
    write_text(path, "".join(f"{word} {' '.join(units)}\n" for word, units in entries))


def is_special(word: str) -> bool:
    """True for symbols of ``words.txt`` that are not words: ``<eps>``, ``<s>``, ``</s>`` and ``#n``."""
    return (word.startswith("<") and word.endswith(">")) or is_disambig(word)


def disambiguate(entries: Sequence[Entry]) -> Tuple[List[Entry], int]:
    """Append disambiguation symbols as Kaldi's ``add_lex_disambig.pl`` does.

    An entry whose units are those of another entry too, or the beginning of another's, gets ``#1``,
    ``#2``, … at its end (counted for each sequence of units), so that L stays determinizable.

    Returns:
        The entries in the same order, and the highest number used (0 where none was needed).
    """
    count = Counter(units for _, units in entries)
    prefixes = {units[:n] for units in count for n in range(1, len(units))}
    used: Counter = Counter()
    out: List[Entry] = []
    for word, units in entries:
        if count[units] > 1 or units in prefixes:
            used[units] += 1
            units = (*units, f"#{used[units]}")
        out.append((word, units))
    return out, max(used.values(), default=0)
