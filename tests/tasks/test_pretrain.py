"""Pre-training: it learns what is hidden, nothing gives it away, and its encoder can be used."""

import pytest
import torch

from asl.common.compat import torch_load
from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.corpora import wlasl
from asl.corpora.synthetic import synthesize
from asl.data.importing import import_landmarks
from asl.landmarks.augment import AugmentConfig
from asl.landmarks.descriptors import DESCRIPTORS
from asl.landmarks.pipeline import LandmarkPipeline
from asl.models import BiLstm, ConvTransformer
from asl.models.contrast import near_pairs, temporal_contrast
from asl.models.masking import hide_frames, span_mask
from asl.tasks.encoder_fit import check_encoder
from asl.tasks.experiment import load_task, read_result
from asl.tasks.pretrain import CodebookSizes, CoherenceConfig, MaskConfig, PretrainTask
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

ENCODER = """
      class_path: ConvTransformer
      init_args:
        {dim: 32, part_dim: 16, stages: 1, blocks: 1, kernel: 9, heads: 2, dropout: 0.0, drop_path: 0.0}"""
CONFIG = f"""
seed: 2
task:
  class_path: PretrainTask
  init_args:
    encoder: {ENCODER}
    codes: {{handshape: 8, location: 8, movement: 6, orientation: 8}}
    mask: {{share: 0.4, span: 8}}
    coherence: {{anchors: 2, far: 6, dim: 8}}
    optimizer: {{lr: 1.0e-2, warmup_steps: 10}}
data:
  data_dir: data
  pipeline: {{frames: 24, descriptors: true, augment: {{affine: 0.0, time_mask: 0.0, warp: 0.1}}}}
  batch_size: 16
  num_buckets: 1
  num_workers: 0
trainer: {{max_epochs: 2, accelerator: cpu, checkpoint: ema, ema_decay: 0.9}}
"""
SUPERVISED = f"""
seed: 2
task:
  class_path: IsolatedTask
  init_args:
    encoder: {ENCODER}
    optimizer: {{lr: 0.0}}
data: {{data_dir: data, pipeline: {{frames: 24}}, batch_size: 16, num_buckets: 1, num_workers: 0}}
trainer: {{max_epochs: 1, accelerator: cpu}}
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder with ``data`` of a synthetic corpus: 4 signs, some 60 clips to train on."""
    folder = tmp_path_factory.mktemp("synthetic")
    synthesize(str(folder / "owner"), signs=4, signers=4, clips_per_sign=32)
    wlasl.prepare(corpus_dir=str(folder / "owner"), subset=4, out=str(folder / "data"))
    import_landmarks(str(folder / "data"))
    return folder


@pytest.fixture
def pretrain(corpus, monkeypatch, tmp_path):
    """``pretrain(exp, *options)`` -> the experiment folder."""
    monkeypatch.chdir(corpus)
    (tmp_path / "pretrain.yaml").write_text(CONFIG)

    def run(exp, *options):
        main(["--config", str(tmp_path / "pretrain.yaml"), "--exp", str(tmp_path / exp), *options])
        return tmp_path / exp

    return run


def batch_of(lengths=(24, 24, 17), frames=None, lags=(1,), seed=0, **options):
    """A batch of made-up hands with descriptors, and its pipeline."""
    g = torch.Generator().manual_seed(seed)
    x = 0.5 + 0.05 * torch.randn(len(lengths), 1, 42, 3, generator=g)
    x = x + (0.05 * torch.randn(len(lengths), max(lengths), 1, 3, generator=g)).cumsum(1)
    for row, n in zip(x, lengths):
        row[n:] = float("nan")
    pipeline = LandmarkPipeline(frames=frames, trim=False, lags=lags, descriptors=True, **options)
    return pipeline, x, batch_from(pipeline, x, torch.tensor(lengths))


def batch_from(pipeline, x, lengths):
    done = pipeline.process(x, lengths)
    return {
        "ids": [f"clip{i}" for i in range(len(x))],
        "features": done.features, "feature_lengths": done.lengths,
        "descriptors": done.described[0], "descriptors_known": done.described[1],
    }  # fmt: skip


def small(parts):
    sizes = dict(dim=16, part_dim=8, stages=1, blocks=1, kernel=5, heads=2)
    return ConvTransformer(parts, dropout=0.0, drop_path=0.0, **sizes)


