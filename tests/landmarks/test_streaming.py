"""The causal pipeline: what a frame's features rest on, and that a clip in pieces gives the same features."""

import pytest
import torch

from asl.common.errors import AslError
from asl.landmarks.augment import AugmentConfig
from asl.landmarks.layouts import get_layout
from asl.landmarks.normalise import RunningMeans, mean_over
from asl.landmarks.pipeline import LandmarkPipeline
from asl.landmarks.streaming import FeatureStream

SETTINGS = {
    "default": {},
    "no gaps, no lags": {"max_gap": 0, "lags": []},
    "mean sizes": {"per_frame_size": False, "coordinates": "clip", "lags": [1, 4], "max_gap": 5},
    "picture": {"coordinates": "picture", "space": 2},
}


def causal(layout, name="default", **more):
    return LandmarkPipeline(layout, frames=None, trim=False, causal=True, **SETTINGS[name], **more)


def clips(layout, batch=2, frames=40):
    """Random points, many of them lost: some alone, some with all others of their frame, and all at the begin."""
    points = get_layout(layout)
    x = torch.rand(batch, frames, points.num_points, points.num_dims, generator=torch.Generator().manual_seed(1))
    lost = torch.rand(batch, frames, points.num_points, generator=torch.Generator().manual_seed(2)) < 0.3
    lost |= torch.rand(batch, frames, 1, generator=torch.Generator().manual_seed(3)) < 0.3
    lost[:, :4] = True
    x[lost] = float("nan")
    return x


@pytest.mark.parametrize("chunk", [1, 3, 8, 100])
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("layout", ["hands42", "hands_body51"])
def test_a_clip_in_pieces_gives_the_features_of_the_whole_clip(layout, name, chunk):
    pipeline = causal(layout, name)
    x, lengths = clips(layout, 3), torch.tensor([40, 23, 1])
    whole, _ = pipeline(x, lengths)
    assert whole[0].abs().sum() > 0
    stream = FeatureStream(pipeline)
    for row, frames in enumerate(lengths.tolist()):
        pieces, given = [], 0
        for first in range(0, frames, chunk):
            end = min(first + chunk, frames)
            pieces.append(stream.accept(x[row, first:end], last=end == frames))
            given += len(pieces[-1])
            assert given == (end if end == frames else max(0, end - pipeline.look_ahead))
        assert torch.allclose(torch.cat(pieces), whole[row, :frames], atol=1e-6)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("layout", ["hands42", "hands_body51"])
def test_features_rest_on_no_frame_beyond_the_look_ahead(layout, name):
    pipeline = causal(layout, name)
    x = clips(layout, 1)
    before, _ = pipeline(x, torch.tensor([40]))
    for frame in (12, 25, 39):
        for lost in (False, True):
            changed = x.clone()
            changed[:, frame:] = float("nan") if lost else torch.rand_like(changed[:, frame:])
            after, _ = pipeline(changed, torch.tensor([40]))
            until = frame - pipeline.look_ahead
            assert torch.equal(after[:, :until], before[:, :until])


def test_the_whole_clip_s_pipeline_looks_at_all_of_it():
    pipeline = LandmarkPipeline("hands_body51", frames=None, trim=False)
    x = clips("hands_body51", 1)
    changed = x.clone()
    changed[:, 39] = 0.9
    whole = torch.tensor([40])
    assert pipeline.look_ahead is None and (pipeline(changed, whole)[0] != pipeline(x, whole)[0])[:, :30].any()


def test_an_end_that_comes_late_and_frames_by_none():
    pipeline = causal("hands42")
    x = clips("hands42", 1)
    stream = FeatureStream(pipeline)
    pieces = [stream.accept(x[0]), stream.accept(x[0, :0]), stream.accept(x[0, :0], last=True)]
    assert [len(p) for p in pieces] == [37, 0, 3]
    assert torch.allclose(torch.cat(pieces), pipeline(x, torch.tensor([40]))[0][0], atol=1e-6)
    assert len(stream.accept(x[0, :0], last=True)) == 0


def test_only_what_is_needed_is_kept():
    stream = FeatureStream(causal("hands_body51", "mean sizes"))
    for _ in range(6):
        stream.accept(clips("hands_body51", 1)[0])
        assert len(stream._frames) <= 5 + 4 + 5  # for gaps before, for differences, for gaps behind


def test_running_means_are_those_of_the_frames_so_far():
    x, known = torch.randn(2, 9, 3, 2), torch.rand(2, 9, 3) < 0.5
    running = RunningMeans()
    for dims in ([1], [1, 2]):
        means = running(x, known, dims)
        for frame in range(9):
            assert torch.allclose(means[:, frame : frame + 1], mean_over(x[:, : frame + 1], known[:, : frame + 1], dims))
    assert torch.equal(running(x, known, [2]), mean_over(x, known, [2]))


def test_training_augments_and_descriptors_are_of_the_whole_clip():
    pipeline = causal("hands_body51", augment=AugmentConfig(speed=1.2, warp=0.2, mirror=0.5), descriptors=True)
    x = torch.rand(2, 40, 51, get_layout("hands_body51").num_dims)
    done = pipeline.process(x, torch.tensor([40, 30]), training=True, generator=torch.Generator().manual_seed(0))
    assert done.features.isfinite().all() and done.described is not None


def test_what_must_see_the_whole_clip_is_refused():
    with pytest.raises(AslError, match=r"causal .* frames \(set it to null\) and trim \(set it to false\) must"):
        LandmarkPipeline("hands42", causal=True)
    with pytest.raises(AslError, match=r"trim \(set it to false\)"):
        LandmarkPipeline("hands42", frames=None, causal=True)
    with pytest.raises(AslError, match="data.pipeline.causal true"):
        FeatureStream(LandmarkPipeline("hands42", frames=None, trim=False))
    with pytest.raises(AslError, match=r"shape \(3, 51, 3\) came in where layout hands42 has \(frames, 42, 3\)"):
        FeatureStream(causal("hands42")).accept(torch.zeros(3, 51, 3))
