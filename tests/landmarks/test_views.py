"""Ways to look at a clip when it is decoded."""

import pytest
import torch

from asl.common.errors import AslError
from asl.landmarks.pipeline import LandmarkPipeline
from asl.landmarks.views import VIEWS, View, first_views


def clip(frames=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, frames, 42, 3, generator=generator), torch.tensor([frames, frames - 7])


def seen(view, frames=16, trim=True, training=False, **options):
    pipeline = LandmarkPipeline("hands42", frames=frames, trim=trim, **options)
    pipeline.view = view
    generator = torch.Generator().manual_seed(1) if training else None
    return pipeline(*clip(), training, generator)


def test_a_mirrored_view_is_the_mirrored_clip_as_it_is():
    x, lengths = clip()
    pipeline = LandmarkPipeline("hands42", frames=16)
    swapped = torch.cat([x[:, :, 21:], x[:, :, :21]], dim=2)
    swapped[..., 0] = 1 - swapped[..., 0]
    assert torch.allclose(seen(View(mirror=True))[0], pipeline(swapped, lengths)[0], atol=1e-6)
    assert not torch.allclose(seen(View(mirror=True))[0], pipeline(x, lengths)[0], atol=1e-2)


def test_a_cut_view_is_the_cut_clip_as_it_is():
    x, lengths = clip(frames=41)
    pipeline = LandmarkPipeline("hands42", frames=16)
    pipeline.view = View(start=0.1, end=0.05)  # of 40 steps: 4 and 2
    lengths = torch.tensor([41, 41])
    cut = LandmarkPipeline("hands42", frames=16)(x[:, 4:39], torch.tensor([35, 35]))
    assert torch.allclose(pipeline(x, lengths)[0], cut[0], atol=1e-5)
    free = LandmarkPipeline("hands42", frames=None, trim=False)
    free.view = View(start=0.1, end=0.05)
    assert free(x, lengths)[1].tolist() == [35, 35]


def test_the_first_view_is_the_clip_as_it_is_and_training_has_no_views():
    pipeline = LandmarkPipeline("hands42", frames=16)
    assert torch.equal(seen(first_views(1)[0])[0], pipeline(*clip())[0])
    from asl.landmarks.augment import AugmentConfig

    plain, other = (seen(view, training=True, augment=AugmentConfig())[0] for view in (VIEWS[0], VIEWS[3]))
    assert torch.equal(plain, other)


def test_views_differ_and_half_of_them_are_mirrored():
    outputs = [seen(view)[0] for view in VIEWS]
    assert all(not torch.allclose(a, b) for i, a in enumerate(outputs) for b in outputs[:i])
    assert len({str(view) for view in VIEWS}) == len(VIEWS)
    for count in (2, 4, 6, 8):
        assert sum(view.mirror for view in first_views(count)) == count / 2
    for count in (0, 9):
        with pytest.raises(AslError, match=f"--views {count}: give 1 .* to 8"):
            first_views(count)
