"""MediaPipe Holistic: body, face and hands of one person (Grishchenko and Bazarevsky 2020).

As How2Sign's released landmarks were made: ``mediapipe`` 0.10.21 (the last release whose wheel holds these models),
``model_complexity=1``, smoothing on, a tracker that knows nothing of the clip before. Frames count as 1/30 s apart in
its smoothing, whatever the video's rate: that is how MediaPipe's own Python interface feeds it.
"""

import contextlib
import ctypes
import re
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.landmarks.estimator import Found
from asl.landmarks.native_messages import NativeMessages

_ARENA_MAX = -8  # of malloc.h
_LAYOUTS = {468: "holistic543", 478: "holistic553"}
_FIELDS = {
    "pose": "pose_landmarks",
    "face": "face_landmarks",
    "left_hand": "left_hand_landmarks",
    "right_hand": "right_hand_landmarks",
    "pose_world": "pose_world_landmarks",
}
# What MediaPipe and TensorFlow Lite say on standard error at every start, whatever happens; all else is passed on.
_NOISE = re.compile(
    r"INFO: Created TensorFlow Lite|WARNING: All log messages before absl::InitializeLog|[IW]\d{4} .*\.cc:\d+\] "
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
        self.messages = NativeMessages(_NOISE)
        _share_memory()
        try:
            with self.messages.kept():
                import mediapipe
        except ImportError as error:
            raise AslError(f"MediaPipe cannot be imported ({error}); install it: pip install 'asl[video]'") from error
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
        self.idle: List[Any] = []  # of closed trackers
        self._faces: Optional[Any] = None

    def new_tracker(self) -> "HolisticTracker":
        """A tracker that has seen nothing yet."""
        self.messages.lines.clear()
        return HolisticTracker(self)

    def fresh_graph(self) -> Any:
        """MediaPipe's graph, made or reset; its threads load models, and talk about it, after this has returned."""
        from mediapipe.python.solutions.holistic import Holistic

        if self.idle:
            graph = self.idle.pop()
            graph.reset()
            return graph
        refined = self.parts["face"][0] == 478
        return Holistic(static_image_mode=False, model_complexity=1, refine_face_landmarks=refined)

    def count_people(self, image: np.ndarray) -> int:
        """How many people are in a picture, ``(height, width, 3)`` uint8 RGB: faces of like size.

        Holistic follows one person and does not say whether there are more. This asks MediaPipe's detector of faces up
        to five metres away (BlazeFace; Bazarevsky et al. 2019), once in a while. Faces less than half as wide as the
        widest one (an audience, a picture on the wall) do not count; who turns his back is not seen.
        """
        from mediapipe.python.solutions.face_detection import FaceDetection

        with self.messages.kept():
            if self._faces is None:
                self._faces = FaceDetection(model_selection=1, min_detection_confidence=0.6)
            faces = self._faces.process(image).detections or ()
        widths = [face.location_data.relative_bounding_box.width for face in faces]
        return sum(width >= 0.5 * max(widths) for width in widths)

    def close(self) -> None:
        """Free the models."""
        while self.idle:
            self.idle.pop().close()
        if self._faces is not None:
            self._faces.close()
            self._faces = None


class HolisticTracker:
    """Follows one person through one clip; made by ``HolisticEstimator.new_tracker``."""

    def __init__(self, estimator: HolisticEstimator):
        self._graph: Optional[Any] = None  # from the first frame on
        self._estimator, self._closed = estimator, False
        self._loud = True  # models are loaded with the first frame, that of the face's mesh with the first face

    def __call__(self, image: np.ndarray) -> Found:
        """Landmarks of the next frame, ``(height, width, 3)`` uint8 RGB, upright."""
        assert not self._closed, "the tracker is closed"
        if self._loud:
            with self._estimator.messages.kept():
                self._graph = self._graph or self._estimator.fresh_graph()
                results = self._graph.process(image)
            self._loud = results.face_landmarks is None
        else:
            results = self._graph.process(image)
        return {name: _points(getattr(results, _FIELDS[name]), *shape) for name, shape in self._estimator.parts.items()}

    def close(self) -> None:
        """The clip is over."""
        self._closed = True
        if self._graph is not None:
            self._estimator.idle.append(self._graph)
            self._graph = None


def _points(landmarks: Any, points: int, dims: int) -> np.ndarray:
    if landmarks is None:
        return np.full((points, dims), np.nan, dtype=np.float32)
    if dims == 4:
        rows = [(p.x, p.y, p.z, p.visibility) for p in landmarks.landmark]
    else:
        rows = [(p.x, p.y, p.z) for p in landmarks.landmark]
    return np.array(rows, dtype=np.float32)


def _share_memory() -> None:
    """Have glibc give MediaPipe's threads one arena instead of one each.

    Every clip starts new threads, and an arena keeps what its thread freed: after 100 clips that is 150 MiB more.
    """
    with contextlib.suppress(OSError, AttributeError):  # another system than Linux has no such arenas
        ctypes.CDLL("libc.so.6").mallopt(_ARENA_MAX, 1)
