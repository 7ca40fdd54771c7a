"""Clips out of one video: every frame in its clips and once decoded, a tracker a clip, a constant grid of time."""

import contextlib
import threading
import time
from fractions import Fraction

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.landmarks import spans as module
from asl.landmarks.npz_files import read_about, write_npz
from asl.landmarks.reading import probe, read_landmarks
from asl.landmarks.spans import PROBLEMS, Span, extract_spans
from asl.landmarks.time_grid import NOT_KNOWN, Picker, constant_grid
from tests.landmarks import made_videos as made


class Counter:
    """An estimator whose landmarks say which picture they are of, and how many its tracker saw before."""

    layout = "holistic543"
    about = {"estimator": "counter"}
    parts = {"pose": (33, 4), "face": (468, 3), "left_hand": (21, 3), "right_hand": (21, 3)}

    def __init__(self, hands=True, fails_at=None):
        self.hands, self.fails_at = hands, fails_at
        self.open = self.made = self.most = 0

    def new_tracker(self):
        self.made, self.open = self.made + 1, self.open + 1
        self.most = max(self.most, self.open)
        return CountingTracker(self)

    def close(self):
        pass


class CountingTracker:
    def __init__(self, estimator):
        self.estimator, self.seen = estimator, 0

    def __call__(self, image):
        number = made.number_of(image)
        if number == self.estimator.fails_at:
            raise RuntimeError("graph has errors")
        found = {name: np.full(shape, number, np.float32) for name, shape in self.estimator.parts.items()}
        found["pose"][:, 1] = self.seen
        if not self.estimator.hands:
            found["left_hand"][:] = found["right_hand"][:] = np.nan
        self.seen += 1
        return found

    def close(self):
        self.estimator.open -= 1


@pytest.fixture
def video(tmp_path):
    """40 frames, 25 a second."""
    return made.numbered_video(tmp_path / "a.mp4")


def pictures(extracted):
    """Which pictures the rows were found in; None: not known."""
    return [None if np.isnan(row) else int(row) for row in extracted.parts["pose"][:, 0, 0]]


def run(path, *spans, estimator=None, **options):
    estimator = estimator or Counter()
    done = list(extract_spans(path, [Span(*span) for span in spans], estimator, **options))
    assert estimator.open == 0
    for extracted in done:
        assert all(problem.split(":")[0] in PROBLEMS for problem in extracted.problems), extracted.problems
    return {extracted.id: extracted for extracted in done}


def test_a_whole_video(video):
    clip = run(video, ("a",))["a"]
    assert pictures(clip) == list(range(40)) and clip.fps == 25 and (clip.width, clip.height) == (160, 120)
    assert {name: part.shape[1:] for name, part in clip.parts.items()} == Counter.parts
    assert all(part.dtype == np.float32 for part in clip.parts.values()) and clip.times.dtype == np.float64
    np.testing.assert_allclose(clip.times, np.arange(40) / 25, atol=1e-6)
    assert clip.decoded == 40 and clip.problems == ()


def test_spans_share_one_decoding_and_have_a_tracker_each(video):
    calls, estimator = [], Counter()
    spans = [("late", 1.0, 1.2), ("early", 0.2, 0.6), ("over", 0.4, 1.08), ("inside", 0.44, 0.52)]
    done = run(video, *spans, estimator=estimator, new_frame=lambda: calls.append(1))
    assert list(done) == ["inside", "early", "over", "late"]  # each as soon as it is over
    expected = {"early": range(5, 15), "over": range(10, 27), "inside": range(11, 13), "late": range(25, 30)}
    for name, frames in expected.items():
        assert pictures(done[name]) == list(frames)
        assert list(done[name].parts["pose"][:, 0, 1]) == list(range(len(frames)))  # its tracker saw no other clip
        np.testing.assert_allclose(done[name].times, np.array(frames) / 25, atol=1e-6)
    assert {name: clip.decoded for name, clip in done.items()} == {"inside": 13, "early": 15, "over": 27, "late": 30}
    assert (estimator.made, estimator.most, len(calls)) == (4, 3, 34)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])  # mkv rounds to milliseconds
