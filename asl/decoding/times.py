"""From the token of each frame to the time of each word."""

import itertools
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from asl.decoding.align import viterbi_alignment
from asl.lang.folder import Lang

Span = Tuple[int, int]
Spelling = Dict[str, List[Tuple[int, ...]]]
Spelt = List[Tuple[int, ...]]


def spelling_of(lang: Lang) -> Spelling:
    """Return for each word its pronunciations as token ids."""
    spelling: Spelling = {}
    for word, units in lang.entries:
        spelling.setdefault(word, []).append(tuple(lang.tokens.encode(units)))
    return spelling


def token_runs(frames: Sequence[int]) -> List[Tuple[int, Span]]:
    """Return each token of an alignment with its frames ``(first, last + 1)``; blanks (0) are left out."""
    runs: List[Tuple[int, Span]] = []
    previous = 0
    for frame, token in enumerate(frames):
        if token and token == previous:
            runs[-1] = (token, (runs[-1][1][0], frame + 1))
        elif token:
            runs.append((token, (frame, frame + 1)))
        previous = token
    return runs


def word_times(
    frames: Sequence[int], words: Sequence[str], spelling: Spelling, frame_shift: float
) -> Optional[List[Tuple[float, float]]]:
    """Return start and end of each word in seconds, from its first to its last frame that is not blank.

    Args:
        frames: token id of each frame, blank is 0.
        words: what the alignment says.
        spelling: each word's pronunciations.
        frame_shift: seconds from one frame of the network's output to the next.

    Returns:
        ``(start, end)`` for each word; None where ``words`` cannot be spelt with the tokens in ``frames``. Tokens
        of none of the words (the transition between signs, glosses that rules of morphology drop) are passed over.
    """
    own = {unit for word in words for units in spelling.get(word, ()) for unit in units}
    groups = _groups([run for run in token_runs(frames) if run[0] in own])
    for spelt in _spellings(words, spelling, [token for token, _ in groups]):
        spans: List[Span] = []
        for (_, runs), count in zip(groups, _group_sizes(spelt)):
            spans += _split(runs, count)
        if len(spans) == sum(map(len, spelt)):
            return _join(spans, spelt, frame_shift)
    return None


def aligned_times(
    log_probs: np.ndarray, words: Sequence[str], spelling: Spelling, frame_shift: float
) -> Optional[List[Tuple[float, float]]]:
    """Return start and end of each word as ``word_times`` does, on the best alignment of given words.

    Args:
        log_probs: ``(frames, tokens)``, blank is 0.

    Returns:
        Times; of several pronunciations those of the best alignment (of the first 64 combinations). Where the
        frames do not allow a blank between repeated tokens (compact topology), they share a run.
    """
    best, path = -np.inf, None
    for spelt in itertools.islice(itertools.product(*(spelling[word] for word in words)), 64):
        tokens = [unit for units in spelt for unit in units]
        once = [unit for unit, _ in itertools.groupby(tokens)]
        for said in (tokens, once):
            found, score = viterbi_alignment(log_probs, said)
            if score > best:
                best, path = score, found
            if score > -np.inf:
                break
    return None if path is None else word_times(path, words, spelling, frame_shift)


def _groups(runs: List[Tuple[int, Span]]) -> List[Tuple[int, List[Span]]]:
    """Join neighbouring runs of the same token (a blank lies between them)."""
    groups: List[Tuple[int, List[Span]]] = []
    for token, span in runs:
        if groups and groups[-1][0] == token:
            groups[-1][1].append(span)
        else:
            groups.append((token, [span]))
    return groups


def _spellings(words: Sequence[str], spelling: Spelling, tokens: List[int]) -> Iterator[Spelt]:
    """Yield the choices of pronunciations that say ``tokens`` where repeated ones count once."""

    def extend(spelt: Spelt, said: List[int]) -> Iterator[Spelt]:
        if said != tokens[:len(said)]:
            return
        if len(spelt) == len(words):
            if said == tokens:
                yield spelt
            return
        for units in spelling.get(words[len(spelt)], ()):
            longer = list(said)
            for unit in units:
                if not longer or longer[-1] != unit:
                    longer.append(unit)
            yield from extend([*spelt, units], longer)

    return extend([], [])


def _group_sizes(spelt: Spelt) -> List[int]:
    sizes, previous = [], 0
    for unit in (unit for units in spelt for unit in units):
        if unit == previous:
            sizes[-1] += 1
        else:
            sizes.append(1)
        previous = unit
    return sizes


def _split(runs: List[Span], count: int) -> List[Span]:
    """Return ``count`` spans; equal tokens that share a run (compact topology) halve it."""
    spans = list(runs)
    while len(spans) < count:
        longest = max(range(len(spans)), key=lambda index: spans[index][1] - spans[index][0])
        first, end = spans[longest]
        if end - first < 2:
            break
        spans[longest:longest + 1] = [(first, (first + end) // 2), ((first + end) // 2, end)]
    return spans


def _join(spans: List[Span], spelt: Spelt, frame_shift: float) -> List[Tuple[float, float]]:
    times, position = [], 0
    for units in spelt:
        first, end = spans[position][0], spans[position + len(units) - 1][1]
        times.append((first * frame_shift, end * frame_shift))
        position += len(units)
    return times
