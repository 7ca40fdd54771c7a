"""Drawing: frames as pictures, where points come to lie, captions, strips."""

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.drawing import check_array, choose_frames, close_view, draw_frame, on_white, video_view
from asl.landmarks.layouts import LAYOUTS, get_layout
from asl.landmarks.pictures import film_frame, seconds, strip, wrap


def clip(layout: str, frames: int = 12) -> np.ndarray:
    form = get_layout(layout)
    return np.random.default_rng(0).random((frames, form.num_points, form.num_dims)).astype(np.float32)


def drawn(array: np.ndarray, layout: str, height: int = 90) -> np.ndarray:
    """The first frame on white, ``(height, width, 3)``."""
    form = check_array(array, layout)
    return np.asarray(on_white(draw_frame(array[0], form, close_view(array, 4 / 3, height)))).astype(int)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_drawn(layout):
    array = clip(layout, frames=2)
    array[0, -1] = np.nan
    picture = drawn(array, layout)
    assert picture.shape[0] == 90 and picture.shape[1] > 60
    assert picture.max() == 255 and picture.min() < 200


def test_the_hands_have_their_colours_and_sides():
    """The right hand, red, is on the left of the picture, as the camera sees it."""
    array = clip("hands42") * 0.2
    array[:, :21, 0] += 0.7
    red, _, blue = np.moveaxis(drawn(array.astype(np.float16), "hands42"), -1, 0)
    right, left = ((a > b + 75).sum(axis=0) for a, b in ((red, blue), (blue, red)))
    columns = np.arange(red.shape[1])
    assert np.average(columns, weights=right) < np.average(columns, weights=left)


@pytest.mark.parametrize("close", [False, True])
def test_points_lie_on_the_video_where_they_were_found(close):
    """A fraction of the picture is drawn at that fraction of it, whatever part of it is shown."""
    from PIL import Image

    array = np.full((1, 42, 3), np.nan, np.float32)
    array[0, 21] = [0.25, 0.5, 0]  # the right wrist: a red dot
    array[0, 0] = [0.75, 0.875, 0]
    view = video_view(array, 16 / 9, 180, close)
    black = Image.new("RGB", (view.width, view.height))
    picture = np.asarray(draw_frame(array[0], get_layout("hands42"), view, black)).astype(int)
    rows, columns = np.nonzero(picture[..., 0] > picture[..., 2] + 100)
    x, y = (columns.mean() + 0.5) / view.scale + view.left, (rows.mean() + 0.5) / view.scale + view.top
    assert (x / (16 / 9), y) == pytest.approx((0.25, 0.5), abs=0.005)
    assert ((view.width, view.height) == (320, 180)) is not close
    assert view.left >= 0 and view.top >= 0 and view.top + view.height / view.scale <= 1.001


def test_a_drawing_on_nothing_is_transparent():
    """Thumbnails lie on a light or a dark page."""
    array = clip("hands42", 1)
    alpha = np.asarray(draw_frame(array[0], get_layout("hands42"), close_view(array, 1.0, 60)))[..., 3]
    assert alpha.min() == 0 and alpha.max() == 255


def test_frames_are_chosen_where_hands_were_found():
    array = np.full((50, 51, 4), 0.5, np.float32)
    form = get_layout("hands_body51")
    array[:, list(form.parts["hand_left"] + form.parts["hand_right"])] = np.nan
    assert choose_frames(array, form, 2).tolist() == [0, 49]  # the body alone
    array[10:31, form.parts["hand_left"][0]] = 0.5
    assert choose_frames(array, form, 5).tolist() == [10, 15, 20, 25, 30]
    assert choose_frames(array[:11], form, 5).tolist() == [10]


def test_a_lone_point_below_the_picture_is_drawn():
    array = np.full((1, 42, 3), np.nan, np.float32)
    array[0, 0] = [0.5, 1.4, 0]
    assert drawn(array, "hands42").min() < 200
    assert video_view(array, 1.5, 60, close=True).width == 90  # nothing of it is in the picture: all is shown


def test_what_cannot_be_drawn_is_an_error():
    with pytest.raises(AslError, match="no point was found in any frame"):
        check_array(np.full((3, 42, 3), np.nan), "hands42")
    with pytest.raises(AslError, match=r"\(12, 42, 3\) as pose33, which is \(frames, 33, 4\)"):
        check_array(clip("hands42"), "pose33")
    with pytest.raises(AslError, match="cannot draw 0 frames"):
        choose_frames(clip("hands42"), get_layout("hands42"), 0)


def test_a_sentence_is_wrapped_and_cut():
    long = "this is a sentence of many words that does not fit into a picture by far"
    rows = wrap(long, 150)
    assert len(rows) == 3 and rows[-1].endswith("…") and long.startswith(rows[0] + " " + rows[1])
    assert wrap("Käse", 150) == ["Käse"] and wrap("", 150) == []
    assert wrap("Donaudampfschifffahrtsgesellschaft", 60)[0].endswith("…")
    assert seconds(1.25) == "1.25 s" and seconds(61.25) == "1:01.25"


def test_strips_and_films_hold_their_frames_and_words():
    array = clip("hands42", 3)
    view = close_view(array, 4 / 3, 61)
    frames = [draw_frame(frame, get_layout("hands42"), view) for frame in array]
    whole = strip(frames, [0, 0.5, 1], "BOOK", "val a1")
    assert whole.width >= 3 * view.width and whole.height > 61 + 40
    assert np.asarray(whole)[:40].min() < 100  # the words
    first, second = (film_frame(frame, "BOOK", "0.00 s") for frame in frames[:2])
    assert first.size == second.size and first.width % 2 == first.height % 2 == 0
