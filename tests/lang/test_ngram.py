"""n-grams: probabilities sum to one, the papers' formulas, KenLM's query agrees, real glosses' perplexity."""

import math
import random
import time
from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest

from asl.common.errors import AslError
from asl.common.transcripts import read_stm
from asl.lang.arpa import read_arpa, write_arpa
from asl.lang.ngram import FALLBACK, discounts_of, estimate
from asl.lang.ngram_counts import Vocabulary, count_ngrams

TOY = [s.split() for s in ("a b a", "a b b c", "b a", "c", "a b a c a b", "d d a b")]


def text(sentences, words=30, seed=0):
    """Sentences with an n-gram's structure: after each word a few are likely, frequencies fall as Zipf's."""
    rng = random.Random(seed)
    names = [f"w{i}" for i in range(words)]
    weights = [1 / (i + 1) for i in range(words)]
    likely = {w: rng.choices(names, weights, k=6) for w in names}
    out = []
    for _ in range(sentences):
        sentence = rng.choices(names, weights)
        while rng.random() < 0.85:
            sentence += rng.choices(likely[sentence[-1]] if rng.random() < 0.8 else names)
        out.append(sentence)
    return out


def total(lm, state):
    """The sum of all probabilities in a state."""
    words = [*lm.words, *(["<unk>"] if lm.has_unknown else [])]
    return sum(math.exp(lm.step(state, w)[0]) for w in words) + math.exp(lm.finish(state))


@pytest.mark.parametrize("smoothing", ["kneser-ney", "witten-bell"])
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("options", [{}, {"cutoffs": [0, 0, 1]}, {"entropy": 1e-4}, {"unknown": False}])
def test_probabilities_sum_to_one_for_every_history(smoothing, order, options, tmp_path):
    options = {**options, **({"cutoffs": options["cutoffs"][:order]} if "cutoffs" in options else {})}
    lm = estimate(text(150), order, smoothing, **options).lm
    states = {(), lm.start(), *lm.backoffs}  # every history that it can tell apart
    assert lm.order == order and (order == 1 or len(states) > 20)
    for state in states:
        if state[-1:] != ("</s>",):
            assert total(lm, state) == pytest.approx(1, abs=1e-9), state
    # and when it comes from its file
    write_arpa(tmp_path / "G.arpa", lm)
    again = read_arpa(tmp_path / "G.arpa")
    assert again.counts == lm.counts
    assert all(total(again, state) == pytest.approx(1, abs=1e-6) for state in list(states)[:50])


def test_every_history_of_a_small_vocabulary(tmp_path):
    lm = estimate(TOY, 3, "witten-bell", vocabulary=["a", "b", "c", "d", "never"]).lm
    words = ["<s>", "a", "b", "c", "d", "never", "<unk>"]
    for history in product(words, repeat=2):
        assert total(lm, lm._shorten(history)) == pytest.approx(1, abs=1e-12)
    assert lm.step((), "never")[0] == pytest.approx(lm.step((), "anything else")[0])


def by_definition(sentences, smoothing, order, history, word, vocabulary):
    """p(word | history) straight from the papers' formulas, with counts in dictionaries."""
    padded = [("<s>", *s, "</s>") for s in sentences]
    raw = [Counter(s[i : i + n] for s in padded for i in range(len(s) - n + 1)) for n in range(1, order + 1)]
    raw[0].pop(("<s>",))

    def counts(n):
        if smoothing == "witten-bell" or n == order:
            return raw[n - 1]
        followed = defaultdict(set)
        for ngram in raw[n]:
            followed[ngram[1:]].add(ngram[0])
        return {g: raw[n - 1][g] if g[0] == "<s>" else len(left) for g, left in followed.items()} | {
            g: c for g, c in raw[n - 1].items() if g[0] == "<s>"
        }

    def p(h, w):
        n = len(h) + 1
        table = counts(n)
        after = {g: c for g, c in table.items() if g[:-1] == h}
        lower = p(h[1:], w) if h else 1 / len(vocabulary)
        if not after:
            return lower
        if smoothing == "witten-bell":
            return (table.get((*h, w), 0) + len(after) * lower) / (sum(after.values()) + len(after))
        discounts = discounts_of(np.array(list(table.values()))) or FALLBACK
        less = lambda c: discounts[min(c, 3) - 1]  # noqa: E731
        c = table.get((*h, w), 0)
        rest = sum(less(c) for c in after.values()) / sum(after.values())
        return (c - less(c) if c else 0) / sum(after.values()) + rest * lower

    return p(history, word)


