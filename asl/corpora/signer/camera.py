"""The camera: where it stands, how it is turned, what it frames, and how fast it takes pictures."""

from dataclasses import dataclass, replace
from typing import List

import numpy as np
from scipy.spatial.transform import Rotation

from asl.common.seeds import derive_seed

_ASPECTS, _ASPECT_SHARE = (16 / 9, 4 / 3, 1.0), (0.35, 0.55, 0.1)

_HEAD = 0.40  # metres from the neck up to the top of the head, which every picture has in it


@dataclass(frozen=True)
class Camera:
    """A pinhole camera in front of the signer.

    Attributes:
        distance: metres from the signer.
        view: height in metres of what the picture shows at the signer's distance.
        aspect: width of the picture over its height.
        centre: (2,) metres, the point right and below the neck that is in the middle of the picture.
        angles: (3,) radians: pitch, yaw and roll.
        fps: frames a second.
    """

    distance: float
    view: float
    aspect: float
    centre: np.ndarray
    angles: np.ndarray
    fps: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project (..., 3) metres to the picture: x, y as fractions of it, z (depth) in picture widths."""
        seen = points @ Rotation.from_euler("xyz", self.angles).as_matrix().T
        near = self.distance / (self.distance + seen[..., 2])
        height = 1.0 / self.view
        out = np.empty_like(seen)
        out[..., 0] = 0.5 + (seen[..., 0] - self.centre[0]) * near * height / self.aspect
        out[..., 1] = 0.5 + (seen[..., 1] - self.centre[1]) * near * height
        out[..., 2] = seen[..., 2] * height / self.aspect
        return out

    def wider(self) -> "Camera":
        """The same camera a step further back: more of the signer below, the head where it was."""
        return replace(self, view=1.15 * self.view, centre=self.centre + np.array([0.0, 0.075 * self.view]))

    def moved(self, rng: np.random.Generator) -> "Camera":
        """The same camera on another day: shifted and turned a little."""
        return replace(
            self,
            centre=self.centre + rng.normal(0, 0.015, 2),
            view=self.view * np.exp(rng.normal(0, 0.03)),
            angles=self.angles + rng.normal(0, np.radians([1.0, 2.0, 0.7])),
        )


def draw_camera(rng: np.random.Generator, fps: float) -> Camera:
    """Draw a camera that takes ``fps`` pictures a second."""
    view = float(np.clip(np.exp(rng.normal(np.log(0.93), 0.12)), 0.78, 1.5))
    return Camera(
        distance=float(rng.uniform(1.6, 3.0)),
        view=view,
        aspect=float(rng.choice(_ASPECTS, p=_ASPECT_SHARE)),
        centre=np.array([rng.normal(0, 0.05), 0.5 * view - _HEAD - rng.uniform(0.0, 0.06)]),
        angles=rng.normal(0, np.radians([5.0, 7.0, 1.5])),
        fps=fps,
    )


def draw_cameras(count: int, seed: int) -> List[Camera]:
    """Draw ``count`` cameras, about a fifth of them at 24 fps and a tenth at 25, the rest at 29.97."""
    rates = [24.0] * round(0.22 * count) + [25.0] * max(round(0.09 * count), int(count >= 5))
    rates += [30000 / 1001] * (count - len(rates))
    order = np.random.default_rng(derive_seed(seed, "rates")).permutation(count)
    return [
        draw_camera(np.random.default_rng(derive_seed(seed, "camera", i)), rates[place])
        for i, place in enumerate(order)
    ]


def studio_camera(rng: np.random.Generator, fps: float, aspect: float) -> Camera:
    """Draw a broadcaster's camera: straight before the signer, from the head down to below the hips."""
    view = float(np.clip(np.exp(rng.normal(np.log(1.32), 0.05)), 1.15, 1.5))
    return Camera(
        distance=float(rng.uniform(2.5, 3.5)),
        view=view,
        aspect=aspect,
        centre=np.array([rng.normal(0, 0.03), 0.5 * view - _HEAD - rng.uniform(0.02, 0.08)]),
        angles=rng.normal(0, np.radians([2.0, 4.0, 0.7])),
        fps=fps,
    )
