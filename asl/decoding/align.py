"""Forced alignment: the best CTC path of a given token sequence."""

from typing import List, Sequence, Tuple

import numpy as np


def viterbi_alignment(log_probs: np.ndarray, tokens: Sequence[int]) -> Tuple[List[int], float]:
    """Return the token of each frame (blank 0 included) on the best path that says ``tokens``, and its score.

    Args:
        log_probs: ``(frames, tokens)``, blank is 0.
        tokens: token ids without blanks.

    Returns:
        The path, and its log-probability; no path and minus infinity where the frames are too few
        (CTC needs one for each token and one more between equal neighbours).
    """
    frames, states = len(log_probs), np.zeros(2 * len(tokens) + 1, np.int64)
    states[1::2] = tokens
    may_skip = np.zeros(len(states), bool)
    may_skip[2:] = (states[2:] != 0) & (states[2:] != states[:-2])
    scores = np.full(len(states), -np.inf)
    scores[0] = 0.0
    back = np.zeros((frames, len(states)), np.int64)
    for frame in range(frames):
        # the start is a blank's place before the first frame: from there token 1 is one step away
        steps = np.full((3, len(states)), -np.inf)
        steps[0] = scores
        steps[1, 1:] = scores[:-1]
        steps[2, 2:] = np.where(may_skip[2:], scores[:-2], -np.inf)
        back[frame] = steps.argmax(axis=0)
        scores = steps.max(axis=0) + log_probs[frame, states]
    state = len(states) - 1
    if len(states) > 1 and scores[-2] > scores[-1]:
        state -= 1
    score = float(scores[state])
    if score == -np.inf:
        return [], score
    path = []
    for frame in reversed(range(frames)):
        path.append(int(states[state]))
        state -= int(back[frame, state])
    return path[::-1], score
