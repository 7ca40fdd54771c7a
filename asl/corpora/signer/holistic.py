"""What MediaPipe Holistic would have seen of a signer: body and hands, as How2Sign's files hold them.

The face is there, since readers expect it, and is nowhere found: the signer has none.
"""

import io
import zipfile
from typing import Dict

import numpy as np
from scipy.ndimage import gaussian_filter1d

from asl.common.files import PathLike, atomic_path
from asl.corpora.signer.camera import Camera
from asl.corpora.signer.detector import Detector, look
from asl.corpora.signer.motion import BODY_POINTS, Performance

_FACE_POINTS, _POSE_POINTS = 468, 33
#: index in MediaPipe's pose of each of BODY_POINTS
_POSE_OF_BODY = (0, 8, 7, 12, 11, 14, 13, 16, 15, 24, 23)
#: index in the pose of (right, left) -> point of that hand: knuckles of little finger and index, thumb
_POSE_OF_HANDS = ((18, 17, 17), (20, 19, 5), (22, 21, 2))
_EYE, _MOUTH = np.array([0.13, -0.10, 0.06]), np.array([0.10, 0.13, 0.04])  # from the nose, shoulder widths
_BODY_LOST = 0.001  # chance a frame that nobody is seen at all


def draw_detector(rng: np.random.Generator) -> Detector:
    """Draw the quality of one sentence's picture: a whole body in a small picture loses more hands."""
    return Detector(
        loss=float(np.clip(np.exp(rng.normal(np.log(0.035), 0.6)), 0.008, 0.25)),
        long_loss=float(rng.uniform(0.10, 0.25)),
        jitter=float(np.clip(np.exp(rng.normal(np.log(0.042), 0.4)), 0.015, 0.1)),
    )


def _pose_points(done: Performance) -> np.ndarray:
    """MediaPipe's 33 pose points (frames, 33, 3) in metres; legs hang straight down."""
    body = done.body
    points = np.empty((len(body), _POSE_POINTS, 3))
    points[:, _POSE_OF_BODY] = body
    nose = body[:, BODY_POINTS.index("nose")]
    width = np.linalg.norm(body[:, 3] - body[:, 4], axis=-1)[:, None]
    for first, side in ((1, 1.0), (4, -1.0)):  # left is to the right of the picture
        for i, stretch in enumerate((0.6, 1.0, 1.4)):
            points[:, first + i] = nose + width * _EYE * np.array([side * stretch, 1.0, 1.0])
    for point, side in ((9, 1.0), (10, -1.0)):
        points[:, point] = nose + width * _MOUTH * np.array([side, 1.0, 1.0])
    for right, left, joint in _POSE_OF_HANDS:
        points[:, right], points[:, left] = done.hands[:, 0, joint], done.hands[:, 1, joint]
    for hip in (23, 24):
        for step, down in ((2, 1.1), (4, 2.2), (6, 2.3), (8, 2.35)):
            points[:, hip + step] = points[:, hip] + width * np.array([0.0, down, 0.0])
    return points


def see(
    done: Performance, camera: Camera, detector: Detector, rng: np.random.Generator
) -> Dict[str, np.ndarray]:
    """Look at a performance.

    Returns:
        ``pose`` (frames, 33, 4): x, y as fractions of the picture, z from the hips, visibility; ``left_hand``
        and ``right_hand`` (frames, 21, 3), z from the wrist; float16, NaN where not found.
    """
    found, hands = look(camera.project(done.hands), detector, rng)
    hands[~found] = np.nan
    pose = camera.project(_pose_points(done))
    pose[..., 2] -= pose[:, 23:25, 2].mean(1)[:, None]
    size = np.linalg.norm(pose[:, 11, :2] - pose[:, 12, :2], axis=-1).mean()
    noise = gaussian_filter1d(rng.normal(0, 1, pose.shape), 1.0, axis=0)
    pose += 0.5 * detector.jitter * size * noise * np.array([1.0, 1.0, 3.0])
    inside = ((pose[..., :2] > -0.02) & (pose[..., :2] < 1.02)).all(-1)
    visibility = np.clip(np.where(inside, 0.99, 0.1) - 0.03 * rng.random(inside.shape), 0, 1)
    pose = np.concatenate([pose, visibility[..., None]], axis=-1)
    lost = rng.random(len(pose)) < _BODY_LOST
    pose[lost], hands[lost] = np.nan, np.nan
    seen = {"pose": pose, "left_hand": hands[:, 1], "right_hand": hands[:, 0]}
    return {name: array.astype(np.float16) for name, array in seen.items()}


def write_holistic(path: PathLike, parts: Dict[str, np.ndarray], fps: float, width: int, height: int) -> None:
    """Write ``parts`` (see ``see``; more arrays may be in it) and an empty face as ``.npz``, atomically.

    The same arrays give the same bytes. Only the face is compressed: the rest is noise to a compressor.
    """
    face = np.full((len(parts["pose"]), _FACE_POINTS, 3), np.nan, dtype=np.float16)
    arrays = {
        **parts,
        "face": face,
        "fps": np.float64(fps),
        "width": np.int64(width),
        "height": np.int64(height),
    }
    with atomic_path(path) as tmp, zipfile.ZipFile(tmp, "w") as archive:
        for name, array in arrays.items():
            held = io.BytesIO()
            np.lib.format.write_array(held, np.asarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980: no time of writing in the bytes
            entry.compress_type = zipfile.ZIP_DEFLATED if name == "face" else zipfile.ZIP_STORED
            archive.writestr(entry, held.getvalue())
