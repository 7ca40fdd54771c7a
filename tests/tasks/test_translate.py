"""Translation: its loss against torch's own, what it measures, that it learns, and how it begins and goes on."""

import math
import re

import pytest
import torch
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models import BiLstm, CausalTransformer, ConvTransformer, Tdnn, TransformerEncoder
from asl.lang.sentencepiece import train
from asl.lang.sentencepiece_command import write_pieces
from asl.tasks import config as configs
from asl.tasks.experiment import load_task, read_result
from asl.tasks.feature_masks import FeatureMaskConfig, mask_bands
from asl.tasks.train import main
from asl.tasks.translate import DecoderConfig, TranslateTask, teacher
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_train import Killed, assert_same, timeless, weights
from tests.tasks.toy_sentences import SENTENCES, WORDS, SentenceData, make_sentences

PARTS = {"hand_left": 3, "hand_right": 3, "face": 2}
SMALL = DecoderConfig(dim=16, layers=2, heads=2, feedforward=32, dropout=0.0)


def task(**options):
    torch.manual_seed(0)
    encoder = lambda parts: TransformerEncoder(parts, 16, 8, 1, 2, 32, subsampling=2, dropout=0.0)  # noqa: E731
    return TranslateTask(encoder, SMALL, feature_parts=PARTS, vocab_size=6, **{"dropout": 0.0, **options}).eval()


def batch():
    generator = torch.Generator().manual_seed(5)
    lengths = torch.tensor([12, 9, 6])
    features = torch.randn(3, 12, 8, generator=generator)
    return {
        "ids": ["a", "b", "c"],
        "texts": ["words"] * 3,
        "features": features * (torch.arange(12) < lengths[:, None])[..., None],
        "feature_lengths": lengths,
        "tokens": torch.tensor([1, 5, 2, 3, 4, 2, 2]),
        "token_lengths": torch.tensor([4, 1, 2]),
    }


def rows(whole, chosen):
    """A batch of some clips of another."""
    texts = whole["tokens"].split(whole["token_lengths"].tolist())
    picked = {k: v[chosen] for k, v in whole.items() if k in ("features", "feature_lengths", "token_lengths")}
    return {**whole, **picked, "ids": chosen, "texts": chosen, "tokens": torch.cat([texts[i] for i in chosen])}


def test_what_is_given_and_what_is_to_be_said():
    given, lengths, targets = teacher(torch.tensor([3, 1, 2, 4]), torch.tensor([3, 0, 1]), 9)
    assert given.tolist() == [[9, 3, 1, 2], [9, 9, 9, 9], [9, 4, 9, 9]] and lengths.tolist() == [4, 1, 2]
    assert targets.tolist() == [[3, 1, 2, 9], [9, 9, 9, 9], [4, 9, 9, 9]]


def test_the_loss_is_cross_entropy_and_ctc_for_each_token():
    made, b = task(ctc_weight=0.4, label_smoothing=0.1), batch()
    found = made.training_loss(b)
    memory, lengths, ctc = made.encode(b)
    text = n = nll = right = 0
    for i, words in enumerate(b["tokens"].split(b["token_lengths"].tolist())):
        given = torch.cat([torch.tensor([6]), words])[None]
        logits = made.decoder(given, torch.tensor([given.shape[1]]), memory[i][None], lengths[i][None])[0]
        target = torch.cat([words, torch.tensor([6])]) - 1
        text += F.cross_entropy(logits[:, 1:], target, label_smoothing=0.1, reduction="sum")
        nll += F.cross_entropy(logits[:, 1:], target, reduction="sum")
        right += int((logits.argmax(-1) == target + 1).sum())
        n += len(target)
    ctc = F.ctc_loss(ctc.transpose(0, 1), b["tokens"], lengths, b["token_lengths"], reduction="sum")
    assert n == made.loss_weight(b) == 10
    told = {"text": text, "ctc": ctc, "nll": nll, "acc": right, "loss": 0.6 * text + 0.4 * ctc}
    for name, value in told.items():
        assert float(found[name]) == pytest.approx(float(value) / n, rel=1e-5), name
    sums = made.validation_metrics(b)
    assert {k: float(s) for k, (s, _) in sums.items()} == pytest.approx({"loss": float(nll), "acc": right, "ctc": float(ctc)})
    assert {int(count) for _, count in sums.values()} == {n}
    assert sorted(made.finished_metrics({"ctc": math.nan, "loss": 2.0})) == ["loss", "ppl"]
    assert made.finished_metrics({"loss": 2.0})["ppl"] == pytest.approx(math.exp(2))
    assert torch.equal(made.log_probs(b)[0], made.encode(b).ctc_log_probs)


