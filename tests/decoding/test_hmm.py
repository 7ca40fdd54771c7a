"""The single-Gaussian HMM: densities against scipy, the search against trying every sentence."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from asl.decoding.hmm import BigramSearch, bigram_matrix, log_density, train_hmm
from asl.lang.ngram import estimate


def test_densities_are_those_of_scipy():
    rng = np.random.default_rng(0)
    x, mean, variance = rng.normal(size=(5, 3)), rng.normal(size=(2, 3)), rng.uniform(0.5, 2, (2, 3))
    wanted = np.stack([multivariate_normal(m, np.diag(v)).logpdf(x) for m, v in zip(mean, variance)], axis=1)
    assert log_density(x, mean, variance) == pytest.approx(wanted)


def make(rng, words="ab"):
    """Models of words that move from one place to another, and silence at the origin."""
    tokens = {
        word: [np.linspace(k + 1, -k - 1, 4)[:, None] + rng.normal(0, 0.2, (4, 2)) for _ in range(5)]
        for k, word in enumerate(words)
    }
    return train_hmm(tokens, [rng.normal(0, 0.2, (2, 2)) for _ in range(6)])


def test_a_words_states_go_by_its_length_and_follow_it():
    rng = np.random.default_rng(1)
    models = train_hmm({"w": [np.repeat([[0.0], [9.0]], 6, axis=0) + rng.normal(0, 0.1, (12, 1)) for _ in range(3)],
                        "short": [rng.normal(5, 0.1, (1, 1))]}, [])  # fmt: skip
    means = models.words["w"].mean[:, 0]
    assert len(means) == 6 and (np.diff(means) > -0.5).all() and means[0] < 1 and means[-1] > 8
    assert len(models.words["short"].mean) == 2


def path_score(models, words, x, bigram, names):
    """The best path of one sentence: over its row of states, silence anywhere between the words."""
    chain, moves = [], []  # (mean, variance), and for each state: stay, leave, whether it may be jumped over
    for place in range(2 * len(words) + 1):
        model = models.silence if place % 2 == 0 else models.words[words[place // 2]]
        for k in range(len(model.mean)):
            chain.append((model.mean[k], model.variance[k]))
            moves.append((model.stay[k], model.leave[k], place % 2 == 0))
    density = log_density(x, *map(np.array, zip(*chain)))
    states, best = len(chain), np.full(len(chain), -math.inf)
    best[0], best[1] = density[0, 0], density[0, 1]
    for t in range(1, len(x)):
        new = np.full(states, -math.inf)
        for s in range(states):
            options = [best[s] + moves[s][0]]
            if s:
                options.append(best[s - 1] + moves[s - 1][1])
            if s > 1 and moves[s - 1][2]:
                options.append(best[s - 2] + moves[s - 2][1])
            new[s] = max(options) + density[t, s]
        best = new
    # a sentence ends in its last word or in the silence behind it
    rows = [len(names), *(names.index(w) for w in words)]
    columns = [*(names.index(w) for w in words), len(names)]
    return max(best[-1], best[-2]) + bigram[rows, columns].sum()


def test_the_search_finds_the_best_sentence_of_all():
    rng = np.random.default_rng(2)
    models = make(rng)
    names = list(models.words)
    bigram = bigram_matrix(estimate([["a"], ["a", "b"], ["b", "a"]], 2, "witten-bell").lm, names)
    for _ in range(4):
        x = rng.normal(0, 1.0, (8, 2))
        found, score = BigramSearch(models, bigram).search(x)
        every = [list(s) for n in (1, 2, 3) for s in itertools.product(names, repeat=n)]
        scores = [path_score(models, s, x, bigram, names) for s in every]
        assert found == every[int(np.argmax(scores))] and score == pytest.approx(max(scores))


def test_the_bigrams_weight_and_the_penalty_count():
    rng = np.random.default_rng(3)
    models = make(rng)
    bigram = bigram_matrix(estimate([["a"]] * 9 + [["b", "a"]], 2, "witten-bell").lm, list(models.words))
    x = rng.normal(0, 1.0, (10, 2))
    assert BigramSearch(models, bigram, lm_scale=1000.0).search(x)[0] == ["a"]
    assert len(BigramSearch(models, bigram, word_penalty=-50.0).search(x)[0]) > 1
    assert BigramSearch(models, bigram).search(x[:1])[0] == []  # no word has so few frames
