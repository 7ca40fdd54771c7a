"""MMI and MWER: their losses by listing, what they start from, what they leave out, and that training lowers them."""

import itertools
import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from kaldialign import edit_distance

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.graph import engine
from asl.graph.compile import compile_graph
from asl.graph.options import SearchOptions
from asl.graph.total import TotalScores
from asl.models import BiLstm
from asl.tasks import config as configs
from asl.tasks import discriminative, experiment, inherit
from asl.tasks import train as training
from asl.tasks.config import read_config
from asl.tasks.ctc import CtcTask, Outputs
from asl.tasks.mmi import MmiTask
from asl.tasks.mwer import MwerTask
from tests.graph.byhand import LEXICON, posteriors
from tests.graph.conftest import make_lang  # noqa: F401 (fixture)
from tests.graph.test_total import READINGS, listed
from tests.tasks import toy_sentences
from tests.tasks.test_train import Killed, assert_same, weights

ARPA = """\\data\\
ngram 1=6

\\1-grams:
-0.5\t</s>
-99\t<s>
-0.7\tbook
-0.7\tdrink
-0.7\tgo
-0.7\thome

\\end\\
"""
FINE = """
seed: 4
task:
  class_path: %s
  init_args:
    optimizer: {lr: 3e-3, warmup_steps: 2}
trainer: {max_epochs: 3, accelerator: cpu, threads: 1, save_every_steps: 1}
"""


def task_of(cls, totals, **options):
    encoder = lambda parts: BiLstm(parts, hidden=4, layers=1, part_dim=4)  # noqa: E731
    task = cls(encoder, graph="graph", feature_parts={"hand": 4}, vocab_size=4, **options)
    task.totals = totals
    return task


@pytest.fixture
def tiny(make_lang, tmp_path):  # noqa: F811
    """Sums over the graph of a small lexicon with an n-gram, and a function: all readings of one utterance."""
    lang = make_lang(LEXICON, "arpa")
    engine.get_engine("k2").compile(lang, tmp_path / "graph")
    totals = TotalScores(tmp_path / "graph", SearchOptions(beam=1000.0, lattice_beam=1000.0), True)

    def scores(log_probs, length):
        return torch.stack([listed(totals.graph.lang, log_probs.double(), length, words) for words in READINGS])

    return totals, scores


def batch_of(*texts):
    return {"ids": [f"clip{i}" for i in range(len(texts))], "texts": list(texts)}


@pytest.mark.k2
def test_mmi_by_listing_everything_that_could_be_said(tiny):
    totals, scores = tiny
    log_probs, _ = posteriors(2, 3, 4)
    log_probs.requires_grad_()
    lengths = torch.tensor([3, 2])
    batch = batch_of("c b", "d d")
    out = Outputs(log_probs, log_probs, lengths, None)
    losses, short, empty = task_of(MmiTask, totals, exact_denominator=True).sequence_losses(out, batch)
    said = scores(log_probs[0], 3)
    expected = said.logsumexp(0) - said[READINGS.index(["c", "b"])]
    assert losses[0].item() == pytest.approx(expected.item(), abs=1e-4) and losses[0] > 0
    ours, theirs = (torch.autograd.grad(x, log_probs, retain_graph=True)[0] for x in (losses[0], expected))
    assert torch.allclose(ours, theirs, atol=1e-4) and theirs[0].abs().max() > 0.1
    assert (short.tolist(), empty.tolist()) == ([False, True], [False, False])  # four z in two frames


@pytest.mark.k2
def test_mwer_by_listing_everything_that_could_be_said(tiny):
    totals, scores = tiny
    log_probs, _ = posteriors(1, 3, 4)
    log_probs.requires_grad_()
    out = Outputs(log_probs, log_probs, torch.tensor([3]), None)
    task = task_of(MwerTask, totals, nbest=200)  # more than there are
    losses, short, empty = task.sequence_losses(out, batch_of("c b"))
    errors = torch.tensor([edit_distance(["c", "b"], words)["total"] for words in READINGS])
    expected = (scores(log_probs[0], 3).softmax(0) * errors).sum()
    assert losses[0].item() == pytest.approx(expected.item(), abs=1e-4)
    ours, theirs = (torch.autograd.grad(x, log_probs, retain_graph=True)[0] for x in (losses[0], expected))
    assert torch.allclose(ours, theirs, atol=1e-4) and theirs.abs().max() > 0.05
    assert not short.any() and not empty.any()


