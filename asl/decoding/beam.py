"""CTC prefix beam search without a graph (Hannun et al., "First-Pass Large Vocabulary Continuous Speech
Recognition using Bi-Directional Recurrent DNNs", 2014), vectorised over the tokens."""

from typing import Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch

from asl.common.errors import AslError
from asl.decoding.align import viterbi_alignment
from asl.decoding.hypothesis import Hypothesis, check_log_probs
from asl.decoding.times import token_runs
from asl.lang.tokens import TRANSITION, TokenTable


def prefix_beam_search(
    log_probs: torch.Tensor,
    lengths: torch.Tensor,
    tokens: TokenTable,
    beam: int = 20,
    nbest: int = 10,
    frame_shift: Optional[Sequence[float]] = None,
) -> List[List[Hypothesis]]:
    """Return for each utterance its n best token sequences, best first.

    Args:
        log_probs: ``(batch, frames, tokens)``, normalised, blank is 0.
        lengths: ``(batch,)`` valid frames.
        tokens: the token table of the network; a hypothesis' words are tokens.
        beam: how many prefixes are kept after each frame.
        nbest: how many hypotheses to return, ``beam`` at most.
        frame_shift: for each utterance, seconds from one frame to the next; where given, the best
            hypothesis gets times, from its best alignment.

    Returns:
        Hypotheses, transitions left out of their words; the score is the log-probability summed over the alignments that the beam held (over
        all of them, where the beam holds every prefix), the confidence that probability.

    Raises:
        AslError: the log-probs are NaN or of another number of tokens, or nbest is larger than the beam.
    """
    if not 1 <= nbest <= beam:
        raise AslError(f"nbest is {nbest} and the beam {beam}; expected 1 <= nbest <= beam")
    frames = check_log_probs(log_probs, lengths, len(tokens)).cpu().double().numpy()
    between = tokens.id(TRANSITION) if TRANSITION in tokens else 0
    out: List[List[Hypothesis]] = []
    for row, length in enumerate(lengths.tolist()):
        prefixes = search_prefixes(frames[row, :length], beam)
        found = _without(prefixes, between)[:nbest]
        nbests = [
            Hypothesis(tokens.decode(ids), score, None, min(1.0, float(np.exp(score))))
            for ids, score, _ in found
        ]
        if frame_shift is not None:
            path, _ = viterbi_alignment(frames[row, :length], found[0][2])
            shift = frame_shift[row]
            runs = [span for token, span in token_runs(path) if token != between]
            nbests[0].times = [(first * shift, end * shift) for first, end in runs]
        out.append(nbests)
    return out


def _without(prefixes: List[Tuple[List[int], float]], between: int) -> List[Tuple[List[int], float, List[int]]]:
    """Join prefixes that differ in the token ``between`` alone; return the rest, the sum, and the best with it."""
    scores: Dict[Tuple[int, ...], float] = {}
    whole: Dict[Tuple[int, ...], List[int]] = {}
    for ids, score in prefixes:  # the best first
        words = tuple(token for token in ids if token != between)
        whole.setdefault(words, ids)
        scores[words] = float(np.logaddexp(scores.get(words, -np.inf), score))
    return [(list(words), scores[words], whole[words]) for words in sorted(scores, key=lambda w: -scores[w])]


def search_prefixes(log_probs: np.ndarray, beam: int) -> List[Tuple[List[int], float]]:
    """Search one utterance, ``(frames, tokens)``; return up to ``beam`` token sequences with scores."""
    # A prefix is a node of a tree (parent, token); node 0 is the empty one. Of each prefix in the beam
    # there are two log-probabilities: that its alignments so far end in a blank, and that they do not.
    tree: List[Tuple[int, int]] = [(-1, 0)]
    child: Dict[Tuple[int, int], int] = {}
    nodes, last = [0], np.zeros(1, np.int64)
    in_blank, in_token = np.zeros(1), np.full(1, -np.inf)
    for frame in log_probs:
        total = np.logaddexp(in_blank, in_token)
        stay_blank = total + frame[0]
        stay_token = np.where(last > 0, in_token + frame[last], -np.inf)
        longer = total[:, None] + frame
        # the token that stands at the end already is a new one only after a blank
        rows = np.arange(len(nodes))
        longer[rows, last] = in_blank + frame[last]
        longer[:, 0] = -np.inf
        place = {node: index for index, node in enumerate(nodes)}
        for index, node in enumerate(nodes):  # a longer prefix that is in the beam already
            parent = place.get(tree[node][0])
            if parent is not None:
                token = tree[node][1]
                stay_token[index] = np.logaddexp(stay_token[index], longer[parent, token])
                longer[parent, token] = -np.inf
        scores = np.concatenate([np.logaddexp(stay_blank, stay_token), longer.ravel()])
        chosen = _largest(scores, beam)
        kept, new = chosen[chosen < len(nodes)], chosen[chosen >= len(nodes)] - len(nodes)
        parents, added = np.divmod(new, log_probs.shape[1])
        next_nodes = [nodes[index] for index in kept.tolist()]
        for parent, token in zip(parents.tolist(), added.tolist()):
            key = (nodes[parent], token)
            if key not in child:
                child[key] = len(tree)
                tree.append(key)
            next_nodes.append(child[key])
        in_blank = np.concatenate([stay_blank[kept], np.full(len(new), -np.inf)])
        in_token = np.concatenate([stay_token[kept], longer[parents, added]])
        nodes, last = next_nodes, np.concatenate([last[kept], added])
    total = np.logaddexp(in_blank, in_token)
    order = np.argsort(-total, kind="stable")
    return [(_spell(tree, nodes[index]), float(total[index])) for index in order.tolist()]


def _largest(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the ``count`` largest finite scores, in ascending order."""
    if len(scores) > count:
        indices = np.sort(np.argpartition(-scores, count - 1)[:count])
    else:
        indices = np.arange(len(scores))
    return indices[scores[indices] > -np.inf]


def _spell(tree: List[Tuple[int, int]], node: int) -> List[int]:
    ids: List[int] = []
    while node:
        node, token = tree[node]
        ids.append(token)
    return ids[::-1]
