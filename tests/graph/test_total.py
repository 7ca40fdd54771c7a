"""Sums over paths: against the listing of every alignment, and their gradients."""

import itertools
import math

import pytest
import torch

from asl.common.errors import AslError
from asl.graph.engine import get_engine
from asl.graph.options import SearchOptions
from asl.graph.total import TotalScores
from asl.lang.folder import read_lang
from tests.graph.byhand import LEXICON, posteriors

pytestmark = pytest.mark.k2
WIDE = SearchOptions(beam=1000.0, lattice_beam=1000.0)
READINGS = [list(words) for n in range(4) for words in itertools.product(LEXICON, repeat=n)]


@pytest.fixture
def make_totals(make_lang, tmp_path, monkeypatch):
    """``make_totals(topology, exact)`` -> the sums over the graph of ``ARPA``, and its lang folder read."""

    def make(topology="ctc", exact=True, options=WIDE, null_frames=False):
        lang, folder = make_lang(LEXICON, "arpa"), tmp_path / f"{topology}{null_frames}"
        monkeypatch.setattr("asl.graph.epsilon.MOST_ARCS", 0 if null_frames else 10**6)
        get_engine("k2").compile(lang, folder, topology)
        totals = TotalScores(folder, options, exact)
        assert totals.graph.info["null_frames"] == null_frames
        return totals, read_lang(lang)

    return make


def arpa_paths(words):
    """Log of the sum over the paths of ``ARPA`` that say ``words``: a bigram, and backing off where it is too."""
    unigrams = {"</s>": -0.7, "a": -0.6, "b": -0.9, "c": -0.8, "d": -1.1}
    backoff = {"<s>": -0.3, "a": -0.2, "b": -0.1, "c": -0.4, "d": -0.2}
    bigrams = {("<s>", "a"): -0.4, ("a", "b"): -0.5, ("b", "</s>"): -0.4, ("a", "a"): -0.9,
               ("c", "d"): -0.3, ("d", "</s>"): -0.6}  # fmt: skip
    pairs = zip(["<s>", *words], [*words, "</s>"])
    ways = [[backoff[a] + unigrams[b], *([bigrams[a, b]] if (a, b) in bigrams else [])] for a, b in pairs]
    return sum(math.log(sum(10**score for score in way)) for way in ways)


def all_alignments(log_probs, length):
    """``tokens -> sum of the probabilities of their alignments`` by listing all of them; differentiable."""
    sums = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=length):
        said = tuple(k for k, _ in itertools.groupby(path) if k)
        sums.setdefault(said, []).append(sum(log_probs[t, k] for t, k in enumerate(path)))
    return {said: torch.logsumexp(torch.stack(scores), 0) for said, scores in sums.items()}


def listed(lang, log_probs, length, words):
    """The sum over all alignments, pronunciations and paths of the grammar that say ``words``."""
    sums, spelling = all_alignments(log_probs, length), {}
    for word, units in lang.entries:
        spelling.setdefault(word, []).append(lang.tokens.encode(units))
    spelt = [tuple(itertools.chain(*units)) for units in itertools.product(*(spelling[w] for w in words))]
    found = [sums[tokens] for tokens in spelt if tokens in sums]
    if not found:
        return torch.tensor(-math.inf)
    return torch.logsumexp(torch.stack(found), 0) + arpa_paths(words)