def test_adjoining_spans_share_no_frame_and_lose_none(tmp_path, suffix):
    path = made.numbered_video(tmp_path / f"a{suffix}", 40, 30000 / 1001)
    for shift in (0.0, 0.0005, -0.0005):
        bounds = [i * 8 * 1001 / 30000 + shift for i in range(1, 5)]
        done = run(path, *((str(i), a, b) for i, (a, b) in enumerate(zip([None] + bounds, bounds + [None]))))
        assert [pictures(done[str(i)]) for i in range(5)] == [list(range(i * 8, i * 8 + 8)) for i in range(5)]
    assert done["0"].fps == Fraction(30000, 1001)


def test_decoding_is_given_up_with_the_generator(video):
    estimator = Counter()
    clips = extract_spans(video, [Span("a", 0, 0.4), Span("b", 0.2, 1.0)], estimator)
    assert next(clips).id == "a" and estimator.open == 1
    assert any(thread.name.startswith("decoding") for thread in threading.enumerate())
    clips.close()
    assert estimator.open == 0
    assert not any(thread.name.startswith("decoding") for thread in threading.enumerate())


@pytest.fixture
def through(monkeypatch):
    """``through(change)``: the frames of a video are from now on what ``change(frames)`` yields."""
    opened = module.open_video

    def put(change):
        @contextlib.contextmanager
        def changed(path, fps):
            with opened(path, fps) as video:
                read = video.frames
                video.frames = lambda wanted: change(read(wanted))
                yield video

        monkeypatch.setattr(module, "open_video", changed)

    return put


def test_decoding_goes_ahead_of_the_estimator_and_no_further_than_it_may(video, through):
    """What is decoded while the estimator is busy is bounded: frames are large, and videos long."""
    decoded, seen, ahead = [], [], []

    def counted(frames):
        for frame in frames:
            decoded.append(frame.index)
            yield frame

    class Slow(CountingTracker):
        def __call__(self, image):
            time.sleep(0.01)
            seen.append(made.number_of(image))
            ahead.append(len(decoded) - len(seen))
            return super().__call__(image)

    estimator = Counter()
    estimator.new_tracker = lambda: Slow(estimator)
    estimator.open = 1
    through(counted)
    done = run(video, ("a",), estimator=estimator)
    assert seen == list(range(40)) == pictures(done["a"])
    assert max(ahead) == module._AHEAD


def test_errors_of_the_decoder_come_after_the_frames_before_them(video, through):
    def broken(frames):
        for frame in frames:
            if frame.index == 20:
                raise AslError("frame 20 cannot be converted")
            yield frame

    through(broken)
    estimator = Counter()
    clips = extract_spans(video, [Span("early", 0, 0.6), Span("late", 0.7, 1.6)], estimator)
    assert pictures(next(clips)) == list(range(15))
    with pytest.raises(AslError, match="frame 20 cannot be converted"):
        next(clips)
    assert estimator.open == 0


def test_spans_past_the_end(video):
    done = run(video, ("ends", 1.2, 2.0), ("begins", 1.7, 2.0), ("by a frame", 1.2, 1.64), ("between", 0.405, 0.42))
    assert pictures(done["ends"]) == list(range(30, 40))
    assert done["ends"].problems == ("past the end: ends at 2.00 s, the video has 1.60 s",)
    assert done["begins"].problems == ("past the end: begins at 1.70 s, the video has 1.60 s, its last frame at 1.56 s",)
    assert done["begins"].parts == {} and len(done["begins"].times) == 0
    assert done["by a frame"].problems == ()
    assert len(done["between"].times) == 0 and done["between"].problems[0].startswith("no frames: none between 0.405 s")


@pytest.mark.parametrize("span", [(1.0, 1.0), (1.0, 0.5), (-1.0, 0.5), (float("nan"), 1.0)])
def test_spans_without_length_are_refused(video, span):
    with pytest.raises(AslError, match="clip x goes from .*its end has to be after its start"):
        run(video, ("x", *span))


def test_a_video_that_was_cut_short_costs_the_clips_at_its_end(tmp_path):
    path = made.numbered_video(tmp_path / "a.webm")
    made.cut(path, 0.6)
    done = run(path, ("whole",), ("first", 0.0, 0.4), ("later", 1.2, 1.6))
    assert done["first"].problems == () and pictures(done["first"]) == list(range(10))
    frames = len(done["whole"].times)
    assert 15 < frames < 35
    (problem,) = done["whole"].problems
    assert problem.startswith("cut short: ") and f"{frames} of 40 frames are there" in problem
    assert len(done["later"].times) == 0 and done["later"].problems == done["whole"].problems


