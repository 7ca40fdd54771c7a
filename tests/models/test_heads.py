"""Pooling, cosine classifiers and phonological heads against torch's own and against loops."""

import pytest
import torch
from torch.nn import functional as F

from asl.models import SignClassifier
from asl.models.heads import AttentionPool, CosineLinear
from asl.models.phonology import PhonologyHeads, phonology_hits, phonology_losses


def test_each_attention_head_is_a_weighted_mean_over_the_frames_inside():
    torch.manual_seed(0)
    pool, x, lengths = AttentionPool(6, heads=3), torch.randn(2, 5, 6), torch.tensor([5, 2])
    x[1, 2:] = 0
    out = pool(x, lengths)
    assert out.shape == (2, 24)
    for i, n in enumerate(lengths.tolist()):
        inside = x[i, :n]
        weights = torch.softmax(pool.score(inside), dim=0)
        means = [sum(weights[t, h] * inside[t] for t in range(n)) for h in range(3)]
        assert torch.allclose(out[i], torch.cat([*means, inside.mean(dim=0)]), atol=1e-6)


def test_a_cosine_classifier_sees_directions_alone():
    torch.manual_seed(0)
    layer, x = CosineLinear(8, 5, scale=10.0), torch.randn(3, 8)
    cosines = F.cosine_similarity(x[:, None], layer.weight[None], dim=-1)
    assert torch.allclose(layer(x), 10 * cosines, atol=1e-5)
    assert torch.allclose(layer(7 * x), layer(x), atol=1e-5)
    layer(x).sum().backward()
    assert layer.log_scale.grad.abs() > 0


def test_options_of_the_sign_classifier_change_its_parts():
    head = SignClassifier(8, 600, hidden=0, pool_heads=2, kind="cosine")
    assert head.pooled_dim == 24 and isinstance(head.layers[-1], CosineLinear)
    assert head.layers[-1].weight.shape == (600, 24)
    assert head(torch.randn(2, 4, 8), torch.tensor([4, 3])).shape == (2, 600)


def test_a_clips_phonology_loss_is_the_mean_over_its_known_features():
    torch.manual_seed(0)
    heads = PhonologyHeads(6, {"Handshape": 4, "Contact": 2, "Movement": 3}, dropout=0.0)
    targets = torch.tensor([[3, 1, 0], [2, -1, -1], [-1, -1, -1]])
    logits = heads(torch.randn(3, 6))
    assert [z.shape[1] for z in logits] == [4, 2, 3]
    losses = phonology_losses(logits, targets)
    first = sum(F.cross_entropy(z[:1], t[:1]) for z, t in zip(logits, targets.T)) / 3
    expected = torch.stack([first, F.cross_entropy(logits[0][1:2], targets[1:2, 0]), torch.tensor(0.0)])
    assert torch.allclose(losses, expected, atol=1e-6)
    losses.sum().backward()
    assert torch.isfinite(heads.layer.weight.grad).all()


def test_hits_count_known_values_only():
    logits = [torch.tensor([[1.0, 0], [0, 1.0], [1.0, 0]]), torch.tensor([[0, 1.0]] * 3)]
    targets = torch.tensor([[0, -1], [0, 1], [-1, -1]])
    assert phonology_hits(logits, targets).tolist() == [[1, 2], [1, 1]]


@pytest.mark.parametrize("dim", [6, 9])
def test_one_matrix_is_a_classifier_for_each_feature(dim):
    heads = PhonologyHeads(dim, {"a": 2, "b": 3}, dropout=0.0)
    x = torch.randn(4, dim)
    second = F.linear(x, heads.layer.weight[2:], heads.layer.bias[2:])
    assert torch.allclose(heads(x)[1], second, atol=1e-6)
