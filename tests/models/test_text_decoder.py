"""The text decoder: steps are the whole, padding and other rows change nothing, rows come and go."""

import pytest
import torch

from asl.common.errors import AslError
from asl.models import attention
from asl.models.attention import Attention, attend
from asl.models.text_decoder import TextDecoder

VOCAB = 11


def decoder(**options):
    torch.manual_seed(0)
    made = TextDecoder(VOCAB, memory_dim=6, dim=16, layers=3, heads=4, feedforward=24, **options)
    torch.nn.init.normal_(made.output.bias)
    return made.eval()


def memories():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 9, 6, generator=generator), torch.tensor([9, 4, 1])


def sentences(made):
    return torch.tensor([[made.sos_eos, 3, 4, 9], [made.sos_eos, 10, 0, 0], [made.sos_eos, 1, 1, 0]]), torch.tensor([4, 2, 3])


def steps(made, tokens, state):
    """Log-probabilities after each of ``tokens`` ``(rows, length)``, and the last state."""
    out = []
    for column in tokens.T:
        log_probs, state = made.step(column, state)
        out.append(log_probs)
    return torch.stack(out, dim=1), state


@pytest.mark.parametrize("tied", [True, False])
def test_steps_with_kept_keys_are_the_whole_forward(tied):
    made, (memory, frames) = decoder(tied=tied), memories()
    tokens, lengths = sentences(made)
    whole = made(tokens, lengths, memory, frames).log_softmax(-1)
    found, state = steps(made, tokens, made.start(memory, frames))
    assert state.length == 4 and state.rows == 3
    for row, n in enumerate(lengths.tolist()):
        assert torch.allclose(found[row, :n, 1:], whole[row, :n, 1:], atol=1e-5)
    assert (whole[..., 0] == -torch.inf).all() and torch.allclose(whole.exp().sum(-1), torch.ones(3, 4))


def test_neither_padding_nor_what_comes_later_nor_other_sentences_change_anything():
    made, (memory, frames) = decoder(), memories()
    tokens, lengths = sentences(made)
    whole = made(tokens, lengths, memory, frames)
    memory = torch.where(torch.arange(9)[None, :, None] < frames[:, None, None], memory, torch.full_like(memory, 7.0))
    tokens = torch.where(torch.arange(4)[None] < lengths[:, None], tokens, torch.full_like(tokens, -1))
    again = made(torch.nn.functional.pad(tokens, (0, 2), value=-1), lengths, memory, frames)
    for row, (n, m) in enumerate(zip(lengths.tolist(), frames.tolist())):
        alone = made(tokens[row : row + 1, :n], lengths[row : row + 1], memory[row : row + 1, :m], frames[row : row + 1])
        for other in (whole[row, :n], again[row, :n]):
            assert torch.allclose(other[:, 1:], alone[0, :, 1:], atol=1e-5)
    tokens[0, 3] = 5
    assert torch.allclose(made(tokens, lengths, memory, frames)[0, :3, 1:], whole[0, :3, 1:], atol=1e-6)


def test_rows_are_repeated_dropped_and_reordered():
    """A beam of several hypotheses a sentence, of which one sentence ends: each row as if it were alone."""
    made, (memory, frames) = decoder(), memories()
    _, state = steps(made, torch.tensor([[VOCAB, 2], [VOCAB, 3], [VOCAB, 4]]), made.start(memory, frames))
    state = state.select(torch.tensor([2, 0, 0, 2, 0, 1]))
    assert state.owner.tolist() == [2, 0, 0, 2, 0, 1] and state.place.tolist() == [0, 0, 1, 1, 2, 0]
    _, state = made.step(torch.tensor([5, 6, 7, 8, 9, 10]), state)
    state = state.select(torch.tensor([4, 2, 3, 3]))  # the sentence of row 1 is done with
    assert len(state.inside) == 2 and state.own[0][0].shape == (4, 4, 3, 4) and state.rows == 4
    found, _ = made.step(torch.tensor([1, 2, 3, 4]), state)
    told = [(0, [2, 9, 1]), (0, [2, 7, 2]), (2, [4, 8, 3]), (2, [4, 8, 4])]
    for row, (sentence, tokens) in enumerate(told):
        one = made(torch.tensor([[VOCAB, *tokens]]), torch.tensor([4]), memory[sentence][None], frames[sentence][None])
        assert torch.allclose(found[row, 1:], one[0, -1].log_softmax(-1)[1:], atol=1e-5)


def test_attention_by_hand_is_torchs_own(monkeypatch):
    """Against ``nn.MultiheadAttention``; and without the kernel that older torch lacks."""
    torch.manual_seed(0)
    ours, torchs = Attention(12, 3), torch.nn.MultiheadAttention(12, 3, batch_first=True).eval()
    with torch.no_grad():
        torchs.in_proj_weight.copy_(torch.cat([m.weight for m in (ours.query, ours.key, ours.value)]))
        torchs.in_proj_bias.copy_(torch.cat([m.bias for m in (ours.query, ours.key, ours.value)]))
        torchs.out_proj.load_state_dict(ours.out.state_dict())
    x, memory, allowed = torch.randn(2, 4, 12), torch.randn(2, 5, 12), torch.rand(2, 5) > 0.3
    allowed[:, 0] = True
    told, _ = torchs(x, memory, memory, key_padding_mask=~allowed)
    assert torch.allclose(ours(x, ours.keys_values(memory), allowed[:, None, None]), told, atol=1e-6)
    q, k, v = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 6, 5), torch.randn(2, 3, 6, 5)
    mask = torch.rand(2, 1, 4, 6) > 0.5
    mask[..., 2] = True
    native = attend(q, k, v, mask)
    monkeypatch.delattr(attention.F, "scaled_dot_product_attention", raising=False)
    assert torch.allclose(attend(q, k, v, mask), native, atol=1e-6)
    torch.manual_seed(1)
    dropped = torch.stack([attend(q, k, v, mask, 0.4) for _ in range(400)]).mean(0)
    assert torch.allclose(dropped, native, atol=0.6) and not torch.equal(attend(q, k, v, mask, 0.4), native)


def test_stochastic_depth_grows_with_the_layers_and_training_drops():
    made = decoder(drop_path=0.3, dropout=0.0)
    assert [layer.drop_path.p for layer in made.layers] == pytest.approx([0.1, 0.2, 0.3])
    (memory, frames), (tokens, lengths) = memories(), sentences(made)
    made.train()
    first, second = (made(tokens, lengths, memory, frames)[..., 1:] for _ in range(2))
    assert not torch.equal(first, second)


def test_parameters_as_they_are_told():
    count = lambda m: sum(p.numel() for p in m.parameters())  # noqa: E731
    made = TextDecoder(1001, 256)
    assert count(made.layers) == 2 * (8 * 256**2 + 8 * 256 + 2 * 256 * 1024 + 1024 + 256 + 6 * 256)
    assert count(TextDecoder(1001, 256, tied=False)) - count(made) == 1002 * 256


def test_what_cannot_be_is_refused():
    with pytest.raises(AslError, match="dim=16 cannot be shared by heads=3; give a multiple of 3"):
        TextDecoder(VOCAB, 6, dim=16, heads=3)
    with pytest.raises(AslError, match="a text decoder of 0 layers for 11 tokens"):
        TextDecoder(VOCAB, 6, layers=0)