def test_shares_of_a_batch_weighed_by_their_tokens_are_the_batch():
    """What several processes make of it, of which each has some clips."""
    made, b = task(), batch()
    parts = [rows(b, [0, 2]), rows(b, [1])]
    total = sum(made.loss_weight(part) for part in parts)
    for name, value in made.training_loss(b).items():
        shared = sum(made.loss_weight(part) / total * made.training_loss(part)[name] for part in parts)
        assert float(shared) == pytest.approx(float(value), rel=1e-4), name


def test_a_clip_that_is_too_short_for_ctc_says_nothing_of_it():
    """Its loss is 0 by definition: counted, it would make the network look better than it is."""
    made, b = task(), batch()
    whole = made.validation_metrics(b)["ctc"]
    short = {**b, "feature_lengths": b["feature_lengths"].clone()}
    short["feature_lengths"][0] = 4  # two outputs for four tokens
    total, count = made.validation_metrics(short)["ctc"]
    tokens = int(b["token_lengths"][0]) + 1
    assert int(count) == int(whole[1]) - tokens > 0
    kept = rows(b, [1, 2])
    assert float(total) == pytest.approx(float(made.validation_metrics(kept)["ctc"][0]), rel=1e-4)


def test_without_ctc_there_is_no_head():
    made = task(ctc_weight=0.0)
    assert made.head is None and made.encode(batch()).ctc_log_probs is None and made.subsampling == 2
    with pytest.raises(AslError, match=r"no CTC head \(ctc_weight is 0\); decode it with --method attention"):
        made.log_probs(batch())
    loss = made.train().training_loss(batch())
    assert "ctc" not in loss and "ctc" not in made.validation_metrics(batch())
    loss["loss"].backward()
    assert all(p.grad is not None for p in made.parameters())  # what several processes need


def test_training_is_regularised_and_validation_is_not():
    plain, regular = task(), task(part_dropout=0.5, feature_mask=FeatureMaskConfig(2, 0.3), label_smoothing=0.3)
    one, two = (made.validation_metrics(batch()) for made in (plain, regular))
    assert {k: float(v[0]) for k, v in one.items()} == {k: float(v[0]) for k, v in two.items()}
    torch.manual_seed(1)
    first, second = (float(regular.training_loss(batch())["loss"]) for _ in range(2))
    assert first != second
    before = torch.get_rng_state()
    plain.training_loss(batch())
    assert torch.equal(before, torch.get_rng_state())  # what is off draws nothing


def test_bands_of_the_feature_vector_vanish_from_whole_clips():
    torch.manual_seed(0)
    x = torch.ones(300, 4, 50)
    out = mask_bands(x, FeatureMaskConfig(bands=1, share=0.4))
    assert torch.equal(out, out[:, :1].expand_as(out))
    lost = (out[:, 0] == 0).float()
    assert lost.mean() == pytest.approx(0.2, abs=0.03) and lost.sum(dim=1).max() <= 21
    assert ((lost.diff(dim=1) == 1).sum(dim=1) <= 1).all()  # one band each
    assert mask_bands(x, FeatureMaskConfig()) is x
    for wrong in ({"bands": -1}, {"share": 0.0}):
        with pytest.raises(AslError, match="feature_mask has bands"):
            FeatureMaskConfig(**wrong)


