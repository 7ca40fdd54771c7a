"""Signers: their build, pace and handedness, and the ways in which one signs unlike another.

What belongs to a signer is the same in all of that signer's clips (it is what makes an unseen signer hard):
where a location lies, how large a movement is, how the hand is shaped and turned, and habits with single
signs.
"""

from dataclasses import dataclass
from typing import Dict, List

import numpy as np

from asl.common.seeds import derive_seed
from asl.corpora.signer.hand import NUM_ANGLES
from asl.corpora.signer.lexicon import LOCATIONS, Sign, minimal_pair

_LEFT_HANDED_SHARE = 0.12
_VARIANT_SHARE = 0.05  # of (signer, sign) pairs in which the signer has a lexical variant of the sign


@dataclass(frozen=True)
class Style:
    """Spread of what differs between signers and between their clips; one number scales them all."""

    scale: float = 1.0
    place: float = 0.055  # shoulder widths
    angle: float = 0.16  # radians, of each joint of the hand
    turn: float = 0.22  # radians, of the hand as a whole
    size: float = 0.22  # of the logarithm of a movement's size
    pace: float = 0.16  # of the logarithm of its duration


@dataclass(frozen=True)
class Signer:
    """One person.

    Attributes:
        number: the signer's id.
        shoulder: shoulder width, metres; upper_arm, forearm, hand: lengths, metres.
        speed: 1 is the mean; larger is faster.
        left_handed: the dominant hand is the left one.
        clasped: rests with the hands before the belly, not at the sides.
        laxness: share by which handshapes are drawn towards a relaxed hand.
        amplitude: size of movements; 1 is the mean.
        places: (3,) shoulder widths for each location, how far off this signer makes it.
        angles: (15,) radians added to every handshape.
        turn: (3,) rotation vector, radians, added to every orientation.
        style: the spread from which habits are drawn.
        seed: of what is drawn for this signer later.
    """

    number: int
    shoulder: float
    upper_arm: float
    forearm: float
    hand: float
    speed: float
    left_handed: bool
    clasped: bool
    laxness: float
    amplitude: float
    places: Dict[str, np.ndarray]
    angles: np.ndarray
    turn: np.ndarray
    style: Style
    seed: int

    def habit(self, sign: Sign) -> "Habit":
        """How this signer makes ``sign``, the same each time it is asked."""
        rng = np.random.default_rng(derive_seed(self.seed, "habit", sign.phonology))
        spread = self.style.scale
        if rng.random() < _VARIANT_SHARE * spread:
            sign = minimal_pair(rng, sign, sign.gloss)
        return Habit(
            sign=sign,
            place=rng.normal(0, self.style.place * spread, 3),
            angles=rng.normal(0, 0.6 * self.style.angle * spread, NUM_ANGLES),
            turn=rng.normal(0, self.style.turn * spread, 3),
            size=float(np.exp(rng.normal(0, self.style.size * spread))),
            more_turns=int(rng.choice([-1, 0, 1], p=[0.1, 0.65, 0.25])),
            pace=float(np.exp(rng.normal(0, self.style.pace * spread))),
        )


@dataclass(frozen=True)
class Habit:
    """One sign as one signer makes it, and what is added to its parameters.

    A repeated movement is never made less often than ``least_turns``.
    """

    sign: Sign
    place: np.ndarray
    angles: np.ndarray
    turn: np.ndarray
    size: float
    more_turns: int
    pace: float
    least_turns: float = 2


def draw_signer(number: int, left_handed: bool, style: Style, seed: int) -> Signer:
    """Draw one signer from ``seed``."""
    rng = np.random.default_rng(seed)
    build = float(np.exp(rng.normal(0, 0.06)))
    spread = style.scale
    return Signer(
        number=number,
        shoulder=0.37 * build * float(np.exp(rng.normal(0, 0.05))),
        upper_arm=0.285 * build * float(np.exp(rng.normal(0, 0.04))),
        forearm=0.25 * build * float(np.exp(rng.normal(0, 0.04))),
        hand=0.19 * build * float(np.exp(rng.normal(0, 0.05))),
        speed=float(np.exp(rng.normal(0, 0.2))),
        left_handed=left_handed,
        clasped=bool(rng.random() < 0.14),
        laxness=float(rng.uniform(0, 0.25)),
        amplitude=float(np.exp(rng.normal(0, style.size * spread))),
        places={name: rng.normal(0, style.place * spread, 3) for name in (*LOCATIONS, "base")},
        angles=rng.normal(0, style.angle * spread, NUM_ANGLES),
        turn=rng.normal(0, style.turn * spread, 3),
        style=style,
        seed=derive_seed(seed, "signer"),
    )


def draw_signers(count: int, style: Style, seed: int) -> List[Signer]:
    """Draw ``count`` signers; about an eighth of them, and from five on at least one, are left-handed."""
    left = max(round(_LEFT_HANDED_SHARE * count), int(count >= 5))
    order = np.random.default_rng(derive_seed(seed, "handedness")).permutation(count)
    left_handed = set(order[:left].tolist())
    return [draw_signer(i, i in left_handed, style, derive_seed(seed, "signer", i)) for i in range(count)]
