"""The two tasks: their losses against second implementations, their metrics, their errors."""

import pytest
import torch

from asl.common.errors import AslError
from asl.models import BiLstm
from asl.tasks.ctc import CtcTask, best_tokens, ctc_loss
from asl.tasks.isolated import IsolatedTask, inverse_frequency, sign_targets

PARTS = {"hand_left": 4, "hand_right": 4}


def encoder(parts):
    return BiLstm(parts, hidden=8, layers=1, part_dim=8, dropout=0.0)


def batch(token_lengths, tokens, frames=12):
    torch.manual_seed(0)
    n = len(token_lengths)
    return {
        "ids": [f"clip{i}" for i in range(n)],
        "texts": ["words"] * n,
        "features": torch.randn(n, frames, 8),
        "feature_lengths": torch.tensor([frames] * (n - 1) + [frames - 3]),
        "tokens": torch.tensor(tokens),
        "token_lengths": torch.tensor(token_lengths),
    }


def test_a_softmax_takes_exactly_one_sign_a_clip():
    assert sign_targets(batch([1, 1], [3, 1])).tolist() == [2, 0]
    with pytest.raises(AslError, match="clip clip1: 2 signs"):
        sign_targets(batch([1, 2], [3, 1, 2]))


def test_class_weights_are_inverse_frequencies_within_bounds():
    weights = inverse_frequency(torch.tensor([1, 10, 100, 100000]), smoothing=0.0)
    assert weights.tolist() == [10.0, 10.0, 10.0, pytest.approx(0.25, abs=0.01)]
    assert inverse_frequency(torch.tensor([5, 5]), smoothing=1.0).tolist() == [1.0, 1.0]
    assert torch.isfinite(inverse_frequency(torch.tensor([0, 8]), smoothing=0.0)).all()


def test_isolated_metrics_are_sums_over_the_batch():
    task = IsolatedTask(encoder, feature_parts=PARTS, vocab_size=7).eval()
    b = batch([1, 1, 1], [1, 2, 3])
    logits = task(b["features"], b["feature_lengths"])
    metrics = task.validation_metrics(b)
    right = (logits.argmax(dim=1) == torch.tensor([0, 1, 2])).sum()
    assert metrics["top1"] == (right, 3) and metrics["top5"][0] >= right
    log_probs, _ = task.log_probs(b)
    assert log_probs.shape == (3, 6) and torch.allclose(log_probs.exp().sum(1), torch.ones(3), atol=1e-5)


def test_a_network_that_gives_nan_has_nothing_right():
    task = IsolatedTask(encoder, feature_parts=PARTS, vocab_size=7).eval()
    task.head.layers[-1].weight.data.fill_(float("nan"))
    metrics = task.validation_metrics(batch([1, 1, 1], [1, 2, 3]))
    assert metrics["top1"] == (0, 3) and metrics["top5"] == (0, 3)


def test_ctc_metrics_count_token_errors():
    task = CtcTask(encoder, feature_parts=PARTS, vocab_size=5).eval()
    with torch.no_grad():
        task.head.layers[1].weight.zero_()
        task.head.layers[1].bias.copy_(torch.tensor([0.0, 9, 0, 0, 0]))
    errors, count = task.validation_metrics(batch([2, 1], [1, 2, 3]))["ter"]
    assert (errors, count) == (2, 3)  # everything is read as token 1: right, then one lost; and one wrong


def test_best_tokens_merges_repeats_and_drops_blanks():
    path = [0, 2, 2, 0, 2, 3, 3, 0]
    assert best_tokens(torch.eye(4)[path]) == [2, 2, 3]


def test_an_utterance_too_long_for_its_frames_has_no_loss_and_no_gradient():
    log_probs = torch.randn(1, 2, 4).log_softmax(-1).requires_grad_()
    loss = ctc_loss(log_probs, torch.tensor([2]), torch.tensor([1, 1]), torch.tensor([2]))
    loss.sum().backward()
    assert loss.item() == 0 and (log_probs.grad == 0).all()


def all_alignments(log_probs, tokens):
    """-log of the sum over every path that reads as ``tokens``: by enumeration."""
    frames, vocab = log_probs.shape
    scores = []
    for code in range(vocab**frames):
        path = [code // vocab**t % vocab for t in range(frames)]
        merged = [t for i, t in enumerate(path) if t and (i == 0 or t != path[i - 1])]
        if merged == tokens:
            scores.append(sum(log_probs[t, k] for t, k in enumerate(path)))
    return -torch.logsumexp(torch.stack(scores), 0)


def test_ctc_loss_is_the_sum_over_alignments():
    torch.manual_seed(1)
    log_probs = torch.randn(1, 5, 3).log_softmax(-1)
    loss = ctc_loss(log_probs, torch.tensor([5]), torch.tensor([1, 1]), torch.tensor([2]))
    assert torch.allclose(loss[0], all_alignments(log_probs[0], [1, 1]), atol=1e-5)


@pytest.mark.k2
def test_ctc_loss_is_k2s():
    import k2

    torch.manual_seed(2)
    log_probs = torch.randn(3, 20, 6).log_softmax(-1)
    lengths, tokens, counts = torch.tensor([20, 15, 9]), torch.tensor([1, 2, 2, 5, 4, 3]), torch.tensor([3, 2, 1])
    ours = ctc_loss(log_probs, lengths, tokens, counts)
    segments = torch.stack([torch.arange(3), torch.zeros(3), lengths], dim=1).to(torch.int32)
    graph = k2.ctc_graph([t.tolist() for t in tokens.split(counts.tolist())])
    theirs = k2.ctc_loss(
        graph, k2.DenseFsaVec(log_probs, segments), output_beam=1000.0, reduction="none", target_lengths=counts
    )
    assert torch.allclose(ours, theirs.float(), atol=1e-3)
