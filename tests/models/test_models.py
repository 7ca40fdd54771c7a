"""Encoders and heads: padding never leaks, hands share weights, shapes and sizes are as told."""

import pytest
import torch

from asl.common.errors import AslError
from asl.models import BiLstm, ConvTransformer, CtcHead, SignClassifier
from asl.models.masking import MaskedBatchNorm, average_frames, length_mask

PARTS = {"hand_left": 10, "hand_right": 10, "pose": 6}
ENCODERS = {
    "conv_transformer": lambda **k: ConvTransformer(
        PARTS, dim=16, part_dim=8, blocks=2, kernel=5, heads=2, **k
    ),
    "bilstm": lambda **k: BiLstm(PARTS, hidden=8, part_dim=8, **k),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("subsampling", [1, 2, 4])
def test_padding_changes_nothing(name, subsampling):
    torch.manual_seed(0)
    encoder = ENCODERS[name](subsampling=subsampling).eval()
    x, lengths = torch.randn(3, 21, 26), torch.tensor([21, 13, 4])
    inside = length_mask(lengths, 21)[..., None]
    garbage = torch.where(inside, x, torch.full_like(x, 7.0))
    together, out_lengths = encoder(garbage, lengths)
    assert out_lengths.tolist() == [-(-n // subsampling) for n in (21, 13, 4)]
    for i, n in enumerate(lengths.tolist()):
        alone, alone_length = encoder(x[i : i + 1, :n], lengths[i : i + 1])
        assert torch.allclose(together[i, : int(alone_length)], alone[0], atol=1e-5)
        assert (together[i, int(alone_length) :] == 0).all()


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_changes_no_training_statistic(name):
    torch.manual_seed(0)
    encoder = ENCODERS[name](
        dropout=0.0, **({"drop_path": 0.0} if name == "conv_transformer" else {})
    ).train()
    x, lengths = torch.randn(4, 12, 26), torch.tensor([12, 12, 9, 7])
    x = x * length_mask(lengths, 12)[..., None]
    padded = torch.cat([x, torch.zeros(4, 9, 26)], dim=1)
    short, _ = encoder(x, lengths)
    long, _ = encoder(padded, lengths)
    assert torch.allclose(short, long[:, :12], atol=1e-5)


def test_masked_batch_norm_is_batch_norm_over_the_frames_inside():
    torch.manual_seed(0)
    norm, plain = MaskedBatchNorm(5).train(), torch.nn.BatchNorm1d(5).train()
    x, mask = torch.randn(2, 6, 5), length_mask(torch.tensor([6, 3]), 6)
    y = norm(x, mask)
    assert torch.allclose(y[mask], plain(x[mask]), atol=1e-6)
    assert (y[~mask] == 0).all()
    assert torch.allclose(norm.running_var, plain.running_var)


def test_a_frame_that_is_alone_in_training_is_normalised_by_what_was_seen_before():
    torch.manual_seed(0)
    norm = MaskedBatchNorm(5).train()
    norm(torch.randn(2, 6, 5), torch.ones(2, 6, dtype=torch.bool))
    x, before = torch.randn(1, 3, 5, requires_grad=True), {k: v.clone() for k, v in norm.state_dict().items()}
    y = norm(x, length_mask(torch.tensor([1]), 3))
    assert torch.allclose(y[0, 0], norm.eval()(x[:, :1], torch.ones(1, 1, dtype=torch.bool))[0, 0])
    assert (y[0, 1:] == 0).all() and all(torch.equal(v, before[k]) for k, v in norm.state_dict().items())
    y.sum().backward()
    assert x.grad[0, 0].abs().sum() > 0


def test_both_hands_go_through_the_same_weights():
    torch.manual_seed(0)
    encoder = ENCODERS["conv_transformer"]().eval()
    assert list(encoder.frontend.parts) == ["hand", "pose"]
    seen = []
    encoder.frontend.parts["hand"].register_forward_hook(lambda module, given, out: seen.append(given[0]))
    x = torch.randn(1, 7, 26)
    encoder(x, torch.tensor([7]))
    assert [torch.equal(s, x[..., i : i + 10]) for s, i in zip(seen, (0, 10))] == [True, True]


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(AslError, match="kernel=16 .* as 17"):
        ConvTransformer(PARTS, kernel=16)
    with pytest.raises(AslError, match="dim=10 cannot be shared by heads=4"):
        ConvTransformer(PARTS, dim=10)


def test_classifier_ignores_padding_and_deepens_above_500_signs():
    torch.manual_seed(0)
    head = SignClassifier(16, 20).eval()
    x, lengths = torch.randn(2, 9, 16), torch.tensor([9, 5])
    x[1, 5:] = 0
    assert torch.allclose(head(x, lengths)[1], head(x[1:, :5], lengths[1:])[0], atol=1e-6)
    linear = lambda h: [m for m in h.modules() if isinstance(m, torch.nn.Linear)]
    assert len(linear(SignClassifier(16, 501))) == len(linear(SignClassifier(16, 500))) + 1


def test_ctc_head_gives_log_probabilities():
    out = CtcHead(16, 11).eval()(torch.randn(2, 5, 16))
    assert out.shape == (2, 5, 11) and torch.allclose(out.exp().sum(-1), torch.ones(2, 5), atol=1e-5)


def test_average_frames_is_a_mean_over_the_frames_inside():
    x = torch.arange(10.0).view(1, 5, 2)
    y, lengths, mask = average_frames(x, torch.tensor([5]), 2)
    assert y[0].tolist() == [[1.0, 2.0], [5.0, 6.0], [8.0, 9.0]] and lengths.tolist() == [3] and mask.all()


def test_default_sizes():
    parts = {"hand_left": 133, "hand_right": 133}
    count = lambda m: sum(p.numel() for p in m.parameters())
    assert 1.4e6 < count(ConvTransformer(parts)) < 1.8e6
    assert count(BiLstm(parts)) < 1.0e6