@pytest.mark.parametrize("smoothing", ["kneser-ney", "witten-bell"])
def test_against_the_definition(smoothing):
    sentences = text(120, words=12, seed=3)
    found = estimate(sentences, 3, smoothing)
    vocabulary = [*found.lm.words, "</s>", "<unk>"]
    if smoothing == "kneser-ney":
        assert found.fallen_back != [1, 2, 3]  # discounts from counts of counts are among what is compared
    rng = random.Random(1)
    states = [(), ("<s>",), *rng.sample(sorted(s for s in found.lm.backoffs if len(s) == 2), 12)]
    for state in states:
        for word in rng.sample(found.lm.words, 4) + ["</s>", "<unk>"]:
            got = math.exp(found.lm._log_prob(state, word))
            true = by_definition(sentences, smoothing, 3, state, word, vocabulary)
            assert got == pytest.approx(true, rel=1e-9)


def test_counts():
    tables = count_ngrams(TOY, 3, Vocabulary("abcd"))
    names = Vocabulary("abcd").symbols
    rows = [()]
    for n, table in enumerate(tables, 1):
        rows = [(*rows[p], names[w]) for p, w in zip(table.prefix, table.word)]
        padded = [("<s>", *s, "</s>") for s in TOY]
        true = Counter(tuple(s[i : i + n]) for s in padded for i in range(len(s) - n + 1))
        true.pop(("<s>",), None)
        assert {g: c for g, c in zip(rows, table.count) if c} == true
        assert list(table.initial) == [g[0] == "<s>" for g in rows]
        if n > 1:
            assert [before[s] for s in table.suffix] == [g[1:] for g in rows]
        before = rows


def test_discounts_where_counts_of_counts_are_missing():
    # n1..n4 = 4, 2, 1, 1: Y = 1/2
    assert discounts_of(np.array([1, 1, 1, 1, 2, 2, 3, 4])) == pytest.approx((0.5, 1.25, 1.0))
    assert discounts_of(np.array([1, 1, 2, 3, 5, 9])) is None  # none occurs four times
    assert discounts_of(np.array([1, 1, 1, 1, 1, 1, 2, 3, 4, 4, 4])) is None  # the third would be below 0
    found = estimate(TOY, 3, "kneser-ney")
    assert found.fallen_back == [1, 2, 3] and found.discounts == [FALLBACK] * 3
    assert total(found.lm, found.lm.start()) == pytest.approx(1)


def test_words_outside_the_vocabulary_count_as_unk():
    assert Vocabulary(["a", "<s>", "a", "</s>", "<unk>"]).symbols == ["<s>", "</s>", "<unk>", "a"]
    lm = estimate(TOY, 2, "witten-bell", vocabulary=["a", "b"]).lm
    assert lm.words == ["a", "b"] and ("<unk>", "<unk>") in lm.ngrams[1]  # d d
    whole = estimate(TOY, 2, "witten-bell").lm
    assert lm.step((), "c") == lm.step((), "d") and lm.step((), "c")[0] > whole.step((), "x")[0]
    with pytest.raises(AslError, match="word 'c' is not in the vocabulary"):
        estimate(TOY, 2, vocabulary=["a", "b"], unknown=False)
    closed = estimate(TOY, 2, unknown=False).lm
    assert not closed.has_unknown and closed.score(["x"]) == -math.inf


def test_pruning_makes_it_smaller_and_keeps_what_matters():
    sentences = text(400)
    whole = estimate(sentences, 3).lm
    cut = estimate(sentences, 3, cutoffs=[0, 1, 2])
    counts = count_ngrams(sentences, 3, Vocabulary(whole.words))
    assert cut.counted[1:] == whole.counts[1:]
    assert cut.lm.counts[1:] == [int((counts[1].count > 1).sum()), int((counts[2].count > 2).sum())]
    held_out = text(200, seed=1)
    loss = lambda lm: -sum(lm.score_all(held_out))  # noqa: E731
    sizes, losses = [], []
    for threshold in (0.0, 1e-6, 1e-5, 1e-4, 1e-3):
        lm = estimate(sentences, 3, entropy=threshold).lm
        sizes.append(sum(lm.counts[1:]))
        losses.append(loss(lm))
        # a listed n-gram's beginning and end are listed
        for n in (1, 2):
            assert all(g[:-1] in lm.ngrams[n - 1] and g[1:] in lm.ngrams[n - 1] for g in lm.ngrams[n])
    assert sizes[0] == sum(whole.counts[1:])
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] < sizes[0] / 4
    # at the same size it is better than cut-offs
    fair = next(i for i, size in enumerate(sizes) if size <= sum(cut.lm.counts[1:]))
    assert losses[fair - 1] < loss(cut.lm) or losses[fair] < loss(cut.lm)


