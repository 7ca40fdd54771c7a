"""``asl show``: a stored clip as a strip, a GIF, an MP4, on white or over its video."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.data.clip_video import ClipVideo, find_recordings, find_video, frame_times, picture_size, pictures_at
from asl.data.showing import read_cut, show
from asl.landmarks.movies import write_mp4
from asl.landmarks.video import probe_video, read_frames


@pytest.fixture
def film(tmp_path):
    """A video of 2.5 s at 20 frames a second, each 5 brighter than the one before, 160 x 90."""
    path = tmp_path / "film.mp4"
    write_mp4(path, (Image.new("RGB", (160, 90), (5 * k,) * 3) for k in range(50)), Fraction(20))
    return path


def test_a_strip_a_gif_and_an_mp4(imported, tmp_path, monkeypatch, capsys):
    data = imported(train=2, val=1)
    monkeypatch.chdir(tmp_path)
    show("train001", str(data), "train", frames=4)
    assert (tmp_path / "train001.png").read_bytes().startswith(b"\x89PNG")
    assert "4 of 27 frames of train train001, on white; no file tells" in capsys.readouterr().out
    show("train001", str(data), "train", out="a/b.gif", height=64)  # its suffix says what is wanted
    gif, total = Image.open(tmp_path / "a/b.gif"), 0
    for k in range(gif.n_frames):
        gif.seek(k)
        total += gif.info["duration"]
    assert total == 27 * 40
    show("train001", str(data), "train", to="mp4", height=64)
    info = probe_video(tmp_path / "train001.mp4")
    assert (info.frames, info.fps) == (27, 25) and info.height > 64  # with its words


def test_over_a_video(imported, film, tmp_path):
    data = imported(train=1, val=1)
    show("train000", str(data), "train", to="mp4", out=str(tmp_path / "over.mp4"), video=str(film), height=180)
    frames = [f.image[40:200].astype(int) for f in read_frames(tmp_path / "over.mp4")]
    levels = [np.median(frame) for frame in frames]  # 20 frames at 25 a second, over a video of 20 a second
    np.testing.assert_allclose(levels, [5 * round(20 * k / 25) for k in range(20)], atol=8)
    assert max((abs(frame - np.median(frame)) > 60).mean() for frame in frames) > 0.01  # skeletons
    show("train000", str(data), "train", out=str(tmp_path / "over.png"), video=str(film))


def test_what_is_not_there_is_named(imported, film, tmp_path):
    data = str(imported(train=2, val=1))
    out = str(tmp_path / "a.png")
    with pytest.raises(AslError, match="no clip 'train01'; did you mean 'train001'"):
        show("train01", data, "train", out=out)
    with pytest.raises(AslError, match="test.*does not exist"):
        show("train001", data, "test", out=out)
    with pytest.raises(AslError, match="--height 8: give 32 to 4320"):
        show("train001", data, "train", out=out, height=8)
    with pytest.raises(AslError, match=r"come from .*train001.npy, which is no video, or gone; give its video"):
        show("train001", data, "train", out=out, over_video=True)
    with pytest.raises(AslError, match="its video gone.mp4 is not there"):
        show("train001", data, "train", out=out, video="gone.mp4")
    with pytest.raises(AslError, match="--out a.gif is no name for --to mp4, whose files end in .mp4"):
        show("train001", data, "train", out="a.gif", to="mp4")
    assert set(find_recordings(data, "train", ["train001", "x"])) == {"train001"}
    assert find_recordings(data, "nowhere", ["train001"]) == {}
    assert not (tmp_path / "a.png").exists()


def test_the_picture_nearest_in_time_is_taken_and_the_video_must_go_on(film):
    own = np.array([frame.image.mean() for frame in read_frames(film)])

    def shown(times):
        pictures = pictures_at(ClipVideo(film, None, np.array(times)), times)
        return [int(abs(own - picture.mean()).argmin()) for picture in pictures]

    assert shown([0.0, 0.051, 0.06, 0.1, 1.3]) == [0, 1, 1, 2, 26]
    assert shown([1.0, 1.0, 2.45, 2.6]) == [20, 20, 49, 49]
    with pytest.raises(AslError, match="ends at 2.45 s, but the clip goes on to 3.00 s: is it the clip's video"):
        shown([2.0, 3.0])


def test_the_video_of_a_recording_is_found_with_its_times(imported, film, tmp_path):
    """The landmarks' own times where they were extracted; else what stage 1 wrote of the span."""
    data = imported(train=1, val=1)
    cut, array, _ = read_cut(str(data), "train", "train000")
    frames = len(array)
    recording = dict(next(read_jsonl(data / "train/recordings.jsonl.gz")), sources=[{"source": str(film)}])
    assert find_video(cut, frames, recording, data, "train").path == film
    assert frame_times(cut, frames, data)[:3] == pytest.approx([0, 0.04, 0.08])
    cut.supervisions[0].custom["source_frames"] = [50, 70]
    assert frame_times(cut, frames, data)[0] == pytest.approx(2)
    cut.supervisions[0].custom["source_times"] = [1.5, 2.3]
    assert frame_times(cut, frames, data)[1] == pytest.approx(1.54)
    own = np.linspace(3, 4, frames)
    (data / "landmarks/clips").mkdir()
    np.savez(data / "landmarks/clips/train000.npz", times=own, width=160, height=90)
    assert find_video(cut, frames, recording, data, "train").times == pytest.approx(own)
    assert picture_size("train000", recording, data, "train") == (160, 90)
    assert picture_size("other", recording, data, "train") == (160, 90)  # the film's own
    assert picture_size("other", None, data, "train") is None


def test_a_folder_of_frames_has_the_rate_of_its_recording(imported, tmp_path):
    data = imported(train=1, val=1)
    cut, array, _ = read_cut(str(data), "train", "train000")
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(3):
        Image.new("RGB", (40, 30), (80 * k, 0, 0)).save(folder / f"{k:04d}.png")
    recording = {"sampling_rate": 30_000, "sources": [{"source": str(folder)}]}
    found = find_video(cut, len(array), recording, data, "train")
    assert found.fps == Fraction(30_000, 1001)
    assert [image[0, 0, 0] for image in pictures_at(found, [0.0, 2 * 1001 / 30_000])] == [0, 160]
    with pytest.raises(AslError, match="are of no recording that is known; give its video by --video"):
        find_video(SimpleNamespace(id="stitched"), 3, None, data, "train")
