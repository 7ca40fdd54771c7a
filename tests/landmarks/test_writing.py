"""Writing: what was read is written as it was, pose-format draws it, and what has no place in a format is told."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.layouts import LAYOUTS, get_layout
from asl.landmarks.reading import Clip, picture_size, read_landmarks
from asl.landmarks.writing import write_landmarks

RATES = [Fraction(25), Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001), Fraction(25, 2)]


def make_clip(layout="holistic543", frames=5, dtype=np.float32, **more):
    """A clip some of whose points, one of whose hands and one of whose frames were not found."""
    form, rng = get_layout(layout), np.random.default_rng(len(layout))
    array = rng.normal(0.5, 0.4, (frames, form.num_points, form.num_dims)).astype(dtype)
    if "visibility" in form.dims:
        array[..., -1] = 1
        body = list(form.parts.get("pose", ()))
        array[:, body, -1] = rng.random((frames, len(body)))
    array[rng.random(array.shape[:2]) < 0.1] = np.nan
    array[1, list(form.parts.get("hand_left", (0,)))] = np.nan
    array[3:4] = np.nan
    return Clip(array, layout, **{"fps": Fraction(25), "width": 1280, "height": 720, **more})


def again(path, clip):
    """``clip`` written to ``path`` and read, and what was told."""
    notes = write_landmarks(path, clip)
    return read_landmarks(path), notes


def assert_same(found, clip, but=()):
    for name in {"layout", "fps", "width", "height", "slots"} - set(but):
        assert getattr(found, name) == getattr(clip, name), name
    assert found.array.dtype == clip.array.dtype
    np.testing.assert_array_equal(found.array, clip.array)


def last_bits(a, b):
    """By how many steps of float32 two arrays differ where they are numbers; they must be NaN together."""
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    return np.abs(a.view(np.int32) - b.view(np.int32)).max() if (np.sign(a) == np.sign(b)).all() else np.inf


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_pose_files_of_every_layout_come_back(tmp_path, layout):
    clip = make_clip(layout)
    found, notes = again(tmp_path / "a.pose", clip)
    assert notes == ()
    assert_same(replace(found, array=clip.array), clip)
    assert last_bits(found.array[..., :2], clip.array[..., :2]) <= 1  # pixels are not exact in float32
    np.testing.assert_array_equal(found.array[..., 2:], clip.array[..., 2:])
    again(tmp_path / "b.pose", found)
    assert (tmp_path / "a.pose").read_bytes() == (tmp_path / "b.pose").read_bytes()  # from then on they are


def test_pose_files_are_exact_of_float16_and_in_pictures_of_powers_of_two(tmp_path):
    for clip in (make_clip(dtype=np.float16), make_clip(width=1024, height=512)):
        found, _ = again(tmp_path / "a.pose", clip)
        np.testing.assert_array_equal(found.array, clip.array)
        assert found.array.dtype == np.float32


@pytest.mark.parametrize("fps", RATES)
def test_rates_are_kept(tmp_path, fps):
    for suffix in (".pose", ".npz"):
        assert again(tmp_path / f"a{suffix}", make_clip(fps=fps))[0].fps == fps


def test_what_is_hardly_visible_is_still_found(tmp_path):
    clip = make_clip("pose33", frames=2)
    clip.array[0] = 0.25
    clip.array[0, 0, 3] = 0.0
    clip.array[0, 1, 3] = 1.00611  # as OpenPose's confidences may be
    found, _ = again(tmp_path / "a.pose", clip)
    assert np.isfinite(found.array[0]).all() and 0 < found.array[0, 0, 3] < 2e-38
    np.testing.assert_array_equal(found.array[0, 1:], clip.array[0, 1:])


def test_pose_format_reads_what_holistic_files_have(tmp_path):
    """Names, order and formats of the components are those of pose-format's own Holistic files."""
    from pose_format import Pose
    from pose_format.utils.generic import detect_known_pose_format
    from pose_format.utils.holistic import FACEMESH_CONTOURS_POINTS, holistic_components

    world = np.abs(np.random.default_rng(0).normal(size=(5, 33, 4))).astype(np.float32)
    for layout, more in {"holistic543": 0, "holistic553": 10}.items():
        clip = make_clip(layout, world=world)
        found, _ = again(tmp_path / "a.pose", clip)
        pose = Pose.read((tmp_path / "a.pose").read_bytes())
        theirs = [(c.name, c.points, c.format) for c in holistic_components("XYZC", more)]
        assert [(c.name, c.points, c.format) for c in pose.header.components] == theirs
        assert detect_known_pose_format(pose) == "holistic" and round(pose.header.version, 3) == 0.2
        np.testing.assert_array_equal(found.world, world)
        pixels = np.ma.getdata(pose.body.data)[0, 0, 0]
        np.testing.assert_allclose(pixels, clip.array[0, 0, :3] * [1280, 720, 1], rtol=1e-6)
        np.testing.assert_array_equal(pose.body.data.mask[:, 0, :-33, 0], np.isnan(clip.array[..., 0]))
    write_landmarks(tmp_path / "b.pose", make_clip("holistic178"))
    face = Pose.read((tmp_path / "b.pose").read_bytes()).header.components[1]
    assert face.points == FACEMESH_CONTOURS_POINTS
    write_landmarks(tmp_path / "c.pose", make_clip("openpose137"))
    assert detect_known_pose_format(Pose.read((tmp_path / "c.pose").read_bytes())) == "openpose"


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_pose_formats_viewer_draws_it(tmp_path, layout):
    from pose_format import Pose
    from pose_format.pose_visualizer import PoseVisualizer

    clip = make_clip(layout, frames=4, width=160, height=90)
    write_landmarks(tmp_path / "a.pose", clip)
    frames = list(PoseVisualizer(Pose.read((tmp_path / "a.pose").read_bytes())).draw())
    assert len(frames) == 4 and frames[0].shape == (90, 160, 3)
    drawn = [(frame < 255).any() for frame in frames]
    assert drawn == [True, bool(np.isfinite(clip.array[1]).any()), True, False]


