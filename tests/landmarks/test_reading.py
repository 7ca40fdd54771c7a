"""Reading: each owner's format into one array, and a clear error for what cannot be used."""

from fractions import Fraction
import struct
from io import BytesIO

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.layouts import get_layout
from asl.landmarks.reading import probe, read_landmarks


@pytest.fixture
def slots():
    array = np.random.default_rng(0).random((7, 2, 21, 3)).astype(np.float16)
    array[2, 1] = array[3] = -1
    return array


@pytest.fixture
def how2sign():
    rng = np.random.default_rng(1)
    parts = {"pose": (5, 33, 4), "face": (5, 468, 3), "left_hand": (5, 21, 3), "right_hand": (5, 21, 3)}
    clip = {key: rng.random(shape).astype(np.float32) for key, shape in parts.items()}
    clip["left_hand"][1] = np.nan
    return {**clip, "fps": np.float64(29.97), "width": np.int64(1280), "height": np.int64(720)}


def both(path):
    """The errors of reading and of probing ``path``; they must be one and the same."""
    with pytest.raises(AslError) as read:
        read_landmarks(path)
    with pytest.raises(AslError) as probed:
        probe(path)
    assert str(path) in str(read.value) and str(path) in str(probed.value)
    return str(read.value) + " / " + str(probed.value)


def test_hand_slots_keep_their_type_and_mark_what_was_not_found(tmp_path, slots):
    np.save(tmp_path / "a.npy", slots)
    clip = read_landmarks(tmp_path / "a.npy")
    assert clip.slots and clip.layout == "hands42" and clip.array.dtype == np.float16 and clip.fps is None
    assert np.isnan(clip.array[2, 1]).all() and np.isnan(clip.array[3]).all()
    found = np.isfinite(clip.array)
    np.testing.assert_array_equal(clip.array[found], slots[found])
    assert probe(tmp_path / "a.npy") == (7, None)


def test_arrays_in_a_layout_are_read_and_cut(tmp_path):
    array = np.random.default_rng(0).random((3, 543, 4))
    np.save(tmp_path / "a.npy", array)
    clip = read_landmarks(tmp_path / "a.npy")
    assert (clip.layout, clip.slots, clip.array.dtype) == ("holistic543", False, np.float32)
    assert read_landmarks(tmp_path / "a.npy", "hands_body67").array.shape == (3, 67, 4)


def test_how2sign_files(tmp_path, how2sign):
    np.savez(tmp_path / "a.npz", **how2sign)
    clip = read_landmarks(tmp_path / "a.npz")
    assert clip.layout == "holistic543" and clip.array.shape == (5, 543, 4)
    assert (clip.fps, clip.width, clip.height) == (Fraction(30000, 1001), 1280, 720)
    np.testing.assert_array_equal(clip.array[:, 33:501, :3], how2sign["face"])
    assert (clip.array[:, 33:501, 3] == 1).all() and np.isnan(clip.array[1, 501:522]).all()
    assert probe(tmp_path / "a.npz") == (5, Fraction(30000, 1001))
    hands = read_landmarks(tmp_path / "a.npz", "hands42")
    np.testing.assert_array_equal(hands.array[:, 21:], how2sign["right_hand"])


def write_pose(path, components, data, confidence, fps, version):
    from pose_format import Pose
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeader, PoseHeaderComponent, PoseHeaderDimensions

    parts = [PoseHeaderComponent(name, points, [], [], "XYZC") for name, points in components]
    header = PoseHeader(version, PoseHeaderDimensions(200, 100, 0), parts)
    buffer = BytesIO()
    if version == 0.1:  # frames in 16 bits; pose-format itself writes 0.2 alone
        header.write(buffer)
        buffer.getbuffer()[:4] = struct.pack("<f", version)
        buffer.write(struct.pack("<HHH", fps, len(data) % 65536, data.shape[1]))
        buffer.write(np.float32(data).tobytes() + np.float32(confidence).tobytes())
        path.write_bytes(buffer.getvalue())
        return
    Pose(header, NumPyPoseBody(fps, np.ma.array(data), confidence)).write(buffer)
    path.write_bytes(buffer.getvalue())


HOLISTIC178 = [
    ("POSE_LANDMARKS", [p.upper() for p in get_layout("holistic178").points[:8]]),
    ("FACE_LANDMARKS", [p[len("face_") :] for p in get_layout("holistic178").points[8:136]]),
    ("LEFT_HAND_LANDMARKS", [str(i) for i in range(21)]),
    ("RIGHT_HAND_LANDMARKS", [str(i) for i in range(21)]),
    ("POSE_WORLD_LANDMARKS", ["NOSE"]),
]


def test_pose_files_become_fractions_of_the_picture(tmp_path):
    data = np.full((4, 1, 179, 3), [100.0, 25.0, -0.5], dtype=np.float32)
    confidence = np.full((4, 1, 179), 0.5, dtype=np.float32)
    confidence[1, 0, 136:157] = 0
    write_pose(tmp_path / "a.pose", HOLISTIC178, data, confidence, 23.976, 0.2)
    clip = read_landmarks(tmp_path / "a.pose")
    assert (clip.layout, clip.fps) == ("holistic178", Fraction(24000, 1001))
    assert (clip.width, clip.height) == (200, 100)
    np.testing.assert_allclose(clip.array[0], np.broadcast_to([0.5, 0.25, -0.5, 0.5], (178, 4)))
    assert np.isnan(clip.array[1, 136:157]).all() and np.isfinite(clip.array[1, :136]).all()
    assert probe(tmp_path / "a.pose") == (4, Fraction(24000, 1001))
    assert read_landmarks(tmp_path / "a.pose", "hands42").array.shape == (4, 42, 3)
    with pytest.raises(AslError, match="hands_body51 cannot be cut out of .*: no nose"):
        read_landmarks(tmp_path / "a.pose", "hands_body51")


