"""The HMM baseline on sentences of places: what it recognises, chooses and refuses."""

from fractions import Fraction

import numpy as np
import pytest

from asl.common.ctm import TimedWord, write_timed
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.common.jsonl import read_jsonl
from asl.data.storage import make_cut, write_archive, write_cuts
from asl.lang.arpa import write_arpa
from asl.lang.ngram import estimate
from asl.tasks.hmm import Sentence, features, hmm

PLACES = {"A": (0.2, 0.2), "B": (0.8, 0.2), "C": (0.2, 0.8)}
TEXTS = ["A B", "B C A", "C B", "A C", "B A", "C A B", "A A C"]


@pytest.fixture
def data(tmp_path):
    """Two signers, the second of twice the size; a word is a place of both hands for six frames."""
    rng, timed = np.random.default_rng(0), {}
    for split, texts in (("train", TEXTS * 2), ("val", ["B C", "C A", "A B C"])):
        clips, rows = [], []
        for number, text in enumerate(texts):
            key, size = f"{split}{number}", 1 + number % 2
            track, timed[key] = [(0.5, 0.5)] * 3, []
            for word in text.split():
                timed[key].append(TimedWord(word, len(track) / 30, 0.2))
                track += [PLACES[word]] * 6 + [(0.5, 0.5)] * 2
            hands = np.array(track) * 0.3 * size + rng.normal(0, 0.01, (len(track), 2))
            array = np.stack([np.full_like(hands, 0.1), hands + 0.1, hands + 0.15], axis=1).astype(np.float32)
            array[5, 1] = np.nan  # a hand that was not found for a frame
            row = {"id": key, "recording_id": key, "start": 0.0, "duration": len(track) / 30, "channel": 0, "text": text,
                   "speaker": f"s{number % 2}"}  # fmt: skip
            clips.append((key, array))
            rows.append(make_cut({"id": key}, row, array, Fraction(30), "nose_wrists3", "landmarks.h5"))
        write_archive(tmp_path / f"data/{split}/landmarks.h5", clips)
        write_cuts(tmp_path / f"data/{split}/cuts.jsonl.gz", rows)
    write_timed(tmp_path / "words.ctm", timed)
    write_arpa(tmp_path / "2.arpa", estimate([t.split() for t in TEXTS], 2, "witten-bell").lm)
    write_arpa(tmp_path / "3.arpa", estimate([t.split() for t in TEXTS], 3, "witten-bell").lm)
    return tmp_path


def test_places_that_are_far_apart_are_recognised(data):
    hmm(str(data / "words.ctm"), str(data / "2.arpa"), str(data / "data"), out=str(data / "out"))
    rows = {row["id"]: row["text"] for row in read_jsonl(data / "out/hyp.jsonl")}
    assert rows == {"val0": "B C", "val1": "C A", "val2": "A B C"}
    options = read_json(data / "out/decode.json")["options"]
    errors = options["errors_inside_train"]
    assert options["lm_scale"] in map(float, errors) and errors[str(options["lm_scale"])] == min(errors.values())


def test_features_have_the_signers_mean_and_spread():
    rng = np.random.default_rng(0)
    training = [Sentence(f"t{n}", [], f"s{n % 2}", rng.normal(n % 2, 1 + n % 2, (40, 4)), None) for n in range(4)]
    for speaker in ("s0", "s1"):
        own = np.concatenate([x for s, x in zip(training, features(training, training)) if s.speaker == speaker])
        assert own[:, :4].mean(axis=0) == pytest.approx(0, abs=1e-9) and own[:, :4].std(axis=0) == pytest.approx(1)
    x = features(training[:1], training)[0]
    assert x[5, 4:] == pytest.approx((x[6, :4] - x[4, :4]) / 2)
    stranger = Sentence("x", [], "new", np.zeros((3, 4)), None)
    assert np.isfinite(features([stranger], training)[0]).all()


def test_what_does_not_fit_is_refused(data):
    with pytest.raises(AslError, match="order 3"):
        hmm(str(data / "words.ctm"), str(data / "3.arpa"), str(data / "data"))
    write_timed(data / "other.ctm", {"x": [TimedWord("A", 0, 1)]})
    with pytest.raises(AslError, match="no clip of"):
        hmm(str(data / "other.ctm"), str(data / "2.arpa"), str(data / "data"))
