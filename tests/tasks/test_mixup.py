"""Mixup: what is blended with what, and that torch's seed decides it."""

import pytest
import torch
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models import BiLstm
from asl.tasks.isolated import IsolatedTask
from asl.tasks.mixup import Mix, MixupConfig, draw_mix

PARTS = {"hand_left": 4, "hand_right": 4}


def task(mixup, **options):
    torch.manual_seed(0)
    encoder = lambda parts: BiLstm(parts, hidden=8, layers=1, part_dim=8, dropout=0.0)  # noqa: E731
    made = IsolatedTask(encoder, dropout=0.0, mixup=mixup, feature_parts=PARTS, vocab_size=7, **options)
    return made.train()


def batch(n=6, frames=9):
    generator = torch.Generator().manual_seed(5)
    return {
        "ids": [f"clip{i}" for i in range(n)],
        "texts": ["word"] * n,
        "features": torch.randn(n, frames, 8, generator=generator),
        "feature_lengths": torch.full((n,), frames),
        "tokens": torch.arange(n) % 6 + 1,
        "token_lengths": torch.ones(n, dtype=torch.int64),
    }


@pytest.mark.parametrize("at", ["input", "pooled"])
def test_the_loss_is_that_of_soft_targets(at):
    """Cross-entropy is linear in its target: blending losses is training on blended targets."""
    made, b = task(MixupConfig(alpha=1.0, at=at), label_smoothing=0.0), batch()
    torch.manual_seed(3)
    loss = made.training_loss(b)["loss"]
    torch.manual_seed(3)
    mix = draw_mix(made.mixup, 6, torch.device("cpu"))
    assert 0 < mix.share < 1 and sorted(mix.partner.tolist()) == list(range(6))
    blend = lambda x: mix.share * x + (1 - mix.share) * x[mix.partner]  # noqa: E731
    if at == "input":
        logits = made(blend(b["features"]), b["feature_lengths"])
    else:
        logits = made.head.layers(blend(made.pooled(b["features"], b["feature_lengths"])))
    soft = blend(F.one_hot(b["tokens"] - 1, 6).float())
    assert torch.allclose(loss, F.cross_entropy(logits, soft), atol=1e-5)


def test_torchs_seed_decides_and_probability_counts():
    config = MixupConfig(alpha=0.4, probability=0.5)
    draws = []
    for seed in range(200):
        torch.manual_seed(seed)
        first = draw_mix(config, 4, torch.device("cpu"))
        torch.manual_seed(seed)
        second = draw_mix(config, 4, torch.device("cpu"))
        assert (first is None) == (second is None)
        if first is not None:
            assert first.share == second.share and torch.equal(first.partner, second.partner)
        draws.append(first)
    assert 70 < sum(d is not None for d in draws) < 130
    assert draw_mix(None, 4, torch.device("cpu")) is None


def test_a_longer_partner_makes_a_clip_longer():
    made, b = task(MixupConfig(alpha=1.0)), batch()
    b["feature_lengths"] = torch.tensor([9, 4, 5, 6, 7, 8])
    seen = []
    made.encoder.register_forward_hook(lambda module, given, out: seen.append(given[1]))
    torch.manual_seed(3)
    made.training_loss(b)
    torch.manual_seed(3)
    partner = draw_mix(made.mixup, 6, torch.device("cpu")).partner
    lengths = b["feature_lengths"]
    assert torch.equal(seen[0], torch.maximum(lengths, lengths[partner]))
    assert not torch.equal(seen[0], lengths)


def test_validation_is_not_mixed():
    b = batch()
    plain, mixed = (task(m).eval().validation_metrics(b) for m in (None, MixupConfig()))
    assert {k: float(v[0]) for k, v in plain.items()} == {k: float(v[0]) for k, v in mixed.items()}


def test_a_whole_share_changes_nothing():
    x = torch.randn(3, 2)
    assert torch.equal(Mix(1.0, torch.tensor([2, 0, 1])).blend(x), x)


@pytest.mark.parametrize("config", [MixupConfig(alpha=0.0), MixupConfig(probability=1.5)])
def test_numbers_that_cannot_be_are_refused(config):
    with pytest.raises(AslError, match="give an alpha above 0 and a probability from 0 to 1"):
        task(config)
