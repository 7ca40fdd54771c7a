"""What finds landmarks in pictures: one small interface, so that another estimator is one more class.

An ``Estimator`` holds models; a ``Tracker`` of it follows one clip from its first frame to its last. Trackers carry
what they saw from frame to frame, so every clip has its own, and nothing leaks from the clip before.
"""

from typing import Any, Dict, Protocol, Tuple

import numpy as np

from asl.common.errors import AslError, did_you_mean

# parts by name, each (points, coordinates) float32, all NaN where the part was not found:
# pose (33, 4: x, y, z, visibility), face (468 or 478, 3), left_hand and right_hand (21, 3); x and y in parts of the
# picture, left and right the signer's. By option world parts: pose_world (33, 4), metres from the hips' middle.
Found = Dict[str, np.ndarray]

NAMES = ("holistic",)


class Tracker(Protocol):
    """Follows the signer through one clip."""

    def __call__(self, image: np.ndarray) -> Found:
        """Landmarks of the clip's next frame, ``(height, width, 3)`` uint8 RGB, upright."""

    def close(self) -> None:
        """The clip is over; the tracker is not used any more."""


class Estimator(Protocol):
    """Makes trackers.

    One that follows a single person may also have ``count_people(image) -> int``, which says how many there are to
    choose from.

    Attributes:
        layout: name of the layout (``asl.landmarks.layouts``) of its points.
        about: what it is: name, version and options; JSON values.
        parts: points and coordinates of each part.
    """

    layout: str
    about: Dict[str, Any]
    parts: Dict[str, Tuple[int, int]]

    def new_tracker(self) -> Tracker:
        """A tracker that has seen nothing yet. Several may be in use at once."""

    def close(self) -> None:
        """Free the models."""


def make_estimator(name: str = "holistic", **options: Any) -> Estimator:
    """Make the estimator ``name``.

    Args:
        name: ``holistic`` (MediaPipe Holistic).
        **options: those of its class, for ``holistic`` ``face`` (468 or 478) and ``world``.

    Raises:
        AslError: no such estimator, or its package is not installed.
    """
    if name != "holistic":
        raise AslError(f"no estimator '{name}'{did_you_mean(name, NAMES)}; there is {', '.join(NAMES)}")
    from asl.landmarks.holistic import HolisticEstimator

    return HolisticEstimator(**options)
