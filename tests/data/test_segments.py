"""Tags of frames: from alignments, from raised hands, and where a pipeline reads them."""

import numpy as np
import pytest
import torch
from lhotse import SupervisionSegment
from lhotse.supervision import AlignmentItem

from asl.data.segments import aligned_signs, raised_span, signs_of, tags
from asl.landmarks.layouts import get_layout

LAYOUT = get_layout("hands42")
RATE = 25.0


class Cut:
    """What is read of a cut."""

    def __init__(self, frames, *supervisions):
        self.num_frames, self.supervisions = frames, list(supervisions)
        self.features = type("Features", (), {"frame_shift": 1 / RATE})


def supervision(alignment=None):
    return SupervisionSegment("s", "r", start=0.0, duration=2.0, text="a b", alignment=alignment)


def hands(heights, size=0.1):
    """One right hand whose wrist is at ``heights`` (downwards), None where it is not found."""
    out = np.full((len(heights), 42, 3), np.nan, dtype=np.float32)
    part = list(LAYOUT.parts["hand_right"])
    for row, height in zip(out, heights):
        if height is not None:
            row[part] = [0.5, height, 0.0]
            row[part[1:], 0] += np.linspace(0, size, len(part) - 1)
    return out


def test_signs_of_an_alignment_are_numbered_in_time():
    items = [AlignmentItem("b", start=0.4, duration=0.2), AlignmentItem("a", start=0.08, duration=0.16)]
    signs = aligned_signs(Cut(20, supervision({"sign": items})))
    assert signs.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0]
    assert aligned_signs(Cut(20, supervision(), supervision({"word": items}))) is None


def test_the_span_is_where_the_hands_are_half_raised():
    rise, fall = [0.9, 0.8, 0.7, 0.6, 0.5], [0.6, 0.7, 0.8]
    span = raised_span(hands([None, *rise, *[0.5] * 8, *fall, None, None]), LAYOUT)
    assert span == (3, 14)  # half of 0.9 to 0.5 is 0.7; half of 0.8 to 0.5 is 0.65


def test_hands_that_come_into_the_picture_signing_begin_there():
    assert raised_span(hands([None, 0.52, 0.5, 0.5, 0.51, None]), LAYOUT) == (1, 4)
    assert raised_span(hands([None, None]), LAYOUT) is None
    assert raised_span(np.zeros((4, 9, 2)), _no_hands()) is None


def _no_hands():
    return type("Layout", (), {"parts": {"pose": tuple(range(9))}})


def test_the_hands_tell_only_of_one_sign():
    landmarks = hands([0.9, 0.5, 0.5, 0.5, 0.9])
    assert signs_of(Cut(5, supervision()), landmarks, LAYOUT, 1).tolist() == [0, 1, 1, 1, 0]
    assert signs_of(Cut(5, supervision()), landmarks, LAYOUT, 2).tolist() == [-1] * 5
    aligned = supervision({"sign": [AlignmentItem("a", start=0.0, duration=0.04)]})
    assert signs_of(Cut(5, aligned), landmarks, LAYOUT, 2).tolist() == [1, 0, 0, 0, 0]


def test_tags_are_read_where_the_features_are():
    signs = torch.tensor([[0, 1, 1, 2, 2, 0], [-1, -1, -1, -1, -1, -1]])
    every = torch.arange(6.0).expand(2, -1)
    assert tags(signs, every, torch.tensor([6, 6])).tolist() == [[0, 2, 1, 2, 1, 0], [-1] * 6]
    assert tags(signs, every, torch.tensor([4, 6]))[0].tolist() == [0, 2, 1, 2, -1, -1]
    slower = torch.tensor([[1.0, 1.4, 1.6, 2.4, 3.1, 5.0]])
    assert tags(signs[:1], slower, torch.tensor([6])).tolist() == [[2, 1, 1, 1, 2, 0]]


@pytest.mark.parametrize("frames", [8, 24])
def test_batches_hold_tags_as_long_as_features(imported, frames):
    from asl.data.module import LandmarkDataModule
    from asl.landmarks.pipeline import LandmarkPipeline

    data = imported(train=6, val=2)
    for segments in (False, True):
        pipeline = LandmarkPipeline("hands42", frames=frames)
        module = LandmarkDataModule(pipeline, str(data), num_workers=0, segments=segments)
        batch = next(iter(module.loader("train")))
        assert ("segments" in batch) == segments
    assert batch["segments"].shape == batch["features"].shape[:2] and batch["segments"].dtype == torch.int64
    begins = (batch["segments"] == 2).sum(dim=1)
    known = (batch["segments"] >= 0).any(dim=1)
    assert known.any() and (begins[known] <= 1).all()
