"""A second stream through the whole chain: trained with, decoded, moved, missing, resumed."""

import json

import numpy as np
import pytest
import torch

from asl.common.compat import torch_load
from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.data.storage import open_cuts
from asl.tasks.decode import decode
from asl.tasks.experiment import read_result
from asl.tasks.train import main
from tests.data.conftest import WORDS, imported, make_data  # noqa: F401 (fixtures)

CONFIG = """
seed: 2
task:
  class_path: {task}
  init_args:
    encoder:
      class_path: FusedEncoder
      init_args:
        fusion: {fusion}
        dim: 8
        encoder: {{class_path: BiLstm, init_args: {{hidden: 8, part_dim: 8, layers: 1, dropout: 0.0}}}}
    optimizer: {{lr: 2.0e-2, warmup_steps: 3}}
data:
  pipeline: {{layout: hands42, frames: 12, augment: {{mirror: 0.5}}}}
  extra: {{dir: embeddings, dim: 6, per: {per}}}
  batch_size: 4
  num_buckets: 1
  num_workers: 0
trainer: {{max_epochs: 8, accelerator: cpu, checkpoint: last}}
"""


def write_stream(data, per="clip", tells=True, folder="embeddings", dim=6):
    """A vector a clip (or a frame) that stands about its word's own, or about nothing."""
    rng = np.random.default_rng(1)
    codes = 20 * rng.normal(size=(len(WORDS), dim)) + 20
    (data / folder).mkdir(exist_ok=True)
    for split in ("train", "val"):
        for cut in open_cuts(data, split):
            mean = codes[WORDS.index(cut.supervisions[0].text)] if tells else np.zeros(dim)
            shape = (dim,) if per == "clip" else (cut.num_frames, dim)
            np.save(data / folder / f"{cut.id}.npy", (mean + rng.normal(size=shape)).astype(np.float16))


@pytest.fixture
def project(imported, tmp_path, monkeypatch):  # noqa: F811
    data = imported(train=24, val=8)
    monkeypatch.chdir(tmp_path)

    def make(fusion="gated", per="clip", task="IsolatedTask", **stream):
        write_stream(data, per, **stream)
        (tmp_path / "conf.yaml").write_text(CONFIG.format(fusion=fusion, per=per, task=task))
        return data

    return make


def train(exp, *options):
    main(["--config", "conf.yaml", "--exp", exp, *options])
    return read_result(exp)["val"]


@pytest.mark.parametrize("fusion, per", [("early", "clip"), ("late", "frame"), ("gated", "clip")])
def test_a_stream_that_tells_the_sign_is_learnt_from_and_decoded_with(project, tmp_path, fusion, per):
    data = project(fusion, per)
    (tmp_path / "alone.yaml").write_text(
        (tmp_path / "conf.yaml").read_text().replace("extra: {", "# extra: {")
    )
    inner = "{class_path: BiLstm, init_args: {hidden: 8, part_dim: 8, layers: 1, dropout: 0.0}}"
    main(["--config", "alone.yaml", "--exp", "exp/alone", "--task.init_args.encoder", inner])
    alone, fused = read_result("exp/alone")["val"]["top1"], train("exp/fused")["top1"]
    assert alone <= 0.6 and fused >= 0.9  # four signs; the landmarks are the same noise for all of them

    decode("exp/fused", "data", "val")
    right = {cut.id: cut.supervisions[0].text for cut in open_cuts(data, "val")}
    rows = list(read_jsonl(tmp_path / "exp/fused/decode_val_softmax/hyp.jsonl"))
    share = sum(row["text"] == right[row["id"]] for row in rows) / len(right)
    assert len(rows) == len(right) and share == pytest.approx(fused)


@pytest.mark.parametrize("fusion", ["early", "late", "gated"])
def test_noise_breaks_nothing(project, fusion):
    project(fusion, tells=False)
    result = train("exp/a", "--trainer.max_epochs", "2")
    assert np.isfinite(result["loss"]) and result["top1"] <= 0.7


