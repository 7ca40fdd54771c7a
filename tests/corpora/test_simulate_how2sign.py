"""How2Sign simulated: the owner's val and test to the byte, train as long as they are, exactly the frames, a label."""

import csv
import json

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.corpora import how2sign
from asl.corpora.simulate_how2sign import cut_motion, simulate_how2sign
from asl.corpora.synthetic import MARKER
from asl.landmarks.reading import probe

SECONDS = {"val": [0.02, 1.0, 2.5], "test": [0.5, 12.0]}


def _write_real(folder):
    folder.mkdir()
    for split, lengths in SECONDS.items():
        lines = ["VIDEO_ID,VIDEO_NAME,SENTENCE_ID,SENTENCE_NAME,START_REALIGNED,END_REALIGNED,SENTENCE"]
        for i, seconds in enumerate(lengths):
            tail = f"-{i + 1}-rgb_front"
            lines.append(f'{split},{split}{tail},{split}_{i},{split}_{i}{tail},3,{3 + seconds},"S, {i}"')
        (folder / f"how2sign_realigned_{split}.csv").write_text("\r\n".join(lines) + "\r\n")
    return folder


def _files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    simulate_how2sign(str(_write_real(folder / "real")), str(folder / "out"), train_sentences=30, motions=110)
    return folder


def test_val_and_test_are_the_owners_and_every_clip_has_its_frames(made):
    out = made / "out"
    for name, content in _files(made / "real").items():
        assert (out / name).read_bytes() == content
    for split, lengths in SECONDS.items():
        for i, seconds in enumerate(lengths):
            frames, fps = probe(out / "landmarks" / f"{split}_{i}-{i + 1}-rgb_front.npz")
            assert fps == 24 and frames == max(round(seconds * 24), 1)


def test_train_sentences_are_as_long_as_real_ones_and_keep_their_english(made):
    with open(made / "out" / "how2sign_realigned_train.csv", encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    real = {f"S, {i}": {round(seconds * 24) for s in SECONDS for i2, seconds in enumerate(SECONDS[s]) if i2 == i}
            for i in range(3)}  # fmt: skip
    assert len(rows) == 30 == len({row["SENTENCE_NAME"] for row in rows})
    for row in rows:
        frames, _ = probe(made / "out" / "landmarks" / f"{row['SENTENCE_NAME']}.npz")
        assert {frames, 0 if frames == 1 else frames} & real[row["SENTENCE"]]
        assert float(row["END_REALIGNED"]) > float(row["START_REALIGNED"])


def test_it_is_labelled_and_its_module_prepares_it_as_simulated(made, tmp_path, capsys):
    marker = json.loads((made / "out" / MARKER).read_text())
    assert marker["synthetic"] is True and marker["simulated"] is True and marker["format"] == "how2sign"
    report = how2sign.prepare(str(made / "out"), str(tmp_path / "data"))
    assert report["simulated"] is True
    assert {s: row["found"] for s, row in report["splits"].items()} == {"train": 30, "val": 3, "test": 2}
    assert "Simulated How2Sign" in capsys.readouterr().out


def test_what_was_cut_short_is_gone_on_with_to_the_same_bytes(made):
    out = made / "out"
    before = _files(out)
    for path in [*sorted((out / "landmarks").glob("*.npz"))[::2], out / "how2sign_realigned_train.csv"]:
        path.unlink()
    simulate_how2sign(str(made / "real"), str(out), train_sentences=30, motions=110)
    assert _files(out) == before
    with pytest.raises(AslError, match="is not this synthetic corpus"):
        simulate_how2sign(str(made / "real"), str(out), train_sentences=31, motions=110)


def test_a_cut_is_as_long_as_asked_and_runs_through_the_motions_in_order():
    ramp = np.arange(50, dtype=np.float16)[:, None, None]
    motion = {"pose": ramp * np.ones((1, 33, 4)), "left_hand": ramp * np.ones((1, 21, 3)),
              "right_hand": np.full((50, 21, 3), np.nan)}  # fmt: skip
    for frames in (1, 40, 300):
        parts = cut_motion([motion], frames, np.random.default_rng(frames))
        assert parts["pose"].shape == (frames, 33, 4) and parts["left_hand"].dtype == np.float16
        steps = np.diff(parts["pose"][:, 0, 3])  # visibility is not scaled
        assert ((steps >= 0) | (steps < -40)).all() and (steps <= 2).all() and np.isnan(parts["right_hand"]).all()


@pytest.mark.parametrize(
    "arguments, words",
    [(dict(train_sentences=0), "--train-sentences 0"), (dict(motions=5), "--motions 5"), (dict(nj=0), "--nj 0")],
)
def test_bad_arguments_are_refused(tmp_path, arguments, words):
    with pytest.raises(AslError, match=words):
        simulate_how2sign(str(_write_real(tmp_path / "real")), str(tmp_path / "out"), **arguments)


def test_without_the_owners_lists_there_is_nothing_to_simulate(tmp_path):
    with pytest.raises(AslError, match="has no how2sign_realigned_val.csv"):
        simulate_how2sign(str(tmp_path), str(tmp_path / "out"))
