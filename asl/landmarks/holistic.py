"""MediaPipe Holistic: body, face and hands of one person (Grishchenko and Bazarevsky 2020).

As How2Sign's released landmarks were made: ``mediapipe`` 0.10.21 (the last release whose wheel holds these models),
``model_complexity=1``, smoothing on, a tracker that knows nothing of the clip before. Frames count as 1/30 s apart in
its smoothing, whatever the video's rate: that is how MediaPipe's own Python interface feeds it.
"""

import contextlib
import os
import re
import sys
import tempfile
from typing import Any, Dict, Iterator, List, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.estimator import Found

_LAYOUTS = {468: "holistic543", 478: "holistic553"}
_FIELDS = {3: ("x", "y", "z"), 4: ("x", "y", "z", "visibility")}
# What MediaPipe and TensorFlow Lite say on standard error at every start, whatever happens; all else is passed on.
_NOISE = re.compile(
    rb"INFO: Created TensorFlow Lite|WARNING: All log messages before absl::InitializeLog|[IW]\d{4} .*\.cc:\d+\] "
)


class HolisticEstimator:
    """Trackers of MediaPipe Holistic. A used one is reset, which equals a new one and is cheaper.

    Args:
        face: points of the face, 468, or 478 with the irises (the mesh is refined, and a little slower).
        world: also return ``pose_world``, the body in metres.

    Raises:
        AslError: another ``face``, or mediapipe is not installed.
    """

    def __init__(self, face: int = 468, world: bool = False):
        if face not in _LAYOUTS:
            raise AslError(f"a face of {face} points; MediaPipe's has 468, or 478 with the irises")
        try:
            with _without_noise():
                import mediapipe
        except ImportError as error:
            raise AslError(
                f"MediaPipe cannot be imported ({error}); install it: pip install 'asl[video]'"
            ) from error
        self.layout = _LAYOUTS[face]
        self.parts: Dict[str, Tuple[int, int]] = {
            "pose": (33, 4),
            "face": (face, 3),
            "left_hand": (21, 3),
            "right_hand": (21, 3),
        }
        if world:
            self.parts["pose_world"] = (33, 4)
        self.about: Dict[str, Any] = {
            "estimator": "holistic",
            "mediapipe": mediapipe.__version__,
            "model_complexity": 1,
            "face": face,
            "world": world,
        }
        self._idle: List[Any] = []

    def new_tracker(self) -> "HolisticTracker":
        """A tracker that has seen nothing yet."""
        with _without_noise():
            if self._idle:
                graph = self._idle.pop()
                graph.reset()
            else:
                from mediapipe.python.solutions.holistic import Holistic

                refine = self.parts["face"][0] == 478
                graph = Holistic(static_image_mode=False, model_complexity=1, refine_face_landmarks=refine)
        return HolisticTracker(graph, self.parts, self._idle)

    def close(self) -> None:
        """Free the models."""
        while self._idle:
            self._idle.pop().close()


class HolisticTracker:
    """Follows one person through one clip; made by ``HolisticEstimator.new_tracker``."""

    def __init__(self, graph: Any, parts: Dict[str, Tuple[int, int]], idle: List[Any]):
        self._graph: Optional[Any] = graph
        self._parts = parts
        self._idle = idle
        self._started = False

    def __call__(self, image: np.ndarray) -> Found:
        """Landmarks of the next frame, ``(height, width, 3)`` uint8 RGB, upright."""
        if self._started:
            results = self._graph.process(image)
        else:  # the models are loaded with the first frame
            with _without_noise():
                results = self._graph.process(image)
            self._started = True
        return {name: _points(getattr(results, f"{name}_landmarks" if name != "pose_world" else "pose_world_landmarks"), *shape) for name, shape in self._parts.items()}

    def close(self) -> None:
        """The clip is over."""
        if self._graph is not None:
            self._idle.append(self._graph)
            self._graph = None


def _points(landmarks: Any, points: int, dims: int) -> np.ndarray:
    if landmarks is None:
        return np.full((points, dims), np.nan, dtype=np.float32)
    if dims == 4:
        rows = [(p.x, p.y, p.z, p.visibility) for p in landmarks.landmark]
    else:
        rows = [(p.x, p.y, p.z) for p in landmarks.landmark]
    return np.array(rows, dtype=np.float32)


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    """Keep what MediaPipe prints at every start off standard error; other lines are passed on at the end."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        shown = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            kept.seek(0)
            lines = [line for line in kept.readlines() if not _NOISE.match(line)]
            if lines:
                os.write(2, b"".join(lines))