def task_for(pipeline, encoder=small, **options):
    torch.manual_seed(0)
    sizes = CodebookSizes(8, 8, 8, 8)
    options = {"mask": MaskConfig(0.4, 8), "coherence": CoherenceConfig(2, 1, 4, dim=8), **options}
    return PretrainTask(encoder, codes=sizes, feature_parts=pipeline.feature_parts, **options)


def test_hidden_codes_are_learnt_better_than_the_commonest_is_guessed(pretrain):
    exp = pretrain("exp", "--trainer.max_epochs", "10", "--data.val_split", "train")
    val = read_result(exp)["val"]
    gains = {name: val[f"accuracy/{name}"] - val[f"unigram/{name}"] for name in DESCRIPTORS}
    assert min(gains.values()) > 0.1, gains
    for name in DESCRIPTORS:
        assert val[f"use/{name}"] > 0.8 and val[f"perplexity/{name}"] > 3
    rows = list(read_jsonl(exp / "logs" / "epochs.jsonl"))
    assert rows[-1]["val/coherence"] < rows[0]["val/coherence"]
    assert {"train/prediction", "train/coherence", "train/diversity", "train/accuracy"} <= rows[0].keys()


class Killed(Exception):
    pass


def test_a_run_killed_in_an_epoch_ends_with_the_same_codes_and_weights(pretrain, monkeypatch):
    whole = pretrain("whole")
    step, calls = PretrainTask.training_step, []

    def dying(self, batch, batch_idx):
        calls.append(batch_idx)
        if len(calls) == 6:  # in the second epoch
            raise Killed
        return step(self, batch, batch_idx)

    monkeypatch.setattr(PretrainTask, "training_step", dying)
    with pytest.raises(Killed):
        pretrain("killed")
    killed = pretrain("killed")
    for key in ("state_dict", "ema"):
        a, b = (torch_load(exp / "checkpoints" / "last.ckpt")[key] for exp in (whole, killed))
        assert "head.quantizer.books.handshape.sums" in a
        assert [name for name in a if not torch.equal(a[name], b[name])] == []
    assert read_result(whole)["val"] == read_result(killed)["val"]


def test_fine_tuning_takes_the_whole_encoder_and_says_what_does_not_fit(pretrain, tmp_path, capsys):
    exp = pretrain("exp", "--trainer.max_epochs", "1")
    (tmp_path / "softmax.yaml").write_text(SUPERVISED)
    supervised = ["--config", str(tmp_path / "softmax.yaml"), "--init-from", str(exp)]
    main([*supervised, "--exp", str(tmp_path / "fine"), "--init-only", "encoder"])
    source = torch_load(exp / "checkpoints" / "last.ckpt")["ema"]
    weights = load_task(tmp_path / "fine").task.state_dict()
    names = [name for name in weights if name.startswith("encoder.")]
    assert sorted(names) == sorted(name for name in source if name.startswith("encoder."))
    moved = ("running_mean", "running_var", "num_batches_tracked")  # trained with learning rate 0
    assert all(torch.equal(weights[n], source[n]) for n in names if not n.endswith(moved))
    count = "encoder.frontend.norm.num_batches_tracked"
    assert int(weights[count] - source[count]) == read_result(tmp_path / "fine")["steps"] > 0

    other = [*supervised, "--exp", str(tmp_path / "other"), "--init-only", "encoder"]
    with pytest.raises(AslError, match=r"another shape: encoder.frontend.join.weight \(32, 32\) there, \(24"):
        main([*other, "--task.init_args.encoder.init_args.dim", "24"])
    with pytest.raises(AslError, match="missing there: encoder.conv_stages.0.1"):
        main([*other, "--task.init_args.encoder.init_args.blocks", "2"])
    for text, wrong in (("dim: 32", "dim: 24"), ("blocks: 1", "blocks: 2")):
        assert text in SUPERVISED
        (tmp_path / "other.yaml").write_text(SUPERVISED.replace(text, wrong))
        with pytest.raises(AslError, match="of .*pretrain.yaml does not fit the one of .*other.yaml: .*(24,|conv_stages)"):
            check_encoder(str(tmp_path / "pretrain.yaml"), str(tmp_path / "other.yaml"))
    check_encoder(str(tmp_path / "pretrain.yaml"), str(tmp_path / "softmax.yaml"))
    assert "pretrain.yaml fits the one of" in capsys.readouterr().out
    with pytest.raises(AslError, match="--init-only encodr: .* did you mean 'encoder'"):
        main([*supervised, "--exp", str(tmp_path / "other"), "--init-only", "encodr"])
    with pytest.raises(AslError, match="not known here: head."):
        main([*supervised, "--exp", str(tmp_path / "other")])