def test_npz_of_whole_and_smaller_layouts(tmp_path):
    world = np.abs(np.random.default_rng(0).normal(size=(5, 33, 4))).astype(np.float32)
    for dtype in (np.float16, np.float32):
        for layout, form in LAYOUTS.items():
            if "neck" in form.points or form.num_space == 2:
                continue
            clip = make_clip(layout, dtype=dtype, world=world)
            found, notes = again(tmp_path / "a.npz", clip)
            assert notes == ()
            assert_same(found, clip)
            np.testing.assert_array_equal(found.world, world)
            assert picture_size(tmp_path / "a.npz") == (1280, 720)
    clip = make_clip("hands42", fps=None, width=None, height=None)
    assert_same(again(tmp_path / "a.npz", clip)[0], clip)
    assert read_landmarks(tmp_path / "a.npz", "hands42").array.shape == (5, 42, 3)
    with pytest.raises(AslError, match="hands_body51 cannot be cut out of hands42"):
        read_landmarks(tmp_path / "a.npz", "hands_body51")


def test_what_npz_has_no_place_for(tmp_path):
    for layout in ("openpose137", "nose_wrists3"):
        with pytest.raises(AslError, match=f"{layout} has no place in an .npz"):
            write_landmarks(tmp_path / "a.npz", make_clip(layout))
    clip = make_clip("hands_body51")
    clip.array[0, -1] = [0.5, 0.5, 0.0, 0.7]
    found, notes = again(tmp_path / "a.npz", clip)
    assert notes == ("the visibility of 1 points of hands and face is read again as 1",)
    assert found.array[0, -1, 3] == 1


def test_npy_to_the_last_bit(tmp_path):
    for dtype in (np.float16, np.float32):
        for layout in LAYOUTS:
            clip = make_clip(layout, dtype=dtype)
            found, notes = again(tmp_path / "a.npy", clip)
            assert notes == ()
            assert_same(found, clip, but={"fps", "width", "height"})


def test_hands_in_the_order_of_detection(tmp_path):
    array = np.random.default_rng(0).random((6, 2, 21, 3)).astype(np.float16)
    array[2, 1] = np.nan
    clip = Clip(array, "hands42", fps=Fraction(25), slots=True)
    assert_same(again(tmp_path / "a.npy", clip)[0], clip, but={"fps"})
    found, notes = again(tmp_path / "a.npz", clip)
    assert found.layout == "hands42" and not found.slots and found.array.dtype == np.float16
    assert notes[0].startswith("hands in the order of detection were tracked")
    found, notes = again(tmp_path / "a.pose", clip)
    assert (found.layout, found.width) == ("hands42", 1024) and "1024 x 1024 pixels were taken" in notes[-1]
    np.testing.assert_array_equal(found.array, read_landmarks(tmp_path / "a.npz").array)


def test_what_is_refused_leaves_no_file(tmp_path):
    clip = make_clip("hands42")
    for name, changed, error in (
        ("a.pose", replace(clip, fps=None), "frames per second"),
        ("a.pose", replace(clip, width=70_000), "sides of 1 to 65535"),
        ("a.pose", replace(clip, array=clip.array * np.float32(1e37)), "far outside the picture"),
        ("a.npz", replace(clip, array=clip.array[:0]), "zero frames"),
        ("a.csv", clip, "not '.csv'"),
    ):
        with pytest.raises(AslError, match=error):
            write_landmarks(tmp_path / name, changed)
    assert list(tmp_path.iterdir()) == []
    odd = Fraction(23829, 200)  # no camera's; its denominator is more than float32 tells from its neighbours
    found, notes = again(tmp_path / "b.pose", replace(clip, fps=odd))
    assert notes == (f"{odd} frames per second are read again as {found.fps}",)


@pytest.mark.corpora
def test_real_files_through_every_format(corpora, tmp_path):
    whole = sorted((corpora / "how2sign" / "landmarks").glob("*.npz"))
    paths = [*sorted((corpora / "pose").glob("*.pose")), *whole[:3]]
    for path in paths:
        clip = read_landmarks(path)
        clip = replace(clip, array=clip.array[-30:])
        found, notes = again(tmp_path / "a.pose", clip)
        assert notes == () and (found.layout, found.fps, found.width) == (clip.layout, clip.fps, clip.width)
        for i in range(clip.array.shape[-1]):
            assert last_bits(found.array[..., i], clip.array[..., i]) <= (i < 2)
        if clip.layout != "openpose137":
            assert_same(again(tmp_path / "a.npz", clip)[0], clip)
        assert_same(again(tmp_path / "a.npy", clip)[0], clip, but={"fps", "width", "height"})
    hands = read_landmarks(sorted((corpora / "wlasl" / "hands").glob("*.npy"))[0])
    assert_same(again(tmp_path / "h.npy", hands)[0], hands)
