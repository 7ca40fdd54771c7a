"""Signs strung together: from rest through each sign and back, with arms that reach and hands that tremble.

Between two postures a hand follows a minimum-jerk course. Neighbours colour each other: the first part of a
stroke is drawn towards where the hand came from and its last part towards where it goes (coarticulation), and
all is smoothed a little, as muscles do.
"""

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from asl.corpora.signer.hand import HANDSHAPES, hand_points
from asl.corpora.signer.lexicon import Sign
from asl.corpora.signer.people import Signer
from asl.corpora.signer.strokes import (
    ANGLES,
    PLACE,
    POSTURE,
    TURN,
    minimum_jerk,
    orientation,
    stroke,
    stroke_seconds,
)

#: Order of the points in Performance.body; right is the signer's right.
BODY_POINTS = (
    "nose",
    "right_ear",
    "left_ear",
    "right_shoulder",
    "left_shoulder",
    "right_elbow",
    "left_elbow",
    "right_wrist",
    "left_wrist",
    "right_hip",
    "left_hip",
)
SMOOTHING = 0.035  # seconds, standard deviation
_TREMOR = 0.0012  # metres
_PALM = 0.55  # the palm's middle is this share of a hand length from the wrist
_POLE = np.array([-0.55, 0.75, 0.35])  # where the right elbow points
_MIRROR = np.array([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Performance:
    """What a signer did.

    Attributes:
        hands: (frames, 2, 21, 3) metres, the signer's right hand and left hand.
        body: (frames, 11, 3) metres, see BODY_POINTS.
        bounds: (signs, 2) first frame of each stroke and the frame after its last.
        fps: frames a second.
    """

    hands: np.ndarray
    body: np.ndarray
    bounds: np.ndarray
    fps: float


def rest_posture(signer: Signer, rng: np.random.Generator) -> np.ndarray:
    """Where the two hands lie when nothing is signed: (2, 22), a little different in each clip."""
    rest = np.empty((2, POSTURE))
    for hand in range(2):
        if signer.clasped:
            place, turn = np.array([-0.02, 1.38 + 0.05 * hand, -0.50]), orientation("contra-in")
        else:
            place = np.array([-0.72, 1.75, -0.10])
            turn = Rotation.from_matrix(np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]))
        rest[hand, PLACE] = (place + rng.normal(0, 0.05, 3)) * signer.shoulder
        rest[hand, TURN] = (Rotation.from_rotvec(rng.normal(0, 0.15, 3)) * turn).as_quat()
        rest[hand, ANGLES] = HANDSHAPES["relaxed"] + rng.normal(0, 0.1, HANDSHAPES["relaxed"].shape)
    return rest


def same_hemisphere(turns: np.ndarray) -> None:
    """Flip quaternions (frames, 2, 4) in place so that each is near the one before it."""
    flips = np.where((turns[1:] * turns[:-1]).sum(-1) < 0, -1.0, 1.0)
    turns[1:] *= np.cumprod(flips, axis=0)[..., None]


def _transition(start: np.ndarray, end: np.ndarray, frames: int, lead: float) -> np.ndarray:
    """Postures (frames, 2, 22) between two postures; the fingers are ahead of the arm by ``lead``."""
    u = np.arange(1, frames + 1) / (frames + 1)
    share = np.repeat(minimum_jerk(u)[:, None], POSTURE, axis=1)
    share[:, ANGLES] = minimum_jerk(u * (1 + lead))[:, None]
    end = end.copy()
    end[:, TURN] *= np.where((start[:, TURN] * end[:, TURN]).sum(-1) < 0, -1.0, 1.0)[:, None]
    return start + share[:, None] * (end - start)


def colour(track: np.ndarray, before: np.ndarray, after: np.ndarray, amount: float) -> np.ndarray:
    """Draw the ends of a stroke (frames, 2, 22) towards its neighbours' postures (2, 22)."""
    u = np.linspace(0, 1, len(track))[:, None, None]
    bent = track.copy()
    for part in (PLACE, ANGLES):
        bent[..., part] += amount * (1 - minimum_jerk(u / 0.4)) * (before - track[0])[:, part]
        bent[..., part] += amount * (1 - minimum_jerk((1 - u) / 0.4)) * (after - track[-1])[:, part]
    return bent


