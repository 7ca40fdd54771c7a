"""One sign of one signer as motion: the stroke, without the way to it and from it.

A posture is 22 numbers a hand: where the palm is (3, metres), how the hand is turned (4, quaternion x y z w)
and its joint angles (15). Each hand is in its own space, that of a right hand.
"""

import functools
from typing import Tuple

import numpy as np
from scipy.spatial.transform import Rotation

from asl.corpora.signer.hand import HANDSHAPES, NUM_ANGLES
from asl.corpora.signer.lexicon import BASE_PLACE, LOCATIONS, MOVEMENTS, ON_BASE, ORIENTATIONS, Movement, Sign
from asl.corpora.signer.people import Habit, Signer

PLACE, TURN, ANGLES = slice(0, 3), slice(3, 7), slice(7, 7 + NUM_ANGLES)
POSTURE = 7 + NUM_ANGLES

_SECONDS = {"hold": 0.45, "line": 0.48, "arc": 0.60, "circle": 0.62}  # of one turn
_SWING_SECONDS = 0.40  # of one swing of forearm, wrist or fingers
_MIRROR = np.array([-1.0, 1.0, 1.0])


def minimum_jerk(u: np.ndarray) -> np.ndarray:
    """Position along a reach at time ``u`` of 0 to 1: 10u^3 - 15u^4 + 6u^5 (Flash and Hogan, 1985)."""
    u = np.clip(u, 0.0, 1.0)
    return u * u * u * (10 + u * (6 * u - 15))


@functools.lru_cache(maxsize=None)
def orientation(name: str) -> Rotation:
    """The rotation from the hand frame (t, f, n) to the signer's space for a named orientation."""
    fingers, palm = (np.array(v, dtype=np.float64) for v in ORIENTATIONS[name])
    fingers /= np.linalg.norm(fingers)
    palm -= fingers * (palm @ fingers)
    palm /= np.linalg.norm(palm)
    return Rotation.from_matrix(np.stack([np.cross(fingers, palm), fingers, palm], axis=1))


def _path(movement: Movement, turns: float, u: np.ndarray) -> np.ndarray:
    """Displacement (n, 3) of a movement of size one at times ``u`` (n,) of 0 to 1."""
    axis, across = np.array(movement.axis, dtype=np.float64), np.array(movement.across, dtype=np.float64)
    if movement.path == "hold":
        return np.zeros((len(u), 3))
    if movement.path == "circle":
        angle = 2 * np.pi * turns * u[:, None]
        return 0.5 * (np.cos(angle) * axis + np.sin(angle) * across)
    if turns > 1:
        return -0.5 * np.cos(2 * np.pi * turns * u[:, None]) * axis
    along = minimum_jerk(u)[:, None]
    bulge = np.sin(np.pi * along) if movement.path == "arc" else 0.0
    return (along - 0.5) * axis + 0.7 * bulge * across


def _turns(movement: Movement, habit: Habit) -> float:
    return max(movement.turns + habit.more_turns, habit.least_turns) if movement.turns > 1 else movement.turns


def stroke_seconds(signer: Signer, habit: Habit) -> float:
    """How long this signer takes for the stroke, before what varies from clip to clip."""
    movement = MOVEMENTS[habit.sign.movement]
    turns = _turns(movement, habit)
    swings = bool(movement.twist or movement.nod or movement.wiggle)
    seconds = _SWING_SECONDS if swings and movement.path == "hold" else _SECONDS[movement.path]
    return (seconds * turns + 0.20) * habit.pace / signer.speed


def _shape(signer: Signer, habit: Habit, name: str) -> np.ndarray:
    """Joint angles (15,) of a named handshape as this signer makes it in this sign."""
    angles = (1 - signer.laxness) * HANDSHAPES[name] + signer.laxness * HANDSHAPES["relaxed"]
    return angles + signer.angles + habit.angles


def _hand(
    signer: Signer, habit: Habit, sign: Sign, place: np.ndarray, u: np.ndarray, side: float
) -> np.ndarray:
    """Postures (n, 22) of a hand that makes the sign's movement about ``place`` (metres).

    ``side`` -1 makes the movement in opposition, as the second hand of an alternating sign does.
    """
    movement = MOVEMENTS[sign.movement]
    turns = _turns(movement, habit)
    track = np.empty((len(u), POSTURE))
    size = 0.7 * movement.size * habit.size * signer.amplitude * signer.shoulder
    track[:, PLACE] = place + side * size * _path(movement, turns, u)

    swing = np.sin(2 * np.pi * turns * u) if movement.turns > 1 else minimum_jerk(u) - 0.5
    turn = Rotation.from_rotvec(signer.turn + habit.turn) * orientation(sign.orientation)
    if movement.twist or movement.nod:
        swings = np.zeros((len(u), 3))
        swings[:, 1] = np.radians(movement.twist) * swing * side
        swings[:, 0] = np.radians(movement.nod) * swing
        turn = turn * Rotation.from_rotvec(swings)
    track[:, TURN] = turn.as_quat()

    shape = _shape(signer, habit, sign.shape)
    track[:, ANGLES] = shape
    if movement.change:
        changed = minimum_jerk((u - 0.15) / 0.7)[:, None]
        track[:, ANGLES] += changed * (_shape(signer, habit, movement.change) - shape)
    if movement.wiggle:
        phase = 2 * np.pi * (max(turns, 2) * u[:, None] + 0.25 * np.arange(4))
        track[:, 7:15:2] += np.radians(movement.wiggle) * (0.5 + 0.5 * np.sin(phase))
    return track


def stroke(signer: Signer, habit: Habit, frames: int, rest: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Make one stroke.

    Args:
        frames: how many frames it takes, at least 2.
        rest: (2, 22) the resting postures; a hand that the sign does not use stays in its.
    Returns:
        (postures (frames, 2, 22) of the dominant and the other hand, which of the two act (2,) bool).
    """
    sign = habit.sign
    u = np.linspace(0.0, 1.0, frames)
    track = np.repeat(rest[None], frames, axis=0)
    where = ON_BASE if sign.hands == "base" else LOCATIONS[sign.location]
    place = (np.array(where) + signer.places[sign.location] + habit.place) * signer.shoulder
    if sign.hands in ("symmetric", "alternating"):
        place[0] = min(place[0], -0.16 * signer.shoulder)  # two hands cannot be in one place
    track[:, 0] = _hand(signer, habit, sign, place, u, 1.0)
    if sign.hands in ("symmetric", "alternating"):
        track[:, 1] = _hand(signer, habit, sign, place, u, -1.0 if sign.hands == "alternating" else 1.0)
    elif sign.hands == "base":
        own = np.array(BASE_PLACE) + signer.places["base"] * _MIRROR
        track[:, 1, PLACE] = own * signer.shoulder
        track[:, 1, TURN] = (Rotation.from_rotvec(signer.turn) * orientation(sign.base_orientation)).as_quat()
        track[:, 1, ANGLES] = _shape(signer, habit, sign.base_shape)
    return track, np.array([True, sign.hands != "one"])
