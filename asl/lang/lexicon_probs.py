"""Pronunciation variants and how probable they are: ``lexiconp.txt`` as Kaldi has it (``word prob unit unit …``)."""

import math
from typing import Dict, List, Sequence

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike, write_text
from asl.lang.lexicon import Entry
from asl.lang.tokens import read_lines

NORMALISATIONS = ("max", "sum", "none")


def read_probs(path: PathLike, entries: Sequence[Entry]) -> List[float]:
    """Return the probability of each of ``entries`` (those of ``lexicon.txt``), in their order.

    Raises:
        AslError: a malformed line, a probability that is not in (0, 1], an entry that stands twice or is not in
            ``lexicon.txt`` (each with its line), or an entry of ``lexicon.txt`` that is not here.
    """
    known, found = set(entries), {}
    lines: Dict[Entry, int] = {}
    for number, fields in enumerate(read_lines(path), 1):
        if not fields:
            continue
        where = f"{path} line {number}: "
        if len(fields) < 3:
            raise AslError(f"{where}expected 'word probability unit unit …', found {' '.join(fields)!r}")
        entry = (fields[0], tuple(fields[2:]))
        prob = _prob(fields[1], where, fields[0])
        if entry in lines:
            raise AslError(f"{where}the entry of {fields[0]!r} stands already in line {lines[entry]}; remove one")
        if entry not in known:
            raise AslError(f"{where}{' '.join(fields[2:])!r} is no entry of {fields[0]!r} in lexicon.txt; the two "
                           "files must hold the same entries")
        lines[entry], found[entry] = number, prob
    missing = [entry for entry in entries if entry not in found]
    if missing:
        word, units = missing[0]
        raise AslError(f"{path}: {len(missing)} entries of lexicon.txt are not here, the first is "
                       f"'{word} {' '.join(units)}'; the two files must hold the same entries")
    return [found[entry] for entry in entries]


def _prob(text: str, where: str, word: str) -> float:
    try:
        prob = float(text)
    except ValueError:
        raise AslError(f"{where}{text!r} is no number; expected 'word probability unit unit …'") from None
    if not 0 < prob <= 1:
        raise AslError(f"{where}the probability of {word!r} is {text}; give one above 0 and at most 1")
    return prob


def write_probs(path: PathLike, entries: Sequence[Entry], probs: Sequence[float]) -> None:
    """Write ``lexiconp.txt`` atomically, one entry a line."""
    rows = zip(entries, probs)
    write_text(path, "".join(f"{word} {prob:.9g} {' '.join(units)}\n" for (word, units), prob in rows))


def pronunciation_costs(entries: Sequence[Entry], probs: Sequence[float], normalise: str = "max") -> List[float]:
    """Return the cost (negative natural logarithm) of each entry.

    Args:
        entries: words and units.
        probs: of each entry, given its word.
        normalise: ``max``: divided by the word's largest, as Kaldi's ``dict_dir_add_pronprobs.sh`` does, so that a
            word does not pay for having many pronunciations; ``sum``: by the word's sum; ``none``: as they are.

    Raises:
        AslError: no such normalisation.
    """
    if normalise not in NORMALISATIONS:
        near = did_you_mean(normalise, NORMALISATIONS)
        raise AslError(f"unknown normalisation {normalise!r}{near}; there are: {', '.join(NORMALISATIONS)}")
    of_word: Dict[str, List[float]] = {}
    for (word, _), prob in zip(entries, probs):
        of_word.setdefault(word, []).append(prob)
    total = {"max": max, "sum": math.fsum, "none": lambda _: 1.0}[normalise]
    whole = {word: total(values) for word, values in of_word.items()}
    return [math.log(whole[word] / prob) for (word, _), prob in zip(entries, probs)]
