"""The encoder of translation: fewer frames, no leaks from padding, and the attention of torch's own layers."""

import pytest
import torch

from asl.common.errors import AslError
from asl.models.masking import hide_frames, length_mask
from asl.models.transformer import Halving, TransformerEncoder, TransformerLayer

PARTS = {"hand_left": 10, "hand_right": 10, "pose": 6}


def encoder(**options):
    torch.manual_seed(0)
    return TransformerEncoder(PARTS, **{"dim": 16, "part_dim": 8, "heads": 2, "feedforward": 24, **options})


@pytest.mark.parametrize("reduction", ["pool", "stride"])
@pytest.mark.parametrize("subsampling", [1, 2, 4])
def test_padding_changes_nothing(subsampling, reduction):
    made = encoder(subsampling=subsampling, reduction=reduction).eval()
    x, lengths = torch.randn(4, 23, 26), torch.tensor([21, 13, 4, 1])  # padded beyond the longest too
    garbage = torch.where(length_mask(lengths, 23)[..., None], x, torch.full_like(x, 7.0))
    together, out_lengths = made(garbage, lengths)
    assert out_lengths.tolist() == [-(-n // subsampling) for n in (21, 13, 4, 1)]
    assert together.shape == (4, -(-23 // subsampling), 16)
    for i, n in enumerate(lengths.tolist()):
        alone, length = made(x[i : i + 1, :n], lengths[i : i + 1])
        assert torch.allclose(together[i, : int(length)], alone[0], atol=1e-5)
        assert (together[i, int(length) :] == 0).all()


@pytest.mark.parametrize("reduction", ["pool", "stride"])
def test_padding_changes_no_training_statistic(reduction):
    made = encoder(dropout=0.0, reduction=reduction).train()
    x, lengths = torch.randn(4, 12, 26), torch.tensor([12, 12, 9, 7])
    short, _ = made(x * length_mask(lengths, 12)[..., None], lengths)
    long, _ = made(torch.cat([x, torch.full((4, 9, 26), 3.0)], dim=1), lengths)
    assert torch.allclose(short, long[:, :3], atol=1e-5)
    long.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())


@pytest.mark.parametrize("reduction", ["pool", "stride"])
def test_a_clip_of_one_output_frame_can_be_alone_in_its_batch(reduction):
    made = encoder(reduction=reduction).train()
    for frames in (1, 2, 3, 4):
        y, lengths = made(torch.randn(1, frames, 26), torch.tensor([frames]))
        y.sum().backward()
        assert lengths.tolist() == [1] and y.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())


def test_k5_p2_is_convolution_and_pooling():
    torch.manual_seed(0)
    halving = Halving(3, "pool").eval()
    x = torch.randn(1, 8, 3)
    told = torch.nn.functional.silu(halving.convolve(x.transpose(1, 2)) / (1 + 1e-5) ** 0.5)
    told = torch.nn.functional.max_pool1d(told, 2).transpose(1, 2)
    assert torch.allclose(halving(x, torch.tensor([8]))[0], told, atol=1e-6)


def test_a_layer_is_torchs_transformer_layer():
    torch.manual_seed(0)
    ours = TransformerLayer(16, 4, 24, dropout=0.0, drop_path=0.0)
    theirs = torch.nn.TransformerEncoderLayer(
        16, 4, 24, 0.0, activation=torch.nn.functional.silu, batch_first=True, norm_first=True
    )
    projections = (ours.attention.query, ours.attention.key, ours.attention.value)
    with torch.no_grad():
        theirs.self_attn.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        theirs.self_attn.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
    pairs = [(theirs.self_attn.out_proj, ours.attention.out), (theirs.norm1, ours.norm_attention),
             (theirs.norm2, ours.norm_feed), (theirs.linear1, ours.feed.widen), (theirs.linear2, ours.feed.narrow)]  # fmt: skip
    for a, b in pairs:
        a.load_state_dict(b.state_dict())
    x, mask = torch.randn(2, 7, 16), length_mask(torch.tensor([7, 5]), 7)
    told = theirs(x, src_key_padding_mask=~mask)
    assert torch.allclose(ours(x, mask)[mask], told[mask], atol=1e-5)


def test_stochastic_depth_drops_whole_branches_of_whole_clips():
    layer = TransformerLayer(8, 2, 16, dropout=0.0, drop_path=0.5).train()
    x = torch.randn(1, 4, 8).expand(64, -1, -1)
    torch.manual_seed(0)
    out = layer(x, torch.ones(64, 4, dtype=torch.bool))
    kinds = {tuple(torch.round(row.flatten() * 1e4).long().tolist()) for row in out}
    assert len(kinds) == 4  # both branches, one, the other, none
    assert [one.drop_path.p for one in encoder(layers=4, drop_path=0.2).layers] == pytest.approx([0.05, 0.1, 0.15, 0.2])


def test_layers_are_named_from_the_input_on_and_frames_can_be_hidden():
    made = encoder(layers=3).eval()
    groups = made.layer_groups()
    assert [type(group[0]).__name__ for group in groups] == ["PartFrontEnd", *["Halving"] * 2, *["TransformerLayer"] * 3]
    assert {id(p) for g in groups for m in g for p in m.parameters()} == {id(p) for p in made.parameters()}
    x, lengths, hidden = torch.randn(1, 9, 26), torch.tensor([9]), torch.zeros(1, 9, dtype=torch.bool)
    hidden[0, 4] = True
    with hide_frames(made, hidden, torch.zeros(16)):
        first, _ = made(x, lengths)
        x[0, 4] += 1
        assert torch.equal(made(x, lengths)[0], first)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"subsampling": 3}, "subsampling=3; frames are halved, so give 1, 2 or 4"),
        ({"heads": 3}, "dim=16 cannot be shared by heads=3"),
        ({"layers": 0}, "layers=0; give 1 or more"),
        ({"reduction": "mean"}, "reduction='mean'; give pool or stride"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(AslError, match=message):
        encoder(**options)
