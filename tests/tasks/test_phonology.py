"""Phonological supervision: from the table to the loss, through training, to a folder decoded alone."""

import pytest
import torch
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.lang.phonology import Coded, PhonologyTable
from asl.lang.prepare import write_lang
from asl.models import BiLstm
from asl.tasks.experiment import load_task
from asl.tasks.isolated import IsolatedTask
from asl.tasks.phonology import PhonologyConfig
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_mixup import PARTS, batch

ROWS = {
    "sign1": Coded({"Handshape": "b", "Contact": "1"}),
    "sign2": Coded({"Handshape": "5", "Contact": "0"}),
    "sign3": Coded({"Handshape": "s"}),
    "sign4": Coded({}, "none", 0),
}


@pytest.fixture
def lang(tmp_path):
    """A lang folder of six signs; the table knows something of three."""
    write_lang([f"sign{i}" for i in range(6)], tmp_path / "lang")
    PhonologyTable(["Handshape", "Contact"], ROWS).write(tmp_path / "lang" / "phonology.tsv")
    return tmp_path / "lang"


def task(config):
    torch.manual_seed(0)
    encoder = lambda parts: BiLstm(parts, hidden=8, layers=1, part_dim=8, dropout=0.0)  # noqa: E731
    return IsolatedTask(encoder, dropout=0.0, phonology=config, feature_parts=PARTS, vocab_size=7)


def config(**options):
    given = {"features": ["Handshape", "Contact"], "classes": {"Handshape": 3, "Contact": 2}, "dropout": 0.0}
    return PhonologyConfig(**{**given, **options})


def test_targets_are_those_of_the_tokens_and_the_loss_is_weighed(lang):
    made, b = task(config(weight=0.5)), batch()
    made.phonology.read(lang)
    unknown = [-1, -1]
    expected = [unknown, unknown, [1, 1], [0, 0], [2, -1], unknown, unknown]
    assert made.phonology.targets.tolist() == expected
    losses = made.training_loss(b)
    hidden = made.pooled(b["features"], b["feature_lengths"])
    hand, contact = made.phonology.heads(hidden)
    # the clips are of sign0 to sign5
    known = [(hand, 1, 1, 2), (contact, 1, 1, 2), (hand, 2, 0, 2), (contact, 2, 0, 2), (hand, 3, 2, 1)]
    by_hand = sum(F.cross_entropy(z[i], torch.tensor(t)) / n for z, i, t, n in known) / 6
    assert torch.allclose(losses["phon"], by_hand, atol=1e-6)
    assert torch.allclose(losses["loss"], losses["sign"] + 0.5 * by_hand, atol=1e-6)
    metrics = made.eval().validation_metrics(b)
    assert [int(metrics[n][1]) for n in ("phon", "phon/Handshape", "phon/Contact")] == [5, 3, 2]
    assert torch.equal(metrics["loss"][0], task(None).eval()._losses(made(*inputs(b)), b["tokens"] - 1).sum())


def inputs(b):
    return b["features"], b["feature_lengths"]


def test_a_table_that_does_not_fit_is_told(lang):
    with pytest.raises(AslError, match="was made for {'Handshape': 9, 'Contact': 2}"):
        task(config(classes={"Handshape": 9, "Contact": 2})).phonology.read(lang)
    PhonologyTable(["Handshape"], {"other": Coded({"Handshape": "b"})}).write(lang / "phonology.tsv")
    with pytest.raises(AslError, match="none of the tokens"):
        task(config(features=["Handshape"], classes={"Handshape": 1})).phonology.read(lang)
    with pytest.raises(AslError, match="filled in by 'asl train'"):
        task(PhonologyConfig())


CONFIG = """
task:
  class_path: IsolatedTask
  init_args:
    encoder: {class_path: ConvTransformer, init_args: {dim: 16, part_dim: 8, stages: 1, blocks: 1, heads: 2}}
    phonology: {weight: 0.3, features: [Handshape, Contact]}
    mixup: {alpha: 0.4}
data:
  pipeline: {layout: hands42, frames: 16}
  batch_size: 4
  num_buckets: 1
  num_workers: 0
trainer: {max_epochs: 2, accelerator: cpu}
"""


def test_a_run_needs_the_table_and_decoding_only_the_folder(imported, tmp_path, monkeypatch):  # noqa: F811
    imported(train=18, val=5)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf.yaml").write_text(CONFIG)
    with pytest.raises(AslError, match="no phonology table data/lang/phonology.tsv; .* 'asl phonology"):
        main(["--config", "conf.yaml", "--exp", "exp/a"])
    words = [line.split()[0] for line in (tmp_path / "data/lang/lexicon.txt").read_text().splitlines()]
    rows = {w: Coded({"Handshape": f"h{i % 3}", "Contact": str(i % 2)}) for i, w in enumerate(words[1:])}
    table = PhonologyTable(["Handshape", "Contact"], rows)
    table.write(tmp_path / "data/lang/phonology.tsv")
    main(["--config", "conf.yaml", "--exp", "exp/a"])
    val = read_json("exp/a/train.json")["val"]
    assert {"phon", "phon/Handshape", "phon/Contact", "top1"} <= set(val) and 0 <= val["phon"] <= 1
    kept = tmp_path / "exp/a/lang/phonology.tsv"
    assert kept.read_bytes() == (tmp_path / "data/lang/phonology.tsv").read_bytes()
    (tmp_path / "data/lang/phonology.tsv").unlink()
    loaded = load_task("exp/a")
    assert loaded.config.task.init_args.phonology.classes == {"Handshape": 3, "Contact": 2}
    features = torch.randn(2, 16, sum(loaded.task.feature_parts.values()))
    log_probs, _ = loaded.task.log_probs({"features": features, "feature_lengths": torch.tensor([16, 16])})
    assert log_probs.shape == (2, loaded.task.vocab_size - 1)

    rows[words[1]] = Coded({"Handshape": "h0", "Contact": "1"})
    PhonologyTable(["Handshape", "Contact"], rows).write(tmp_path / "data/lang/phonology.tsv")
    with pytest.raises(AslError, match="another phonology table"):
        main(["--config", "conf.yaml", "--exp", "exp/a"])



def test_a_batch_shared_out_has_the_loss_of_the_whole(lang):
    """Every part is a mean over clips, also where not all is known of some: processes add up exactly."""
    made, b = task(config()).eval(), batch()
    made.phonology.read(lang)
    made.use_class_weights = True
    made.class_weights.copy_(torch.rand(6))
    whole = made.training_loss(b)
    halves = [{name: values[rows] for name, values in b.items()} for rows in (slice(0, 4), slice(4, 6))]
    for name in ("loss", "sign", "phon"):
        shares = sum(made.training_loss(h)[name] * made.loss_weight(h) / 6 for h in halves)
        assert torch.allclose(shares, whole[name], atol=1e-6)
