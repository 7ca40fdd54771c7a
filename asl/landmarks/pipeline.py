"""From stored landmarks to what a network is given: gaps, time, augmentation, normalisation, features.

The one place where these steps are put in order. A pipeline is plain configuration (it stands in a run's
config.yaml), works on whole batches, and draws only from the generator that it is given.
"""

from typing import Dict, List, Literal, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.landmarks import augment as aug
from asl.landmarks.descriptors import describe
from asl.landmarks.features import COORDINATES, HANDS, MIRRORED, part_features, part_widths
from asl.landmarks.gaps import fill_gaps
from asl.landmarks.graph import PointGraph, point_graph
from asl.landmarks.layouts import get_layout
from asl.landmarks.normalise import Mean, RunningMeans, mean_over
from asl.landmarks.resample import positions, read_at, span_of_known
from asl.landmarks.views import PLAIN, View


class Processed(NamedTuple):
    """What ``LandmarkPipeline.process`` makes of a batch.

    Attributes:
        features: ``(batch, out_frames, num_features)``, 0 in padding and where nothing was found.
        lengths: ``(batch,)`` output frames of each clip.
        described: with ``descriptors``, what ``descriptors.describe`` gives.
        positions: ``(batch, out_frames)`` where each was read, in frames of the clip as it was given; beyond a
            clip's end not meaningful. What else is known of the clip in time is read there too.
    """

    features: Tensor
    lengths: Tensor
    described: Optional[Tuple[Tensor, Tensor]]
    positions: Tensor