def test_ctc_takes_the_stream_by_the_same_way(project, tmp_path):
    project("late", "frame", task="CtcTask")
    inner = "--task.init_args.encoder.init_args.encoder.init_args"
    assert train("exp/a", f"{inner}.subsampling", "4", "--trainer.max_epochs", "12")["ter"] < 0.5
    decode("exp/a", "data", "val")
    assert len((tmp_path / "exp/a/decode_val_greedy/hyp.jsonl").read_text().splitlines()) == 8


def test_another_folder_another_dimension_no_stream(project, tmp_path):
    data = project()
    train("exp/a", "--trainer.max_epochs", "3")
    decode("exp/a", "data", "val")
    hyp = tmp_path / "exp/a/decode_val_softmax/hyp.jsonl"
    before = hyp.read_text()
    (data / "embeddings").rename(tmp_path / "elsewhere")
    with pytest.raises(AslError, match="no folder .*embeddings"):
        decode("exp/a", "data", "val")
    decode("exp/a", "data", "val", extra="elsewhere")
    assert hyp.read_text() == before
    write_stream(data, dim=5, folder="narrow")
    with pytest.raises(AslError, match="val000.npy holds vectors of 5 numbers .*dim is 6"):
        decode("exp/a", "data", "val", extra="data/narrow")


def test_decoding_counts_the_clips_without_a_vector(project, tmp_path, capsys):
    data = project()
    train("exp/a", "--trainer.max_epochs", "1", "--data.extra.missing", "zero")
    (data / "embeddings" / "val003.npy").unlink()
    decode("exp/a", "data", "val")
    assert "val: 1 of 8 clips have no .npy file" in capsys.readouterr().out
    assert len((tmp_path / "exp/a/decode_val_softmax/hyp.jsonl").read_text().splitlines()) == 8


def test_mistakes_in_the_configuration_are_one_sentence(project):
    project()
    for options, words in (
        (["--data.extra.dim", "0"], "data.extra.dim is 0"),
        (["--data.extra.per", "word"], "data.extra"),
        (["--data.extra.dimm", "3"], "dimm"),
        (["--data.extra", "null"], "FusedEncoder: the data have no second stream"),
        (["--data.extra.dim", "7"], "holds vectors of 6 numbers .*dim is 7"),
    ):
        with pytest.raises(AslError, match=words) as error:
            train("exp/wrong", *options)
        assert "\n" not in str(error.value)


def test_a_network_without_a_stream_refuses_one(project):
    project()
    inner = "{class_path: BiLstm, init_args: {hidden: 8, part_dim: 8, layers: 1, dropout: 0.0}}"
    train("exp/a", "--data.extra", "null", "--task.init_args.encoder", inner, "--trainer.max_epochs", "1")
    with pytest.raises(AslError, match="--extra data/embeddings: exp/a was trained without a second stream"):
        decode("exp/a", "data", "val", extra="data/embeddings")


def test_resumed_in_an_epoch_it_ends_with_the_same_weights_and_a_changed_stream_is_refused(
    project, tmp_path, monkeypatch
):
    from asl.tasks.isolated import IsolatedTask

    data = project("gated", "frame")
    options = ["--trainer.max_epochs", "3", "--trainer.save_every_steps", "1"]
    train("exp/whole", *options)
    step, calls = IsolatedTask.training_step, []

    def dying(self, batch, batch_idx):
        calls.append(batch_idx)
        if len(calls) == 9:
            raise KeyError("killed")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(IsolatedTask, "training_step", dying)
    with pytest.raises(KeyError):
        train("exp/killed", *options)
    moved = data / "embeddings" / "train001.npy"
    moved.rename(tmp_path / "kept.npy")
    with pytest.raises(AslError, match="embeddings has changed since this run began"):
        train("exp/killed", *options)
    (tmp_path / "kept.npy").rename(moved)
    main(["--resume", "exp/killed"])
    whole, killed = (torch_load(f"exp/{n}/checkpoints/last.ckpt")["state_dict"] for n in ("whole", "killed"))
    assert [n for n, v in whole.items() if not torch.equal(v, killed[n])] == []
    version = json.loads((tmp_path / "exp/whole/version.json").read_text())
    assert "embeddings" in version["data"]["files"]
