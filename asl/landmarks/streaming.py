"""Features while the frames come in: what ``LandmarkPipeline`` makes of a whole clip, piece by piece.

A frame waits for the ``max_gap`` frames behind it, which say whether a gap in it is filled. Of the frames before it are
kept those that may fill a gap or be the other end of a difference, and the sums of the running means.
"""

from typing import Tuple

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.landmarks.gaps import fill_gaps
from asl.landmarks.normalise import RunningMeans
from asl.landmarks.pipeline import LandmarkPipeline


class FeatureStream:
    """Features of one clip whose frames come in one after the other.

    All pieces together are what the pipeline gives for the whole clip (without augmentation, seen as it is).

    Args:
        pipeline: a causal one.

    Raises:
        AslError: the pipeline must see the whole clip.

    Example:
        >>> pipeline = LandmarkPipeline("hands42", frames=None, trim=False, causal=True)
        >>> stream = FeatureStream(pipeline)
        >>> [len(stream.accept(torch.rand(4, 42, 3), last=i == 2)) for i in range(3)]
        [1, 4, 7]
    """

    def __init__(self, pipeline: LandmarkPipeline) -> None:
        if not pipeline.causal:
            raise AslError(
                "this pipeline must see a whole clip (its mean place and size), so its features cannot be made while "
                "frames come in; train with data.pipeline.causal true, for example conf/streaming.yaml"
            )
        self.pipeline = pipeline
        self._lag = max(pipeline.lags, default=0)
        self.reset()

    def reset(self) -> None:
        """Begin another clip."""
        layout = self.pipeline.layout
        self._means = RunningMeans()
        self._frames = torch.zeros(0, layout.num_points, layout.num_dims)
        # of the kept frames: those for gaps alone, those whose features were given and are asked for differences
        self._before, self._given = 0, 0

    def accept(self, landmarks: Tensor, last: bool = False) -> Tensor:
        """Take the next frames; return the features of all that are known by now.

        Args:
            landmarks: ``(frames, points, dims)`` of the pipeline's layout, NaN where not found; may be no frames.
            last: the clip ends here.

        Returns:
            ``(frames', num_features)``: frames that follow those returned before.

        Raises:
            AslError: points or dimensions of another layout.
        """
        layout = self.pipeline.layout
        if landmarks.dim() != 3 or landmarks.shape[1:] != self._frames.shape[1:]:
            raise AslError(
                f"frames of shape {tuple(landmarks.shape)} came in where layout {layout.name} has "
                f"(frames, {layout.num_points}, {layout.num_dims}); give landmarks of that layout"
            )
        self._frames = torch.cat([self._frames, landmarks.to(self._frames.dtype)])
        ready = len(self._frames) - (0 if last else self.pipeline.max_gap)
        features = self._features(ready) if ready > self._before + self._given else self._nothing()
        if last:
            self.reset()
        return features

    def _features(self, ready: int) -> Tensor:
        """Features of the kept frames before ``ready`` that were not given yet; forget what is not needed any more."""
        pipeline, first = self.pipeline, self._before
        x, known, found = self._filled()
        keep = min(self._lag, ready - first)
        self._means.begin(again=keep)
        window = slice(first, ready)
        features = pipeline.features(x[:, window], known[:, window], found[:, window], self._means)[0, self._given :]
        start = ready - keep
        forget = max(0, start - pipeline.max_gap)
        self._frames = self._frames[forget:]
        self._before, self._given = start - forget, keep
        return features

    def _filled(self) -> Tuple[Tensor, Tensor, Tensor]:
        space, count = self.pipeline.layout.num_space, torch.tensor([len(self._frames)])
        return fill_gaps(self._frames[None, ..., :space], count, self.pipeline.max_gap)

    def _nothing(self) -> Tensor:
        return torch.zeros(0, self.pipeline.num_features)