def test_what_is_seen_on_the_way_is_said(tmp_path, video, monkeypatch):
    assert run(video, ("a",), estimator=Counter(hands=False))["a"].problems == ("no hands: no hand found in any frame",)
    monkeypatch.setattr(module, "_SMALLEST", 200)
    assert run(video, ("a",))["a"].problems[0].startswith("size: a picture of 160 x 120 pixels is too small")
    slow = made.numbered_video(tmp_path / "slow.mp4", 10, 5)
    assert run(slow, ("a",))["a"].problems[0] == "rate: 5 frames a second is not between 10 and 120"


def test_pictures_of_several_sizes(tmp_path):
    import cv2

    folder = made.numbered_folder(tmp_path / "a", range(4))
    cv2.imwrite(str(folder / "frame4.png"), made.picture(4, (200, 160)))
    (problem,) = run(folder, ("a",), fps=Fraction(25))["a"].problems
    assert problem == "size: it changes: 160 x 120, 200 x 160 pixels"


def test_what_stops_the_estimator_is_named(video):
    estimator = Counter(fails_at=7)
    with pytest.raises(AslError, match=r"a.mp4: the estimator failed on frame 7 of clip b \(graph has errors\)"):
        run(video, ("b",), estimator=estimator)
    assert estimator.open == 0


# --- time ---


def test_a_rate_that_varies_is_put_on_a_grid(tmp_path):
    path = made.numbered_video(tmp_path / "a.mp4", 30)
    durations = [33] * 10 + [100] * 5 + [33] * 15  # 30 frames a second, ten while the light was low
    made.set_durations(path, durations)
    clip = run(path, ("a",))["a"]
    assert clip.fps == 30 and clip.problems == ("variable rate: put on a grid of 30 frames a second",)
    times = np.cumsum([0] + durations[:-1]) / 1000
    grid = np.arange(len(clip.times)) / 30
    assert len(grid) == round((times[-1] + 1 / 30) * 30)
    assert pictures(clip) == [int(np.abs(times - t).argmin()) for t in grid]
    np.testing.assert_allclose(clip.times, times[pictures(clip)], atol=1e-6)


def test_times_that_jitter_within_half_a_frame_move_nothing(tmp_path):
    path = made.numbered_video(tmp_path / "a.mp4", 30)
    made.set_durations(path, [33, 36, 31, 29, 38, 33] * 5)
    clip = run(path, ("a",))["a"]
    assert pictures(clip) == list(range(30)) and clip.problems == ()
    assert np.diff(clip.times).std() > 0.001 and abs(float(clip.fps) - 30) < 0.2


@pytest.mark.parametrize("step", [1, 2, 5])
def test_frames_that_another_rate_does_not_need_are_not_looked_at(video, step):
    looked, rate, frames = [], Fraction(25, step), range(0, 40, step)
    clip = run(video, ("a",), rate=rate, new_frame=lambda: looked.append(1))["a"]
    assert clip.fps == rate and pictures(clip) == list(frames) and len(looked) == len(frames) and clip.problems == ()


@pytest.mark.parametrize("rate", [Fraction(10), Fraction(15), Fraction(24), Fraction(30), Fraction(50)])
def test_rows_of_another_rate_are_the_nearest_frames(video, rate):
    clip = run(video, ("a", 0.4, 1.2), rate=rate)["a"]
    grid = 0.4 + np.arange(round(0.8 * rate)) / float(rate)
    apart = np.abs(clip.times - grid)
    assert len(clip.times) == len(grid) and clip.fps == rate
    np.testing.assert_allclose(apart, [np.abs(np.arange(10, 30) / 25 - t).min() for t in grid], atol=1e-6)


def test_frames_that_are_missing_in_a_folder_are_not_known(tmp_path):
    folder = made.numbered_folder(tmp_path / "a", [0, 1, 2, 5, 6, 7, 9])
    clip = run(folder, ("a",), fps=Fraction(25))["a"]
    assert pictures(clip) == [0, 1, 2, None, None, 5, 6, 7, None, 9]
    assert clip.problems == ("missing frames: 3 of 10 numbers have no picture",)
    assert all(np.isnan(part[3]).all() for part in clip.parts.values())
    np.testing.assert_allclose(clip.times, np.arange(10) / 25)
    half = run(folder, ("a",), fps=Fraction(25), rate=Fraction(25, 2))["a"]
    np.testing.assert_allclose(half.times, np.arange(5) / 12.5, atol=0.0401)  # half a row at most