def _held(track: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Hold the first and the last posture of a stroke for about so many frames (2,)."""
    before, after = (int(n) for n in np.minimum(frames, len(track)))
    return np.concatenate([track[:1].repeat(before, 0), track, track[-1:].repeat(after, 0)])


def _course(
    signs: Sequence[Sign], signer: Signer, rng: np.random.Generator, fps: float, lead: float, trail: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Postures (frames, 2, 22) from rest through all signs to rest, and the strokes' bounds (signs, 2)."""
    style, rest = signer.style, rest_posture(signer, rng)
    strokes: List[np.ndarray] = []
    for sign in signs:
        habit = signer.habit(sign)
        seconds = stroke_seconds(signer, habit) * np.exp(rng.normal(0, style.pace))
        track, acting = stroke(signer, habit, max(int(round(seconds * fps)), 4), rest)
        # what one signer does differently from one time to the next
        track[:, acting, PLACE] += rng.normal(0, 0.5 * style.place * style.scale * signer.shoulder, 3)
        track[:, acting, ANGLES] += rng.normal(0, 0.4 * style.angle * style.scale, ANGLES.stop - ANGLES.start)
        strokes.append(track)
    left = [rest] + [track[-1] for track in strokes]  # what each stroke, and the last rest, comes from
    reached = [track[0] for track in strokes] + [rest]  # what the first rest, and each stroke, goes to
    strokes = [_held(t, rng.exponential((0.05, 0.22)) * fps / signer.speed) for t in strokes]
    strokes = [colour(t, left[i], reached[i + 1], 0.22) for i, t in enumerate(strokes)]
    starts, ends = [rest] + [t[-1] for t in strokes], [t[0] for t in strokes] + [rest]

    pieces = [np.repeat(rest[None], max(int(lead * fps), 1), axis=0)]
    bounds = []
    for i, (start, end) in enumerate(zip(starts, ends)):
        far = np.linalg.norm((end - start)[:, PLACE], axis=-1).max()
        seconds = (0.22 + 0.42 * far) * np.exp(rng.normal(0, style.pace)) / signer.speed
        pieces.append(_transition(start, end, max(int(round(seconds * fps)), 2), rng.uniform(0.0, 0.8)))
        if i < len(strokes):
            at = sum(len(p) for p in pieces)
            pieces.append(strokes[i])
            bounds.append((at, at + len(strokes[i])))
    pieces.append(np.repeat(rest[None], max(int(trail * fps), 1), axis=0))
    return np.concatenate(pieces), np.array(bounds)


def _reach(signer: Signer, wrist: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Two-link inverse kinematics of a right arm.

    Args:
        wrist: (..., 3) where the wrist should be, metres.
    Returns:
        (elbow, wrist), both (..., 3): the wrist is drawn back to what the arm can reach.
    """
    shoulder = np.array([-0.5 * signer.shoulder, 0.0, 0.0])
    upper, fore = signer.upper_arm, signer.forearm
    way = wrist - shoulder
    distance = np.linalg.norm(way, axis=-1, keepdims=True)
    reach = np.clip(distance, abs(upper - fore) + 0.04, 0.985 * (upper + fore))
    along = way / np.maximum(distance, 1e-6)
    on_axis = (upper**2 - fore**2 + reach**2) / (2 * reach)
    off_axis = np.sqrt(np.maximum(upper**2 - on_axis**2, 0.0))
    pole = _POLE - along * (along @ _POLE)[..., None]
    pole /= np.maximum(np.linalg.norm(pole, axis=-1, keepdims=True), 1e-6)
    return shoulder + on_axis * along + off_axis * pole, shoulder + reach * along


def _sway(rng: np.random.Generator, frames: int, fps: float, size: float) -> np.ndarray:
    """Slow drift (frames, 3) of a body that stands or sits, metres."""
    time = np.arange(frames)[:, None] / fps
    rate, phase = rng.uniform(0.15, 0.7, (2, 3)), rng.uniform(0, 2 * np.pi, (2, 3))
    return size * sum(np.sin(2 * np.pi * rate[i] * time + phase[i]) for i in range(2))


def perform(
    signs: Sequence[Sign],
    signer: Signer,
    rng: np.random.Generator,
    fps: float,
    lead: float = 0.4,
    trail: float = 0.4,
) -> Performance:
    """Let a signer make ``signs`` in a row, from rest to rest.

    Args:
        fps: frames a second.
        lead, trail: seconds at rest before the first transition and after the last.
    """
    track, bounds = _course(signs, signer, rng, fps, lead, trail)
    same_hemisphere(track[..., TURN])
    track = gaussian_filter1d(track, SMOOTHING * fps, axis=0, mode="nearest")
    return embody(track, bounds, signer, rng, fps)


def embody(
    track: np.ndarray, bounds: np.ndarray, signer: Signer, rng: np.random.Generator, fps: float
) -> Performance:
    """Give a course of postures (frames, 2, 22), dominant hand first, a body: arms, tremor, sway.

    Args:
        bounds: (signs, 2) of the strokes; they are handed on.
    """
    frames = len(track)
    tremor = gaussian_filter1d(rng.normal(0, 1, (frames, 2, 3)), 1.0, axis=0)
    turn = Rotation.from_quat(track[..., TURN].reshape(-1, 4)).as_matrix().reshape(frames, 2, 3, 3)
    palm = track[..., PLACE] + _TREMOR * tremor
    elbow, wrist = _reach(signer, palm - _PALM * signer.hand * turn[..., 1])
    points = signer.hand * hand_points(track[..., ANGLES]) @ turn.swapaxes(-1, -2) + wrist[..., None, :]

    if signer.left_handed:  # from (dominant, other) to (right, left)
        points, elbow, wrist = points[:, ::-1], elbow[:, ::-1], wrist[:, ::-1]
    side = np.stack([np.ones(3), _MIRROR])
    sway = _sway(rng, frames, fps, 0.006)
    hands = points * side[:, None] + sway[:, None, None]
    body = _body(signer, elbow * side, wrist * side, sway, nod=_sway(rng, frames, fps, 0.008))
    return Performance(hands, body, bounds, fps)


def _body(
    signer: Signer, elbow: np.ndarray, wrist: np.ndarray, sway: np.ndarray, nod: np.ndarray
) -> np.ndarray:
    """The points of BODY_POINTS (frames, 11, 3); elbow and wrist are (frames, 2, 3), right then left."""
    still = signer.shoulder * np.array(
        [
            [0.0, -0.62, -0.26],
            [-0.20, -0.64, 0.0],
            [0.20, -0.64, 0.0],
            [-0.5, 0.0, 0.0],
            [0.5, 0.0, 0.0],
            [-0.34, 1.40, 0.0],
            [0.34, 1.40, 0.0],
        ]
    )
    body = np.empty((len(sway), len(BODY_POINTS), 3))
    body[:, :5], body[:, 9:] = still[:5], still[5:]
    body[:, :3] += nod[:, None]
    body[:, 5:7], body[:, 7:9] = elbow, wrist
    return body + sway[:, None]
