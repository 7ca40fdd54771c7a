"""Videos: every frame once, upright, at its time; one clear sentence for what cannot be decoded, or ends too soon."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks.containers import missing_bytes
from asl.landmarks.frame_folders import list_frames
from asl.landmarks.video import CutShort, is_video, probe_video, read_frames
from tests.landmarks import made_videos as made


def numbers(frames):
    return [made.number_of(frame.image) for frame in frames]


def read_until_cut(path):
    """The frames that a file still has, and the error at its end."""
    frames = []
    with pytest.raises(CutShort) as caught:
        for frame in read_frames(path):
            frames.append(frame)
    return frames, str(caught.value)


@pytest.mark.parametrize("suffix", sorted(made.CODECS))
def test_containers(tmp_path, suffix):
    path = made.numbered_video(tmp_path / f"clip 01{suffix}")
    info = probe_video(path)
    assert (info.path, info.width, info.height, info.rotation) == (path, 160, 120, 0)
    assert (info.fps, info.frames, info.duration) == (25, 40, pytest.approx(1.6))
    frames = list(read_frames(path))
    assert [frame.index for frame in frames] == list(range(40)) == numbers(frames)
    assert [frame.time for frame in frames] == pytest.approx([i / 25 for i in range(40)], abs=6e-4)
    assert not any(frame.damaged for frame in frames) and missing_bytes(path) == 0
    assert is_video(path)


def test_pictures_are_rgb(tmp_path):
    blue = np.zeros((120, 160, 3), np.uint8)
    blue[..., 0] = 255
    path = made.write_video(tmp_path / "a.mp4", [blue] * 3)
    red, green, blue = next(read_frames(path)).image.reshape(-1, 3).mean(axis=0)
    assert blue > 240 and red < 15 and green < 15


@pytest.mark.parametrize("degrees, corner", [(0, (0, 0)), (90, (0, -1)), (180, (-1, -1)), (270, (-1, 0))])
def test_what_a_phone_notes_turns_the_pictures_upright_once(tmp_path, degrees, corner):
    path = made.numbered_video(tmp_path / "a.mp4", 3)
    made.turn(path, degrees)
    info = probe_video(path)
    frames = list(read_frames(path))
    assert info.rotation == degrees and numbers(frames) == [0, 1, 2]
    for image in (frame.image for frame in frames):
        assert image.shape == (info.height, info.width, 3) == ((160, 120, 3) if degrees % 180 else (120, 160, 3))
        bright = [at for at in ((0, 0), (0, -1), (-1, -1), (-1, 0)) if image[at].min() > 200]
        assert bright == [corner]


def test_frames_have_the_times_of_the_container(tmp_path):
    path = made.numbered_video(tmp_path / "a.mp4", 12)
    durations = [33, 34, 33, 100, 17, 33, 50, 33, 33, 34, 33, 33]
    made.set_durations(path, durations)
    frames = list(read_frames(path))
    assert numbers(frames) == list(range(12))
    np.testing.assert_allclose([f.time for f in frames], np.cumsum([0] + durations[:-1]) / 1000, atol=1e-6)


def test_pictures_that_nobody_wants_are_counted_and_not_converted(tmp_path):
    path = made.numbered_video(tmp_path / "a.mp4", 10)
    frames = list(read_frames(path, wanted=lambda time: time > 0.3))
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.image is None for frame in frames] == [True] * 8 + [False] * 2
    assert numbers(frames[8:]) == [8, 9]


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv", ".avi"])
@pytest.mark.parametrize("share", [0.6, 0.95])
def test_a_file_that_was_cut_short_is_told_after_its_last_frame(tmp_path, suffix, share, capfd):
    path = made.numbered_video(tmp_path / f"a{suffix}")
    if suffix == ".mp4":
        made.move_index_forward(path)
        assert numbers(read_frames(path)) == list(range(40))
    made.cut(path, share)
    capfd.readouterr()  # OpenCV's writer is not quiet
    frames, error = read_until_cut(path)
    assert 10 < len(frames) < 40 and numbers(frames)[:10] == list(range(10))
    assert error.startswith(f"{path}: cut short, ") and f"{len(frames)} of 40 frames are there" in error
    assert missing_bytes(path) > 0 and capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_file_whose_index_was_cut_off(tmp_path, suffix, capfd):
    path = made.numbered_video(tmp_path / f"a{suffix}")
    whole = path.read_bytes()
    made.cut(path, 0.5)
    with pytest.raises(AslError, match=r"cut short, \d+ bytes are missing; copy or download it again"):
        probe_video(path)
    path.write_bytes(whole[: whole.index(b"moov") - 4])  # at the end of a box
    with pytest.raises(AslError, match=r"cut short, its index \(moov\) is missing"):
        list(read_frames(path))
    assert capfd.readouterr().err == ""


def test_a_live_recording_says_nothing_and_is_counted(tmp_path):
    path = made.numbered_video(tmp_path / "a.webm", 30)
    made.make_live(path)
    info = probe_video(path)
    assert (info.frames, info.fps, info.duration) == (30, 25, pytest.approx(1.2, abs=0.01))
    assert missing_bytes(path) is None
    assert numbers(read_frames(path)) == list(range(30))


def test_frames_that_do_not_come_are_missed_where_no_byte_is(tmp_path):
    path = made.numbered_video(tmp_path / "a.avi", 80, 25)
    data = bytearray(path.read_bytes())
    for at in range(data.index(b"movi") + 4, data.index(b"idx1")):
        if at > len(data) // 4 and data[at : at + 4] == b"00dc":
            data[at : at + 4] = b"JUNK"
    path.write_bytes(data)
    frames, error = read_until_cut(path)
    assert missing_bytes(path) == 0 and len(frames) < 30 and "of 80 and 3.20 s can be decoded" in error


def test_damaged_frames_are_marked_and_the_decoder_is_quiet(tmp_path, capfd):
    rng = np.random.default_rng(0)
    path = made.write_video(tmp_path / "a.mp4", [rng.integers(0, 255, (120, 160, 3), np.uint8) for _ in range(20)])
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) // 2, 500):
        data[at] ^= 0xFF
    path.write_bytes(data)
    frames = list(read_frames(path))
    assert len(frames) == 20 and 0 < sum(frame.damaged for frame in frames) < 20 and not frames[0].damaged
    assert capfd.readouterr().err == ""


def test_what_is_no_video(tmp_path, capfd):
    cases = {"absent.mp4": None, "empty.mp4": b"", "text.mp4": b"this is no video\n" * 50, "zeros.webm": bytes(5000)}
    words = ["no such video", "empty file", "not a video that can be decoded", "not a video that can be decoded"]
    for (name, data), word in zip(cases.items(), words):
        if data is not None:
            (tmp_path / name).write_bytes(data)
        for read in (probe_video, lambda path: list(read_frames(path))):
            with pytest.raises(AslError) as caught:
                read(tmp_path / name)
            assert str(caught.value).startswith(f"{tmp_path / name}: {word}")
    assert capfd.readouterr().err == ""
    assert is_video("absent.MP4") and not is_video("a.npz") and not is_video(tmp_path)
    with pytest.raises(AslError, match="no numbered .png"):
        probe_video(tmp_path, Fraction(25))


# --- folders of frames ---


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
    folder = made.numbered_folder(tmp_path / "a", [1, 2, 3, 9, 10, 11, 4, 5, 6, 7, 8])
    (folder / "notes.txt").write_text("")
    (folder / ".frame12.png").write_bytes(b"")
    assert is_video(folder)
    info = probe_video(folder, Fraction(25))
    assert (info.width, info.height, info.fps, info.frames, info.duration) == (160, 120, 25, 11, 0.44)
    frames = list(read_frames(folder, Fraction(25)))
    assert numbers(frames) == list(range(1, 12)) and [f.time for f in frames] == [i / 25 for i in range(11)]
    with pytest.raises(AslError, match="does not say its rate"):
        probe_video(folder)


def test_names_of_phoenix_hold_three_numbers(tmp_path):
    name = "01April_2010_Thursday_heute.avi_pid0_fn{:06}-0.png"
    frames = list_frames(made.numbered_folder(tmp_path / "1", [7, 8, 9, 10], name))
    assert [path.name[-12:-6] for path in frames.paths] == ["000007", "000008", "000009", "000010"]
    assert frames.steps == (0, 1, 2, 3) and frames.missing == []


def test_missing_numbers_are_gaps_and_every_second_number_is_not(tmp_path):
    gap = list_frames(made.numbered_folder(tmp_path / "gap", [3, 4, 5, 8, 9]))
    assert gap.steps == (0, 1, 2, 5, 6) and gap.missing == [3, 4]
    assert [f.time for f in read_frames(tmp_path / "gap", Fraction(10))] == pytest.approx([0, 0.1, 0.2, 0.5, 0.6])
    second = list_frames(made.numbered_folder(tmp_path / "second", [1, 3, 5, 9]))
    assert second.steps == (0, 1, 2, 4) and second.missing == [3]
    assert list_frames(made.numbered_folder(tmp_path / "one", [5])).steps == (0,)


def test_folders_that_are_no_clip(tmp_path):
    two = made.numbered_folder(tmp_path / "two", [1, 2], "a{}.png")
    made.numbered_folder(tmp_path / "other", [1, 2], "b{}.png")
    for path in (tmp_path / "other").iterdir():
        path.rename(two / path.name)
    with pytest.raises(AslError, match=r"more than one series \(a1.png, b2.png\)"):
        list_frames(two)
    same = made.numbered_folder(tmp_path / "same", [1, 2], "{}.png")
    (same / "01.png").write_bytes((same / "1.png").read_bytes())
    with pytest.raises(AslError, match="two frames with one number"):
        list_frames(same)
    mixed = made.numbered_folder(tmp_path / "mixed", [1, 2])
    (mixed / "frame3.jpg").write_bytes(b"x")
    with pytest.raises(AslError, match=r"several kinds \(.jpg, .png\)"):
        list_frames(mixed)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share, words", [(0, "empty file"), (0.7, "cut short or not a picture")])
def test_a_picture_that_was_cut_short_is_named(tmp_path, suffix, share, words, capfd):
    folder = made.numbered_folder(tmp_path / "a", range(5), "{:03}." + suffix)
    made.cut(folder / f"003.{suffix}", share)
    with pytest.raises(AslError, match=words) as caught:
        list(read_frames(folder, Fraction(25)))
    assert str(folder / f"003.{suffix}") in str(caught.value) and capfd.readouterr().err == ""


def test_jpegs_are_turned_as_their_exif_data_say(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    data = cv2.imencode(".jpg", made.picture(3))[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"  # turn it by 90 degrees
    block = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (folder / "1.jpg").write_bytes(data[:2] + block + data[2:])
    image = next(read_frames(folder, Fraction(25))).image
    assert image.shape == (160, 120, 3) and image[0, -1].min() > 200
