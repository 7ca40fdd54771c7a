"""Fusion: shapes, padding, what a missing stream may change, and that each way learns from the stream."""

import pytest
import torch
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models import BiLstm, ConvTransformer
from asl.models.fusion import FusedEncoder, StreamProjection
from asl.models.masking import length_mask

PARTS = {"hand_left": 10, "hand_right": 10, "extra": 6}
FUSIONS = ["early", "late", "gated"]


def small(parts, **options):
    return ConvTransformer(parts, dim=16, part_dim=8, blocks=1, kernel=5, heads=2, **options)


def clips(batch=3, frames=21):
    x = torch.randn(batch, frames, 26)
    x[..., -1] = 1.0
    return x


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("subsampling", [1, 2, 4])
def test_padding_changes_nothing(fusion, subsampling):
    torch.manual_seed(0)
    encoder = FusedEncoder(PARTS, lambda p: small(p, subsampling=subsampling), fusion, dim=5).eval()
    assert encoder.subsampling == subsampling and encoder.output_dim == (21 if fusion == "late" else 16)
    x, lengths = clips(), torch.tensor([21, 13, 4])
    garbage = torch.where(length_mask(lengths, 21)[..., None], x, torch.full_like(x, 7.0))
    together, out_lengths = encoder(garbage, lengths)
    assert together.shape[-1] == encoder.output_dim
    for i, n in enumerate(lengths.tolist()):
        alone, length = encoder(x[i : i + 1, :n], lengths[i : i + 1])
        assert torch.allclose(together[i, : int(length)], alone[0], atol=1e-5)
        assert (together[i, int(length) :] == 0).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_padding_changes_no_training_statistic(fusion):
    torch.manual_seed(0)
    plain = lambda p: small(p, dropout=0.0, drop_path=0.0)
    encoder = FusedEncoder(PARTS, plain, fusion, dim=5, dropout=0.0).train()
    x, lengths = clips(4, 12), torch.tensor([12, 12, 9, 7])
    x = x * length_mask(lengths, 12)[..., None]
    short, _ = encoder(x, lengths)
    long, _ = encoder(torch.cat([x, torch.zeros(4, 9, 26)], dim=1), lengths)
    assert torch.allclose(short, long[:, :12], atol=1e-5)


@pytest.mark.parametrize("fusion", ["late", "gated"])
def test_where_the_stream_is_missing_the_landmarks_are_left_as_they_are(fusion):
    torch.manual_seed(0)
    encoder = FusedEncoder(PARTS, small, fusion, dim=5).eval()
    x, lengths = clips(), torch.tensor([21, 13, 4])
    x[1, :, -6:] = 0
    y, _ = encoder(x, lengths)
    bare, _ = encoder.encoder(x[..., :20], lengths)
    assert torch.allclose(y[1, :, :16], bare[1], atol=1e-6)
    assert (y[1, :, 16:] == 0).all() and not torch.allclose(y[0], F.pad(bare[0], (0, y.shape[2] - 16)))


def test_the_gate_stays_between_all_and_nothing_of_the_stream():
    torch.manual_seed(0)
    encoder = FusedEncoder(PARTS, small, "gated").eval()
    x, lengths = clips(), torch.tensor([21, 13, 4])
    bare, _ = encoder.encoder(x[..., :20], lengths)
    stream = encoder.stream(x[..., 20:], length_mask(lengths, 21))
    for bias, expected in ((50.0, bare + stream), (-50.0, bare)):
        encoder.gate.weight.data.zero_()
        encoder.gate.bias.data.fill_(bias)
        assert torch.allclose(encoder(x, lengths)[0], expected, atol=1e-5)


def test_numbers_of_any_scale_are_normalised():
    torch.manual_seed(0)
    projection = StreamProjection(4, 8, dropout=0.0).train()
    x, mask = torch.randn(8, 5, 4), torch.ones(8, 5, dtype=torch.bool)
    x[..., -1] = 1
    small_one = projection(x, mask)
    x[..., :-1] = x[..., :-1] * torch.tensor([1e4, 1e-2, 3.0]) + torch.tensor([1e5, 0.0, -7.0])
    assert torch.allclose(small_one, projection(x, mask), atol=0.01)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_reach_every_weight_and_layers_are_named_by_depth(fusion):
    torch.manual_seed(0)
    encoder = FusedEncoder(PARTS, small, fusion).train()
    encoder(clips(), torch.tensor([21, 13, 4]))[0].square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None] == []
    named = {id(p) for group in encoder.layer_groups() for layer in group for p in layer.parameters()}
    assert named == {id(p) for p in encoder.parameters()}
    assert encoder.layer_groups()[0] == encoder.encoder.layer_groups()[0]
    assert encoder.frontend is encoder.encoder.frontend


def test_without_a_stream_it_is_refused():
    with pytest.raises(AslError, match="FusedEncoder: the data have no second stream; give data.extra"):
        FusedEncoder({"hand_left": 10}, small)


def accuracy(make, stream, steps=40):
    """Top-1 on new clips of 4 classes; the landmarks are noise, ``stream(labels)`` may tell."""
    torch.manual_seed(1)
    encoder = make()
    head = torch.nn.Linear(encoder.output_dim, 4)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=1e-2)
    lengths = torch.full((32,), 6)

    def batch():
        labels, x = torch.randint(4, (32,)), torch.randn(32, 6, 26)
        x[..., 20:25], x[..., 25] = stream(labels)[:, None], 1.0
        return x, labels

    for _ in range(steps):
        x, labels = batch()
        loss = F.cross_entropy(head(encoder(x, lengths)[0].mean(1)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    encoder.eval()
    with torch.no_grad():
        guess = lambda x: head(encoder(x, lengths)[0].mean(1)).argmax(1)
        right = [(guess(x) == labels).float().mean() for x, labels in (batch(), batch())]
    return float(sum(right) / 2)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_stream_that_tells_raises_accuracy_and_noise_breaks_nothing(fusion):
    codes = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)) * 100 + 500
    tells = lambda labels: codes[labels] + 10 * torch.randn(len(labels), 5)
    noise = lambda labels: torch.randn(len(labels), 5)
    base = lambda parts: BiLstm(parts, hidden=8, part_dim=8, layers=1, dropout=0.0)
    make = lambda: FusedEncoder(PARTS, base, fusion, dim=8, dropout=0.0)
    assert accuracy(make, tells) > 0.9
    assert accuracy(make, noise) < 0.5
