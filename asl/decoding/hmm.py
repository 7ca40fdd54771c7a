"""A single-Gaussian hidden Markov model of each sign, searched with a bigram: the baseline of before networks.

As whole-word recognisers were built (Rabiner 1989; for sign language Starner and Pentland 1995, Dreuw et al. 2007): a
sign is a row of states that are gone through from left to right, each with one diagonal Gaussian, its number of states
going by how long the sign lasts; one state of silence may be between signs, before the first and after the last.
"""

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.lang.arpa import NGram

STATES = (2, 8)  # of a sign, at least and at most
_FLOOR = 0.05  # of the variance of all frames
_PRIOR = 2.0  # frames with the variance of all frames that are counted to each state
_ROUNDS = 4
_LEAST = -1e30


class WordModel(NamedTuple):
    """States of a word: ``mean`` and ``variance`` ``(states, dims)``, log of staying in each and of leaving it."""

    mean: np.ndarray
    variance: np.ndarray
    stay: np.ndarray
    leave: np.ndarray


class Hmm(NamedTuple):
    """All words' models and that of silence (one state)."""

    words: Dict[str, WordModel]
    silence: WordModel


def log_density(x: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Log of diagonal Gaussians: ``(frames, dims)`` and ``(states, dims)`` -> ``(frames, states)``."""
    distance = ((x[:, None] - mean) ** 2 / variance).sum(axis=2)
    return -0.5 * (distance + np.log(variance).sum(axis=1) + x.shape[1] * np.log(2 * np.pi))


def train_hmm(tokens: Dict[str, List[np.ndarray]], silence: List[np.ndarray], rounds: int = _ROUNDS) -> Hmm:
    """Models from the frames of each word's occurrences ``(frames, dims)`` and of what is between.

    States start as equal shares of each occurrence and are realigned by Viterbi ``rounds`` times.
    """
    spread = np.concatenate([*silence, *(t for each in tokens.values() for t in each)]).var(axis=0)
    words = {word: _train_word(each, spread, rounds) for word, each in tokens.items()}
    rest = [s for s in silence if len(s)]
    frames = np.concatenate(rest) if rest else np.concatenate([t for each in tokens.values() for t in each])
    return Hmm(words, _model([frames], len(frames) / max(len(rest), 1), spread))


def _train_word(tokens: List[np.ndarray], spread: np.ndarray, rounds: int) -> WordModel:
    states = int(np.clip(round(np.mean([len(t) for t in tokens]) / 2), *STATES))
    shares = [np.minimum(np.arange(len(t)) * states // len(t), states - 1) for t in tokens]
    for left in reversed(range(rounds + 1)):
        # a state that no frame came to takes its neighbour's
        groups: List[np.ndarray] = []
        for state in range(states):
            frames = np.concatenate([t[s == state] for t, s in zip(tokens, shares)])
            groups.append(frames if len(frames) else groups[-1])
        lasting = np.array([max((np.concatenate(shares) == k).sum(), 1) for k in range(states)]) / len(tokens)
        model = _model(groups, lasting, spread)
        if left:
            shares = [_state_path(log_density(t, model.mean, model.variance)) for t in tokens]
    return model


def _model(groups: List[np.ndarray], lasting: np.ndarray, spread: np.ndarray) -> WordModel:
    mean = np.stack([g.mean(axis=0) for g in groups])
    size = np.array([[len(g)] for g in groups])
    variance = (np.stack([g.var(axis=0) for g in groups]) * size + spread * _PRIOR) / (size + _PRIOR)
    leave = np.clip(1 / np.maximum(np.broadcast_to(lasting, len(groups)), 1e-9), 0.05, 0.95)
    return WordModel(mean, np.maximum(variance, _FLOOR * spread), np.log1p(-leave), np.log(leave))


def _state_path(scores: np.ndarray) -> np.ndarray:
    """The best path from the first to the last state through ``(frames, states)``."""
    frames, states = scores.shape
    if frames < states:
        return np.minimum(np.arange(frames) * states // frames, states - 1)
    best = np.full(states, _LEAST)
    best[0] = scores[0, 0]
    moved = np.zeros((frames, states), dtype=bool)
    for t in range(1, frames):
        before = np.concatenate([[_LEAST], best[:-1]])
        moved[t] = before > best
        best = np.maximum(best, before) + scores[t]
    path = [states - 1]
    for t in range(frames - 1, 0, -1):
        path.append(path[-1] - int(moved[t, path[-1]]))
    return np.array(path[::-1])


def bigram_matrix(grammar: NGram, words: Sequence[str]) -> np.ndarray:
    """``(words + 1, words + 1)`` log-probabilities; the last row is the sentence's start, the last column its end."""
    states = [grammar.step(grammar.start(), word)[1] for word in words] + [grammar.start()]
    rows = [[grammar.step(state, word)[0] for word in words] + [grammar.finish(state)] for state in states]
    return np.maximum(np.array(rows), _LEAST)


class BigramSearch:
    """Viterbi search over all words' states with a bigram; exact, nothing is pruned.

    Args:
        hmm: the models.
        bigram: of ``bigram_matrix`` for ``list(hmm.words)``.
        lm_scale: weight of the bigram's log-probabilities.
        word_penalty: taken off for each word.
    """

    def __init__(self, hmm: Hmm, bigram: np.ndarray, lm_scale: float = 1.0, word_penalty: float = 0.0) -> None:
        self.names, models = list(hmm.words), list(hmm.words.values())
        ends = np.cumsum([len(m.mean) for m in models])
        self._first, self._last = np.concatenate([[0], ends[:-1]]), ends - 1
        parts = zip(*models)
        self._mean, self._variance, self._stay, self._leave = (np.concatenate(part) for part in parts)
        self._silence = hmm.silence
        self._into, self._end = lm_scale * bigram[:, :-1] - word_penalty, lm_scale * bigram[:, -1]

    def search(self, x: np.ndarray) -> Tuple[List[str], float]:
        """The best words of ``(frames, dims)`` and the path's score; no words where none fits into the frames."""
        scores = log_density(x, self._mean, self._variance)
        quiet = log_density(x, self._silence.mean, self._silence.variance)[:, 0]
        words = len(self.names)
        # history of a state (the link of the word before), and of silence after each word; the last: of none
        state, link = np.full(len(self._mean), _LEAST), np.full(len(self._mean), -1)
        still, still_link = np.full(words + 1, _LEAST), np.full(words + 1, -1)
        state[self._first], still[words] = self._into[words] + scores[0, self._first], quiet[0]
        links: List[Tuple[int, int]] = []
        for t in range(1, len(x)):
            ended = np.append(state[self._last] + self._leave[self._last], _LEAST)
            new = np.append(len(links) + np.arange(words), -1)
            links += zip(range(words), link[self._last].tolist())
            waiting = still + self._silence.leave[0]
            source = np.maximum(ended, waiting)
            source_link = np.where(ended >= waiting, new, still_link)
            entering = source[:, None] + self._into
            best = entering.argmax(axis=0)

            moved, moved_link = np.roll(state + self._leave, 1), np.roll(link, 1)
            moved[self._first] = entering[best, np.arange(words)]
            moved_link[self._first] = source_link[best]
            stayed = state + self._stay
            link = np.where(moved > stayed, moved_link, link)
            state = np.maximum(moved, stayed) + scores[t]
            quieter = still + self._silence.stay[0]
            still_link = np.where(ended > quieter, new, still_link)
            still = np.maximum(ended, quieter) + quiet[t]
        return self._best(state, link, still, still_link, links)

    def _best(self, state, link, still, still_link, links) -> Tuple[List[str], float]:
        words = len(self.names)
        in_word, in_silence = state[self._last] + self._end[:words], still[:words] + self._end[:words]
        score = float(max(in_word.max(), in_silence.max()))
        if score < _LEAST / 2:
            return [], -np.inf
        last: Optional[Tuple[int, int]]
        if in_word.max() >= in_silence.max():
            word = int(in_word.argmax())
            last = (word, int(link[self._last[word]]))
        else:
            last = links[int(still_link[int(in_silence.argmax())])]
        found: List[str] = []
        while last is not None:
            found.append(self.names[last[0]])
            last = links[last[1]] if last[1] >= 0 else None
        return found[::-1], score