def test_a_pretrained_network_is_not_decoded_and_needs_descriptors():
    pipeline, _, batch = batch_of()
    with pytest.raises(AslError, match="--init-from"):
        task_for(pipeline).log_probs(batch)
    del batch["descriptors"]
    with pytest.raises(AslError, match="data.pipeline.descriptors"):
        task_for(pipeline).training_loss(batch)


@pytest.mark.parametrize("encoder", ["conv", "bilstm"])
@pytest.mark.parametrize("subsampling", [1, 3])
def test_any_encoder_is_trained_and_every_weight_gets_a_gradient(encoder, subsampling):
    pipeline, _, batch = batch_of()
    by = {"subsampling": subsampling, "part_dim": 8}
    make = {
        "conv": lambda p: ConvTransformer(p, dim=16, blocks=1, kernel=5, heads=2, **by),
        "bilstm": lambda p: BiLstm(p, hidden=8, layers=1, **by),
    }[encoder]
    task = task_for(pipeline, make, mask=MaskConfig(1.0, 12))
    losses = task.training_loss(batch)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    assert [name for name, p in task.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    "off, gone",
    [("prediction_weight", {"prediction", "diversity", "accuracy"}), ("coherence_weight", {"coherence"}),
     ("diversity_weight", {"diversity"})],
)  # fmt: skip
def test_a_part_of_weight_0_is_not_computed(off, gone):
    pipeline, _, batch = batch_of()
    everything = {"loss", "prediction", "diversity", "accuracy", "coherence"}
    assert task_for(pipeline).training_loss(batch).keys() == everything
    task = task_for(pipeline, **{off: 0.0})
    assert task.training_loss(batch).keys() == everything - gone
    assert (task.head.compare is None) == (off == "coherence_weight")
    with pytest.raises(AslError, match="one of the first two above 0"):
        task_for(pipeline, prediction_weight=0.0, coherence_weight=0.0)


def test_validation_hides_the_same_frames_of_a_clip_whatever_stands_beside_it():
    pipeline, x, batch = batch_of(lengths=(24, 24, 24))
    task = task_for(pipeline).eval()
    task.on_validation_epoch_start()
    with torch.no_grad():
        task.head.quantizer.update(*(batch[k] for k in ("descriptors", "descriptors_known")))
        together = task.validation_metrics(batch)
        again = task.validation_metrics(batch)
        assert all(float(together[k][0]) == float(again[k][0]) for k in together)
        alone = [task.validation_metrics({k: v[i : i + 1] for k, v in batch.items()}) for i in range(3)]
    for name in DESCRIPTORS:
        right, count = together[f"accuracy/{name}"]
        assert count == sum(part[f"accuracy/{name}"][1] for part in alone)
        assert right == sum(part[f"accuracy/{name}"][0] for part in alone)


def test_spans_hide_their_share_and_keep_their_guard():
    lengths = torch.tensor([48] * 200 + [20] * 200)
    uniforms = torch.rand(400, 5, generator=torch.Generator().manual_seed(0))
    hidden, asked = span_mask(lengths, 48, 0.5, 10, 2, uniforms)
    for rows, n in ((slice(0, 200), 48), (slice(200, 400), 20)):
        share = hidden[rows].sum() / (200 * n)
        assert 0.3 < share <= 0.5 and not hidden[rows, n:].any()
    assert not (asked & ~hidden).any()
    ends = (hidden[:, 1:] < hidden[:, :-1]).nonzero().tolist()  # last frames of stretches with more behind
    inside = [(row, t) for row, t in ends if t + 1 < int(lengths[row])]
    assert inside and all(not asked[row, t] and not asked[row, t - 1] for row, t in inside)
    whole = [row for row in range(400) if hidden[row, int(lengths[row]) - 1]]
    assert whole and all(asked[row, int(lengths[row]) - 1] for row in whole)  # nothing is behind the end
    starts = (hidden[:, 1:] > hidden[:, :-1]).nonzero().tolist()
    assert all(hidden[row, t + 1 : t + 11].all() for row, t in starts)


