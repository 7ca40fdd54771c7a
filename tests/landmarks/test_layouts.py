"""Layouts: names, parts, mirror pairs and subsets."""

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.layouts import LAYOUTS, get_layout, guess_layout, subset


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_whole(name):
    layout = get_layout(name)
    assert str(layout.num_points) in name and layout.num_features == layout.num_points * layout.num_dims
    assert len(set(layout.points)) == layout.num_points
    assert sorted(i for part in layout.parts.values() for i in part) == list(range(layout.num_points))
    assert [layout.mirror[m] for m in layout.mirror] == list(range(layout.num_points))
    for part, points in layout.parts.items():
        other = {"hand_left": "hand_right", "hand_right": "hand_left"}.get(part, part)
        assert {layout.mirror[p] for p in points} == set(layout.parts[other])
    assert layout.edges and all(a != b for a, b in layout.edges)
    assert guess_layout(layout.num_points, layout.num_dims) is layout


def test_hands_begin_with_the_wrist_and_mirror_joint_by_joint():
    layout = get_layout("hands42")
    assert layout.points[0] == "hand_left_wrist" and layout.points[21] == "hand_right_wrist"
    assert layout.mirror == tuple(range(21, 42)) + tuple(range(21))


def test_holistic_has_the_order_of_mediapipe_and_known_pairs():
    layout = get_layout("holistic543")
    assert layout.parts["face"] == tuple(range(33, 501))
    assert layout.parts["hand_right"] == tuple(range(522, 543))
    assert layout.points[11] == "left_shoulder" and layout.mirror[11] == 12
    corner, nose = layout.points.index("face_61"), layout.points.index("face_1")
    assert layout.points[layout.mirror[corner]] == "face_291" and layout.mirror[nose] == nose


def test_the_face_pairs_and_lines_are_those_of_the_libraries():
    import mediapipe
    from pose_format.utils.holistic import FLIPPED_FACE_POINTS

    from asl.landmarks import face_mesh

    assert face_mesh.mirror_points(refined=True) == FLIPPED_FACE_POINTS
    ours = face_mesh.edges_of(face_mesh.LIPS, face_mesh.EYES, face_mesh.BROWS, face_mesh.OVAL)
    theirs = mediapipe.solutions.holistic.FACEMESH_CONTOURS
    assert {frozenset(e) for e in ours} == {frozenset(e) for e in theirs}


def test_a_subset_is_cut_out_by_name_from_numpy_and_torch():
    import torch

    array = np.arange(2 * 543 * 4, dtype=np.float32).reshape(2, 543, 4)
    hands = subset(array, "holistic543", "hands42")
    np.testing.assert_array_equal(hands, array[:, 501:, :3])
    assert torch.equal(subset(torch.from_numpy(array), "holistic543", "hands42"), torch.from_numpy(hands))
    twice = subset(subset(array, "holistic543", "holistic143"), "holistic143", "holistic118")
    np.testing.assert_array_equal(twice, subset(array, "holistic543", "holistic118"))


def test_what_a_layout_lacks_cannot_be_cut_out_of_it():
    with pytest.raises(AslError, match="hands_body51 cannot be cut out of hands42, which has no nose"):
        subset(np.zeros((1, 42, 3)), "hands42", "hands_body51")
    with pytest.raises(AslError, match=r"\(42, 2\).*not in layout hands42.*\(42, 3\)"):
        subset(np.zeros((1, 42, 2)), "hands42", "hands42")
    with pytest.raises(AslError, match="no landmark layout 'hands43'; did you mean 'hands42'"):
        get_layout("hands43")


@pytest.mark.corpora
def test_a_mirrored_real_face_lies_close_to_itself(corpora):
    layout = get_layout("holistic543")
    face = np.array(layout.parts["face"])
    mirror = np.array(layout.mirror)[face] - face[0]
    swapped, unswapped = [], []
    for path in sorted((corpora / "how2sign" / "landmarks").glob("*.npz"))[::5]:
        xy = np.load(path)["face"][:, :, :2].astype(np.float32) * [16 / 9, 1]
        xy = xy[np.isfinite(xy).all(axis=(1, 2))]
        width = np.ptp(xy[:, :, 0], axis=1)
        xy = (xy - xy.mean(axis=1, keepdims=True)) / width[:, None, None]
        frontal = xy[np.abs(xy[:, 1, 0]).argmin()]  # the nose is nearest to the middle
        flipped = frontal * [-1, 1]
        swapped.append(np.linalg.norm(flipped[mirror] - frontal, axis=-1).mean())
        unswapped.append(np.linalg.norm(flipped - frontal, axis=-1).mean())
    assert np.median(swapped) < 0.1 and np.median(swapped) < np.median(unswapped) / 4  # measured: 0.07, 0.37