def test_entropy_pruning_removes_exactly_what_costs_less_than_the_threshold():
    sentences, threshold = text(150, words=10), 1e-3
    whole, pruned = (estimate(sentences, 2, entropy=t).lm for t in (0.0, threshold))
    table = count_ngrams(sentences, 2, Vocabulary(whole.words))
    events = table[0].count.sum()
    history = Counter(w for s in sentences for w in ("<s>", *s))
    for (h, w), log_prob in whole.ngrams[1].items():
        listed = [g[1] for g in whole.ngrams[1] if g[0] == h]
        without = [v for v in listed if v != w]
        unigram = lambda v: math.exp(whole.ngrams[0][v,])  # noqa: E731
        bigram = lambda v: math.exp(whole.ngrams[1][h, v])  # noqa: E731
        weight = (1 - sum(map(bigram, without))) / (1 - sum(map(unigram, without)))
        # the relative entropy of the two models, by its definition: a sum over all words
        p = {v: math.exp(whole._log_prob((h,), v)) for (v,) in whole.ngrams[0] if v != "<s>"}
        q = {v: bigram(v) if v in without else weight * unigram(v) for v in p}
        loss = history[h] / events * sum(p[v] * math.log(p[v] / q[v]) for v in p)
        assert ((h, w) in pruned.ngrams[1]) == (math.expm1(loss) >= threshold), (h, w, loss)


@pytest.mark.parametrize("options, message", [
    ({"order": 0}, "order 0: n-grams of orders 1 to 5"),
    ({"order": 6}, "order 6"),
    ({"cutoffs": [0, 2, 1]}, "cut-offs 0 2 1: none may be smaller"),
    ({"cutoffs": [1]}, "must be 0"),
    ({"cutoffs": [0, 0, 0, 0]}, "the model has 3 orders"),
    ({"entropy": -1.0}, "the threshold of entropy pruning is -1.0"),
])
def test_options_out_of_range(options, message):
    with pytest.raises(AslError, match=message):
        estimate(TOY, **options)


def test_sentences_that_cannot_be():
    with pytest.raises(AslError, match="no sentence"):
        estimate([])
    with pytest.raises(AslError, match="'</s>' stands in the sentence 'a </s>'"):
        estimate([["a", "</s>"]])


@pytest.mark.torchaudio
@pytest.mark.parametrize("smoothing", ["kneser-ney", "witten-bell"])
@pytest.mark.parametrize(
    "order, options", [(2, {}), (3, {}), (3, {"entropy": 1e-4}), (5, {"cutoffs": [0, 0, 1]})]
)
def test_kenlm_asked_of_the_same_arpa_agrees(smoothing, order, options, tmp_path):
    """KenLM's query as flashlight binds it: it comes with torchaudio, KenLM's own package has to be built."""
    from torchaudio.models.decoder._ctc_decoder import _create_word_dict, _KenLM

    lm = estimate(text(300), order, smoothing, **options).lm
    write_arpa(tmp_path / "G.arpa", lm)
    words = _create_word_dict({w: [] for w in [*lm.words, "unheard", "<unk>"]})
    other = _KenLM(str(tmp_path / "G.arpa"), words)
    for sentence in [*text(100, seed=5), ["w1", "unheard", "w2", "w3"], []]:
        mine, theirs = lm.start(), other.start(False)
        for word in sentence:
            log_prob, mine = lm.step(mine, word)
            theirs, score = other.score(theirs, words.get_index(word))
            assert score * math.log(10) == pytest.approx(log_prob, abs=1e-4)
        assert other.finish(theirs)[1] * math.log(10) == pytest.approx(lm.finish(mine), abs=1e-4)


@pytest.mark.slow
def test_a_hundred_thousand_sentences_of_ten_thousand_words(tmp_path):
    rng = np.random.default_rng(0)
    ids = (10_000 * rng.random(700_000) ** 3).astype(int)
    sentences = [[f"w{i}" for i in row] for row in ids.reshape(100_000, 7)]
    began = time.process_time()
    lm = estimate(sentences, 3, cutoffs=[0, 0, 1]).lm
    write_arpa(tmp_path / "G.arpa", lm)
    assert time.process_time() - began < 30
    assert len(lm.words) > 9_500 and total(lm, ("w1",)) == pytest.approx(1)


@pytest.mark.corpora
def test_perplexity_of_phoenix(corpora):
    """Glosses of the references for scoring, which are normalised; words that train lacks are left out."""
    from asl.lang.perplexity import measure

    folder = corpora / "phoenix2014" / "evaluation"
    splits = [read_stm(folder / f"phoenix2014-groundtruth-{split}.stm") for split in ("train", "dev")]
    train, dev = (list(split.values()) for split in splits)
    assert (len(train), len(dev)) == (5671, 540)
    found = {n: measure(estimate(train, n, "witten-bell").lm, dev) for n in (1, 2, 3)}
    assert found[2].oov_count == 29 and found[2].words == 5540 and found[2].perplexity < 51
    assert found[1].perplexity == pytest.approx(137, abs=1) and found[3].perplexity < 55
    assert measure(estimate(train, 2).lm, dev).perplexity < 48.5
    assert measure(estimate(train, 3).lm, dev).perplexity < 46