def test_a_pose_file_without_a_person_is_refused(tmp_path):
    write_pose(tmp_path / "a.pose", HOLISTIC178[:4], np.ones((3, 0, 178, 3)), np.ones((3, 0, 178)), 25, 0.2)
    assert "holds no person" in both(tmp_path / "a.pose")


def test_of_two_persons_the_surer_one_is_read(tmp_path):
    data = np.zeros((2, 2, 178, 3), dtype=np.float32)
    data[:, 1] = 50
    confidence = np.ones((2, 2, 178), dtype=np.float32) * np.float32([[[0.4], [0.9]]])
    write_pose(tmp_path / "a.pose", HOLISTIC178[:4], data, confidence, 25, 0.2)
    assert read_landmarks(tmp_path / "a.pose").array[0, 0, 0] == 0.25


def test_unknown_pose_components_are_named(tmp_path):
    for components in ([("TAIL", ["A", "B"])], [("POSE_LANDMARKS", ["NOSE", "LEFT_EAR"])]):
        write_pose(tmp_path / "a.pose", components, np.ones((1, 1, 2, 3)), np.ones((1, 1, 2)), 25, 0.2)
        assert f"{components[0][0]} (2)" in both(tmp_path / "a.pose")


def test_missing_empty_and_foreign_files(tmp_path):
    assert "no such landmark file" in both(tmp_path / "none.npy")
    for suffix in (".npy", ".npz", ".pose"):
        (tmp_path / f"empty{suffix}").touch()
        assert "empty file" in both(tmp_path / f"empty{suffix}")
        (tmp_path / f"junk{suffix}").write_bytes(b"not landmarks at all")
        assert f"cut short or not a {suffix} file" in both(tmp_path / f"junk{suffix}")
    (tmp_path / "a.txt").write_text("x")
    assert "end in .npy, .npz, .pose" in both(tmp_path / "a.txt")


def test_files_that_were_cut_short(tmp_path, slots, how2sign):
    np.save(tmp_path / "a.npy", slots)
    np.savez(tmp_path / "a.npz", **how2sign)
    write_pose(tmp_path / "a.pose", HOLISTIC178[:4], np.ones((3, 1, 178, 3)), np.ones((3, 1, 178)), 25, 0.2)
    write_pose(tmp_path / "old.pose", HOLISTIC178[:4], np.ones((3, 1, 178, 3)), np.ones((3, 1, 178)), 25, 0.1)
    assert read_landmarks(tmp_path / "old.pose").array.shape == (3, 178, 4)
    for name in ("a.npy", "a.npz", "a.pose", "old.pose"):
        whole = (tmp_path / name).read_bytes()
        for share in (0.01, 0.5, 0.95):
            (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
            assert "cut short" in both(tmp_path / name)


def test_wrong_shapes_name_what_was_found_and_expected(tmp_path, how2sign):
    np.save(tmp_path / "a.npy", np.zeros((7, 2, 20, 3), np.float32))
    assert "(7, 2, 20, 3)" in both(tmp_path / "a.npy") and "(frames, 2, 21, 3)" in both(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.zeros((7,), np.float32))
    assert "(7,)" in both(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", **{**how2sign, "face": how2sign["face"][:, :400]})
    assert "'face' has shape (5, 400, 3), not (5, 468 or 478, 3)" in both(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **{**how2sign, "left_hand": how2sign["left_hand"][:4]})
    assert "'left_hand' has shape (4, 21, 3), not (5, 21, 3)" in both(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **{**how2sign, "fps": np.array([24.0, 25.0])})
    assert "'fps' is no number" in both(tmp_path / "a.npz")
    del how2sign["right_hand"]
    np.savez(tmp_path / "a.npz", **how2sign)
    assert "no array 'right_hand'" in both(tmp_path / "a.npz")


def test_arrays_of_other_types_are_refused_and_no_pickle_is_opened(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 2, 21, 3), np.int64))
    assert "int64" in both(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert "object" in both(tmp_path / "a.npy")


def test_clips_without_frames_or_hands(tmp_path, slots):
    np.save(tmp_path / "a.npy", slots[:0])
    assert "zero frames" in both(tmp_path / "a.npy")
    for nothing in (-1, np.nan):
        np.save(tmp_path / "a.npy", np.full_like(slots, nothing))
        with pytest.raises(AslError, match="no hand found in any of its 7 frames"):
            read_landmarks(tmp_path / "a.npy")


def test_two_hands_cannot_become_a_body(tmp_path, slots):
    np.save(tmp_path / "a.npy", slots)
    with pytest.raises(AslError, match="only be read as layout hands42, not holistic543"):
        read_landmarks(tmp_path / "a.npy", "holistic543")


@pytest.mark.corpora
def test_real_files_of_every_kind(corpora):
    layouts = {p.stem: read_landmarks(p).layout for p in (corpora / "pose").glob("*.pose")}
    assert layouts.pop("openpose") == "openpose137" and set(layouts.values()) == {"holistic178"}
    path = sorted((corpora / "how2sign" / "landmarks").glob("*.npz"))[0]
    clip = read_landmarks(path)
    assert (clip.layout, clip.fps, clip.width) == ("holistic543", 24, 1280)
    assert probe(path)[0] == len(clip.array)
    for path in sorted((corpora / "wlasl" / "hands").glob("*.npy"))[::100]:
        clip = read_landmarks(path)
        assert clip.slots and clip.array.dtype == np.float16 and probe(path)[0] == len(clip.array)