@pytest.mark.k2
def test_what_has_no_sequence_loss_is_named_and_gives_no_gradient(tiny):
    totals, _ = tiny
    log_probs, _ = posteriors(3, 3, 4)
    log_probs.requires_grad_()
    task = task_of(MmiTask, totals)
    out = Outputs(log_probs, log_probs, torch.tensor([3, 1, 3]), None)
    losses, skipped = task._kept(out, batch_of("a", "d d", "b"))
    assert task.skipped == {discriminative.SHORT: ["clip1"]} and skipped.tolist() == [0, 1, 0]
    losses.sum().backward()
    assert losses[1] == 0 and (log_probs.grad[1] == 0).all() and log_probs.grad.isfinite().all()


@pytest.mark.k2
@pytest.mark.parametrize("cls", [MmiTask, MwerTask])
def test_a_search_that_reaches_no_end_is_named(make_lang, tmp_path, cls):  # noqa: F811
    """One word of two units: within a beam that small only its middle is left, from which nothing ends."""
    lang = make_lang({"long": [["x", "y"]], "short": [["z"]]})
    engine.get_engine("k2").compile(lang, tmp_path / "graph")
    totals = TotalScores(tmp_path / "graph", SearchOptions(beam=1e-3), False)
    log_probs = torch.full((1, 4, 4), -20.0).requires_grad_()
    with torch.no_grad():
        log_probs[0, :, totals.graph.lang.tokens.id("x")] = 0.0
    task = task_of(cls, totals)
    losses, skipped = task._kept(Outputs(log_probs, log_probs, torch.tensor([4]), None), batch_of("short"))
    assert task.skipped == {discriminative.EMPTY: ["clip0"]} and losses.tolist() == [0] and skipped.tolist() == [1]
    losses.sum().backward()
    assert log_probs.grad is None or (log_probs.grad == 0).all()


@pytest.mark.k2
def test_in_validation_a_word_that_the_graph_lacks_is_skipped_and_in_training_an_error(tiny):
    totals, _ = tiny
    log_probs, lengths = posteriors(1, 3, 4)
    for cls in (MmiTask, MwerTask):
        task = task_of(cls, totals)
        out = Outputs(log_probs, log_probs, lengths, None)
        with pytest.raises(AslError, match="clip clip0: word 'unheard' is not among the graph's words"):
            task.sequence_losses(out, batch_of("a unheard"))
        task.eval()
        assert task._kept(out, batch_of("a unheard"))[1].tolist() == [1]


