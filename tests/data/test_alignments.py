"""Words' times of a CTM on cuts, in batches, and in stitched sentences."""

import numpy as np
import pytest
import torch
from lhotse import SupervisionSegment

from asl.common.ctm import TimedWord, read_timed, write_timed
from asl.common.errors import AslError
from asl.data.alignments import Alignments, frame_span, frame_tokens
from asl.data.module import LandmarkDataModule
from asl.data.segments import aligned_signs
from asl.data.storage import make_cut, open_cuts, write_archive, write_cuts
from asl.data.stitching import stitch
from asl.lang.arpa import write_arpa
from asl.lang.ngram import estimate
from asl.lang.prepare import write_lang
from asl.landmarks.pipeline import LandmarkPipeline

RATE = 30
TEXTS = {"u0": "RAIN TOMORROW", "u1": "TOMORROW SUN RAIN", "u2": "SUN RAIN"}


class Cut:
    """What is read of a cut."""

    def __init__(self, key, text, frames):
        self.id, self.num_frames, self.duration = key, frames, frames / RATE
        self.supervisions = [SupervisionSegment(key, key, 0.0, frames / RATE, text=text)]
        self.features = type("Features", (), {"frame_shift": 1 / RATE})


def timed(text, length=5, first=2):
    return [TimedWord(w, (first + i * length) / RATE, (length - 1) / RATE) for i, w in enumerate(text.split())]


@pytest.fixture
def data(tmp_path):
    """Three sentences of two signers in layout nose_wrists3, their CTM and a bigram of them."""
    from fractions import Fraction

    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        clips, rows = [], []
        for number, (key, text) in enumerate(TEXTS.items()):
            array = rng.uniform(0.2, 0.8, (20, 3, 2)).astype(np.float32)
            row = {"id": key, "recording_id": key, "start": 0.0, "duration": 20 / RATE, "channel": 0, "text": text,
                   "speaker": f"s{number % 2}"}  # fmt: skip
            clips.append((key, array))
            rows.append(make_cut({"id": key}, row, array, Fraction(RATE), "nose_wrists3", "../landmarks.h5"))
        write_archive(tmp_path / "data/landmarks.h5", clips)
        write_cuts(tmp_path / f"data/{split}/cuts.jsonl.gz", rows)
    write_lang(["RAIN", "TOMORROW", "SUN"], tmp_path / "data/lang")
    write_timed(tmp_path / "data/words.ctm", {key: timed(text) for key, text in TEXTS.items()})
    write_arpa(tmp_path / "data/G.arpa", estimate([t.split() for t in TEXTS.values()], 2, "witten-bell").lm)
    return tmp_path / "data"


def module(data, **options):
    pipeline = LandmarkPipeline("nose_wrists3", frames=None, trim=False, space=2)
    return LandmarkDataModule(pipeline, str(data), num_workers=0, alignments="words.ctm", **options)


def test_frames_get_the_token_of_their_word(data):
    cut = Alignments(data / "words.ctm").attach(Cut("u0", "RAIN TOMORROW", 14))
    assert aligned_signs(cut).tolist() == [0, 0, 1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 0, 0]
    assert frame_tokens(cut, {"RAIN": [4], "TOMORROW": [5, 6]}).tolist() == [0, 0, 4, 4, 4, 4, 0, 5, 5, 6, 6, 0, 0, 0]
    assert frame_tokens(cut, {"RAIN": [4]})[7:11].tolist() == [-1] * 4
    assert frame_tokens(Cut("x", "RAIN", 3), {}).tolist() == [-1] * 3


def test_spans_stay_inside_the_clip():
    assert frame_span(0.0, 0.001, 25, 10) == (0, 1)
    assert frame_span(9.0, 1.0, 25, 10) == (9, 10)


def test_an_alignment_of_other_words_or_beyond_the_clip_is_refused(data):
    alignments = Alignments(data / "words.ctm")
    with pytest.raises(AslError, match="clip u0 says 'RAIN TOMORROW', its transcript is 'SUN'"):
        alignments.attach(Cut("u0", "SUN", 14))
    with pytest.raises(AslError, match="TOMORROW of clip u0 ends"):
        alignments.attach(Cut("u0", "RAIN TOMORROW", 9))


