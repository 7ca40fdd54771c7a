"""Films: a GIF and an MP4 last as long as the clip and show its frames."""

import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from asl.common.errors import AslError
from asl.landmarks.containers import missing_bytes
from asl.landmarks.movies import gif_times, write_gif, write_mp4
from asl.landmarks.video import probe_video, read_frames

RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60000, 1001)]


def cut(path):
    path.write_bytes(path.read_bytes()[:-300])
    return path


def pictures(count=10, size=(96, 64)):
    """Each a little brighter than the one before."""
    return [Image.new("RGB", size, (20 * k, 20 * k, 20 * k)) for k in range(count)]


@pytest.mark.parametrize("fps", RATES)
def test_a_gif_lasts_as_long_as_its_clip(fps):
    times = gif_times(100, fps)
    assert sum(ms for _, ms in times) == pytest.approx(1000 * 100 / fps, abs=20)
    assert all(ms >= 20 and ms % 10 == 0 for _, ms in times)
    assert [k for k, _ in times] == sorted({k for k, _ in times})
    clock = np.cumsum([0] + [ms for _, ms in times])
    late = [abs(t - 1000 * k / float(fps)) for t, (k, _) in zip(clock, times)]
    assert max(late) <= (10 if fps <= 50 else 25)  # nothing adds up
    assert len(times) == 100 or fps > 50


def test_a_gif_holds_the_frames(tmp_path):
    write_gif(tmp_path / "a.gif", pictures(), Fraction(25), 10)
    film = Image.open(tmp_path / "a.gif")
    levels, total = [], 0
    for k in range(film.n_frames):
        film.seek(k)
        total += film.info["duration"]
        levels.append(film.convert("L").getpixel((5, 5)))
    assert levels == [20 * k for k in range(10)] and total == 400
    same = [pictures()[3]] * 10  # alike neighbours become one frame, which lasts as long
    write_gif(tmp_path / "b.gif", same, Fraction(25), 10)
    assert Image.open(tmp_path / "b.gif").info["duration"] == 400


def test_an_mp4_has_the_rate_and_the_frames(tmp_path):
    write_mp4(tmp_path / "a.mp4", pictures(), Fraction(30000, 1001))
    info = probe_video(tmp_path / "a.mp4")
    assert (info.width, info.height, info.fps, info.frames) == (96, 64, Fraction(30000, 1001), 10)
    levels = [frame.image.mean() for frame in read_frames(tmp_path / "a.mp4")]
    np.testing.assert_allclose(levels, [20 * k for k in range(10)], atol=4)


def test_what_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(AslError, match="cannot write"):
        write_gif(tmp_path / "file" / "a.gif", pictures(), Fraction(25), 10)
    with pytest.raises(AslError, match="cannot write"):
        write_mp4(tmp_path / "file" / "a.mp4", pictures(), Fraction(25))

    def broken():
        yield pictures()[0]
        raise AslError("the video ends")

    with pytest.raises(AslError, match="the video ends"):
        write_mp4(tmp_path / "a.mp4", broken(), Fraction(25))
    # a disk that becomes full: OpenCV goes on and says nothing
    monkeypatch.setattr("asl.landmarks.movies.missing_bytes", lambda path: missing_bytes(cut(path)))
    with pytest.raises(AslError, match="a.mp4: it came out cut short; free space"):
        write_mp4(tmp_path / "a.mp4", pictures(), Fraction(25))
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(AslError, match=r"pip install 'asl\[video\]', or --to gif"):
        write_mp4(tmp_path / "a.mp4", pictures(), Fraction(25))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