@pytest.mark.parametrize("lag", [1, 2])
def test_nothing_that_the_network_is_given_changes_with_a_frame_that_it_is_asked_for(lag):
    lengths = torch.tensor([40, 40])
    # no places: they are told from the clip's mean, which every frame has a part in
    pipeline, x, batch = batch_of(lengths=(40, 40), lags=(lag,), place=False)
    uniforms = torch.rand(2, 4, generator=torch.Generator().manual_seed(1))
    hidden, asked = span_mask(lengths, 40, 0.5, 12, lag, uniforms)
    changed = torch.where(asked[..., None, None], x + torch.rand(x.shape), x)
    other = batch_from(pipeline, changed, lengths)
    seen = ~hidden
    assert torch.equal(batch["features"][seen], other["features"][seen])
    assert not torch.equal(batch["features"], other["features"])
    assert asked.any() and not torch.equal(batch["descriptors"], other["descriptors"])
    encoder = small(pipeline.feature_parts).eval()
    with torch.no_grad(), hide_frames(encoder, hidden, torch.ones(16)):
        a, b = (encoder(f["features"], lengths)[0] for f in (batch, other))
    assert torch.equal(a, b)
    assert not torch.equal(encoder(batch["features"], lengths)[0], a)  # afterwards nothing is hidden any more


def test_a_guard_below_the_longest_lag_is_refused(pretrain):
    with pytest.raises(AslError, match="data.pipeline.lags has 2, but task.init_args.mask.guard is 1"):
        pretrain("exp", "--data.pipeline.lags", "[1, 2]")


def test_options_out_of_range_are_named():
    with pytest.raises(AslError, match="span 6 and guard 1; give a span of at least 7"):
        MaskConfig(0.5, 6)
    with pytest.raises(AslError, match="mask.share is 0"):
        MaskConfig(0.0)
    with pytest.raises(AslError, match="near 4, far 3"):
        CoherenceConfig(near=4, far=3)
    with pytest.raises(AslError, match="has no 'frontend'"):
        with hide_frames(torch.nn.Linear(2, 2), torch.zeros(1, 1), torch.zeros(2)):
            pass


def test_pairs_are_near_and_inside_their_clip():
    lengths = torch.tensor([30, 5, 2, 1])
    uniforms = torch.rand(4, 400, generator=torch.Generator().manual_seed(0))
    at, near = near_pairs(lengths, 200, 3, uniforms)
    away = (at - near).abs()
    for row, n in enumerate(lengths.tolist()):
        assert at[row].min() >= 0 and at[row].max() == n - 1
        assert near[row].min() >= 0 and near[row].max() <= n - 1
    assert away.max() == 3 and (away[0] >= 1).all() and set(away[0].tolist()) == {1, 2, 3}


def test_frames_that_tell_place_and_clip_are_told_apart():
    uniforms = torch.rand(2, 8, generator=torch.Generator().manual_seed(0))
    at, near = near_pairs(torch.tensor([20, 20]), 4, 1, uniforms)
    time = torch.arange(20.0)[None, :, None] / 20 * 3.0
    place = torch.cat([torch.cos(time), torch.sin(time)], -1).expand(2, 20, 2)
    clip = torch.eye(2)[:, None].expand(2, 20, 2)
    told = temporal_contrast(torch.cat([place, clip], -1), at, near, 6, 0.05)
    assert told < 0.1 < temporal_contrast(clip, at, near, 6, 0.05)
    same = temporal_contrast(torch.ones(2, 20, 3), at, near, 40, 0.05)
    # itself and the four of the other clip
    assert same == pytest.approx(torch.tensor(5.0).log().item(), abs=1e-4)


def test_clips_without_any_text_are_enough(imported, tmp_path, monkeypatch):  # noqa: F811
    imported(train=18, val=5, texts=lambda i: "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pretrain.yaml").write_text(CONFIG)
    main(["--config", "pretrain.yaml", "--exp", "exp", "--trainer.max_epochs", "1"])
    assert read_result("exp")["epochs"] == 1
