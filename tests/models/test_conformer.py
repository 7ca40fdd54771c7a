"""The Conformer is torchaudio's, except that nothing beyond a clip's end reaches its convolutions."""

import sys

import pytest
import torch

from asl.common.errors import AslError
from asl.models import Conformer
from asl.models.masking import length_mask

PARTS = {"hand_left": 10, "hand_right": 10, "pose": 6}


def conformer(**options):
    torch.manual_seed(0)
    return Conformer(PARTS, **{"dim": 16, "part_dim": 8, "layers": 2, "heads": 2, "kernel": 5, **options})


@pytest.mark.torchaudio
@pytest.mark.parametrize("subsampling", [1, 2, 4])
def test_padding_changes_nothing(subsampling):
    encoder = conformer(subsampling=subsampling).eval()
    x, lengths = torch.randn(3, 23, 26), torch.tensor([21, 13, 4])  # padded beyond the longest too
    garbage = torch.where(length_mask(lengths, 23)[..., None], x, torch.full_like(x, 7.0))
    together, out_lengths = encoder(garbage, lengths)
    assert out_lengths.tolist() == [-(-n // subsampling) for n in (21, 13, 4)]
    assert together.shape == (3, -(-23 // subsampling), 16)
    for i, n in enumerate(lengths.tolist()):
        alone, length = encoder(x[i : i + 1, :n], lengths[i : i + 1])
        assert torch.allclose(together[i, : int(length)], alone[0], atol=1e-5)
        assert (together[i, int(length) :] == 0).all()


@pytest.mark.torchaudio
def test_padding_changes_no_training_statistic():
    encoder = conformer(dropout=0.0).train()
    x, lengths = torch.randn(4, 12, 26), torch.tensor([12, 12, 9, 7])
    short, _ = encoder(x * length_mask(lengths, 12)[..., None], lengths)
    long, _ = encoder(torch.cat([x, torch.full((4, 9, 26), 3.0)], dim=1), lengths)
    assert torch.allclose(short, long[:, :12], atol=1e-5)


@pytest.mark.torchaudio
@pytest.mark.parametrize("training", [False, True])
def test_without_padding_a_layer_computes_what_torchaudios_does(training):
    from torchaudio.models import Conformer as Theirs

    ours = conformer(dropout=0.0).train(training)
    theirs = Theirs(16, 2, 64, 2, 5, dropout=0.0).train(training)
    for a, b in zip(ours.layers, theirs.conformer_layers):
        convolution = b.conv_module
        b.conv_module = torch.nn.Identity()  # all but the convolution bears the same names
        b.load_state_dict({k: v for k, v in a.state_dict().items() if "conv_module" not in k})
        b.conv_module, mine = convolution, a.conv_module
        convolution.layer_norm.load_state_dict(mine.layer_norm.state_dict())
        widen, _, depthwise, norm, _, narrow, _ = convolution.sequential
        widen.load_state_dict(mine.widen.state_dict())
        narrow.load_state_dict(mine.narrow.state_dict())
        depthwise.weight.data.copy_(mine.depthwise.weight[:, :, 0])
        depthwise.bias.data.zero_()
        norm.load_state_dict(mine.norm.state_dict())
    x, lengths = torch.randn(2, 9, 26), torch.tensor([9, 9])
    given = []
    ours.layers[0].register_forward_pre_hook(lambda module, args: given.append(args[0]))
    y, _ = ours(x, lengths)
    expected, _ = theirs(given[0].transpose(0, 1), lengths)
    assert torch.allclose(y, expected, atol=1e-5)


@pytest.mark.torchaudio
def test_gradients_reach_every_weight():
    encoder = conformer().train()
    y, _ = encoder(torch.randn(2, 9, 26), torch.tensor([9, 6]))
    y.square().sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


def test_without_torchaudio_it_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    monkeypatch.setitem(sys.modules, "torchaudio.models", None)
    with pytest.raises(AslError, match="Conformer .*torchaudio.* ConvTransformer or BiLstm.*--set 2") as error:
        conformer()
    assert "\n" not in str(error.value)


def test_sizes_that_do_not_fit_are_named():
    with pytest.raises(AslError, match="kernel=16 .* as 17"):
        conformer(kernel=16)
    with pytest.raises(AslError, match="dim=10 cannot be shared by heads=4"):
        conformer(dim=10, heads=4)


@pytest.mark.torchaudio
def test_the_middle_is_what_half_of_the_layers_give():
    encoder = conformer(layers=4).eval()
    x, lengths = torch.randn(2, 9, 26), torch.tensor([9, 5])
    plain, _ = encoder(x, lengths)
    hidden, _, middle = encoder(x, lengths, middle=True)
    shallow = conformer(layers=4).eval()
    shallow.load_state_dict(encoder.state_dict())
    shallow.layers = shallow.layers[:2]
    assert torch.equal(plain, hidden) and torch.allclose(middle, shallow(x, lengths)[0], atol=1e-6)
    assert middle.shape[-1] == encoder.middle_dim
