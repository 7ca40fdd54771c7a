"""MediaPipe Holistic itself: what it finds, that no clip knows of another, and that it agrees with How2Sign's files."""

import cv2
import numpy as np
import pytest
from matplotlib import cbook

from asl.common.errors import AslError
from asl.landmarks.estimator import make_estimator
from asl.landmarks.layouts import get_layout
from asl.landmarks.native_messages import NativeMessages
from asl.landmarks.spans import Span, extract_spans
from tests.landmarks import made_videos as made

FRAMES = 4


@pytest.fixture(scope="module")
def portrait():
    """A photograph of a person, (600, 512, 3) RGB, that comes with matplotlib."""
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        data = file.read()
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def moved(portrait, right, size):
    """The portrait, smaller, moving to the right over a grey picture of 320 x 240."""
    small = cv2.resize(portrait, (size, size * 600 // 512))
    image = np.full((240, 320, 3), 120, np.uint8)
    part = small[:230]
    image[10 : 10 + len(part), right : right + size] = part
    return image


@pytest.fixture(scope="module")
def clips(portrait):
    """Two clips of one person at different places."""
    return [
        [moved(portrait, 10 + 4 * i, 180) for i in range(FRAMES)],
        [moved(portrait, 130 - 4 * i, 150) for i in range(FRAMES)],
    ]


@pytest.fixture(scope="module")
def estimator():
    estimator = make_estimator("holistic")
    yield estimator
    estimator.close()


def follow(tracker, images):
    found = [tracker(image) for image in images]
    return {name: np.stack([f[name] for f in found]) for name in found[0]}


def same(one, other):
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def test_a_person_is_found_and_what_is_not_there_is_nan(estimator, clips, capfd):
    tracker = estimator.new_tracker()
    found = follow(tracker, clips[0])
    tracker.close()
    assert estimator.layout == "holistic543" and {n: p.shape[1:] for n, p in found.items()} == estimator.parts
    assert sum(points for points, _ in estimator.parts.values()) == get_layout(estimator.layout).num_points
    assert all(part.dtype == np.float32 for part in found.values())
    assert np.isfinite(found["pose"]).all() and np.isfinite(found["face"]).all()
    assert np.isnan(found["left_hand"]).all() and np.isnan(found["right_hand"]).all()
    visibility = found["pose"][..., 3]
    assert (visibility >= 0).all() and (visibility <= 1).all() and visibility[:, 0].min() > 0.9
    nose = found["pose"][:, 0, :2]  # between the middle of the portrait and its hat, in every frame
    middle = (10 + 4 * np.arange(FRAMES) + 90) / 320
    assert np.abs(nose[:, 0] - middle).max() < 0.08 and np.abs(nose[:, 1] - 0.35).max() < 0.1
    left, right = (found["pose"][:, i, 0] for i in (11, 12))
    assert (left > right).all()  # the signer's left
    assert capfd.readouterr().err == ""  # MediaPipe's own messages


def test_nothing_leaks_from_the_clip_before(estimator, clips):
    def alone(clip):
        fresh = make_estimator("holistic")
        tracker = fresh.new_tracker()
        found = follow(tracker, clip)
        tracker.close()
        fresh.close()
        return found

    first, second = alone(clips[0]), alone(clips[1])
    one = estimator.new_tracker()
    assert same(follow(one, clips[0]), first)
    carried = follow(one, clips[1])
    one.close()
    assert not same(carried, second)  # as it would be with one tracker for all
    after = estimator.new_tracker()  # the same one, reset
    beside = estimator.new_tracker()
    found = [(after(a), beside(b)) for a, b in zip(clips[1], clips[0])]
    after.close()
    beside.close()
    for index, expected in enumerate((second, first)):
        assert same({name: np.stack([f[index][name] for f in found]) for name in expected}, expected)


def test_pictures_without_a_person(estimator):
    tracker = estimator.new_tracker()
    found = tracker(np.zeros((120, 160, 3), np.uint8))
    tracker.close()
    assert all(np.isnan(part).all() for part in found.values())


def test_a_refined_face_and_the_world_by_option(clips):
    estimator = make_estimator("holistic", face=478, world=True)
    tracker = estimator.new_tracker()
    found = follow(tracker, clips[0][:2])
    tracker.close()
    estimator.close()
    assert estimator.layout == "holistic553" and found["face"].shape == (2, 478, 3)
    assert found["pose_world"].shape == (2, 33, 4) and np.isfinite(found["pose_world"]).all()
    hips = found["pose_world"][:, 23:25, :3].mean(axis=1)
    assert np.abs(hips).max() < 0.05  # metres, from between the hips
    assert estimator.about["face"] == 478 and estimator.about["world"] and estimator.about["mediapipe"] == "0.10.21"


def test_a_video_gives_what_its_pictures_give(tmp_path, estimator, clips):
    folder = tmp_path / "a"
    folder.mkdir()
    for i, image in enumerate(clips[0]):
        cv2.imwrite(str(folder / f"{i}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    (extracted,) = extract_spans(folder, [Span("a")], estimator, fps=25)
    tracker = estimator.new_tracker()
    assert same(extracted.parts, follow(tracker, clips[0]))
    tracker.close()
    assert extracted.problems == ("no hands: no hand found in any frame",)
    nobody = made.numbered_video(tmp_path / "a.mp4", 3)
    (extracted,) = extract_spans(nobody, [Span("a")], estimator)
    assert extracted.problems == ("nobody: no person found in any frame",)


def test_two_people_are_counted_and_a_face_in_the_background_is_not(tmp_path, estimator, portrait, capfd):
    one = np.full((240, 480, 3), 120, np.uint8)
    one[10:220, 20:200] = cv2.resize(portrait, (180, 210))
    background, two = one.copy(), one.copy()
    background[20:90, 340:400] = cv2.resize(portrait, (60, 70))
    two[10:220, 260:440] = cv2.resize(portrait, (180, 210))
    assert [estimator.count_people(image) for image in (one, background, two, np.zeros_like(one))] == [1, 1, 2, 0]
    path = made.write_video(tmp_path / "a.mp4", [two[..., ::-1]] * 3)
    (extracted,) = extract_spans(path, [Span("a")], estimator)
    expected = "several people: 2 faces in 1 of 1 pictures that were asked for it; one of them was followed"
    assert expected in extracted.problems
    assert capfd.readouterr().err == ""


def test_what_there_is_not(capfd):
    with pytest.raises(AslError, match="no estimator 'holystic'; did you mean 'holistic'"):
        make_estimator("holystic")
    with pytest.raises(AslError, match="a face of 70 points"):
        make_estimator("holistic", face=70)


def test_messages_that_are_not_known_are_passed_on(capfd):
    import os
    import re

    messages = NativeMessages(re.compile("known"))
    with messages.kept():
        os.write(2, b"known: one\nother\nknown: two\nno end")
    messages.close()
    assert messages.lines == ["known: one", "known: two"] and capfd.readouterr().err == "other\nno end"


def test_two_threads_keep_their_messages_apart_and_give_standard_error_back(capfd):
    """One decodes ahead while the other makes a tracker: a process has but one standard error."""
    import os
    import re
    import threading

    keepers = {word: NativeMessages(re.compile(word)) for word in ("ffmpeg", "mediapipe")}

    def talk(word):
        for _ in range(200):
            with keepers[word].kept():
                os.write(2, f"{word} says\n".encode())

    threads = [threading.Thread(target=talk, args=(word,)) for word in keepers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(keeper.lines == [f"{word} says"] * 200 for word, keeper in keepers.items())
    os.write(2, b"the end\n")
    assert capfd.readouterr().err == "the end\n"


@pytest.mark.corpora
def test_the_owners_landmarks_come_out_again(corpora, estimator):
    """Of How2Sign's shortest clip; tests/bench/extract.py compares all that are there."""
    name, folder = "_15CDIexNDM_0-5-rgb_front", corpora / "how2sign"
    (extracted,) = extract_spans(folder / "clips" / f"{name}.mp4", [Span(name)], estimator)
    assert extracted.problems == ()
    with np.load(folder / "landmarks" / f"{name}.npz") as theirs:
        for part, array in extracted.parts.items():
            assert array.shape == theirs[part].shape
            np.testing.assert_array_equal(np.isfinite(array), np.isfinite(theirs[part]))
            assert np.nanmean(np.abs(array - theirs[part].astype(np.float32))) <= 0.002
        assert (extracted.fps, extracted.width, extracted.height) == (theirs["fps"], theirs["width"], theirs["height"])