@pytest.mark.k2
def test_the_frames_cross_entropy_is_added_with_its_weight(tiny):
    totals, _ = tiny
    torch.manual_seed(0)
    frames = torch.tensor([[0, 1, 1, 0], [2, 2, -1, -1]])
    batch = {
        **batch_of("a", "b"), "features": torch.randn(2, 4, 4), "feature_lengths": torch.tensor([4, 4]),
        "tokens": torch.tensor([1, 2]), "token_lengths": torch.tensor([1, 1]), "frame_tokens": frames,
    }  # fmt: skip
    without, weighed = (task_of(MmiTask, totals, frame_weight=weight).eval() for weight in (0.0, 2.0))
    weighed.load_state_dict(without.state_dict())
    parts = weighed.training_loss(batch)
    log_probs = weighed.outputs(batch).log_probs[frames >= 0]
    expected = torch.nn.functional.cross_entropy(log_probs, frames[frames >= 0], label_smoothing=0.1)
    assert parts["frame"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert (parts["loss"] - without.training_loss(batch)["loss"]).item() == pytest.approx(2 * expected.item(), rel=1e-4)
    del batch["frame_tokens"]
    with pytest.raises(AslError, match="MmiTask learns from the token of each frame; set data.alignments to a CTM"):
        weighed.training_loss(batch)


@pytest.mark.k2
def test_a_network_that_was_trained_with_the_frames_tokens_is_a_source(source):
    """What the discriminative tasks have not (the frames' loss) stays behind; what makes the network is taken."""
    config = yaml.safe_load(Path("exp/ctc/config.yaml").read_text())
    config["task"]["class_path"] = "asl.tasks.aligned.AlignedCtcTask"
    config["task"]["init_args"].update(frame_weight=1.0, ctc_weight=0.01)
    Path("exp/ctc/config.yaml").write_text(yaml.safe_dump(config))
    words = inherit.completed(["--config", "mwer.yaml", "--init-from", "exp/ctc"])
    made = yaml.safe_load(words[1])["task"]
    assert made["class_path"] == "MwerTask" and made["init_args"]["encoder"] == config["task"]["init_args"]["encoder"]
    assert not {"frame_weight", "ctc_weight"} & made["init_args"].keys()
    config["task"]["class_path"] = "asl.tasks.isolated.IsolatedTask"
    Path("exp/ctc/config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(AslError, match="exp/ctc was trained by IsolatedTask; MwerTask starts from a network with CTC"):
        inherit.completed(["--config", "mwer.yaml", "--init-from", "exp/ctc"])


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with a network trained with CTC on sentences, its graph and the configs of both tasks."""
    monkeypatch.setattr(configs, "data_class", lambda: toy_sentences.SentenceData)
    monkeypatch.chdir(tmp_path)
    toy_sentences.make_sentences(tmp_path)
    (tmp_path / "G.arpa").write_text(ARPA)
    for name in ("mmi", "mwer"):
        (tmp_path / f"{name}.yaml").write_text(FINE % f"{name.capitalize()}Task")
    training.main(["--config", "ctc.yaml", "--exp", "exp/ctc"])
    compile_graph("data/lang", "exp/ctc/graph", "G.arpa", "k2")
    return tmp_path


def fine(name, exp, *more):
    words = ["--config", f"{name}.yaml", "--init-from", "exp/ctc", "--exp", exp]
    training.main([*words, "--task.init_args.graph", "exp/ctc/graph", *more])


def rows(exp):
    return list(read_jsonl(exp / "logs/epochs.jsonl"))


@pytest.mark.k2
def test_fine_tuning_from_a_ctc_network(source, monkeypatch, capsys):
    folder = source
    # MMI takes the network, the pipeline and what else is not said from the source, lowers its loss and stays sane
    fine("mmi", "exp/mmi")
    config, ctc = read_config("exp/mmi/config.yaml"), read_config("exp/ctc/config.yaml")
    assert config.task.init_args.encoder == ctc.task.init_args.encoder
    assert config.task.init_args.classifier == "cosine" and config.task.init_args.label_smoothing == 0
    assert config.data.pipeline == ctc.data.pipeline and config.data.batch_size == 4 and config.data.noise == 0.5
    assert config.task.init_args.optimizer.lr == 3e-3 and config.trainer.max_epochs == 3
    found, before = rows(folder / "exp/mmi"), rows(folder / "exp/ctc")
    assert found[-1]["train/mmi"] < 0.8 * found[0]["train/mmi"] and found[-1]["val/mmi"] < found[0]["val/mmi"]
    assert found[-1]["val/ter"] <= before[-1]["val/ter"] + 0.1
    loaded = experiment.load_task("exp/mmi")
    assert isinstance(loaded.task, MmiTask) and loaded.task.totals is None
    # MWER goes on from MMI
    words = ["--config", "mwer.yaml", "--init-from", "exp/mmi", "--exp", "exp/mwer", "--trainer.max_epochs", "2"]
    training.main([*words, "--task.init_args.graph", "exp/ctc/graph"])
    found = rows(folder / "exp/mwer")
    assert {"train/mwer", "train/ctc", "train/skipped", "val/mwer"} <= found[-1].keys()
    assert read_config("exp/mwer/config.yaml").task.init_args.encoder == ctc.task.init_args.encoder
    # killed inside an epoch and resumed from elsewhere: the same weights to the last bit
    calls, step = [], MmiTask.training_step

    def dying(self, batch, batch_idx):
        calls.append(batch_idx)
        if len(calls) == 7:
            raise Killed
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(MmiTask, "training_step", dying)
        patched.setattr("asl.tasks.memory.MemoryGuard.on_train_start", lambda *a: None)
        with pytest.raises(Killed):
            fine("mmi", "exp/again")
    monkeypatch.chdir(folder / "exp")
    training.main(["--resume", "again"])
    assert_same(weights(folder / "exp/again"), weights(folder / "exp/mmi"))
    monkeypatch.chdir(folder)
    # another graph is another run
    compile_graph("data/lang", "exp/other", "G.arpa", "k2", "compact")
    (folder / "exp/again/train.json").unlink()
    with pytest.raises(AslError, match="exp/other is another graph than the one|another configuration: task.init_args.gr"):
        training.main(["--resume", "exp/again", "--task.init_args.graph", "exp/other"])


@pytest.mark.k2
def test_clips_without_a_loss_are_counted_and_listed(source, monkeypatch, capsys):
    folder = source
    kept = MmiTask._kept

    def losing(self, out, batch):
        losses, skipped = kept(self, out, batch)
        self.skipped = {discriminative.SHORT: [i for i in batch["ids"] if i in ("clip3", "clip8")]}
        return losses, skipped

    monkeypatch.setattr(MmiTask, "_kept", losing)
    fine("mmi", "exp/mmi", "--trainer.max_epochs", "2")
    said = capsys.readouterr().out
    assert "epoch 2: 2 clips without mmi, fewer frames than its transcript needs: clip3, clip8" in said
    listed = [json.loads(line) for line in (folder / "exp/mmi/logs/skipped.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["ids"]) for row in listed] == [(e, ["clip3", "clip8"]) for e in (1, 2)]


@pytest.mark.k2
def test_what_does_not_fit_is_refused_before_training(source):
    folder = source
    with pytest.raises(AslError, match=r"mmi.yaml: MmiTask trains a network on .* --init-from"):
        training.main(["--config", "mmi.yaml", "--exp", "exp/mmi"])
    with pytest.raises(AslError, match="MmiTask needs a graph: asl graph compile --engine k2"):
        training.main(["--config", "mmi.yaml", "--exp", "exp/mmi", "--init-from", "exp/ctc"])
    with pytest.raises(AslError, match="MmiTask takes the whole network of exp/ctc"):
        fine("mmi", "exp/mmi", "--init-only", "encoder")
    with pytest.raises(AslError, match="there is no experiment folder exp/ctd.*"):
        training.main(["--config", "mmi.yaml", "--exp", "exp/mmi", "--init-from", "exp/ctd"])
    (folder / "bad.yaml").write_text((FINE % "MmiTask").replace("optimizer:", "ctc_wieght: 0.2\n    optimizer:"))
    with pytest.raises(AslError, match="MmiTask has no argument 'ctc_wieght'; did you mean 'ctc_weight'"):
        fine("bad", "exp/mmi")
    (folder / "exp/ctc/graph/k2.json").rename(folder / "away")
    with pytest.raises(AslError, match="exp/ctc/graph holds no graph for the k2 engine"):
        fine("mmi", "exp/mmi")
    (folder / "away").rename(folder / "exp/ctc/graph/k2.json")
    tokens = folder / "exp/ctc/lang/tokens.txt"
    tokens.write_text(re.sub("book", "boot", tokens.read_text()))
    with pytest.raises(AslError, match="exp/ctc has other tokens"):
        fine("mmi", "exp/mmi")
    assert not (folder / "exp/mmi").exists()


def test_without_k2_the_config_is_refused_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(discriminative, "k2_missing", lambda: "ModuleNotFoundError: No module named 'k2'")
    (tmp_path / "mmi.yaml").write_text(FINE % "MmiTask")
    with pytest.raises(AslError, match="mmi.yaml: MmiTask needs k2, which does not import .*No module named 'k2'"):
        training.main(["--config", "mmi.yaml", "--exp", "exp/mmi", "--init-from", "exp/ctc"])


@pytest.mark.parametrize(
    "cls, options, message",
    [
        (MmiTask, {"ctc_weight": 1.0}, "ctc_weight is 1.0; give a share"),
        (MwerTask, {"nbest": 1}, "nbest is 1: one word sequence leaves nothing to choose"),
        (MmiTask, {"beam": 0.0}, "beam is 0.0"),
        (MmiTask, {"frame_weight": -1.0}, "frame_weight is -1.0; give 0"),
    ],
)
def test_numbers_that_cannot_be_are_refused(cls, options, message):
    with pytest.raises(AslError, match=message):
        task_of(cls, None, **options)


def test_both_are_decoded_as_ctc_is():
    assert all(issubclass(cls, CtcTask) for cls in (MmiTask, MwerTask))
    assert list(itertools.islice(MmiTask.__mro__, 2)) == [MmiTask, discriminative.DiscriminativeTask]