@pytest.mark.parametrize("encoder", [
    lambda parts: BiLstm(parts, hidden=8, layers=1, part_dim=8, subsampling=2),
    lambda parts: ConvTransformer(parts, dim=16, part_dim=8, stages=1, blocks=1, kernel=3, heads=2),
    lambda parts: CausalTransformer(parts),
    lambda parts: Tdnn(parts),
    lambda parts: TransformerEncoder(parts, 16, 8, 1, 2, 32),
], ids=["BiLstm", "ConvTransformer", "CausalTransformer", "Tdnn", "TransformerEncoder"])  # fmt: skip
def test_any_encoder_can_be_looked_at(encoder):
    made, b = TranslateTask(encoder, SMALL, feature_parts=PARTS, vocab_size=6), batch()
    made.training_loss(b)["loss"].backward()
    assert all(p.grad is not None for p in made.parameters())
    encoded = made.eval().encode(b)
    log_probs, _ = made.decoder.step(torch.full((3,), 6), made.decoder.start(encoded.memory, encoded.lengths))
    assert log_probs.shape == (3, 7) and encoded.lengths.tolist() == [-(-n // made.subsampling) for n in (12, 9, 6)]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"ctc_weight": 1.0}, "ctc_weight is 1.0; give 0"),
        ({"label_smoothing": 1.5}, "label_smoothing is 1.5; give 0"),
        ({"part_dropout": 1.0}, "part_dropout is 1.0; give 0"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(AslError, match=message):
        task(**options)


CONFIG = """
seed: 3
task:
  class_path: TranslateTask
  init_args:
    encoder: {class_path: TransformerEncoder, init_args: {dim: 32, part_dim: 16, layers: 1, heads: 2, feedforward: 64, subsampling: 2, dropout: 0.05, drop_path: 0.05}}
    decoder: {dim: 32, layers: 1, heads: 2, feedforward: 64, dropout: 0.05, drop_path: 0.05}
    label_smoothing: 0.02
    optimizer: {lr: 5.0e-3, min_lr: 1.0e-4, warmup_steps: 10}
data:
  pipeline: {layout: toy}
trainer: {max_epochs: 24, accelerator: cpu, threads: 1}
"""


class TranslateData(SentenceData):
    """Sentences with what the end of training asks of a data module."""

    train_split, val_split, overfit = "train", "val", 0

    def loader(self, split, most=None):
        return self.val_dataloader()


@pytest.fixture
def sentences(tmp_path, monkeypatch):
    monkeypatch.setattr(configs, "data_class", lambda: TranslateData)
    monkeypatch.chdir(tmp_path)
    make_sentences(tmp_path)
    (tmp_path / "conf.yaml").write_text(CONFIG)
    return ["--config", "conf.yaml", "--exp"]


def greedy(made, features, lengths):
    """The most probable tokens of one clip, step by step."""
    encoded = made.encode({"features": features, "feature_lengths": lengths})
    state, token, out = made.decoder.start(encoded.memory, encoded.lengths), made.decoder.sos_eos, []
    while len(out) < 10:
        log_probs, state = made.decoder.step(torch.tensor([token]), state)
        token = int(log_probs[0].argmax())
        if token == made.decoder.sos_eos:
            break
        out.append(token)
    return out


def test_it_learns_and_says_what_it_learnt_step_by_step(sentences, tmp_path, capsys):
    main([*sentences, "exp/a"])
    result, loaded = read_result("exp/a"), load_task("exp/a")
    assert result["val"]["acc"] == 1.0 and result["val"]["loss"] < 0.4 and set(result["val"]) == {"loss", "ppl", "acc", "ctc"}
    assert result["monitor"] == "loss" and result["parameters"] == sum(p.numel() for p in loaded.task.parameters())
    # measured on the same clips: the same numbers, from the checkpoint's weights
    assert result["train"] == pytest.approx(result["val"], rel=1e-4) and result["gap"] == pytest.approx(0, abs=1e-4)
    said = capsys.readouterr().out
    assert f"training TranslateTask ({result['parameters']:,} parameters)" in said
    assert "(measured alike)" in said
    b = TranslateData(configs.instantiate_data(loaded.config).pipeline).batch(torch.arange(len(SENTENCES)))
    with torch.no_grad():
        for i, sentence in enumerate(SENTENCES):
            n = b["feature_lengths"][i : i + 1]
            found = greedy(loaded.task, b["features"][i : i + 1, : int(n)], n)
            assert [WORDS[token - 1] for token in found] == sentence.split()


def test_a_killed_run_goes_on_as_if_nothing_had_happened(sentences, tmp_path, monkeypatch):
    few = ["--trainer.max_epochs", "2", "--trainer.save_every_steps", "1", "--task.init_args.monitor", "acc",
           "--task.init_args.part_dropout", "0.1", "--task.init_args.feature_mask.bands", "1"]  # fmt: skip
    main([*sentences, "exp/whole", *few])
    step, seen = TranslateTask.training_step, []

    def dying(self, batch, batch_idx):
        seen.append(batch_idx)
        if len(seen) == 9:
            raise Killed
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patched:
        patched.setattr(TranslateTask, "training_step", dying)
        with pytest.raises(Killed):
            main([*sentences, "exp/killed", *few])
    main([*sentences, "exp/killed", *few])
    whole, killed = tmp_path / "exp/whole", tmp_path / "exp/killed"
    assert_same(weights(whole), weights(killed))
    assert timeless(whole) == timeless(killed)
    assert read_result("exp/whole")["monitor"] == "acc"


def test_a_sentence_with_too_few_frames_for_ctc_is_trained_by_its_text_alone():
    made, b = task(ctc_weight=0.5), batch()
    short = rows({**b, "tokens": torch.tensor([2, 2, 2, 2, 2, 2, 5, 1, 2]), "token_lengths": torch.tensor([7, 1, 1])}, [0])
    assert float(made.training_loss(short)["ctc"]) == 0 and float(made.training_loss(b)["ctc"]) > 0
    loss = made.training_loss(short)
    assert float(loss["loss"]) == pytest.approx(0.5 * float(loss["text"]), rel=1e-6)


REAL = """
seed: 2
task:
  class_path: {task}
  init_args:
    encoder:
      class_path: TransformerEncoder
      init_args: {{dim: 16, part_dim: 8, layers: 1, heads: 2, feedforward: 24, subsampling: 4}}
    {more}
    optimizer: {{warmup_steps: 1}}
data:
  pipeline: {{layout: hands42, frames: null, trim: false, descriptors: {descriptors}}}
  batch_size: 8
  num_workers: 0
trainer: {{max_epochs: 1, accelerator: cpu}}
"""
TRANSLATE = {"task": "TranslateTask", "more": "decoder: {dim: 16, layers: 1, heads: 2, feedforward: 24}", "descriptors": "false"}
LONG = "go drink at home now or book a table for later"


@pytest.fixture
def spoken(imported, tmp_path, monkeypatch):  # noqa: F811
    """Clips with English sentences, of which one is longer than CTC can do with its frames; pieces; ``write(**config)``."""
    data = imported(train=8, val=4, texts=lambda i: LONG if i == 3 else ["Book it.", "Drink, then go!", "Go home."][i % 3])
    pieces(data / "lang", 40)
    monkeypatch.chdir(tmp_path)

    def write(**filled):
        (tmp_path / "conf.yaml").write_text(REAL.format(**filled))
        return ["--config", "conf.yaml", "--exp"]

    return write


def pieces(folder, size):
    lines = ["Book it.", "Drink, then go!", "Go home.", LONG] * 3
    write_pieces(folder, train(lines, size, "bpe", "keep", "keep"), ["Book", "Drink", "Go", "home"])


def test_short_clips_are_kept_and_counted_where_there_is_ctc_beside_attention(spoken, capsys):
    main([*spoken(**TRANSLATE), "exp/joint"])
    told = r"fewer frames than CTC needs for their tokens \(one output every 4\): "
    (count, ids), = re.findall(rf"train: (\d) of 8 clips are trained on without CTC, {told}(.*)\n", capsys.readouterr().out)
    assert 1 <= int(count) < 8
    main([*spoken(**TRANSLATE), "exp/text", "--task.init_args.ctc_weight", "0"])
    assert "CTC" not in capsys.readouterr().out
    result = read_result("exp/text")
    assert set(result["val"]) == set(result["train"]) == {"acc", "loss", "ppl"}
    assert result["gap"] == pytest.approx(result["val"]["loss"] - result["train"]["loss"])
    main([*spoken(task="CtcTask", more="dropout: 0.1", descriptors="false"), "exp/ctc"])
    (left, names), = re.findall(rf"train: (\d) clips left out, {told}(.*)\n", capsys.readouterr().out)
    assert left == count and names.startswith(ids.replace(", ...", ""))


def test_pre_training_gives_it_its_encoder(spoken, tmp_path, capsys):
    main([*spoken(task="PretrainTask", more="codes: {handshape: 4, location: 4, movement: 4, orientation: 4}", descriptors="true"), "exp/pre"])
    main([*spoken(**TRANSLATE), "exp/a", "--init-from", "exp/pre", "--init-only", "encoder", "--task.init_args.optimizer.lr", "0",
          "--trainer.checkpoint", "last"])  # fmt: skip
    before, after = weights(tmp_path / "exp/pre"), weights(tmp_path / "exp/a")
    encoder = [name for name in after if name.startswith("encoder.") and "running" not in name and "num_batches" not in name]
    assert encoder and all(torch.equal(before[name], after[name]) for name in encoder)


def test_pieces_of_another_size_are_refused_by_name(spoken, tmp_path):
    main([*spoken(**TRANSLATE), "exp/a"])
    assert {"sentencepiece.model", "text.json"} <= {p.name for p in (tmp_path / "exp/a/lang").iterdir()}
    pieces(tmp_path / "data" / "lang", 50)
    with pytest.raises(AslError, match=r"exp/a was trained with other sentencepieces \(40\) than .* has \(50\)"):
        main([*spoken(**TRANSLATE), "exp/b", "--init-from", "exp/a"])
    main([*spoken(**TRANSLATE), "exp/b", "--init-from", "exp/a", "--init-only", "encoder"])
    with pytest.raises(AslError, match="exp/a holds a run of another configuration: .*vocab_size .41 there, 51 now"):
        main([*spoken(**TRANSLATE), "exp/a"])
    pieces(tmp_path / "exp/a/lang", 50)
    with pytest.raises(AslError, match="sentencepiece.model has 50 pieces, but the network in exp/a was trained with 40"):
        load_task("exp/a")
