"""Forced alignment: a clip's words by hand, whole splits, and what cannot be aligned."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from asl.common.ctm import read_timed
from asl.common.errors import AslError
from asl.data.text import CutText
from asl.decoding.extents import extend
from asl.lang.prepare import write_lang
from asl.tasks.align import Posteriors, Spelling, align, align_clip, spelling_of
from asl.tasks.aligned import frame_losses, frame_targets
from asl.tasks.train import main as train
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

SPELLING = Spelling({"A": [1], "B": [2], "LONG": [1, 3]})


def posteriors(says, strength=8.0):
    """Log-probs ``(frames, 4)`` of a network that is sure of ``says`` (0: blank)."""
    logits = np.zeros((len(says), 4))
    logits[np.arange(len(says)), says] = strength
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_words_lie_where_the_network_says_them():
    done = align_clip(Posteriors("u", posteriors([0, 1, 1, 0, 0, 2, 0, 0]), None), ["A", "B"], 0.75, SPELLING, 0.1, "spikes")
    spans = [(w.word, round(w.start, 6), round(w.end, 6)) for w in done.words]
    assert spans == [("A", 0.1, 0.3), ("B", 0.5, 0.6)]
    assert all(w.confidence > 0.99 for w in done.words) and done.score == pytest.approx(0, abs=0.01)
    halved = align_clip(Posteriors("u", posteriors([0, 1, 1, 0, 0, 2, 0, 0]), None), ["A", "B"], 0.75, SPELLING, 0.1, "midpoints")
    spans = [(round(w.start, 6), round(w.end, 6)) for w in halved.words]
    assert spans == [(0.0, 0.4), (0.4, 0.7)] == [(a / 10, b / 10) for a, b in extend([(1, 3), (5, 6)], 8, "midpoints")]


MOVES = Spelling({"A": [1], "B": [2]}, between=[3])


@pytest.mark.parametrize(
    "extent, spans", [("spikes", [(0, 2), (6, 7)]), ("midpoints", [(0, 3), (5, 8)]), ("tags", [(0, 2), (5, 8)])]
)
def test_the_movement_between_two_signs_belongs_to_neither(extent, spans):
    says = [1, 1, 0, 0, 3, 0, 2, 0]
    inside = np.array([1, 1, 0, 0, 0, 1, 1, 1])
    begins = np.array([1, 0, 0, 0, 0, 1, 0, 0])
    tags = np.log(np.stack([1 - inside, inside - begins, begins], axis=1) * 0.9 + 0.03)
    done = align_clip(Posteriors("u", posteriors(says), tags), ["A", "B"], 8.0, MOVES, 1.0, extent)
    assert [(w.start, w.end) for w in done.words] == spans and [w.word for w in done.words] == ["A", "B"]
    assert done.score == pytest.approx(0, abs=0.01) and all(w.confidence > 0.99 for w in done.words)


def test_without_movements_there_is_nothing_between_words():
    one = align_clip(Posteriors("u", posteriors([0, 1, 0]), None), ["A"], 3.0, MOVES, 1.0, "midpoints")
    assert [(w.word, w.start, w.end) for w in one.words] == [("A", 0, 3)]
    assert align_clip(Posteriors("u", posteriors([0, 0]), None), [], 2.0, MOVES, 1.0, "spikes").words == []
    short = align_clip(Posteriors("u", posteriors([1, 2]), None), ["A", "B"], 2.0, MOVES, 1.0, "spikes")
    assert short == "2 output frames are too few for its 3 tokens"


def test_what_is_aligned_is_what_training_says(tmp_path):
    """Of several pronunciations the most probable one, not the first of the file; and the movement between words."""
    lexicon = {"A": [["x"], ["y", "z"]], "B": [["z"]]}
    probs = {("A", ("x",)): 0.2, ("A", ("y", "z")): 0.8, ("B", ("z",)): 1.0}
    write_lang(["A", "B"], tmp_path, lexicon, probs=probs, transition=True)
    spelling = spelling_of(tmp_path)
    cut = SimpleNamespace(id="c", supervisions=[SimpleNamespace(text="A B A")])
    trained = CutText(tmp_path).tokens(cut, training=True)
    assert trained == [*spelling.words["A"], *spelling.between, *spelling.words["B"], *spelling.between, *spelling.words["A"]]
    assert len(spelling.words["A"]) == 2 and len(spelling.between) == 1
    write_lang(["A", "B"], tmp_path, lexicon)
    assert list(spelling_of(tmp_path).between) == [] and len(spelling_of(tmp_path).words["A"]) == 1


def test_no_word_reaches_beyond_the_clip():
    # the last of 3 output frames stands for one frame of the clip, not for two
    done = align_clip(Posteriors("u", posteriors([0, 1, 1]), None), ["A"], 5 / 30, SPELLING, 2 / 30, "spikes")
    assert done.words[0].end == pytest.approx(5 / 30)


def test_a_word_of_several_units_reaches_over_all_of_them():
    done = align_clip(Posteriors("u", posteriors([1, 0, 3, 0, 2]), None), ["LONG", "B"], 5.0, SPELLING, 1.0, "spikes")
    assert [(w.start, w.end) for w in done.words] == [(0, 3), (4, 5)]


def test_a_transcript_that_the_network_would_not_say_has_little_confidence():
    done = align_clip(Posteriors("u", posteriors([0, 1, 0, 0]), None), ["B"], 4.0, SPELLING, 1.0, "spikes")
    assert done.words[0].confidence < 0.01 and done.score < -1


def test_what_cannot_be_aligned_says_why():
    short = align_clip(Posteriors("u", posteriors([1, 2]), None), ["A", "A"], 2.0, SPELLING, 1.0, "spikes")
    assert short == "2 output frames are too few for its 2 tokens"
    assert "lacks C" in align_clip(Posteriors("u", posteriors([1]), None), ["A", "C"], 1.0, SPELLING, 1.0, "spikes")


def test_targets_of_output_frames_are_those_of_their_middle():
    tokens = torch.tensor([[0, 1, 1, 2, 2, 2, 3]])
    assert frame_targets(tokens, 1).tolist() == tokens.tolist()
    assert frame_targets(tokens, 2).tolist() == [[1, 2, 2, -1]]
    assert frame_targets(tokens, 3).tolist() == [[1, 2, -1]]


def test_the_framewise_loss_is_that_of_the_known_frames():
    torch.manual_seed(0)
    log_probs = torch.randn(2, 3, 4).log_softmax(-1)
    targets = torch.tensor([[1, 0, -1], [2, -1, -1]])
    wanted = -(log_probs[0, 0, 1] + log_probs[0, 1, 0] + log_probs[1, 0, 2]) / 3
    assert frame_losses(log_probs, targets, 0.0) == pytest.approx(float(wanted))
    assert frame_losses(log_probs, torch.full((2, 3), -1), 0.1) == 0
    smooth = 0.9 * wanted - 0.1 * log_probs[targets != -1].mean()
    assert frame_losses(log_probs, targets, 0.1) == pytest.approx(float(smooth))


CONFIG = """
task:
  class_path: {task}
  init_args:
    encoder: {{class_path: Tdnn, init_args: {{dim: 8, part_dim: 8, kernels: [3, 3], dilations: [1, 1]}}}}
    optimizer: {{warmup_steps: 3}}
    {more}