@pytest.mark.parametrize("null_frames", [False, True])
def test_the_sum_over_a_transcript_is_that_over_its_alignments_and_pronunciations(make_totals, null_frames):
    totals, lang = make_totals(null_frames=null_frames)
    log_probs, _ = posteriors(2, 4, 4)
    lengths = torch.tensor([3, 4])
    sums = totals.of_words(log_probs, lengths, [READINGS, READINGS])
    for row, length in enumerate(lengths.tolist()):
        expected = torch.stack([listed(lang, log_probs[row].double(), length, words) for words in READINGS])
        assert torch.allclose(sums[row], expected.double(), atol=1e-4)
        assert sums[row].isinf().any() and sums[row].isfinite().sum() > 15


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("topology, null_frames", [("ctc", False), ("compact", False), ("ctc", True)])
def test_the_transcripts_add_up_to_the_graph_and_so_do_their_gradients(make_totals, topology, null_frames, exact):
    totals, _ = make_totals(topology, exact, null_frames=null_frames)
    log_probs, _ = posteriors(3, 3, 4)
    log_probs.requires_grad_()
    lengths = torch.tensor([2, 3, 1])  # longer than three words nothing fits
    whole = totals.of_graph(log_probs, lengths)
    parts = torch.stack([sums.logsumexp(0) for sums in totals.of_words(log_probs, lengths, [READINGS] * 3)])
    assert torch.allclose(whole, parts, atol=1e-5)
    gradients = [torch.autograd.grad(x.sum(), log_probs)[0] for x in (whole, parts)]
    assert torch.allclose(*gradients, atol=1e-5)
    # posteriors of the symbols in each frame
    assert torch.allclose(gradients[0].sum(-1), torch.tensor([[1.0, 1, 0], [1, 1, 1], [1, 0, 0]]), atol=1e-5)


def test_the_gradient_is_that_of_finite_differences(make_totals):
    totals, _ = make_totals()
    log_probs, _ = posteriors(1, 4, 4)
    lengths, step = torch.tensor([4]), 1e-2

    def loss(x):
        return (totals.of_graph(x, lengths) - totals.of_words(x, lengths, [[["a", "b"]]])[0]).sum()

    x = log_probs.clone().requires_grad_()
    loss(x).backward()
    for t, k in itertools.product(range(4), range(4)):
        moved = torch.zeros_like(log_probs)
        moved[0, t, k] = step
        slope = (loss(log_probs + moved) - loss(log_probs - moved)) / (2 * step)
        assert float(slope) == pytest.approx(float(x.grad[0, t, k]), abs=1e-3)


def test_scale_and_order_of_the_utterances(make_totals):
    half, _ = make_totals(options=SearchOptions(beam=1000.0, lattice_beam=1000.0, acoustic_scale=0.5))
    plain, _ = make_totals()
    log_probs, _ = posteriors(4, 5, 4)
    lengths = torch.tensor([2, 5, 0, 3])
    assert torch.allclose(half.of_graph(log_probs, lengths), plain.of_graph(log_probs / 2, lengths))
    sums = plain.of_graph(log_probs, lengths)
    assert sums.isfinite().tolist() == [True, True, False, True]
    alone = [plain.of_graph(log_probs[row:row + 1], lengths[row:row + 1]) for row in (0, 1, 3)]
    assert torch.allclose(sums[[0, 1, 3]], torch.cat(alone))
    words = plain.of_words(log_probs, lengths, [[["a"]], [], [["b"]], [["c"], ["d"]]])
    assert [len(one) for one in words] == [1, 0, 1, 2] and words[2].isinf().all()


def test_words_that_cannot_be_said_are_named(make_totals):
    totals, _ = make_totals()
    log_probs, lengths = posteriors(1, 4, 4)
    with pytest.raises(AslError, match="clip x7: word 'B' is not among the graph's words"):
        totals.of_words(log_probs, lengths, [[["B"]]], ["x7"])
    assert totals.of_words(log_probs, lengths, [[["B"]]], strict=False)[0].isinf().all()


def test_a_graph_of_one_sign_cannot_say_two(make_lang, tmp_path):
    get_engine("k2").compile(make_lang(["a", "b"]), tmp_path / "graph")
    totals = TotalScores(tmp_path / "graph", WIDE, True)
    log_probs, lengths = posteriors(1, 4, 3)
    with pytest.raises(AslError, match="clip x: the graph .* cannot say 'a b'; compile it with an n-gram of the tr"):
        totals.of_words(log_probs, lengths, [[["a", "b"]]], ["x"])
    assert totals.of_words(log_probs, lengths, [[["a", "b"], ["a"]]], strict=False)[0].isfinite().tolist() == [False, True]
