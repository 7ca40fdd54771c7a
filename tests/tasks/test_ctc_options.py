"""What regularises CTC, and the schedule: each against its definition, and off by default."""

import pytest
import torch
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models import BiLstm
from asl.tasks.base import OptimizerConfig
from asl.tasks.ctc import CtcTask, ctc_loss
from asl.tasks.ctc_losses import occupancy, uniform_divergence
from asl.tasks.mixup import MixupConfig, draw_mix, stretched
from asl.tasks.part_dropout import drop_parts
from asl.tasks.phonology import PhonologyConfig
from asl.tasks.schedule import WarmupCosine

PARTS = {"hand_left": 3, "hand_right": 3, "face": 2}


def task(**options):
    torch.manual_seed(0)
    encoder = lambda parts: BiLstm(parts, hidden=8, layers=1, part_dim=8, dropout=0.0)  # noqa: E731
    return CtcTask(encoder, dropout=0.0, feature_parts=PARTS, vocab_size=5, **options).train()


def batch():
    generator = torch.Generator().manual_seed(5)
    lengths = torch.tensor([12, 9, 4])
    features = torch.randn(3, 12, 8, generator=generator)
    for row, length in enumerate(lengths.tolist()):
        features[row, length:] = 0
    return {
        "ids": ["a", "b", "c"],
        "texts": ["words"] * 3,
        "features": features,
        "feature_lengths": lengths,
        "tokens": torch.tensor([1, 1, 2, 3, 4, 2, 2, 2]),
        "token_lengths": torch.tensor([5, 1, 2]),
    }


