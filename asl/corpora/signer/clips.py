"""Isolated clips: rest, one sign, rest, cut as a dictionary's clips are, and seen by a hand tracker."""

from dataclasses import dataclass
from typing import Optional

import numpy as np

from asl.corpora.signer.camera import Camera
from asl.corpora.signer.detector import NOT_FOUND, detect, draw_detector
from asl.corpora.signer.lexicon import Sign
from asl.corpora.signer.motion import perform
from asl.corpora.signer.people import Signer

_CLOSE_CUT = 0.2  # share of clips that are cut close to the sign

_SEEN = 0.3  # share of the stroke's frames in which a hand is found at least


@dataclass(frozen=True)
class SeenClip:
    """What a tracker saw of one clip.

    Attributes:
        hands: (frames, 2, 21, 3) float32, see ``asl.corpora.signer.detector.detect``.
        fps: frames a second.
        start, end: first frame of the stroke and the frame after its last.
        stale: frames at the start that hold a hand of the clip before.
    """

    hands: np.ndarray
    fps: float
    start: int
    end: int
    stale: bool


def _seen(hands: np.ndarray) -> float:
    """Share of the frames in which a hand is found."""
    return float((hands[:, 0, 0, 0] != NOT_FOUND).mean())


def last_hand(clip: SeenClip) -> Optional[np.ndarray]:
    """The hand (21, 3) that the tracker held last in a clip, or None where it saw none."""
    frames = np.flatnonzero(clip.hands[:, 0, 0, 0] != NOT_FOUND)
    return clip.hands[frames[-1], 0] if len(frames) else None


def render_clip(
    sign: Sign,
    signer: Signer,
    camera: Camera,
    rng: np.random.Generator,
    leftover: Optional[np.ndarray] = None,
) -> SeenClip:
    """Let ``signer`` make ``sign`` before ``camera``.

    Args:
        leftover: (21, 3) a hand of the clip before that shows up in the first frames of this one.
    """
    camera = camera.moved(rng)
    lead, trail = rng.gamma(1.6, 0.14), rng.gamma(1.6, 0.2)
    done = perform([sign], signer, rng, camera.fps, lead, trail)
    first, last = 0, len(done.hands)
    start, end = done.bounds[0].tolist()
    if rng.random() < _CLOSE_CUT:
        first = max(start - int(rng.uniform(0.0, 0.25) * camera.fps), 0)
        last = min(end + int(rng.uniform(0.0, 0.3) * camera.fps) + 1, last)
    points, detector = done.hands[first:last], draw_detector(rng)
    hands = detect(camera.project(points), detector, rng, leftover)
    while (
        _seen(hands[start - first : end - first]) < _SEEN
    ):  # nobody puts a sign that cannot be seen on the web
        camera = camera.wider()
        hands = detect(camera.project(points), detector, rng, leftover)
    return SeenClip(hands, camera.fps, start - first, end - first, leftover is not None)
