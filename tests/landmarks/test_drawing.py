"""Drawing: a clip as a strip of frames."""

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.drawing import choose_frames, draw_strip
from asl.landmarks.layouts import LAYOUTS, get_layout


def clip(layout: str, frames: int = 12) -> np.ndarray:
    form = get_layout(layout)
    return np.random.default_rng(0).random((frames, form.num_points, form.num_dims)).astype(np.float32)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_drawn(tmp_path, layout):
    from matplotlib.image import imread

    array = clip(layout, frames=4)
    array[1, :5] = np.nan
    draw_strip(array, layout, tmp_path / "a.png", frames=3, title="BOOK")
    picture = imread(tmp_path / "a.png")
    assert picture.shape[1] > picture.shape[0] > 50 and picture.min() < 0.5


def test_the_hands_have_their_colours_and_sides(tmp_path):
    """The right hand, red, is on the left of the picture, as the camera sees it."""
    from matplotlib.image import imread

    array = clip("hands42") * 0.2
    array[:, :21, 0] += 0.7
    draw_strip(array.astype(np.float16), "hands42", tmp_path / "a.png", frames=1)
    red, _, blue = np.moveaxis(imread(tmp_path / "a.png")[..., :3], -1, 0)
    right, left = ((a > b + 0.3).sum(axis=0) for a, b in ((red, blue), (blue, red)))
    columns = np.arange(red.shape[1])
    assert np.average(columns, weights=right) < np.average(columns, weights=left)


def test_frames_are_chosen_where_hands_were_found():
    found = np.zeros(50, bool)
    found[10:31] = True
    assert choose_frames(found, 5).tolist() == [10, 15, 20, 25, 30]
    assert choose_frames(found[:11], 5).tolist() == [10]


def test_a_lone_point_below_the_picture_is_drawn(tmp_path):
    array = np.full((3, 42, 3), np.nan, np.float32)
    array[1, 0] = [0.5, 1.4, 0]
    draw_strip(array, "hands42", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 0


def test_what_cannot_be_drawn_is_an_error_and_leaves_no_file(tmp_path):
    with pytest.raises(AslError, match="no point was found in any frame"):
        draw_strip(np.full((3, 42, 3), np.nan), "hands42", tmp_path / "a.png")
    with pytest.raises(AslError, match=r"\(12, 42, 3\) as pose33, which is \(frames, 33, 4\)"):
        draw_strip(clip("hands42"), "pose33", tmp_path / "a.png")
    with pytest.raises(AslError, match="cannot draw 0 frames"):
        draw_strip(clip("hands42"), "hands42", tmp_path / "a.png", frames=0)
    assert list(tmp_path.iterdir()) == []