def test_label_smoothing_smooths_each_frames_target():
    """The gradient with regard to the logits is the posterior less the smoothed occupancy."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 12, 5, generator=generator).requires_grad_()
    b, lengths, share = batch(), torch.tensor([12, 9, 4]), 0.1
    made = task(label_smoothing=share)
    log_probs = logits.log_softmax(-1)
    losses = made.text_losses(log_probs, lengths, b)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    inside = (torch.arange(12) < lengths[:, None])[..., None]
    target = (1 - share) * occupancy(log_probs, lengths, b["tokens"], b["token_lengths"]) + share / 5
    assert torch.allclose(gradient, (log_probs.exp() - target) * inside, atol=1e-5)
    plain = ctc_loss(log_probs, lengths, b["tokens"], b["token_lengths"])
    kl = F.kl_div(log_probs, torch.full((3, 12, 5), 0.2), reduction="none").sum(-1)
    assert torch.allclose(losses, (1 - share) * plain + share * (kl * inside[..., 0]).sum(1), atol=1e-4)


def test_the_divergence_looks_at_the_frames_inside_alone_and_is_0_for_the_uniform():
    log_probs = torch.full((2, 3, 4), 0.25).log()
    log_probs[0, 2] = -torch.inf
    assert uniform_divergence(log_probs, torch.tensor([2, 3])).tolist() == [0.0, 0.0]


def test_stretching_keeps_both_ends_and_goes_evenly():
    ramp = torch.arange(5.0)[None, :, None].repeat(2, 1, 1)
    ramp = F.pad(ramp, (0, 0, 0, 4))
    out = stretched(ramp, torch.tensor([5, 5]), torch.tensor([9, 3]))
    assert torch.allclose(out[0, :, 0], torch.arange(9) / 2)
    assert out[1, :, 0].tolist() == [0.0, 2.0, 4.0] + [0.0] * 6
    one = stretched(ramp[:, :1], torch.tensor([1, 1]), torch.tensor([1, 1]))
    assert one.shape == (2, 1, 1) and (one == 0).all()


def test_mixup_in_time_is_the_loss_of_both_texts_on_blended_frames():
    made, b = task(mixup=MixupConfig(alpha=1.0)).eval(), batch()  # the front-end's batch norm takes no clips alone
    torch.manual_seed(3)
    loss = made.training_loss(b)["loss"]
    torch.manual_seed(3)
    mix = draw_mix(made.mixup, 3, torch.device("cpu"))
    assert sorted(mix.partner.tolist()) == [0, 1, 2] and mix.partner.tolist() != [0, 1, 2]
    assert loss.item() == pytest.approx(sum_of_rows(made, b, mix, b["tokens"].split([5, 1, 2])), rel=1e-4)


def sum_of_rows(made, b, mix, texts):
    lengths, total = b["feature_lengths"], 0.0
    for i, j in enumerate(mix.partner.tolist()):
        clip, other = (b["features"][k, : lengths[k]] for k in (i, j))
        other = F.interpolate(other.T[None], size=len(clip), mode="linear", align_corners=True)[0].T
        share = mix.share if lengths[i] >= {0: 6, 1: 1, 2: 3}[j] else 1.0
        log_probs, n = made((share * clip + (1 - share) * other)[None], lengths[i:i + 1])
        for part, text in ((share, texts[i]), (1 - share, texts[j])):
            total += part * ctc_loss(log_probs, n, text, torch.tensor([len(text)])).item() / 3
    return total


def test_a_clip_too_short_for_its_partners_text_stays_as_it_is():
    made, b = task(mixup=MixupConfig(alpha=1.0)), batch()
    fits = made._fits(b, torch.tensor([1, 2, 0]))
    assert fits.tolist() == [True, True, False]
    for seed in range(20):
        torch.manual_seed(seed)
        seen, mix = made.regularised(b)
        if mix.partner[2] == 0:
            assert mix.share[2] == 1 and torch.equal(seen["features"][2], b["features"][2])
            return
    pytest.fail("no seed gave the last clip the first as its partner")


def test_dropout_by_part_takes_whole_parts_of_whole_clips_and_never_all():
    torch.manual_seed(0)
    x = torch.ones(400, 3, 8)
    out = drop_parts(x, PARTS, 0.5)
    parts = [piece.flatten(1) for piece in out.split([3, 3, 2], dim=-1)]
    kept = torch.stack([p[:, 0] for p in parts], dim=1)
    for i, piece in enumerate(parts):
        assert torch.equal(piece, kept[:, i:i + 1].expand_as(piece))
    assert kept.any(dim=1).all() and 0.45 < float(kept.mean()) < 0.7
    assert drop_parts(x, PARTS, 0.0) is x


def test_validation_is_not_regularised():
    b = batch()
    plain, regular = task(), task(label_smoothing=0.2, mixup=MixupConfig(), part_dropout=0.5)
    one, two = (made.eval().validation_metrics(b) for made in (plain, regular))
    assert {k: float(v[0]) for k, v in one.items()} == {k: float(v[0]) for k, v in two.items()}
    torch.manual_seed(1)
    before = torch.get_rng_state()
    plain.train().regularised(b)
    assert torch.equal(before, torch.get_rng_state())  # what is off draws nothing


@pytest.mark.parametrize(
    "options, message",
    [
        ({"label_smoothing": 1.0}, "label_smoothing is 1.0; give 0"),
        ({"part_dropout": 1.0}, "part_dropout is 1.0; give 0"),
        ({"mixup": MixupConfig(at="pooled")}, "mixup.at is pooled: a sentence has no pooled vector"),
        ({"mixup": MixupConfig(), "segment_weight": 0.1}, "mixup blends sentences, and what segment_weight learns"),
        ({"mixup": MixupConfig(), "phonology": PhonologyConfig(classes={"a": 2})}, "what phonology learns"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(AslError, match=message):
        task(**options)


def test_the_warm_up_in_epochs():
    factor = OptimizerConfig(warmup_steps=7, warmup_epochs=2.5).factor(total=400, epochs=40)
    assert factor.warmup == 25
    assert OptimizerConfig(warmup_steps=7).factor(400, 40).warmup == 7
    assert OptimizerConfig(warmup_epochs=0.0).factor(400, 40).warmup == 0


def test_restarts_begin_anew_and_the_last_cycle_ends_with_the_training():
    factor = WarmupCosine(10, 150, cycles=3, growth=2.0)
    assert factor.ends == pytest.approx([30, 70, 150])
    assert [factor(step) for step in (10, 30, 70)] == [1.0, 1.0, 1.0]
    assert [factor(step) for step in (20, 50, 110)] == pytest.approx([0.5] * 3)
    assert factor(29) < 0.01 and factor(69) < 0.01 and factor(149) < 0.001 and factor(150) == 0.0
    # the learning rate that torch gives in its own such schedule, behind the warm-up
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=20, T_mult=2)
    for step in range(10, 150):
        assert factor(step) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-6)
        optimizer.step()
        torchs.step()


@pytest.mark.parametrize("options", [{"warmup_epochs": -1.0}, {"cycles": 0}, {"cycle_growth": 0.5}])
def test_schedules_that_cannot_be_are_refused(options):
    with pytest.raises(AslError, match="give [01] or more"):
        OptimizerConfig(**options)


def test_a_cosine_that_ends_above_0():
    """As the formula: min + (lr - min) / 2 * (1 + cos(pi t / T)), behind the warm-up."""
    factor = OptimizerConfig(lr=1e-4, min_lr=1e-6, warmup_steps=10).factor(total=110, epochs=30)
    rates = [1e-4 * factor(step) for step in (0, 10, 35, 60, 110, 200)]
    assert rates == pytest.approx([1e-4 / 11, 1e-4, 1e-6 + 0.99e-4 / 2 * (1 + 0.5**0.5), 50.5e-6, 1e-6, 1e-6])
    twice = WarmupCosine(0, 100, cycles=2, floor=0.25)
    assert [twice(step) for step in (0, 25, 50, 100)] == pytest.approx([1.0, 0.625, 1.0, 0.25])
    with pytest.raises(AslError, match="min_lr is 0.1 and lr 0.01; give 0 or more, and no more than lr"):
        OptimizerConfig(lr=0.01, min_lr=0.1)
