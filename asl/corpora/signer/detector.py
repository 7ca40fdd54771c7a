"""A hand tracker's eye: it loses hands, finds them again, shakes, and does not know left from right.

The numbers are set so that found rates, gaps, speeds, depths and swaps are those of MediaPipe's hands on
WLASL.
"""

from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

NOT_FOUND = -1.0


@dataclass(frozen=True)
class Detector:
    """How good the picture is for a tracker.

    Attributes:
        loss: chance a frame that a hand in plain view is lost.
        long_loss: chance that a lost hand stays lost for long (mean gap 5 frames instead of about 1.5).
        jitter: standard deviation of a point's noise, in hand lengths of the picture.
        swap: chance a frame that two found hands change places in the slots.
    """

    loss: float = 0.03
    long_loss: float = 0.05
    jitter: float = 0.02
    swap: float = 0.005


def draw_detector(rng: np.random.Generator) -> Detector:
    """Draw the quality of one clip's picture."""
    return Detector(
        loss=float(np.clip(np.exp(rng.normal(np.log(0.012), 1.0)), 0.002, 0.25)),
        long_loss=float(rng.uniform(0.01, 0.05)),
        jitter=float(np.clip(np.exp(rng.normal(np.log(0.024), 0.6)), 0.005, 0.07)),
    )


def _found(hands: np.ndarray, detector: Detector, rng: np.random.Generator) -> np.ndarray:
    """Which hands are found: (frames, 2) bool, for hands (frames, 2, 21, 3) in the picture."""
    frames = len(hands)
    xy = hands[..., :2]
    size = np.linalg.norm(xy[..., 9, :] - xy[..., 0, :], axis=-1) + 1e-3
    inside = ((xy > -0.01) & (xy < 1.01)).all(-1).mean(-1)
    speed = np.linalg.norm(np.diff(xy[..., 9, :], axis=0, prepend=xy[:1, :, 9]), axis=-1) / size.mean(0)
    apart = np.linalg.norm(xy[:, 0].mean(1) - xy[:, 1].mean(1), axis=-1) / size.mean()
    hidden = np.clip(1.1 - apart, 0, 1)[:, None] * np.array([0.25, 0.55])[rng.permutation(2)]
    chance = detector.loss * (1 + 6 * np.clip(speed - 0.3, 0, 1)) + hidden
    chance = np.where(inside < 0.9, 1.0, np.clip(chance, 0, 0.9)).tolist()

    found = np.zeros((frames, 2), dtype=bool)
    draws, longs = rng.random((frames, 2)).tolist(), (rng.random((frames, 2)) < detector.long_loss).tolist()
    for hand in range(2):
        tracked, stays = False, 0.3
        for t in range(frames):
            if tracked:
                tracked = draws[t][hand] >= chance[t][hand]
                if not tracked:
                    stays = 0.8 if longs[t][hand] else 0.3
            else:
                tracked = chance[t][hand] < 1 and draws[t][hand] >= max(stays, chance[t][hand])
            found[t, hand] = tracked
    return found


def _shake(hands: np.ndarray, detector: Detector, rng: np.random.Generator) -> np.ndarray:
    """Add a tracker's errors to hands (frames, 2, 21, 3) in the picture: small always, now and then large."""
    frames = len(hands)
    wrist = hands[..., :1, :]
    rel = hands - wrist
    size = np.sqrt((rel[..., 9, :] ** 2).sum(-1)).mean(0)[
        :, None, None
    ]  # (2, 1, 1), hand lengths in the picture
    seen = np.linalg.norm(rel[..., 9, :2], axis=-1)[..., None, None] / size
    noise = rng.normal(0, 1, (frames, 2, 21, 3))
    # what is wrong in one frame is mostly still wrong in the next
    noise = 0.45 * noise + 1.2 * gaussian_filter1d(noise, 1.5, axis=0)
    # fast or foreshortened hands are seen badly, and some frames are simply wrong
    speed = np.linalg.norm(np.diff(wrist[..., 0, :2], axis=0, prepend=wrist[:1, :, 0, :2]), axis=-1)[
        ..., None, None
    ]
    bad = 1 + 2.0 * np.clip(speed / size - 0.1, 0, 1) + 1.2 * np.clip(0.7 - seen, 0, 1)
    bad = bad * np.where(rng.random((frames, 2, 1, 1)) < 0.07, rng.uniform(2.0, 7.0, (frames, 2, 1, 1)), 1.0)
    spread = detector.jitter * size * bad
    rel = rel + spread * noise * np.array([1, 1, 0.6])
    # a whole hand misjudged: its scale, and its slant in depth
    drift = gaussian_filter1d(rng.normal(0, 1, (frames, 2, 3)), 2.0, axis=0)[..., None, :]
    rel = rel * (1 + detector.jitter * bad * drift[..., :1])
    out = wrist + rel - rel[..., :1, :]
    out[..., :2] += 0.6 * spread * drift[..., 1:]
    # depth is relative to the wrist, flattened, and fingers are thought nearer than they are
    reach = np.sqrt((rel**2).sum(-1))
    out[..., 2] = 0.36 * (rel[..., 2] - rel[..., :1, 2]) - 0.12 * (reach - reach[..., :1])
    out[..., 0, 2] = 0.0
    return out


def look(
    hands: np.ndarray, detector: Detector, rng: np.random.Generator
) -> Tuple[np.ndarray, np.ndarray]:
    """See two hands (frames, 2, 21, 3) in the picture without taking one for the other.

    Returns:
        which are found (frames, 2) bool, and where (frames, 2, 21, 3): as ``detect`` says, unrounded.
    """
    return _found(hands, detector, rng), _shake(hands, detector, rng)


def detect(
    hands: np.ndarray, detector: Detector, rng: np.random.Generator, stale: Optional[np.ndarray] = None
) -> np.ndarray:
    """See two hands as a tracker does.

    Args:
        hands: (frames, 2, 21, 3) in the picture (Camera.project), right and left.
        stale: (21, 3) a hand that the tracker still holds from the clip before: it is reported in the first
            one to three frames, where nothing is.
    Returns:
        (frames, 2, 21, 3) float32: x, y as fractions of the picture, z relative to the wrist, in slots in the
        order of detection; NOT_FOUND fills a slot without a hand, and the first slot is never empty where the
        second is not.
    """
    found, seen = look(hands, detector, rng)
    swaps = (rng.random(len(hands)) < detector.swap).tolist()
    if stale is not None:
        held = min(int(rng.integers(1, 4)), len(hands))
        found[: held + 1] = False
    slots: List[List[int]] = []
    order: List[int] = []
    for t, now in enumerate(found.tolist()):
        order = [h for h in order if now[h]]
        order += [h for h in (0, 1) if now[h] and h not in order]
        if swaps[t] and len(order) == 2:
            order = order[::-1]
        slots.append(order + [-1] * (2 - len(order)))
    index = np.array(slots)
    out = np.full(hands.shape, NOT_FOUND, dtype=np.float32)
    rows, places = np.nonzero(index >= 0)
    out[rows, places] = seen[rows, index[rows, places]]
    if stale is not None:
        out[:held, 0] = stale + rng.normal(0, 0.004, (held, 1, 3)) * np.array([1, 1, 0])
    return np.round(out, 3)
