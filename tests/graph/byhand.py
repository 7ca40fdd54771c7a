"""Random posteriors, and a search of them that lists every alignment."""

import itertools
import math

import numpy as np
import torch

# one word begins another, two words sound alike, one has two pronunciations, one repeats a token
LEXICON = {"a": [["x"]], "b": [["x", "y"]], "c": [["x"], ["z"]], "d": [["z", "z"]]}
ARPA = """\\data\\
ngram 1=6
ngram 2=6

\\1-grams:
-0.7\t</s>
-99\t<s>\t-0.3
-0.6\ta\t-0.2
-0.9\tb\t-0.1
-0.8\tc\t-0.4
-1.1\td\t-0.2

\\2-grams:
-0.4\t<s> a
-0.5\ta b
-0.4\tb </s>
-0.9\ta a
-0.3\tc d
-0.6\td </s>

\\end\\
"""


def posteriors(batch, frames, tokens, seed=0, peak=2.0):
    """Random log-probs ``(batch, frames, tokens)`` and lengths from ``frames`` down to half of it."""
    generator = torch.Generator().manual_seed(seed)
    log_probs = (torch.randn(batch, frames, tokens, generator=generator) * peak).log_softmax(-1)
    lengths = torch.tensor([max(frames - row % (frames // 2 + 1), 1) for row in range(batch)])
    return log_probs, lengths


def best_alignments(log_probs, topology="ctc"):
    """Best score of each token sequence, by listing all alignments of ``(frames, tokens)``.

    In the compact topology an alignment says every sequence into which its runs can be cut; left-to-right
    every one into which they can be cut with two frames or more for each token.
    """
    best = {}
    frames, tokens = log_probs.shape
    for path in itertools.product(range(tokens), repeat=frames):
        score = sum(log_probs[t, k] for t, k in enumerate(path))
        runs = [(k, len(list(g))) for k, g in itertools.groupby(path)]
        most = [{"ctc": 1, "compact": n, "left-to-right": n // 2}[topology] for k, n in runs if k]
        choices = [range(1, count + 1) for count in most]
        for counts in itertools.product(*choices):
            said = tuple(k for (k, _), n in zip([r for r in runs if r[0]], counts) for _ in range(n))
            best[said] = max(best.get(said, -math.inf), score)
    return best


def arpa_score(words):
    """Log-probability of a word sequence on ARPA's best path (which may back off where a bigram is)."""
    unigrams = {"</s>": -0.7, "a": -0.6, "b": -0.9, "c": -0.8, "d": -1.1}
    backoff = {"<s>": -0.3, "a": -0.2, "b": -0.1, "c": -0.4, "d": -0.2}
    bigrams = {("<s>", "a"): -0.4, ("a", "b"): -0.5, ("b", "</s>"): -0.4, ("a", "a"): -0.9,
               ("c", "d"): -0.3, ("d", "</s>"): -0.6}
    total = 0.0
    for pair in zip(["<s>", *words], [*words, "</s>"]):
        total += max(bigrams.get(pair, -math.inf), backoff[pair[0]] + unigrams[pair[1]])
    return total * math.log(10)


def brute_force(lang, log_probs, length, grammar, topology="ctc", longest=3):
    """All word sequences with the score of their best path, best first."""
    scores = best_alignments(log_probs[:length].double().numpy(), topology)
    spelling = {}
    for word, units in lang.entries:
        spelling.setdefault(word, []).append(lang.tokens.encode(units))
    out = []
    for count in [1] if grammar == "one-sign" else range(longest + 1):
        for words in itertools.product(spelling, repeat=count):
            prior = -math.log(len(spelling)) if grammar == "one-sign" else arpa_score(words)
            choices = itertools.product(*(spelling[word] for word in words))
            spelt = (tuple(itertools.chain(*units)) for units in choices)
            score = prior + max((scores.get(tokens, -math.inf) for tokens in spelt), default=-math.inf)
            if np.isfinite(score):
                out.append((list(words), score))
    return sorted(out, key=lambda reading: -reading[1])
