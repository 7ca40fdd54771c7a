"""CTC prefix scores, against a listing of every alignment; and CTC's own loss."""

import itertools
import math
from collections import defaultdict

import pytest
import torch

from asl.decoding.ctc_prefix import CtcPrefixScorer
from tests.decoding.test_search import probabilities
from tests.graph.byhand import posteriors


def beginnings(log_probs):
    """Log-probability that a text begins so: the sum over all texts that do, over all alignments."""
    total = defaultdict(float)
    for said, log_prob in probabilities(log_probs).items():
        for length in range(len(said) + 1):
            total[said[:length]] += math.exp(log_prob)
    return {said: math.log(p) for said, p in total.items()}


def state_of(scorer, texts):
    """The state with a row for each ``(clip, text)``, the texts equally long."""
    state = scorer.start()
    state = scorer.extend(state, torch.tensor([clip for clip, _ in texts]), torch.tensor([text[0] for _, text in texts]))
    for place in range(1, len(texts[0][1])):
        state = scorer.extend(state, torch.arange(len(texts)), torch.tensor([text[place] for _, text in texts]))
    return state


@pytest.mark.parametrize("seed", range(4))
def test_every_beginning_and_every_whole_text_has_the_probability_of_its_alignments(seed):
    log_probs, lengths = posteriors(3, 5, 3, seed=seed)
    scorer = CtcPrefixScorer(log_probs, lengths)
    whole = [probabilities(log_probs[row, :n].double().numpy()) for row, n in enumerate(lengths.tolist())]
    begun = [beginnings(log_probs[row, :n].double().numpy()) for row, n in enumerate(lengths.tolist())]
    start = scorer.start()
    assert scorer.end(start).tolist() == pytest.approx([p[()] for p in whole], abs=1e-6)
    first = scorer.score(start, torch.tensor([[1, 2]] * 3)).tolist()
    assert first == [pytest.approx([p[(1,)], p[(2,)]], abs=1e-6) for p in begun]
    for length in (1, 2, 3, 4, 5):
        texts = [(row, text) for row in range(3) for text in itertools.product((1, 2), repeat=length)]
        state = state_of(scorer, texts)
        expected = [whole[row].get(text, -math.inf) for row, text in texts]
        assert scorer.end(state).tolist() == pytest.approx(expected, abs=1e-6)
        longer = scorer.score(state, torch.tensor([[2, 1]] * len(texts)))
        expected = [[begun[row].get((*text, token), -math.inf) for token in (2, 1)] for row, text in texts]
        assert longer.flatten().tolist() == pytest.approx(sum(expected, []), abs=1e-6)


def test_of_long_and_peaked_clips_whole_texts_have_the_loss_of_ctc():
    torch.manual_seed(3)
    lengths = torch.tensor([300, 211, 30])
    log_probs = (4 * torch.randn(3, 300, 40)).log_softmax(dim=2)
    scorer = CtcPrefixScorer(log_probs, lengths)
    texts = torch.randint(1, 40, (3, 20))
    texts[0, 4] = texts[0, 3]
    state = state_of(scorer, [(row, text) for row, text in enumerate(texts.tolist())])
    losses = torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1).double(), texts, lengths, torch.tensor([20] * 3), reduction="none"
    )
    assert scorer.end(state).tolist() == pytest.approx((-losses).tolist(), abs=1e-4)
    longer = scorer.score(state, torch.arange(1, 40).expand(3, -1))
    # a text begins so if it is exactly that, or goes on with one of the tokens
    before = state_of(scorer, [(row, text[:-1]) for row, text in enumerate(texts.tolist())])
    total = scorer.score(before, texts[:, -1:])[:, 0]
    assert torch.logsumexp(torch.cat([longer, scorer.end(state)[:, None]], dim=1), dim=1).tolist() == pytest.approx(
        total.tolist(), abs=1e-5
    )


def test_probabilities_of_zero_and_frames_behind_the_end_do_not_disturb_it():
    log_probs, lengths = posteriors(2, 6, 3, seed=5)
    lengths = torch.tensor([4, 6])
    padded = log_probs.clone()
    padded[0, 4:] = 0.0
    nowhere = log_probs.clone()
    nowhere[0, 4:] = math.nan
    for given in (log_probs, padded, nowhere):
        scorer = CtcPrefixScorer(given, lengths)
        first = scorer.score(scorer.start(), torch.tensor([[1, 2], [1, 2]]))
        assert torch.allclose(first, CtcPrefixScorer(log_probs, lengths).score(scorer.start(), torch.tensor([[1, 2]] * 2)))
        state = state_of(scorer, [(0, (1, 2)), (1, (1, 2))])
        alone = CtcPrefixScorer(log_probs[:1, :4], lengths[:1])
        assert float(scorer.end(state)[0]) == pytest.approx(float(alone.end(state_of(alone, [(0, (1, 2))]))[0]))
    never = log_probs.clone()
    never[:, :, 1] = -math.inf
    scorer = CtcPrefixScorer(never, lengths)
    scores = scorer.score(scorer.start(), torch.tensor([[1, 2], [1, 2]]))
    assert (scores[:, 0] < -900).all() and (scores[:, 1] > -50).all()
    # more tokens than frames: impossible
    state = state_of(scorer, [(0, (2, 1, 2, 1)), (1, (2, 1, 2, 1))])
    assert scorer.score(state, torch.tensor([[2], [2]]))[0, 0] == -math.inf
