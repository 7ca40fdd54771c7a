"""Lexicons of subunits: a gloss as a row of units that it shares with others, so that rare signs learn too.

- ``phonology``: values of ASL-LEX features, as ``Handshape=c MajorLocation=Head Movement=Straight``; what of a sign
  is told apart is what the features tell apart, the rest are homophones that the grammar has to choose from.
- ``sentencepiece``: pieces of the gloss's spelling (Kudo and Richardson 2018). They share what annotators write
  alike (``loc-``, ``-PLUSPLUS``, parts of compounds), not what signers do alike.
"""

from collections import Counter
from typing import Dict, List, NamedTuple, Sequence, Tuple

from asl.common.errors import AslError, did_you_mean
from asl.lang.phonology import PhonologyTable
from asl.lang.sentencepiece import MODELS, train_model

PHONOLOGY_FEATURES = ("Handshape", "MajorLocation", "Movement")

Lexicon = Dict[str, List[List[str]]]


class Subunits(NamedTuple):
    """A lexicon, the words that have no subunits and stay whole, and the files beside it (name -> content)."""

    lexicon: Lexicon
    whole: List[str]
    files: Dict[str, bytes]


def phonology_units(words: Sequence[str], table: PhonologyTable, features: Sequence[str]) -> Subunits:
    """Return the lexicon with one unit for each known feature of a word, in the order of ``features``.

    A feature that is not known of a word is left out; a word of which none is known is its own unit.

    Raises:
        AslError: no such feature, or no word has any.
    """
    if not features:
        raise AslError("--features is empty; name at least one, for example Handshape")
    for feature in features:
        table.classes(feature)  # names the nearest column where there is none
    lexicon, whole = {}, []
    for word in words:
        values = table.rows[word].values if word in table.rows else {}
        units = [f"{feature}={values[feature]}" for feature in features if feature in values]
        lexicon[word] = [units or [word]]
        whole += [] if units else [word]
    if len(whole) == len(words):
        raise AslError("the phonology table knows none of the words; make it with 'asl phonology' for this folder")
    return Subunits(lexicon, whole, {})


def sentencepiece_units(words: Sequence[str], size: int, model: str = "unigram") -> Subunits:
    """Return the lexicon of the best segmentation of each word's spelling, every word counted once.

    Args:
        words: the glosses.
        size: pieces at most; fewer where the spellings have no more.
        model: ``unigram`` or ``bpe``.

    Raises:
        AslError: no such model, or so few pieces that not every character is one.
    """
    import sentencepiece

    if model not in MODELS:
        near = did_you_mean(model, MODELS)
        raise AslError(f"unknown sentencepiece model {model!r}{near}; there are: {', '.join(MODELS)}")
    written = train_model(words, size, model, "--size", split_by_unicode_script=False, split_by_number=False)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=written)
    lexicon = {word: [pieces.encode(word, out_type=str)] for word in words}
    return Subunits(lexicon, [], {"spm.model": written})


def homophones(lexicon: Lexicon) -> List[List[str]]:
    """Return the groups of words that have a pronunciation in common, the largest first."""
    groups: Dict[Tuple[str, ...], List[str]] = {}
    for word, pronunciations in lexicon.items():
        for units in dict.fromkeys(map(tuple, pronunciations)):
            groups.setdefault(units, []).append(word)
    return sorted((group for group in groups.values() if len(group) > 1), key=lambda group: (-len(group), group))


def describe(lexicon: Lexicon, whole: Sequence[str], show: int = 5) -> str:
    """Return in some lines how many units there are, how often they are used, and which words sound alike."""
    lengths = [len(units) for pronunciations in lexicon.values() for units in pronunciations]
    uses = Counter(unit for pronunciations in lexicon.values() for units in pronunciations for unit in set(units))
    once = sum(count == 1 for count in uses.values())
    alike = homophones(lexicon)
    lines = [
        f"{len(lexicon)} words, {len(lengths)} pronunciations, {len(uses)} units ({once} in one pronunciation only); "
        f"{min(lengths)} to {max(lengths)} units a word, {sum(lengths) / len(lengths):.2f} on average"
    ]
    if whole:
        more = f" and {len(whole) - show} more" if len(whole) > show else ""
        lines.append(f"{len(whole)} words have no known subunits and are one unit: {', '.join(whole[:show])}{more}")
    if alike:
        count = len({word for group in alike for word in group})
        more = f" and {len(alike[0]) - show} more" if len(alike[0]) > show else ""
        largest = f"the largest of {len(alike)} groups: {', '.join(alike[0][:show])}{more}"
        lines.append(f"{count} words sound like another, {largest}")
    return "\n".join(lines)