class LandmarkPipeline:
    """Landmarks of a batch of clips -> features.

    Args:
        layout: name of the landmark layout that is expected (see ``asl.landmarks.layouts``).
        frames: every clip is read at this many frames (isolated signs); None keeps its own rate (sentences).
        trim: leave out what comes before the first and after the last frame in which a hand was found (any
            point, where the layout has no hands).
        max_gap: gaps of at most so many frames are filled with a straight line.
        space: 2 uses x and y, 3 also MediaPipe's z.
        lags: differences over so many frames are given beside the coordinates.
        place: give the hands' places beside their shapes.
        per_frame_size: scale a hand by its size in each frame; False: by its mean size over the clip.
        augment: random changes in training; None for none.
        descriptors: describe the hands in every frame too (see ``process``), for pre-training.
        coordinates: hands about their own wrist in units of their own size (hand), in the clip's or body's
            frame as their place is (clip), or everything as it is in the picture (picture).
        mirror_left: what of the left hand is mirrored: its shape, all (its place too) or none.
        causal: a frame's features rest on the frames before it and on the next ``max_gap`` alone, so that clips can
            be read while they come in (``asl.landmarks.streaming``): origin and scale are means over the frames so
            far, not the clip's. Needs ``frames: null`` and ``trim: false``.

    Example:
        >>> pipeline = LandmarkPipeline("hands42", frames=48)
        >>> features, lengths = pipeline(torch.rand(2, 60, 42, 3), torch.tensor([60, 50]))
        >>> features.shape[:2], lengths.tolist()
        (torch.Size([2, 48]), [48, 48])
    """

    def __init__(
        self,
        layout: str = "hands42",
        frames: Optional[int] = 48,
        trim: bool = True,
        max_gap: int = 3,
        space: int = 3,
        lags: Sequence[int] = (1,),
        place: bool = True,
        per_frame_size: bool = True,
        augment: Optional[aug.AugmentConfig] = None,
        descriptors: bool = False,
        coordinates: Literal["hand", "clip", "picture"] = "hand",
        mirror_left: Literal["none", "shape", "all"] = "shape",
        causal: bool = False,
    ) -> None:
        self.layout = get_layout(layout)
        if not 2 <= space <= self.layout.num_space:
            most, places = self.layout.num_space, ", ".join(self.layout.dims[: self.layout.num_space])
            raise AslError(f"pipeline: space={space}, but layout {layout} has {places}; give 2 to {most}")
        if frames is not None and frames < 2:
            raise AslError(f"pipeline: frames={frames}; give 2 or more, or null to keep a clip's own rate")
        if max_gap < 0:
            raise AslError(f"pipeline: max_gap={max_gap}; give the longest gap that is filled, or 0 for none")
        if any(lag < 1 for lag in lags):
            raise AslError(
                f"pipeline: lags={list(lags)}; give differences over 1 frame or more, or [] for none"
            )
        whole = [name for name, on in (("frames (set it to null)", frames), ("trim (set it to false)", trim)) if on]
        if causal and whole:
            raise AslError(f"pipeline: causal reads a clip while it comes in, and {' and '.join(whole)} must have seen "
                           "all of it; or set causal to false")  # fmt: skip
        self.causal = causal
        self.frames, self.trim, self.max_gap, self.space = frames, trim, max_gap, space
        self.lags, self.place, self.per_frame_size = list(lags), place, per_frame_size
        self.augment, self.descriptors = augment, descriptors
        if coordinates not in COORDINATES:
            raise AslError(f"pipeline: coordinates={coordinates!r}; give {', '.join(COORDINATES)}")
        if mirror_left not in MIRRORED:
            raise AslError(f"pipeline: mirror_left={mirror_left!r}; give {', '.join(MIRRORED)}")
        self.coordinates, self.mirror_left = coordinates, mirror_left
        self.view: View = PLAIN  # no configuration: decoding may look at a clip in several ways
        self._hands: List[List[int]] = [list(self.layout.parts[h]) for h in HANDS if h in self.layout.parts]
        self._mirror = torch.tensor(self.layout.mirror)

    @property
    def feature_parts(self) -> Dict[str, int]:
        """Width of each part of the feature vector, in order; a network's front-end is built from it."""
        return part_widths(self.layout, self.space, self.lags, self.place)

    @property
    def point_graph(self) -> PointGraph:
        """Which features are points and which points are joined; a graph front-end is built from it."""
        return point_graph(self.layout, self.space, self.lags)

    @property
    def num_features(self) -> int:
        return sum(self.feature_parts.values())

    @property
    def look_ahead(self) -> Optional[int]:
        """Frames behind its own on which a frame's features rest; None: on all of the clip's."""
        return self.max_gap if self.causal else None

    def __call__(
        self,
        landmarks: Tensor,
        lengths: Tensor,
        training: bool = False,
        generator: aug.Generators = None,
    ) -> Tuple[Tensor, Tensor]:
        """Turn float32 landmarks ``(batch, frames, points, dims)``, NaN where not found or padding, into features.

        Args:
            lengths: ``(batch,)`` int64 frames of each clip.
            training: whether to augment.
            generator: where the augmentation draws from; one for the batch or one for each clip.

        Returns:
            Features ``(batch, out_frames, num_features)``, 0 in padding and where nothing was found, and the
            output lengths ``(batch,)``.
        """
        done = self.process(landmarks, lengths, training, generator)
        return done.features, done.lengths

    def process(
        self,
        landmarks: Tensor,
        lengths: Tensor,
        training: bool = False,
        generator: aug.Generators = None,
    ) -> Processed:
        """Do as a call does; return besides where the clips were read and, if asked for, their descriptors.

        The hands are described at the frames and on the sides (a clip may be mirrored) of the features, but
        before the camera is moved and points are jittered or dropped: a sign stays the same sign under these,
        so they are to be seen through.
        """
        x, known, found = fill_gaps(landmarks[..., : self.layout.num_space], lengths, self.max_gap)
        config = self.augment if training else None
        draw = aug.Draw(generator, x.device)
        x, known, found, out_lengths, position = self._read(x, known, found, lengths, config, draw)
        if config is not None or self.view.mirror:
            x, known, found = self._swap_sides(x, known, found, config, draw)
        described = describe(x, known, self.layout) if self.descriptors else None
        if config is not None:
            x, known, found = self._change(x, known, found, out_lengths, config, draw)
        features = self.features(x, known, found, RunningMeans() if self.causal else mean_over)
        inside = torch.arange(features.shape[1], device=x.device)[None, :] < out_lengths[:, None]
        features = features * inside[..., None].to(features.dtype)
        return Processed(features, out_lengths, described, position)

    def features(self, x: Tensor, known: Tensor, found: Tensor, mean: Mean) -> Tensor:
        """The last step alone; arguments and result as of ``part_features``."""
        return part_features(
            x, known, found, self.layout, self.space, self.lags, self.place, self.per_frame_size,
            self.coordinates, self.mirror_left, mean,
        )  # fmt: skip

    def _read(self, x, known, found, lengths, config, draw):
        """Choose the span of each clip and read it at the output frames."""
        if self.trim:
            hands = [point for hand in self._hands for point in hand]  # a body is always in the picture
            first, last = span_of_known(known[:, :, hands] if hands else known, lengths)
        else:
            first, last = torch.zeros_like(lengths).float(), (lengths - 1).float()
        cuts_ends = config is None and (self.view.start > 0 or self.view.end > 0)
        if config is None and self.frames is None and not self.trim and not cuts_ends:
            every = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
            return x, known, found, lengths, every[None, :].expand(x.shape[0], -1)
        batch, speed, warp = x.shape[0], None, None
        if config is not None:
            span = last - first
            cut = draw.uniform(batch, 2, high=config.crop) * span[:, None]
            first, last = first + cut[:, 0], last - cut[:, 1]
            warp = draw.uniform(batch, low=-config.warp, high=config.warp)
            if self.frames is None and config.speed > 1:
                speed = config.speed ** draw.uniform(batch, low=-1, high=1)
        elif cuts_ends:
            span = last - first
            first, last = first + self.view.start * span, last - self.view.end * span
        position, out_lengths = positions(first, last, self.frames, speed, warp)
        if config is not None:
            fixed = self.frames is not None
            position, out_lengths = aug.skip_and_repeat(position, out_lengths, fixed, config, draw)
        x, out_known = read_at(x, known, position)
        rows = torch.arange(batch, device=x.device)[:, None]
        nearest = position.round().long().clamp(0, found.shape[1] - 1)
        inside = torch.arange(position.shape[1], device=x.device)[None, :] < out_lengths[:, None]
        out_known &= inside[..., None]  # beyond its end a clip is read at its last frame: not a measurement
        out_found = found[rows, nearest] & out_known
        return x * out_known[..., None].to(x.dtype), out_known, out_found, out_lengths, position

    def _swap_sides(self, x, known, found, config, draw):
        """Mirror some clips; without augmentation all, which is what the view asks for."""
        if config is None:
            chosen = torch.ones(x.shape[0], dtype=torch.bool, device=x.device)
        else:
            chosen = draw.chance(config.mirror, x.shape[0])
        permutation = self._mirror.to(x.device)
        found = torch.where(chosen[:, None, None], found[:, :, permutation], found)
        return (*aug.mirror(x, known, permutation, chosen), found)

    def _change(self, x, known, found, lengths, config, draw):
        """Augment in the picture plane; what is dropped is neither known nor found any more."""
        x = aug.affine(x, known, config, draw)
        x = aug.jitter(x, known, lengths, [list(p) for p in self.layout.parts.values()], config, draw)
        known = aug.drop(known, lengths, self._hands, config, draw)
        return x * known[..., None].to(x.dtype), known, found & known