data:
  pipeline: {{layout: hands42, frames: null, trim: false}}
  batch_size: 6
  num_workers: 0
  {data}
trainer: {{max_epochs: 1, accelerator: cpu}}
"""


@pytest.fixture
def sentences(imported, tmp_path, monkeypatch):  # noqa: F811
    """``sentences(name, task, more, data)`` trains exp/NAME for an epoch on clips of two words (the last of six)."""
    imported(train=6, val=3, texts=lambda i: "book drink" if i % 2 else "go home")
    monkeypatch.chdir(tmp_path)

    def run(name, task="CtcTask", more="", data=""):
        (tmp_path / "conf.yaml").write_text(CONFIG.format(task=task, more=more, data=data))
        train(["--config", "conf.yaml", "--exp", f"exp/{name}"])
        return f"exp/{name}"

    return run


def test_a_split_is_aligned_and_trained_on_again(sentences, capsys):
    lines = [line.split() for line in open("data/lang/lexicon.txt")]
    Path("data/lang/lexiconp.txt").write_text("".join(f"{line[0]} 1.0 {' '.join(line[1:])}\n" for line in lines))
    first = sentences("first", more="segment_weight: 0.1", data="segments: true")
    assert (Path(first) / "lang/lexiconp.txt").is_file()  # training went by it
    for extent in ("spikes", "midpoints", "tags"):
        report = align(first, f"out/{extent}", split="train", extent=extent)
        assert report["clips"] == report["aligned"] == 6 and report["words"] == 12 and report["failed"] == {}
    found = read_timed("out/midpoints/align.ctm")
    assert sorted(found) == [f"train{i:03d}" for i in range(6)]
    for words in found.values():
        assert all(0 <= w.confidence <= 1 and w.duration > 0 for w in words) and words[0].end <= words[1].start + 1e-3
    assert json.loads(open("out/tags/align.json").read())["extent"] == "tags"
    again = sentences("again", "AlignedCtcTask", "frame_weight: 1.0", "alignments: ../out/midpoints/align.ctm")
    assert "train: 6 of 6 clips are aligned by" in capsys.readouterr().out
    both = align([first, again], "out/both", split="val", extent="spikes")
    assert both["aligned"] == 3 and both["system"] == "first + again"


def test_what_does_not_fit_is_refused(sentences):
    exp = sentences("plain")
    with pytest.raises(AslError, match="no segment head|segment head"):
        align(exp, "out", extent="tags")
    with pytest.raises(AslError, match="spikes, midpoints, tags"):
        align(exp, "out", extent="spike")
    with pytest.raises(AslError, match="data.alignments"):
        sentences("unaligned", "AlignedCtcTask")