def test_frames_that_are_missing_at_the_edge_of_a_span_are_not_known_either(tmp_path):
    folder = made.numbered_folder(tmp_path / "a", [n for n in range(20) if n not in (5, 6, 11, 12)])
    spans = [("begins", 0.2, 0.4), ("ends", 0.28, 0.52), ("both", 0.2, 0.52), ("whole", 0.52, None), ("past", 0.6, 2.0)]
    done = run(folder, *spans, fps=Fraction(25))
    assert pictures(done["begins"]) == [None, None, 7, 8, 9]
    assert pictures(done["ends"]) == [7, 8, 9, 10, None, None]
    assert pictures(done["both"]) == [None, None, 7, 8, 9, 10, None, None]
    assert pictures(done["whole"]) == list(range(13, 20)) and done["whole"].problems == ()
    assert pictures(done["past"]) == list(range(15, 20))  # no numbers that the folder does not come to
    assert done["both"].problems == ("missing frames: 4 of 8 numbers have no picture",)
    np.testing.assert_allclose(done["both"].times, np.arange(5, 13) / 25)


def test_a_wrong_rate_in_the_header_is_told_by_the_frames(tmp_path):
    times = np.arange(60) / 30
    grid = constant_grid(times, Fraction(25))
    assert grid.constant and grid.own == grid.fps == 30 and list(grid.rows) == list(range(60))


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), 25, Fraction(30000, 1001), 50, Fraction(359, 12), 15])
def test_rates_survive_rounding_to_milliseconds(fps):
    times = np.round(np.arange(200) / float(fps), 3)
    grid = constant_grid(times, Fraction(fps))
    assert grid.constant and grid.fps == fps and len(grid.rows) == 200


@pytest.mark.parametrize("fps, rate", [(30, 25), (60, 30), (30, 20), (50, 25), (60, 25), (30, 7), (29.97, 24)])
def test_the_picker_looks_at_no_more_than_it_needs_and_loses_no_time(fps, rate):
    times = np.arange(300) / fps
    picker, looked = Picker(Fraction(rate), Fraction(fps)), []
    for i, time in enumerate(times):
        if picker.wants(time):
            picker.take(time)
            looked.append(i)
    assert len(looked) == pytest.approx(300 * rate / fps, abs=2)
    grid = constant_grid(times, Fraction(fps).limit_denominator(1001), Fraction(rate), looked=np.array(looked))
    wanted = np.arange(len(grid.rows)) / rate
    assert np.abs(grid.times - wanted).max() <= 0.5 / fps + 1e-6 and NOT_KNOWN not in grid.rows


# --- files ---


def test_what_was_extracted_is_read_as_how2sign_is(tmp_path):
    path = made.numbered_video(tmp_path / "a.mp4", 12, 30000 / 1001)
    clip = run(path, ("a",), estimator=Counter(hands=False))["a"]
    write_npz(tmp_path / "a.npz", clip, {"source": "a.mp4", "span": [None, 1.5], "sign": "Käse"})
    assert probe(tmp_path / "a.npz") == (12, Fraction(30000, 1001))
    read = read_landmarks(tmp_path / "a.npz")
    assert (read.layout, read.fps, read.width, read.height) == ("holistic543", Fraction(30000, 1001), 160, 120)
    np.testing.assert_array_equal(read.array[:, :33], clip.parts["pose"])
    assert np.isnan(read.array[:, 501:]).all() and read.array.dtype == np.float32
    with np.load(tmp_path / "a.npz") as data:
        np.testing.assert_array_equal(data["times"], clip.times)
    assert read_about(tmp_path / "a.npz") == {"source": "a.mp4", "span": [None, 1.5], "sign": "Käse"}
    whole = (tmp_path / "a.npz").read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"no archive"):
        (tmp_path / "b.npz").write_bytes(data)
        assert read_about(tmp_path / "b.npz") is None
    assert read_about(tmp_path / "c.npz") is None
