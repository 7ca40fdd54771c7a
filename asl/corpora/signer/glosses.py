"""PHOENIX's glosses as acts of the hands: what is spelled, pointed, repeated, placed, and the signs of words.

The owner's marks change a sign, and the sign under them stays the one of the bare word: ``loc-`` makes it at a
place, ``cl-`` with a classifier's handshape, ``-PLUSPLUS`` again and again, ``lh-`` with the other hand;
``poss-`` and ``qu-`` say what it means. ``__ON__`` and ``__OFF__`` are hands that come from rest and go to it;
``__EMOTION__`` and ``__EPENTHESIS__`` are nothing that hands do.
"""

import itertools
import re
from dataclasses import replace
from typing import Dict, Iterable, List, Optional, Tuple

import numpy as np

from asl.common.seeds import derive_seed
from asl.corpora.signer.lexicon import Sign, draw_sign, minimal_pair
from asl.corpora.signer.sentences import Act

Where = Tuple[float, float, float]

_PREFIXES = re.compile(r"(?:(?:loc|cl|qu|poss|lh)-(?=.))*")
_PLUS = "-PLUSPLUS"
_AREA = re.compile(r"(?<=[A-Z]{2})RAUM$")
_SAME = {"S0NNE": "SONNE", "ZEIGEN": "ZEIGEN-BILDSCHIRM"}  # other spellings of a word
_PARTS = {"WIE-AUSSEHEN": ("WIE", "AUSSEHEN")}  # a compound that is also written as two words
_VARIANTS = {"HABEN2": "HABEN"}  # another sign of a word
_NOTHING = ("__EMOTION__", "__EPENTHESIS__")
_REST = ("__ON__", "__OFF__")
_REPEATS = 3
_CLASSIFIERS = ("B-open", "1", "V", "5-claw", "C", "L-bent")
_POSSESSIVE = "B-open"
_LETTER_SHAPES = {
    "D": "1", "E": "5-claw", "H": "U", "J": "I", "M": "B-bent", "N": "V-bent", "P": "K", "Q": "G", "T": "8-open",
    "Z": "1",
}  # fmt: skip
_TURNED = {"H": "contra-in", "P": "out-down", "Q": "out-down", "G": "contra-in"}
_DRAWN = {"J": "arc-down", "Z": "brush"}  # letters that are written into the air
_PAIR_SHARE = 0.35  # of the words that get a minimal pair of one of these many common signs
_COMMON = 250
_POINT = 0.6  # shoulder widths that a pointing goes to a side


def letter_sign(letter: str) -> Sign:
    """The sign of one letter: its handshape, held up."""
    shape = _LETTER_SHAPES.get(letter, letter)
    movement, turned = _DRAWN.get(letter, "hold"), _TURNED.get(letter, "up-out")
    return Sign(letter, "one", shape, "neutral-high", movement, turned)


#: Signs that are what they are whatever the seed.
FIXED: Dict[str, Sign] = {
    "IX": Sign("IX", "one", "1", "neutral", "out", "out-down"),
    "__PU__": Sign("__PU__", "symmetric", "B-open", "neutral-low", "arc-ipsi", "out-up"),
    "__LEFTHAND__": Sign("__LEFTHAND__", "one", "5", "neutral-low", "hold", "out-down"),
    **{letter: letter_sign(letter) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
}


def bare_words(gloss: str) -> List[str]:
    """The words whose signs a gloss is made of, marks taken off; none for what hands do not do."""
    if gloss in _NOTHING or gloss in _REST:
        return []
    gloss = _bare(gloss)
    if "+" in gloss.strip("+"):  # spelled
        return [letter for letter in gloss.split("+") if letter]
    return list(_PARTS.get(gloss, (gloss,)))


def _bare(gloss: str) -> str:
    gloss = _PREFIXES.sub("", gloss, count=1)
    gloss = gloss[: -len(_PLUS)] if gloss.endswith(_PLUS) else gloss
    gloss = _SAME.get(gloss, gloss)
    return _VARIANTS.get(gloss, _AREA.sub("", gloss) or gloss)


def make_signs(glosses: Iterable[str], seed: int) -> Dict[str, Sign]:
    """Give each bare word of ``glosses`` a sign drawn by its hash, no two the same.

    About a third of them differ from a common sign in one parameter only. A word's sign depends on the other
    words only where it would be one that is taken.
    """
    words = sorted({word for gloss in glosses for word in bare_words(gloss)} - set(FIXED))
    signs = dict(FIXED)
    taken = {sign.phonology for sign in signs.values()}
    for word in words:
        for attempt in itertools.count():
            rng = np.random.default_rng(derive_seed(seed, "sign", word, attempt))
            if rng.random() < _PAIR_SHARE:
                common = np.random.default_rng(derive_seed(seed, "common sign", int(rng.integers(_COMMON))))
                sign = minimal_pair(rng, draw_sign(common, word), word)
            else:
                sign = draw_sign(rng, word)
            if sign.phonology not in taken:
                break
        taken.add(sign.phonology)
        signs[word] = sign
    return signs


def acts_of(
    gloss: str, signs: Dict[str, Sign], seed: int, rng: np.random.Generator, where: Optional[Where] = None
) -> List[Act]:
    """What the hands do for ``gloss``: no act, one, or several in a row.

    Args:
        signs: as ``make_signs`` gives them, for all words of ``gloss``.
        seed: the lexicon's: what a mark does to a sign is the same each time.
        where: the place that it is made at or points to, if it is one that was set up; else it is drawn.
    """
    if gloss in _NOTHING:
        return []
    if gloss in _REST:
        return [Act(None)]
    marks = set(_PREFIXES.match(gloss).group().split("-"))
    acts = [Act(_marked(signs[word], gloss, marks, seed)) for word in bare_words(gloss)]
    if where is None and (marks & {"loc"} or _bare(gloss) == "IX"):
        side = _POINT * float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.4, 1.0))
        where = (side, float(rng.uniform(-0.3, 0.3)), 0.0)
    acts = [replace(act, where=where or act.where, other_hand="lh" in marks) for act in acts]
    if gloss == "__LEFTHAND__":
        acts = [replace(acts[0], other_hand=True)]
    return [replace(act, repeats=_REPEATS) for act in acts] if gloss.endswith(_PLUS) else acts


def _marked(sign: Sign, gloss: str, marks: set, seed: int) -> Sign:
    """The sign as the marks on its gloss change it."""
    rng = np.random.default_rng(derive_seed(seed, "mark", gloss))
    if "cl" in marks:
        others = [shape for shape in _CLASSIFIERS if shape != sign.shape]
        sign = replace(sign, shape=others[int(rng.integers(len(others)))])
    if "poss" in marks:
        sign = replace(sign, shape=_POSSESSIVE)
    if gloss in _VARIANTS:
        sign = minimal_pair(rng, sign, sign.gloss)
    if _AREA.search(gloss):
        sign = replace(sign, movement="circle-flat")  # the area about it
    return sign
