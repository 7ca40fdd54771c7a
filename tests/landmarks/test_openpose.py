"""OpenPose's JSON folders: the same clip as pose-format's own reader makes of them, and what is odd is told."""

import json
from fractions import Fraction

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.layouts import OPENPOSE, get_layout
from asl.landmarks.reading import landmarks_by_stem, picture_size, probe, read_landmarks

LAYOUT = get_layout("openpose137")
COUNTS = {"pose": 25, "face": 70, "hand_left": 21, "hand_right": 21}
SIZE = (640, 480)


def person(points, **more):
    """OpenPose's entry for ``points`` ``(137, 3)``."""
    parts = np.split(np.asarray(points, dtype=np.float64), np.cumsum(list(COUNTS.values()))[:-1])
    return {**more, **{f"{part}_keypoints_2d": rows.ravel().tolist() for part, rows in zip(COUNTS, parts)}}


def write_frames(folder, frames, name="clip"):
    """``frames``: number -> the people in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, people in frames.items():
        text = json.dumps({"version": 1.3, "people": people})
        (folder / f"{name}_{number:012d}_keypoints.json").write_text(text)
    return folder


def points(seed=0, confidence=0.5):
    """``(137, 3)`` pixels in a picture of ``SIZE``, every tenth point not found."""
    rng = np.random.default_rng(seed)
    array = np.concatenate([rng.random((137, 2)) * SIZE, np.full((137, 1), confidence)], axis=1).astype(np.float32)
    array[::10] = 0
    return array


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "picture.json").write_text('{"width": 640, "height": 480, "fps": 29.97}')
    return write_frames(tmp_path / "clip", {n: [person(points(n), person_id=[-1])] for n in range(4)})


def refusal(folder, **options):
    with pytest.raises(AslError) as error:
        read_landmarks(folder, **options)
    assert str(folder) in str(error.value)
    return str(error.value)


def test_a_folder_is_read_as_pose_format_reads_it(clip):
    from pose_format.utils.openpose import load_openpose_directory

    held = read_landmarks(clip)
    theirs = load_openpose_directory(str(clip), fps=29.97, width=640, height=480)
    expected = np.ma.getdata(theirs.body.data)[:, 0] / np.float32(SIZE)
    np.testing.assert_array_equal(np.isfinite(held.array[..., 0]), theirs.body.confidence[:, 0] > 0)
    found = np.isfinite(held.array).all(axis=-1)
    np.testing.assert_array_equal(held.array[found][:, :2], expected[found])
    np.testing.assert_array_equal(held.array[found][:, 2], theirs.body.confidence[:, 0][found])
    assert (held.layout, held.fps, held.width, held.height) == ("openpose137", Fraction(30000, 1001), *SIZE)
    assert held.notes == () and held.array.dtype == np.float32
    assert probe(clip) == (4, Fraction(30000, 1001)) and picture_size(clip) == SIZE


def test_size_and_rate_are_given_or_stand_beside_the_clips(clip):
    beside = clip.parent / "picture.json"
    given = read_landmarks(clip, size=(1280, 960), fps=Fraction(25))
    assert (given.width, given.fps) == (1280, 25)  # what is given comes first
    np.testing.assert_array_equal(given.array[..., 0] * 2, read_landmarks(clip).array[..., 0])
    beside.rename(clip / "picture.json")
    assert read_landmarks(clip).width == 640
    (clip / "picture.json").write_text('{"width": 640, "height": 480}')
    assert probe(clip) == (4, None) and read_landmarks(clip).fps is None
    (clip / "picture.json").unlink()
    for found in (refusal(clip), str(pytest.raises(AslError, probe, clip).value)):
        assert "do not say how large the picture was" in found and str(beside) in found
    for wrong in ('{"width": 640}', '{"width": 640, "height": 0}', "[1, 2]", '{"width": 1, "height": 1, "rate": 2}'):
        beside.write_text(wrong)
        assert 'picture.json: write {"width"' in str(pytest.raises(AslError, read_landmarks, clip).value)


def test_of_coco_the_points_that_body_25_has(tmp_path):
    order = [p for p in OPENPOSE[:19] if p != "mid_hip"]
    body = np.array([(10.0 * i + 10, 5.0 * i + 5, 0.5) for i in range(18)])
    people = [{"pose_keypoints": body.ravel().tolist(), "face_keypoints_2d": [], "hand_left_keypoints_2d": []}]
    array = read_landmarks(write_frames(tmp_path / "c", {0: people}), size=(1000, 1000)).array
    for i, name in enumerate(order):
        np.testing.assert_allclose(array[0, LAYOUT.points.index(name)], [(10 * i + 10) / 1000, (5 * i + 5) / 1000, 0.5])
    assert np.isfinite(array[0, :, 0]).sum() == 18 and np.isnan(array[0, LAYOUT.points.index("mid_hip")]).all()


def test_missing_numbers_are_frames_with_nothing_found_and_told(tmp_path):
    folder = write_frames(tmp_path / "c", {n: [person(points())] for n in (3, 4, 7)})
    write_frames(folder, {8: []})  # nobody in the picture: nothing odd
    held = read_landmarks(folder, size=SIZE)
    assert len(held.array) == 6
    np.testing.assert_array_equal(np.isfinite(held.array[..., 0]).any(axis=1), [True, True, False, False, True, False])
    assert held.notes == (
        "its frames are counted from 3: that is the clip's first",
        "2 of 6 frame numbers are missing (5, 6): nothing is found there",
    )


def test_of_several_people_the_surest_over_the_clip(tmp_path):
    sure, unsure = person(points(1, 0.9)), person(points(2, 0.3))
    frames = {n: [unsure, sure] for n in range(3)}
    held = read_landmarks(write_frames(tmp_path / "by place", {**frames, 3: [unsure]}), size=SIZE)
    np.testing.assert_array_equal(held.array[0, 1, 2], np.float32(0.9))
    assert np.isnan(held.array[3]).all()  # who stands first there is the other one
    assert held.notes == ("up to 2 people in 3 of 4 frames: the surest is taken",)

    tracked = {n: [{**sure, "person_id": [7]}, {**unsure, "person_id": [4]}][:: 1 - 2 * (n % 2)] for n in range(4)}
    held = read_landmarks(write_frames(tmp_path / "tracked", tracked), size=SIZE)
    np.testing.assert_array_equal(held.array[:, 1, 2], np.float32([0.9] * 4))


def test_what_cannot_be_used_is_named(tmp_path, clip):
    folder = write_frames(tmp_path / "a", {0: [], 1: []})
    assert "holds no person" in refusal(folder, size=SIZE)
    write_frames(folder, {2: [person(points())]}, name="other")
    assert "names of more than one series (clip_000000000000_keypoints.json, other_" in refusal(folder, size=SIZE)
    folder = write_frames(tmp_path / "b", {0: [person(points())]})
    (folder / "clip_0_keypoints.json").write_text('{"people": []}')
    assert "are both frame 0" in refusal(folder, size=SIZE)
    folder = write_frames(tmp_path / "c", {0: [{**person(points()), "face_keypoints_2d": [1.0, 2.0, 0.5]}]})
    assert "1 points in 'face_keypoints', not 70" in refusal(folder, size=SIZE)
    folder = write_frames(tmp_path / "d", {0: [{"pose_keypoints_2d": [1.0] * 45}]})
    assert "a body of 15 points, not 25 (BODY_25) or 18 (COCO)" in refusal(folder, size=SIZE)
    folder = write_frames(tmp_path / "e", {0: [{"pose_keypoints_2d": [1.0, 2.0]}]})
    assert "no list of x, y, confidence" in refusal(folder, size=SIZE)
    (clip / "clip_000000000002_keypoints.json").write_text('{"people": [')
    assert "clip_000000000002_keypoints.json line 1" in refusal(clip)
    (clip / "clip_000000000002_keypoints.json").write_text("[]")
    assert "no list of 'people'" in refusal(clip)
    (clip / "x_keypoints.json").write_text("{}")
    assert "no number of a frame" in refusal(clip)
    folder = write_frames(tmp_path / "f", {0: [person(points())]})
    assert "cannot be cut out of openpose137" in refusal(folder, size=SIZE, layout="holistic543")
    (tmp_path / "empty").mkdir()
    assert "without OpenPose's *_keypoints.json" in refusal(tmp_path / "empty")


def test_coordinates_that_are_no_pixels_of_the_picture(tmp_path):
    fractions = points() / np.float32([*SIZE, 1])
    folder = write_frames(tmp_path / "a", {0: [person(fractions)]})
    assert "--keypoint_scale 3 or 4" in refusal(folder, size=SIZE)
    held = read_landmarks(folder, size=(1, 1))
    assert held.width is None and held.height is None
    np.testing.assert_array_equal(held.array[0, 1], fractions[1])
    folder = write_frames(tmp_path / "b", {0: [person(points())]})
    assert "far outside a picture of 200 x 480" in refusal(folder, size=(200, 480))


def test_other_names_of_frames(tmp_path):
    for name, number in {"images0007": 7, "7": 7, "a_b_c_007": 7, "x2-rgb_front_7": 7}.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}_keypoints.json").write_text(json.dumps({"people": [person(points())]}))
        assert f"counted from {number}" in read_landmarks(folder, size=SIZE).notes[0]
    folder = tmp_path / "phoenix"
    folder.mkdir()
    for number in range(3):  # pictures named as RWTH-PHOENIX's: the last number is always 0
        name = f"01April_2010_default-0.avi_pid0_fn{number:06d}-0_keypoints.json"
        (folder / name).write_text(json.dumps({"people": [person(points())]}))
    assert len(read_landmarks(folder, size=SIZE).array) == 3 and read_landmarks(folder, size=SIZE).notes == ()


def test_clips_of_a_folder_by_name(clip):
    corpus = clip.parent
    for name in ("a.npy", "a.npz", "b.pose", "clip.pose", "note.txt"):
        (corpus / name).touch()
    (corpus / "frames").mkdir()
    write_frames(corpus / "zoe", {0: []})
    found = landmarks_by_stem(corpus)
    assert found == {n: corpus / p for n, p in {"a": "a.npy", "b": "b.pose", "clip": "clip.pose", "zoe": "zoe"}.items()}
    assert landmarks_by_stem(corpus / "none") == {}


@pytest.mark.corpora
def test_real_openpose_through_json(corpora, tmp_path):
    from pose_format import Pose

    body = Pose.read((corpora / "pose" / "openpose.pose").read_bytes()).body
    rows = np.concatenate([np.ma.getdata(body.data)[:, 0], np.asarray(body.confidence)[:, 0, :, None]], axis=-1)
    folder = write_frames(tmp_path / "clip", {n: [person(frame)] for n, frame in enumerate(rows)})
    held, whole = read_landmarks(folder, size=(1000, 1000)), read_landmarks(corpora / "pose" / "openpose.pose")
    np.testing.assert_array_equal(held.array, whole.array)
