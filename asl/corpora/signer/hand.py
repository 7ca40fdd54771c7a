"""A hand: named handshapes as joint angles, and the 21 points (MediaPipe's order) that the angles give.

A handshape is 15 angles: flexion at the knuckle (MCP) and at the middle joint (PIP) of index, middle, ring
and little finger, the sideways spread of the four, and for the thumb its azimuth (from the finger axis
towards the thumb's side), its elevation out of the palm and its bend back across the palm. The last joint of
a finger bends with the middle one.
"""

from typing import Dict

import numpy as np

NUM_ANGLES = 15
NUM_POINTS = 21

# Hand frame: t to the thumb's side, f from the wrist along the fingers, n out of the palm; the unit is the
# length from the wrist to the tip of the stretched middle finger. Rows: index, middle, ring, little.
_KNUCKLES = np.array([[0.13, 0.49, 0.0], [0.02, 0.50, 0.0], [-0.08, 0.47, 0.0], [-0.17, 0.42, 0.0]])
_BONES = np.array([[0.23, 0.13, 0.11], [0.25, 0.15, 0.11], [0.23, 0.14, 0.11], [0.18, 0.10, 0.10]])
_THUMB_ROOT = np.array([0.12, 0.13, 0.04])
_THUMB_BONES = np.array([0.21, 0.16, 0.14])
_DISTAL = 0.6  # the last joint bends this share of the middle one
_THUMB_BEND = np.array([0.0, 0.5, 1.0])

# fmt: off
# (knuckle, middle joint) in degrees
_E, _F, _C, _H, _B, _O, _R = (0, 4), (82, 95), (28, 48), (12, 88), (75, 8), (52, 46), (18, 28)
# (azimuth, elevation, bend) of the thumb in degrees
_OUT, _SIDE, _WIDE = (62, 8, 5), (24, 14, 8), (48, 34, 10)
_ACROSS, _OVER, _OPPOSED = (28, 38, 88), (34, 52, 78), (40, 48, 22)
_NARROW, _FAN, _FORK = (2, 0, -2, -4), (16, 3, -9, -20), (13, -11, -6, -8)

_CODES = {
    "1": (_E, _F, _F, _F, _NARROW, _OVER),
    "3": (_E, _E, _F, _F, _FORK, _OUT),
    "4": (_E, _E, _E, _E, _FAN, _ACROSS),
    "5": (_E, _E, _E, _E, _FAN, _OUT),
    "5-claw": (_C, _C, _C, _C, _FAN, _WIDE),
    "8-open": (_E, _B, _E, _E, _FAN, _OUT),
    "A": (_F, _F, _F, _F, _NARROW, _SIDE),
    "B": (_E, _E, _E, _E, _NARROW, _ACROSS),
    "B-bent": (_B, _B, _B, _B, _NARROW, _SIDE),
    "B-open": (_E, _E, _E, _E, _NARROW, _SIDE),
    "C": (_C, _C, _C, _C, _NARROW, _OPPOSED),
    "F": (_O, _E, _E, _E, _FAN, _OPPOSED),
    "G": (_B, _F, _F, _F, _NARROW, _OPPOSED),
    "I": (_F, _F, _F, _E, _NARROW, _OVER),
    "ILY": (_E, _F, _F, _E, _NARROW, _OUT),
    "K": (_E, (40, 10), _F, _F, _FORK, _WIDE),
    "L": (_E, _F, _F, _F, _NARROW, _OUT),
    "L-bent": (_C, _F, _F, _F, _NARROW, _WIDE),
    "O": (_O, _O, _O, _O, _NARROW, _OPPOSED),
    "O-flat": (_B, _B, _B, _B, _NARROW, _OPPOSED),
    "R": (_E, (6, 6), _F, _F, (-7, 9, -2, -4), _OVER),
    "S": (_F, _F, _F, _F, _NARROW, _OVER),
    "U": (_E, _E, _F, _F, _NARROW, _OVER),
    "V": (_E, _E, _F, _F, _FORK, _OVER),
    "V-bent": (_H, _H, _F, _F, _FORK, _OVER),
    "W": (_E, _E, _E, _F, _FAN, _ACROSS),
    "X": (_H, _F, _F, _F, _NARROW, _OVER),
    "Y": (_F, _F, _F, _E, _FAN, _OUT),
    "relaxed": (_R, _R, _R, _R, _NARROW, _SIDE),
}

# fmt: on


def _angles(index, middle, ring, little, spread, thumb) -> np.ndarray:
    return np.radians(np.array([*index, *middle, *ring, *little, *spread, *thumb], dtype=np.float64))


#: name -> (15,) radians
HANDSHAPES: Dict[str, np.ndarray] = {name: _angles(*code) for name, code in _CODES.items()}


def hand_points(angles: np.ndarray) -> np.ndarray:
    """Return the 21 points of a right hand.

    Args:
        angles: (..., 15) radians, as described above.
    Returns:
        (..., 21, 3) in the hand frame (t, f, n), in hand lengths: wrist, thumb from its root to its tip, then
        index, middle, ring and little finger from knuckle to tip.
    """
    lead = angles.shape[:-1]
    flexion = angles[..., :8].reshape(lead + (4, 2))
    knuckle, middle = flexion[..., 0], flexion[..., 1]
    bent = np.stack([knuckle, knuckle + middle, knuckle + (1 + _DISTAL) * middle], axis=-1)
    spread = angles[..., 8:12, None]
    flat = np.cos(bent)
    fingers = np.stack([np.sin(spread) * flat, np.cos(spread) * flat, np.sin(bent)], axis=-1)
    fingers = np.cumsum(fingers * _BONES[..., None], axis=-2) + _KNUCKLES[:, None]

    azimuth, elevation, bend = angles[..., 12:13], angles[..., 13:14], angles[..., 14:15]
    turned = azimuth - bend * _THUMB_BEND
    raised = np.cos(elevation)
    thumb = np.stack(
        [np.sin(turned) * raised, np.cos(turned) * raised, np.broadcast_to(np.sin(elevation), turned.shape)],
        axis=-1,
    )
    points = np.zeros(lead + (NUM_POINTS, 3))
    points[..., 1, :] = _THUMB_ROOT
    points[..., 2:5, :] = np.cumsum(thumb * _THUMB_BONES[:, None], axis=-2) + _THUMB_ROOT
    # each finger: its knuckle and the three joints that follow
    chain = np.concatenate([np.broadcast_to(_KNUCKLES[:, None], lead + (4, 1, 3)), fingers], axis=-2)
    points[..., 5:, :] = chain.reshape(lead + (16, 3))
    return points
