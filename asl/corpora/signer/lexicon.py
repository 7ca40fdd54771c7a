"""Signs coded as sign phonology codes them: handshape, location, movement, orientation, and which hands act.

The parameters are those of Stokoe (1960) and Battison (1978): a one-handed sign, a two-handed sign in which
both hands do the same (together or in alternation), or one in which the dominant hand acts on a still base
hand whose handshape is one of a few simple ones. No sign here is a sign of a language: the inventory is
plausible, the words are invented.
"""

from dataclasses import dataclass, replace
from typing import Dict, List, Optional, Tuple

import numpy as np

from asl.common.errors import AslError

# fmt: off
#: Places in the space of the right hand, in units of the shoulder width: x (negative: the hand's own side),
#: y, z.
LOCATIONS: Dict[str, Tuple[float, float, float]] = {
    "forehead": (-0.08, -0.88, -0.36), "temple": (-0.26, -0.80, -0.22), "nose": (-0.02, -0.66, -0.42),
    "cheek": (-0.22, -0.60, -0.30), "mouth": (-0.03, -0.53, -0.40), "chin": (-0.03, -0.42, -0.36),
    "neck": (-0.04, -0.20, -0.28), "shoulder-contra": (0.34, 0.06, -0.32), "chest": (-0.03, 0.28, -0.42),
    "chest-ipsi": (-0.30, 0.24, -0.40), "belly": (-0.05, 0.58, -0.46), "neutral": (-0.24, 0.22, -0.80),
    "neutral-high": (-0.46, -0.18, -0.72), "neutral-ipsi": (-0.62, 0.18, -0.66),
    "neutral-low": (-0.28, 0.50, -0.78),
}
#: Where the base hand is held (its own side is negative here too) and where the acting hand meets it.
BASE_PLACE = (-0.16, 0.34, -0.74)
ON_BASE = (0.10, 0.23, -0.80)

#: (direction of the fingers, direction out of the palm) of a right hand: up, down, in (to the body), out,
#: contra, ipsi.
ORIENTATIONS: Dict[str, Tuple[Tuple[float, float, float], Tuple[float, float, float]]] = {
    "up-out": ((0.1, -1, -0.1), (0, -0.1, -1)), "up-in": ((0.25, -1, 0), (0.1, 0, 1)),
    "up-contra": ((0.1, -1, -0.2), (1, 0.1, 0)), "contra-in": ((1, -0.35, -0.1), (0, 0, 1)),
    "contra-down": ((1, -0.1, -0.45), (0, 1, 0)), "out-down": ((0.25, -0.15, -1), (0, 1, 0)),
    "out-contra": ((0.15, -0.35, -1), (1, 0, 0)), "out-up": ((0.35, 0.1, -1), (0, -1, 0)),
    "contra-up": ((1, 0.1, -0.5), (0, -1, 0)),
}

# fmt: on


@dataclass(frozen=True)
class Movement:
    """How a hand moves about its location.

    Attributes:
        path: ``hold``, ``line``, ``arc`` or ``circle``.
        axis: where to, as a direction (a circle lies in the plane of ``axis`` and ``across``).
        across: the second direction of an arc (its bulge) or a circle.
        size: length of the path's extent, in shoulder widths.
        turns: how often it is made; above one, a line goes there and back.
        twist, nod: swing of the forearm about its axis and of the wrist, degrees.
        wiggle: swing of the fingers, degrees.
        change: handshape that the hand opens or closes to.
    """

    path: str = "hold"
    axis: Tuple[float, float, float] = (0, 1, 0)
    across: Tuple[float, float, float] = (0, 0, 0)
    size: float = 0.0
    turns: float = 1
    twist: float = 0.0
    nod: float = 0.0
    wiggle: float = 0.0
    change: Optional[str] = None


