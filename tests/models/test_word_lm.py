"""The LSTM language model: probabilities, and no look ahead."""

import torch

from asl.models.word_lm import WordLm


def test_each_place_is_a_distribution_over_the_words():
    lm = WordLm(11, dim=6, hidden=8, layers=2)
    words = torch.randint(0, 11, (3, 5))
    log_probs = lm(words)
    assert log_probs.shape == (3, 5, 11)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, 5))
    (-log_probs.mean()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in lm.parameters())


def test_what_follows_changes_nothing_before_it():
    lm = WordLm(11, dim=6, hidden=8).eval()
    words = torch.randint(0, 11, (2, 6))
    other = words.clone()
    other[:, 4:] = 0
    with torch.no_grad():
        torch.testing.assert_close(lm(words)[:, :4], lm(other)[:, :4])
        torch.testing.assert_close(lm(words)[:, :4], lm(words[:, :4]))
        assert not torch.allclose(lm(words)[:, 5], lm(other)[:, 5])
