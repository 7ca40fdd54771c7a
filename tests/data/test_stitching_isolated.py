"""Pseudo-sentences of isolated signs: which words are signed, how clips are made to fit, what the new split holds."""

from fractions import Fraction

import numpy as np
import pytest
from lhotse import CutSet, validate

from asl.cli import main
from asl.common.ctm import read_timed
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.corpora import wlasl
from asl.corpora.synthetic import synthesize
from asl.data.importing import import_landmarks
from asl.data.segments import raised_span
from asl.data.stitching_frames import at_speed, convert, measure_frame, move, stand, travel
from asl.data.stitching_isolated import stitch_isolated
from asl.data.stitching_words import GlossFinder
from asl.data.storage import ArchiveReader, cut_fps, cut_layout, make_cut, open_cuts, write_archive, write_cuts
from asl.landmarks.layouts import get_layout


@pytest.mark.parametrize(
    "sentence, glosses, found, words",
    [
        ("Dance!", ["dance"], 1, 1),
        ("So, she's dancing", ["dance"], 1, 3),
        ("Thank you; I stopped trying dances.", ["thank_you", "stop", "try", "dance"], 5, 6),
        ("Don't go to bed \u2013 he went home", ["do", "go", "go"], 3, 7),
        ("we can't; children's feet", ["can", "child", "foot"], 3, 4),
        ("Bus, buses, glass", ["bus", "bus"], 2, 3),
        ("red ring; sing", [], 0, 3),
        ("...", [], 0, 0),
    ],
)
def test_words_are_found_by_the_rules(sentence, glosses, found, words):
    known = ["dance", "thank_you", "stop", "try", "do", "go", "can", "child", "foot", "bus", "e", "s", "r", "glas"]
    matched = GlossFinder(known).match(sentence)
    assert (matched.glosses, matched.found, matched.words) == (glosses, found, words)
    assert len(matched.lost) == words - found


def test_without_english_rules_words_are_taken_as_they_stand():
    finder = GlossFinder(["REGEN", "regen", "NORD_WEST", "WIND"], english=False)
    matched = finder.match("Im Nord West Regen und winds, Wind!")
    assert matched.glosses == ["NORD_WEST", "REGEN", "WIND"] and matched.lost == ["im", "und", "winds"]


def clip(frames, points=3, seed=0):
    return np.random.default_rng(seed).uniform(0.2, 0.8, (frames, points, 2)).astype(np.float32)


def test_lost_points_stay_lost_and_do_not_spread():
    array = clip(9)
    array[4, 1] = np.nan
    same = at_speed(array, 1.0)
    np.testing.assert_array_equal(same, array)
    slow = at_speed(array, 0.5)
    assert len(slow) == 18 and np.isfinite(slow[:, [0, 2]]).all() and 1 <= np.isnan(slow[:, 1, 0]).sum() <= 3
    assert len(at_speed(array, 100.0)) == 1


def test_hands_travel_from_where_they_were_found_last():
    before, after = clip(6), clip(6, seed=1)
    between = travel(before, after, 4)
    step = np.linalg.norm(np.diff(np.concatenate([before[-1:], between, after[:1]]), axis=0), axis=-1)
    assert between.shape == (4, 3, 2) and (step[0] < step[2]).all() and (step[-1] < step[2]).all()
    assert travel(before, after, 0).shape == (0, 3, 2)
    lost = before.copy()
    lost[-2:, 0], lost[:, 1] = np.nan, np.nan
    again = travel(lost, after, 4)
    assert np.isfinite(again[:, [0, 2]]).all() and np.isnan(again[:, 1]).all()
    np.testing.assert_array_equal(again[:, 2], between[:, 2])


def test_a_clip_in_another_layout_and_where_another_signer_stands():
    hands, body = get_layout("hands42"), get_layout("hands_body51")
    rng = np.random.default_rng(0)
    array = rng.uniform(0.3, 0.6, (20, 42, 3)).astype(np.float32)
    array[3, :21] = np.nan
    there = convert(array, hands, body)
    assert there.shape == (20, 51, 4) and np.isnan(there[:, :9]).all() and np.isnan(there[3, 9:30]).all()
    np.testing.assert_array_equal(there[:, 9:, :3], array)
    assert (there[4:, 9:, 3] == 1.0).all()
    flat = convert(rng.uniform(0, 1, (5, 3, 2)).astype(np.float32), get_layout("nose_wrists3"), body)
    assert (flat[:, 0, 2] == 0.0).all() and (flat[:, 0, 3] == 1.0).all()

    recorded = rng.uniform(0.5, 0.9, (30, 51, 4)).astype(np.float32)
    old, new = measure_frame([there], body, False), measure_frame([recorded], body, False)
    moved = move(there, body, old, new)
    again = measure_frame([moved], body, False)
    np.testing.assert_allclose(again.anchors.mean(0), new.anchors.mean(0), atol=1e-5)
    assert again.size == pytest.approx(new.size, rel=1e-4)
    still = stand(moved, hands, body, new)
    shoulder, elbow = body.points.index("left_shoulder"), body.points.index("left_elbow")
    np.testing.assert_allclose(still[:, shoulder], np.median(recorded[:, shoulder], axis=0)[None].repeat(20, 0))
    assert np.isnan(still[:, elbow]).all() and np.isnan(still[3, 9:30]).all()
    assert measure_frame([np.full_like(there, np.nan)], body, False) is None
    assert move(there, body, None, new) is there