# fmt: off
_UP, _DOWN, _IPSI, _CONTRA = (0, -1, 0), (0, 1, 0), (-1, 0, 0), (1, 0, 0)
_OUT, _IN = (0, -0.1, -1), (0, 0.1, 1)
MOVEMENTS: Dict[str, Movement] = {
    "hold": Movement(),
    "up": Movement("line", _UP, size=0.55), "down": Movement("line", _DOWN, size=0.55),
    "ipsi": Movement("line", _IPSI, size=0.55), "contra": Movement("line", _CONTRA, size=0.5),
    "out": Movement("line", _OUT, size=0.5), "slant": Movement("line", (-0.7, 0.7, 0), size=0.55),
    "tap": Movement("line", _IN, size=0.22, turns=2), "chop": Movement("line", _DOWN, size=0.28, turns=2),
    "brush": Movement("line", _IPSI, size=0.3, turns=2), "push": Movement("line", _OUT, size=0.28, turns=2),
    "arc-out": Movement("arc", _OUT, _UP, 0.5), "arc-ipsi": Movement("arc", _IPSI, _OUT, 0.6),
    "arc-down": Movement("arc", _DOWN, _IPSI, 0.5),
    "circle-front": Movement("circle", _UP, _CONTRA, 0.34, 2),
    "circle-side": Movement("circle", _UP, _OUT, 0.34, 2),
    "circle-flat": Movement("circle", _OUT, _IPSI, 0.34, 2),
    "circle-once": Movement("circle", _UP, _IPSI, 0.5, 1),
    "twist": Movement(twist=42, turns=2), "turn": Movement("line", _IPSI, size=0.15, twist=75),
    "nod": Movement(nod=34, turns=2), "flick": Movement("line", _OUT, size=0.2, nod=42),
    "wiggle": Movement(wiggle=26, turns=3),
    "wiggle-down": Movement("line", _DOWN, size=0.45, wiggle=24, turns=1),
    "open": Movement("line", _OUT, size=0.2, change="5"),
    "close": Movement("line", _IN, size=0.15, change="O-flat"),
    "grab": Movement("line", _UP, size=0.25, change="S"),
}
_BASE_SHAPES = ("B-open", "5", "S", "1", "C", "O")
_BASE_ORIENTATIONS = ("contra-up", "contra-down", "contra-in", "out-contra")
_SHAPES = ("1", "3", "4", "5", "5-claw", "8-open", "A", "B", "B-bent", "B-open", "C", "F", "G", "I", "ILY",
           "K", "L", "L-bent", "O", "O-flat", "R", "S", "U", "V", "V-bent", "W", "X", "Y")
_HANDS, _HANDS_SHARE = ("one", "symmetric", "alternating", "base"), (0.62, 0.17, 0.06, 0.15)
_PAIR_SHARE = 0.35  # of the signs that are drawn as a minimal pair of an earlier one
# fmt: on
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True)
class Sign:
    """One entry of the lexicon; the names are keys of HANDSHAPES, LOCATIONS, MOVEMENTS and ORIENTATIONS.

    ``hands`` is ``one``, ``symmetric``, ``alternating`` or ``base``; ``base_*`` are None unless it is
    ``base``.
    """

    gloss: str
    hands: str
    shape: str
    location: str
    movement: str
    orientation: str
    base_shape: Optional[str] = None
    base_orientation: Optional[str] = None

    @property
    def phonology(self) -> Tuple[Optional[str], ...]:
        """What the sign is, without its word: two entries never share it."""
        return (
            self.hands,
            self.shape,
            self.location,
            self.movement,
            self.orientation,
            self.base_shape,
            self.base_orientation,
        )


def _pick(rng: np.random.Generator, names, other_than: Optional[str] = None) -> str:
    names = [name for name in names if name != other_than]
    return names[int(rng.integers(len(names)))]


def draw_sign(rng: np.random.Generator, gloss: str) -> Sign:
    """Draw one sign, each parameter by itself, so far as the hands allow."""
    hands = _HANDS[int(rng.choice(len(_HANDS), p=_HANDS_SHARE))]
    base = hands == "base"
    return Sign(
        gloss=gloss,
        hands=hands,
        shape=_pick(rng, _SHAPES),
        location="base" if base else _pick(rng, LOCATIONS),
        movement=_pick(rng, MOVEMENTS),
        orientation=_pick(rng, ORIENTATIONS),
        base_shape=_pick(rng, _BASE_SHAPES) if base else None,
        base_orientation=_pick(rng, _BASE_ORIENTATIONS) if base else None,
    )


def minimal_pair(rng: np.random.Generator, sign: Sign, gloss: str) -> Sign:
    """Return a sign that differs from ``sign`` in exactly one parameter."""
    choices = {"shape": _SHAPES, "movement": MOVEMENTS, "orientation": ORIENTATIONS}
    if sign.hands != "base":
        choices["location"] = LOCATIONS
    which = _pick(rng, sorted(choices))
    return replace(sign, gloss=gloss, **{which: _pick(rng, choices[which], other_than=getattr(sign, which))})


def invented_word(rng: np.random.Generator) -> str:
    """A word of two or three syllables that no language has; now and then of two words."""
    syllables = [_pick(rng, _CONSONANTS) + _pick(rng, _VOWELS) for _ in range(int(rng.integers(2, 4)))]
    # like WLASL's "thank you": some glosses are two words
    second = " " + _pick(rng, _CONSONANTS) + _pick(rng, _VOWELS) if rng.random() < 0.05 else ""
    return "".join(syllables) + second


def make_lexicon(count: int, rng: np.random.Generator) -> List[Sign]:
    """Draw ``count`` signs, all different in word and in phonology, about a third of them minimal pairs.

    Raises:
        AslError: ``count`` is not positive.
    """
    if count < 1:
        raise AslError(f"a lexicon needs at least one sign, not {count}")
    signs: List[Sign] = []
    words, codes = set(), set()
    while len(signs) < count:
        gloss = invented_word(rng)
        if signs and rng.random() < _PAIR_SHARE:
            sign = minimal_pair(rng, signs[int(rng.integers(len(signs)))], gloss)
        else:
            sign = draw_sign(rng, gloss)
        if gloss in words or sign.phonology in codes:
            continue
        words.add(gloss)
        codes.add(sign.phonology)
        signs.append(sign)
    return signs
