"""Encoders of limited context: what they say of it holds, and fed piece by piece they give what the whole clip gives."""

import pytest
import torch

from asl.common.errors import AslError
from asl.decoding.streaming import look_ahead
from asl.models import BiLstm, CausalTransformer, ConvTransformer, Tdnn

PARTS = {"hand_left": 4, "hand_right": 4, "pose": 3}
SMALL = {"dim": 8, "part_dim": 4}
ENCODERS = {
    "causal": lambda: CausalTransformer(PARTS, blocks=2, kernel=5, ahead=[2, 1], back=3, heads=2, subsampling=4, **SMALL),
    "one rate": lambda: CausalTransformer(PARTS, blocks=1, kernel=3, ahead=[0, 1], back=2, heads=2, subsampling=1, **SMALL),
    "one stage": lambda: CausalTransformer(PARTS, blocks=2, kernel=7, ahead=[3], back=0, heads=1, subsampling=3, **SMALL),
    "tdnn": lambda: Tdnn(PARTS, kernels=[3, 5, 3], dilations=[1, 1, 2], subsampling=2, **SMALL),
}


def trained(name):
    """In eval mode, with normalisation and biases that are not those of the start."""
    torch.manual_seed(0)
    encoder = ENCODERS[name]()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    encoder(torch.randn(4, 30, 11), torch.tensor([30, 30, 25, 9]))
    return encoder.eval()


@pytest.mark.parametrize("chunk", [1, 3, 8, 100])
@pytest.mark.parametrize("name", ENCODERS)
def test_fed_piece_by_piece_they_give_what_the_whole_clip_gives(name, chunk):
    encoder = trained(name)
    features, lengths = torch.randn(3, 61, 11), torch.tensor([61, 38, 2])
    with torch.no_grad():
        whole, out_lengths = encoder(features, lengths)
    stream = encoder.open_stream()
    for row, frames in enumerate(lengths.tolist()):
        pieces, given = [], 0
        for first in range(0, frames, chunk):
            end = min(first + chunk, frames)
            pieces.append(stream.accept(features[row, first:end], last=end == frames))
            given += len(pieces[-1])
            if end < frames:  # not later than it says
                assert given == max(0, (end - 1 - encoder.look_ahead) // encoder.subsampling + 1)
        together = torch.cat(pieces)
        assert len(together) == out_lengths[row]
        assert torch.allclose(together, whole[row, : len(together)], atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_an_end_that_comes_after_the_last_frame_is_the_same_end(name):
    encoder = trained(name)
    features = torch.randn(30, 11)
    stream = encoder.open_stream()
    pieces = [stream.accept(features), stream.accept(features[:0]), stream.accept(features[:0], last=True)]
    with torch.no_grad():
        assert torch.allclose(torch.cat(pieces), encoder(features[None], torch.tensor([30]))[0][0], atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_look_ahead_and_history_are_what_they_say(name):
    encoder = trained(name)
    features = torch.randn(200, 11, requires_grad=True)
    network = lambda x: encoder(x, torch.tensor([x.shape[1]]))[0]  # noqa: E731
    assert look_ahead(network, features.detach(), encoder.subsampling) == encoder.look_ahead
    middle = 120 // encoder.subsampling
    (gradient,) = torch.autograd.grad(network(features[None])[0, middle].sum(), features)
    touched = gradient.abs().sum(dim=1).nonzero().flatten()
    assert int(touched.min()) == middle * encoder.subsampling - encoder.history


@pytest.mark.parametrize("subsampling", [1, 4])
def test_padding_changes_neither_outputs_nor_statistics(subsampling):
    torch.manual_seed(0)
    encoder = CausalTransformer(
        PARTS, blocks=2, kernel=5, ahead=[2, 1], back=4, heads=2, subsampling=subsampling, dropout=0.0, drop_path=0.0,
        **SMALL,
    )  # fmt: skip
    x, lengths = torch.randn(3, 21, 11), torch.tensor([21, 13, 4])
    x[1, 13:], x[2, 4:] = 7.0, 7.0
    short, out_lengths, convolved = encoder(x, lengths, middle=True)
    long, _ = encoder(torch.cat([x, torch.full((3, 9, 11), 5.0)], dim=1), lengths)
    assert torch.allclose(short, long[:, : short.shape[1]], atol=1e-5) and convolved.shape == short.shape
    encoder.eval()
    with torch.no_grad():
        together, _ = encoder(x, lengths)
        for i, n in enumerate(lengths.tolist()):
            alone, length = encoder(x[i : i + 1, :n], lengths[i : i + 1])
            assert length == out_lengths[i] == -(-n // subsampling)
            assert torch.allclose(together[i, : int(length)], alone[0], atol=1e-5)
            assert (together[i, int(length) :] == 0).all()


def test_what_does_not_fit_or_sees_everything_is_named():
    for wrong in ({"ahead": [3]}, {"ahead": []}, {"back": -1}):
        with pytest.raises(AslError, match="give for each stage 0 to 2 frames ahead"):
            CausalTransformer(PARTS, kernel=5, heads=2, **{"ahead": [1], **wrong}, **SMALL)
    with pytest.raises(AslError, match="kernel=4 .* as 5"):
        CausalTransformer(PARTS, kernel=4)
    with pytest.raises(AslError, match="heads=3"):
        CausalTransformer(PARTS, heads=3, **SMALL)
    for encoder in (BiLstm(PARTS, hidden=4), ConvTransformer(PARTS, heads=2, **SMALL)):
        with pytest.raises(AslError, match=f"{type(encoder).__name__} must see a whole clip.*CausalTransformer"):
            encoder.open_stream()