@pytest.fixture(scope="module")
def signs(tmp_path_factory):
    """A data folder of 5 isolated signs, as the recipe of WLASL makes it."""
    folder = tmp_path_factory.mktemp("signs")
    synthesize(str(folder / "corpus"), signs=5, signers=4, clips_per_sign=8, seed=3)
    wlasl.prepare(str(folder / "corpus"), out=str(folder / "data"), subset=5)
    import_landmarks(str(folder / "data"))
    return folder / "data"


@pytest.fixture(scope="module")
def glosses(signs):
    return sorted({cut.supervisions[0].text for cut in open_cuts(signs, "train")})


@pytest.fixture
def data(tmp_path, glosses):
    """Four recorded sentences of two signers at 24 frames a second, in the layout of the signs, and a text."""
    rng, clips, rows = np.random.default_rng(0), [], []
    for i in range(4):
        array = rng.uniform(0.3, 0.7, (90, 42, 3)).astype(np.float16)
        row = {"id": f"r{i}", "recording_id": f"r{i}", "start": 0.0, "duration": 90 / 24, "channel": 0,
               "text": "One two three four five six.", "speaker": f"p{i % 2}"}  # fmt: skip
        clips.append((f"r{i}", array))
        rows.append(make_cut({"id": f"r{i}"}, row, array, Fraction(24), "hands42", "../landmarks/train.h5"))
    write_archive(tmp_path / "data/landmarks/train.h5", clips)
    write_cuts(tmp_path / "data/train/cuts.jsonl.gz", rows)
    a, b, c = (gloss.replace("_", " ") for gloss in glosses[:3])
    lines = [f"Now {a}, {b} & {c}!", f"The {c.upper()}?  {a}", "nothing of this at all", "", f"{b}, {b}, {b}"]
    (tmp_path / "text.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "data"


def stitched(data):
    return {cut.id: cut for cut in open_cuts(data, "train_stitched") if cut.id.startswith("stitched")}


def test_sentences_are_whole_and_their_signs_are_of_the_clips(signs, data, glosses, capsys):
    options = ["--source", str(signs), "--text", str(data.parent / "text.txt"), "--data", str(data)]
    assert main(["stitch", "isolated", *options, "--pace", "1", "--speed", "0", "--max-gap", "3"]) == 0
    cuts, times = stitched(data), read_timed(data / "train_stitched/signs.ctm")
    a, b, c = glosses[:3]
    said = {key: [w.word for w in words] for key, words in times.items()}
    assert list(said.values()) == [[a, b, c], [c, a], [b, b, b]]
    texts = [cut.supervisions[0].text for cut in cuts.values()]
    assert texts[0].startswith("Now ") and texts[1] == f"The {c.replace('_', ' ').upper()}? {a.replace('_', ' ')}"
    reader = ArchiveReader()
    source = {}
    for cut in open_cuts(signs, "train"):
        array = reader.read(cut).reshape(-1, 42, 3)
        first, last = raised_span(array, get_layout("hands42"))
        ratio = float(cut_fps(cut)) / 24
        source.setdefault(cut.supervisions[0].text, []).append(at_speed(array[first : last + 1], ratio))
    for key, cut in cuts.items():
        assert (cut_layout(cut), cut_fps(cut), cut.supervisions[0].speaker) == ("hands42", 24, None)
        array = reader.read(cut).reshape(-1, 42, 3).astype(np.float32)
        assert array.shape[0] == cut.num_frames and times[key][-1].end <= cut.duration + 1e-6
        for word, after in zip(times[key], times[key][1:]):
            assert 0 <= round((after.start - word.end) * 24) <= 3
        for word in times[key]:
            part = array[round(word.start * 24) : round(word.end * 24)]
            assert any(alike(part, clip) for clip in source[word.word]), (key, word)
    report = read_json(data / "train_stitched/stitched.json")
    assert (report["sentences_of_text"], report["sentences_used"], report["words"]) == (4, 3, 15)
    assert report["matched"] == 8 and report["without_a_sign"]["nothing"] == 1
    shown = capsys.readouterr().out
    assert "3 sentences stitched from" in shown and "1.00 times as fast as recorded, beside 4 recorded ones" in shown
    assert "3 of 4 sentences of the text have signs for 50% of their words or more" in shown


def alike(part, clip):
    """Whether one is the other in another place and size."""
    if part.shape != clip.shape or (np.isfinite(part) != np.isfinite(clip)).any():
        return False
    flat = [a[..., :2][np.isfinite(a[..., :2])].reshape(-1, 2).astype(np.float64) for a in (part, clip)]
    one, other = ((a - a.mean(0)) / (a - a.mean(0)).std() for a in flat)
    return bool(np.abs(one - other).max() < 0.02)


def test_the_split_is_lhotses_and_recorded_clips_stay_where_they_are(signs, data, monkeypatch):
    stitch_isolated(str(signs), str(data.parent / "text.txt"), str(data), count=7)
    every = {cut.id: cut for cut in open_cuts(data, "train_stitched")}
    assert len(every) == 11 and len(stitched(data)) == 7
    reader = ArchiveReader()
    for cut in open_cuts(data, "train"):
        np.testing.assert_array_equal(reader.read(every[cut.id]), reader.read(cut))
        assert every[cut.id].supervisions[0].text == cut.supervisions[0].text
    monkeypatch.chdir(data / "train_stitched")
    validate(CutSet.from_file("cuts.jsonl.gz"), read_data=True)
    keys = list(stitched(data))
    twice = [reader.read(every[key]) for key in (keys[0], keys[3])]  # the same sentence, other clips
    assert every[keys[0]].supervisions[0].text == every[keys[3]].supervisions[0].text
    assert twice[0].shape != twice[1].shape or not np.array_equal(*twice, equal_nan=True)
    stitch_isolated(str(signs), str(data.parent / "text.txt"), str(data), recorded=False)
    assert len(list(open_cuts(data, "train_stitched"))) == 3


def test_the_same_seed_stitches_the_same_and_more_begins_with_less(signs, data):
    for out, options in (("a", {}), ("b", {}), ("c", {"count": 5}), ("d", {"seed": 1})):
        stitch_isolated(str(signs), str(data.parent / "text.txt"), str(data), out=out, **options)
    for name in ("stitched-0000.h5", "signs.ctm", "cuts.jsonl.gz", "stitched.json"):
        assert (data / "a" / name).read_bytes() == (data / "b" / name).read_bytes()
    assert (data / "a/signs.ctm").read_text() != (data / "d/signs.ctm").read_text()
    assert (data / "c/signs.ctm").read_text().startswith((data / "a/signs.ctm").read_text())


def test_signs_are_joined_as_fast_as_recorded_sentences_are_signed(signs, data):
    # the recorded sentences have 15 frames a word
    report = stitch_isolated(str(signs), str(data.parent / "text.txt"), str(data), count=40, speed=0.0)
    assert 1.0 < report["pace"] < 3.0
    assert report["frames"] / 40 == pytest.approx(15 * report["words_used"] / 3, rel=0.25)


def test_mistakes_are_refused(signs, data, tmp_path):
    text = str(data.parent / "text.txt")
    (data / "val").mkdir()
    (data / "val/recordings.jsonl.gz").write_bytes(b"")
    for options, said in [
        ({"out": "train"}, "--out train: give the name of a new split"),
        ({"out": "val"}, "--out val: .*val/recordings.jsonl.gz says that this is a split of recorded clips"),
        ({"out": ".."}, "give the name of a new split"),
        ({"out": "../x"}, "give the name of a new split"),
        ({"text": "no.txt"}, "no.txt does not exist"),
        ({"count": 0}, "--count 0"),
        ({"least_matched": 1.5}, "--least-matched 1.5"),
        ({"source_split": "nothing"}, "nothing/cuts.jsonl.gz does not exist"),
        ({"least_matched": 1.0, "lemmas": "none", "text": str(tmp_path / "other.txt")}, "no sentence has signs in.*take signs whose"),
    ]:
        (tmp_path / "other.txt").write_text("quite other words\n")
        with pytest.raises(AslError, match=said):
            stitch_isolated(**{"source": str(signs), "text": text, "data": str(data), **options})
        assert not (data / "train_stitched/cuts.jsonl.gz").exists()
    face = np.zeros((5, 3, 2), np.float32)
    row = {"id": "x", "recording_id": "x", "start": 0.0, "duration": 5 / 24, "channel": 0, "text": "Hi."}
    write_archive(data / "landmarks/other.h5", [("x", face)])
    write_cuts(data / "other/cuts.jsonl.gz", [make_cut({"id": "x"}, row, face, Fraction(24), "nose_wrists3",
                                                       "../landmarks/other.h5")])  # fmt: skip
    with pytest.raises(AslError, match="nose_wrists3, which has no point of the isolated clips' hands42"):
        stitch_isolated(str(signs), text, str(data), split="other")
