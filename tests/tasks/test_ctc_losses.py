"""The parts of the CTC loss against enumeration, loops and torch; each is switched by its weight alone."""

import pytest
import torch
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.lang.phonology import Coded, PhonologyTable
from asl.lang.prepare import write_lang
from asl.models import BiLstm, ConvTransformer, Encoder
from asl.models.heads import CosineLinear
from asl.tasks import ctc_losses as losses
from asl.tasks.ctc import CtcTask
from asl.tasks.phonology import PhonologyConfig

PARTS = {"hand_left": 4, "hand_right": 4}


def posterior_by_enumeration(log_probs, tokens):
    """Share of each symbol in each frame over all paths that read as ``tokens``."""
    frames, vocab = log_probs.shape
    out, total = torch.zeros(frames, vocab), 0.0
    for code in range(vocab**frames):
        path = [code // vocab**t % vocab for t in range(frames)]
        if [t for i, t in enumerate(path) if t and (i == 0 or t != path[i - 1])] == tokens:
            p = sum(log_probs[t, k] for t, k in enumerate(path)).exp()
            total = total + p
            for t, k in enumerate(path):
                out[t, k] += p
    return out / total


@pytest.mark.parametrize("tokens", [[1], [2, 1], [1, 1]])
def test_occupancy_is_the_posterior_given_the_text(tokens):
    torch.manual_seed(0)
    log_probs = torch.randn(2, 5, 3).log_softmax(-1)
    both = torch.tensor(tokens + tokens)
    found = losses.occupancy(log_probs, torch.tensor([5, 4]), both, torch.tensor([len(tokens)] * 2))
    assert torch.allclose(found[0], posterior_by_enumeration(log_probs[0], tokens), atol=1e-5)
    assert torch.allclose(found[1, :4], posterior_by_enumeration(log_probs[1, :4], tokens), atol=1e-5)
    assert (found[1, 4] == 0).all() and not found.requires_grad


def test_occupancy_of_what_cannot_be_aligned_is_the_network_s_own_posterior():
    log_probs = torch.randn(1, 2, 3).log_softmax(-1)
    found = losses.occupancy(log_probs, torch.tensor([2]), torch.tensor([1, 1]), torch.tensor([2]))
    assert torch.allclose(found, log_probs.exp(), atol=1e-6)


def test_a_token_s_vector_is_a_mean_of_its_frames():
    torch.manual_seed(0)
    hidden, occupied = torch.randn(2, 6, 4), torch.rand(2, 6, 5)
    tokens = losses.pad_tokens(torch.tensor([3, 1, 2]), torch.tensor([2, 1]))
    assert tokens.tolist() == [[3, 1], [2, 0]]
    means = losses.token_means(hidden, occupied, tokens)
    for row, place, token in ((0, 0, 3), (0, 1, 1), (1, 0, 2)):
        w = occupied[row, :, token]
        expected = sum(w[t] * hidden[row, t] for t in range(6)) / w.sum()
        assert torch.allclose(means[row, place], expected, atol=1e-5)


def test_only_the_blank_s_share_above_the_ratio_is_penalised():
    probs = torch.tensor([[[0.9, 0.1], [0.7, 0.3], [0.5, 0.5]], [[0.2, 0.8], [0.4, 0.6], [1.0, 0.0]]])
    log_probs, lengths = probs.clamp(min=1e-9).log(), torch.tensor([3, 2])
    assert torch.allclose(losses.blank_share(log_probs, lengths), torch.tensor([0.7, 0.3]), atol=1e-6)
    excess = losses.blank_excess(log_probs, lengths, 0.6)
    assert torch.allclose(excess, torch.tensor([0.1, 0.0]), atol=1e-6)


def test_an_output_frame_begins_a_sign_if_one_of_its_frames_does():
    tags = torch.tensor([[-1, -1, 0, 2, 1, 1, 1, 0, 0]])
    assert losses.tags_of_outputs(tags, 2, 5).tolist() == [[-1, 2, 1, 1, 0]]
    assert losses.tags_of_outputs(tags, 3, 3).tolist() == [[0, 2, 1]]
    assert losses.tags_of_outputs(tags, 1, 9).tolist() == tags.tolist()


def test_the_tags_loss_is_a_mean_over_known_frames():
    torch.manual_seed(0)
    logits, tags = torch.randn(2, 4, 3), torch.tensor([[0, 2, 1, -1], [-1, -1, -1, -1]])
    found = losses.segment_losses(logits, tags)
    first = F.cross_entropy(logits[0, :3], tags[0, :3])
    assert torch.allclose(found, torch.stack([first, torch.tensor(0.0)]))
    right, known = losses.segment_hits(logits, tags)
    assert known == 3 and right == (logits[0, :3].argmax(1) == tags[0, :3]).sum()


def make(**options):
    torch.manual_seed(0)
    sizes = dict(hidden=8, layers=1, part_dim=8, subsampling=2, dropout=0.0)
    encoder = lambda parts: BiLstm(parts, **sizes)  # noqa: E731
    return CtcTask(encoder, dropout=0.0, feature_parts=PARTS, vocab_size=5, **options)


def batch():
    generator = torch.Generator().manual_seed(5)
    return {
        "features": torch.randn(3, 12, 8, generator=generator),
        "feature_lengths": torch.tensor([12, 12, 9]),
        "tokens": torch.tensor([1, 2, 3, 4, 4]),
        "token_lengths": torch.tensor([2, 1, 2]),
        "segments": torch.tensor([[0, 2, 1, 1, 1, 1, 2, 1, 1, 0, 0, 0], [-1] * 12, [2] + [1] * 8 + [-1] * 3]),
    }


def reference(log_probs, lengths, b):
    args = (log_probs.transpose(0, 1), b["tokens"], lengths, b["token_lengths"])
    return F.ctc_loss(*args, reduction="none").mean()


def test_without_options_there_is_ctc_alone():
    made, b = make(), batch()
    assert {name.split(".")[0] for name in made.state_dict()} == {"encoder", "head"}
    parts = made.training_loss(b)
    assert list(parts) == ["loss"]
    assert torch.allclose(parts["loss"], reference(*made(b["features"], b["feature_lengths"]), b))


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("classifier", ["linear", "cosine"])
def test_parts_are_weighed_and_added(shared, classifier):
    options = dict(aux_weight=0.5, aux_shared=shared, blank_weight=2.0, blank_ratio=0.1, segment_weight=0.3)
    made, b = make(classifier=classifier, **options), batch()
    parts = made.training_loss(b)
    total = parts["ctc"] + 0.5 * parts["aux"] + 2.0 * parts["blank"] + 0.3 * parts["segment"]
    assert torch.allclose(parts["loss"], total) and len(parts) == 5
    hidden, lengths, middle = made.encoder(b["features"], b["feature_lengths"], middle=True)
    head = made.head if shared else made.aux_head
    assert torch.allclose(parts["aux"], reference(head(made.aux_norm(middle)), lengths, b))
    assert torch.allclose(parts["ctc"], reference(made.head(hidden), lengths, b))
    own = [n for n in made.state_dict() if n.startswith("aux_head")]
    assert (own == []) == shared
    assert isinstance(made.head.layers[-1], CosineLinear) == (classifier == "cosine")
    metrics = made.eval().validation_metrics(b)
    assert {"loss", "ter", "blank", "aux_loss", "segment"} == set(metrics)
    assert metrics["segment"][1] == 6 + 5  # output frames of the first and the third utterance


def test_every_parameter_of_the_parts_learns():
    made = make(aux_weight=0.5, segment_weight=0.3, blank_weight=1.0, blank_ratio=0.0)
    made.training_loss(batch())["loss"].backward()
    assert [n for n, p in made.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0] == []


def test_phonology_of_a_text_is_that_of_its_tokens(tmp_path):
    write_lang(["a", "b", "c", "d"], tmp_path)
    rows = {"a": Coded({"Handshape": "x"}), "c": Coded({"Handshape": "y"}), "d": Coded({"Handshape": "x"})}
    PhonologyTable(["Handshape"], rows).write(tmp_path / "phonology.tsv")
    made, b = make(phonology=PhonologyConfig(0.7, None, ["Handshape"], 0.0, {"Handshape": 2})), batch()
    made.phonology.read(tmp_path)
    parts = made.training_loss(b)
    hidden, lengths = made.encoder(b["features"], b["feature_lengths"])
    occupied = losses.occupancy(made.head(hidden), lengths, b["tokens"], b["token_lengths"])

    def of(row, token, value):
        weight = occupied[row, :, token] / occupied[row, :, token].sum()
        (logits,) = made.phonology.heads((weight[:, None] * hidden[row]).sum(dim=0, keepdim=True))
        return F.cross_entropy(logits, torch.tensor([value]))

    # a b | c | d d: nothing is known of b
    expected = ((of(0, 1, 0) + 0) / 2 + of(1, 3, 1) + (2 * of(2, 4, 0)) / 2) / 3
    assert torch.allclose(parts["phon"], expected, atol=1e-5)
    assert torch.allclose(parts["loss"], parts["ctc"] + 0.7 * expected, atol=1e-5)
    assert int(made.eval().validation_metrics(b)["phon/Handshape"][1]) == 4


class Plain(Encoder):
    """An encoder that gives no middle."""

    output_dim = 8

    def __init__(self, feature_parts):
        super().__init__()
        self.layer = torch.nn.Linear(8, 8)

    def forward(self, features, lengths):
        return self.layer(features), lengths


class Narrow(Plain):
    """An encoder whose middle is narrower than its end."""

    middle_dim = 4


@pytest.mark.parametrize(
    "encoder, options, message",
    [
        (Plain, {"aux_weight": 0.5}, "Plain does not give the output of its middle layers; set it to 0"),
        (Narrow, {"aux_weight": 0.5, "aux_shared": True}, "8 channels at its end and 4 in its middle"),
        (Plain, {"segment_weight": -1.0}, "segment_weight is -1.0; give 0"),
        (Plain, {"blank_ratio": 1.5}, "blank_ratio is 1.5; give a share"),
    ],
)
def test_options_that_cannot_be_are_refused(encoder, options, message):
    with pytest.raises(AslError, match=message):
        CtcTask(encoder, feature_parts=PARTS, vocab_size=5, **options)


def test_tags_that_the_data_do_not_give_are_told():
    b = batch()
    del b["segments"]
    with pytest.raises(AslError, match="set data.segments to true"):
        make(segment_weight=1.0).training_loss(b)


@pytest.mark.parametrize("subsampling", [1, 2])
def test_the_middle_of_a_conv_transformer_is_what_its_last_convolutions_give(subsampling):
    torch.manual_seed(0)
    sizes = dict(dim=8, part_dim=4, blocks=1, kernel=3, heads=2)
    encoder = ConvTransformer(PARTS, subsampling=subsampling, **sizes).eval()
    x, lengths = torch.randn(2, 9, 8), torch.tensor([9, 5])
    seen = []
    encoder.transformers[-1].register_forward_hook(lambda module, given, out: seen.append(given[0]))
    plain, out_lengths = encoder(x, lengths)
    hidden, same_lengths, middle = encoder(x, lengths, middle=True)
    assert torch.equal(plain, hidden) and torch.equal(out_lengths, same_lengths)
    assert torch.equal(middle, seen[1]) and middle.shape == (2, -(-9 // subsampling), encoder.middle_dim)
    inside = int(out_lengths[1])
    assert torch.allclose(encoder(x[1:, :5], lengths[1:], middle=True)[2], middle[1:, :inside], atol=1e-5)


def test_a_batch_shared_out_has_the_loss_of_the_whole():
    made, b = make(aux_weight=0.5, blank_weight=1.0, blank_ratio=0.2, segment_weight=0.3).eval(), batch()
    whole = made.training_loss(b)
    halves = []
    for rows, tokens in ((slice(0, 2), slice(0, 3)), (slice(2, 3), slice(3, 5))):
        halves.append({n: v[tokens if n == "tokens" else rows] for n, v in b.items()})
    for name, value in whole.items():
        shares = sum(made.training_loss(h)[name] * made.loss_weight(h) / 3 for h in halves)
        assert torch.allclose(shares, value, atol=1e-6), name