def test_batches_hold_the_token_of_each_frame(data):
    batch = next(iter(module(data, segments=True).loader("train")))
    assert batch["frame_tokens"].shape == batch["features"].shape[:2] == batch["segments"].shape
    assert batch["frame_tokens"].dtype == torch.int64
    row = batch["ids"].index("u0")
    assert batch["frame_tokens"][row].tolist() == [0, 0, 1, 1, 1, 1, 0, 2, 2, 2, 2] + [0] * 9
    assert batch["segments"][row].tolist() == [0, 0, 2, 1, 1, 1, 0, 2, 1, 1, 1] + [0] * 9


def test_clips_without_an_alignment_are_counted_and_teach_no_times(data, capsys):
    write_timed(data / "words.ctm", {"u1": timed(TEXTS["u1"])})
    given = module(data)
    batch = next(iter(given.train_dataloader()))
    assert "train: 1 of 3 clips are aligned by" in capsys.readouterr().out
    known = {key: bool((row != -1).any()) for key, row in zip(batch["ids"], batch["frame_tokens"])}
    assert known == {"u0": False, "u1": True, "u2": False}
    write_timed(data / "words.ctm", {"other": timed("RAIN")})
    with pytest.raises(AslError, match="holds no clip of train"):
        module(data).cuts("train")


def test_stitched_sentences_are_made_of_the_splits_words(data, capsys):
    stitch(str(data / "words.ctm"), str(data / "G.arpa"), str(data), count=20, seed=1)
    cuts = {cut.id: cut for cut in open_cuts(data, "train_stitched")}
    words = read_timed(data / "train_stitched/align.ctm")
    assert len(cuts) == 23 and set(TEXTS) < set(cuts) and set(words) == set(cuts)
    for key, cut in cuts.items():
        text = cut.supervisions[0].text.split()
        assert [w.word for w in words[key]] == text and set(text) <= {"RAIN", "TOMORROW", "SUN"}
        assert words[key][-1].end <= cut.duration + 1e-6
        assert all(a.end <= b.start + 1e-6 for a, b in zip(words[key], words[key][1:]))
    assert "20 sentences stitched from 7 words (3 different) of 3 clips" in capsys.readouterr().out
    batch = next(iter(module(data, train_split="train_stitched").loader("train_stitched")))
    assert torch.isfinite(batch["features"]).all()


def test_the_same_seed_stitches_the_same(data):
    for out in ("a", "b"):
        stitch(str(data / "words.ctm"), str(data / "G.arpa"), str(data), out=out, count=5, seed=3)
    for name in ("landmarks.h5", "align.ctm", "cuts.jsonl.gz"):
        assert (data / "a" / name).read_bytes() == (data / "b" / name).read_bytes()


def test_without_speed_and_gaps_words_are_pasted_as_they_are(data):
    stitch(str(data / "words.ctm"), str(data / "G.arpa"), str(data), count=3, speed=0.0, max_gap=0, seed=2)
    from asl.data.storage import ArchiveReader

    reader = ArchiveReader()
    whole = np.concatenate([reader.read(c) for c in open_cuts(data, "train")])
    for cut in open_cuts(data, "train_stitched"):
        for row in reader.read(cut):
            assert (whole == row).all(axis=1).any()


@pytest.mark.parametrize("options, said", [({"count": 0}, "--count 0"), ({"uniform": 1.0}, "--uniform"),
                                           ({"lm": "no.arpa"}, "no.arpa"), ({"out": "train"}, "--out train"),
                                           ({"out": "val"}, "--out val: .* a split of recorded clips")])  # fmt: skip
def test_mistakes_are_refused(data, options, said):
    (data / "val").mkdir(exist_ok=True)
    (data / "val/recordings.jsonl.gz").write_bytes(b"")
    given = {"alignments": str(data / "words.ctm"), "lm": str(data / "G.arpa"), "data": str(data), **options}
    with pytest.raises(AslError, match=said):
        stitch(**given)
