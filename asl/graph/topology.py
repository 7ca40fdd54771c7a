"""H, the topology of CTC, applied to L∘G.

Composing with H as a transducer of its own would need its V² arcs in memory (with gloss tokens V is in
the thousands: ``k2.ctc_topo(10000)`` takes 3.8 GB). What survives of them is few: from a state of L∘G
only the tokens on the arcs that leave it can follow. So the product is built from what L∘G has, and is the
same as ``compose(H, L∘G)``, free of states that cannot be reached.

Topologies (Graves et al. 2006; Laptev et al., "CTC Variations Through New WFST Topologies", 2022):

- ``ctc``: CTC as it was trained; a token that is repeated needs a blank between. The grammar's arcs are
  repeated for each token that may have come before: an n-gram with V unigrams has about V² arcs.
- ``compact``: no blank is needed between repeated tokens (``k2.ctc_topo(modified=True)``); about four arcs
  for each of L∘G. Scores differ from ``ctc`` only for readings that repeat a token.
- ``left-to-right``: a token lasts two frames at least (two states in a row, the second with a loop, both
  scored by the token's one output, as in an HMM); blanks between tokens, before the first and after the last
  are optional, between equal tokens too. About three arcs for each of L∘G.
"""

from typing import List, Tuple

import numpy as np

from asl.common.errors import AslError, did_you_mean
from asl.graph.fst import Fst

TOPOLOGIES = ("ctc", "compact", "left-to-right")
# labels of the graph: 0 is epsilon, 1 the blank, n + 1 the token with id n
BLANK = 1
# 20 bytes an arc here, and about as much again in an engine and while the file is written
MAX_ARCS = 20_000_000
# source, destination, input label, output label, cost: of one kind of arcs
_Arcs = Tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def apply_topology(lg: Fst, topology: str, max_arcs: int = MAX_ARCS) -> Fst:
    """Return H∘(L∘G) for a topology.

    Every alignment of a reading is exactly one path, so that sums over paths are right as well as the best.
    (In ``compact`` and ``left-to-right`` an alignment also says into which tokens its runs are cut.)

    Args:
        lg: token ids (0 is epsilon) : word ids; every state can be reached.
        topology: ``ctc``, ``compact`` or ``left-to-right``.
        max_arcs: where the graph would get larger it is refused.

    Returns:
        The graph; input labels are token id + 1 (``BLANK`` is 1, epsilon 0), one consumed per frame.

    Raises:
        AslError: unknown topology, or more than ``max_arcs`` arcs.
    """
    if topology not in TOPOLOGIES:
        near = did_you_mean(topology, TOPOLOGIES)
        raise AslError(f"unknown topology {topology!r}{near}; there are: {', '.join(TOPOLOGIES)}")
    if lg.num_states == 0:
        return lg
    if topology == "ctc":
        return _ctc(lg, max_arcs)
    return _without_blanks(lg, max_arcs, shortest=1 if topology == "compact" else 2)


def _without_blanks(lg: Fst, max_arcs: int, shortest: int) -> Fst:
    """Return the product for the topologies that need no blank between equal tokens.

    A state of L∘G becomes up to two: ``ready`` is reached by a token's last frame and loops on the blank;
    ``silent`` is reached by an epsilon and does not loop, for blanks come before the epsilon: otherwise one
    alignment would be several paths. A token that lasts on has a state of its own (``held``), left by its
    last frame.
    """
    spoken = lg.ilabel > 0
    is_ready, is_silent = (np.zeros(lg.num_states, bool) for _ in range(2))
    is_ready[0], is_ready[lg.dst[spoken]], is_silent[lg.dst[~spoken]] = True, True, True
    ready = np.cumsum(is_ready) - 1  # the start is ready, and so is number 0
    silent = ready[-1] + np.cumsum(is_silent)
    num_tokens = int(lg.ilabel.max(initial=0)) + 1
    pairs, held = np.unique(lg.dst[spoken].astype(np.int64) * num_tokens + lg.ilabel[spoken], return_inverse=True)
    first_held = silent[-1] + 1
    held_state, held_token = np.divmod(pairs, num_tokens)
    held_number = first_held + np.arange(len(pairs))
    held_of_arc = np.zeros(lg.num_arcs, np.int64)
    held_of_arc[spoken] = first_held + held.reshape(-1)

    loops = ready[is_ready]
    parts = [_plain(loops, loops, np.full(len(loops), BLANK))]
    for number, there in ((ready, is_ready), (silent, is_silent)):
        token, quiet = np.flatnonzero(there[lg.src] & spoken), np.flatnonzero(there[lg.src] & ~spoken)
        if shortest == 1:
            parts.append(_copies(lg, token, number, ready[lg.dst[token]]))
        parts.append(_copies(lg, token, number, held_of_arc[token]))
        parts.append(_copies(lg, quiet, number, silent[lg.dst[quiet]]))
    parts.append(_plain(held_number, held_number, held_token + 1))
    parts.append(_plain(held_number, ready[held_state], held_token + 1))
    _check_size(sum(len(part[0]) for part in parts), max_arcs, "use a smaller grammar (asl lm train --prune)")
    final = np.full(first_held + len(pairs), np.inf, np.float32)
    final[ready[is_ready]], final[silent[is_silent]] = lg.final[is_ready], lg.final[is_silent]
    return _join(parts, final)


def _ctc(lg: Fst, max_arcs: int) -> Fst:
    """Return the product for CTC.

    Its states are pairs of a state of L∘G and what came last: a token, a blank or nothing yet (0), or an
    epsilon of L∘G behind one of these. Nothing but another token follows an epsilon: blanks and repeats come
    before it, otherwise one alignment would be several paths.
    """
    num_tokens = int(lg.ilabel.max(initial=0)) + 1
    spoken = lg.ilabel > 0
    by_token = np.unique(lg.dst[spoken].astype(np.int64) * num_tokens + lg.ilabel[spoken])
    # where a token was, a blank may follow; the start is as if a blank had come before
    after_blank = np.unique(np.append(by_token // num_tokens, 0)) * num_tokens
    heard = np.unique(np.concatenate([after_blank, by_token]))
    quiet = _after_epsilon(lg, heard, num_tokens)
    keys = np.concatenate([heard, quiet])  # the start is the first of them
    state, last = np.divmod(keys, num_tokens)

    begin = np.searchsorted(lg.src, np.arange(lg.num_states + 1))
    counts = (begin[1:] - begin[:-1])[state]
    advice = "use --topology compact or a smaller grammar"
    _check_size(len(heard) + len(by_token) + int(counts.sum()), max_arcs, advice)
    numbers = np.arange(len(keys))
    loops = numbers[:len(heard)]
    parts = [_plain(loops, loops, last[:len(heard)] + 1)]
    with_token = loops[last[:len(heard)] > 0]
    to_blank = np.searchsorted(heard, state[with_token] * num_tokens)
    parts.append(_plain(with_token, to_blank, np.full(len(with_token), BLANK)))
    pair = np.repeat(numbers, counts)
    arc = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts - begin[state], counts)
    token, before = lg.ilabel[arc], last[pair]
    follows = (token == 0) | (token != before)
    pair, arc, token, before = pair[follows], arc[follows], token[follows], before[follows]
    target = lg.dst[arc].astype(np.int64) * num_tokens
    dst = np.where(
        token > 0,
        np.searchsorted(heard, target + token),
        len(heard) + np.searchsorted(quiet, target + before),
    )
    label = np.where(token > 0, token + 1, 0)
    parts.append((pair, dst, label, lg.olabel[arc], lg.cost[arc]))
    return _join(parts, lg.final[state])


def _after_epsilon(lg: Fst, heard: np.ndarray, num_tokens: int) -> np.ndarray:
    """Return the pairs (state, token before) that chains of epsilons lead to, sorted."""
    silent = np.flatnonzero(lg.ilabel == 0)
    begin = np.searchsorted(lg.src[silent], np.arange(lg.num_states + 1))
    found, newest = np.empty(0, np.int64), heard
    while len(newest):
        state, last = np.divmod(newest, num_tokens)
        counts = (begin[1:] - begin[:-1])[state]
        arc = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - begin[state], counts)
        reached = lg.dst[silent[arc]].astype(np.int64) * num_tokens + np.repeat(last, counts)
        newest = np.setdiff1d(reached, found)
        found = np.union1d(found, newest)
    return found


def _plain(src: np.ndarray, dst: np.ndarray, label: np.ndarray) -> _Arcs:
    """Arcs without a word or a cost."""
    return src, dst, label, np.zeros(len(src), np.int32), np.zeros(len(src), np.float32)


def _copies(lg: Fst, arcs: np.ndarray, number: np.ndarray, dst: np.ndarray) -> _Arcs:
    """Arcs of L∘G between states of the product."""
    label = np.where(lg.ilabel[arcs] > 0, lg.ilabel[arcs] + 1, 0)
    return number[lg.src[arcs]], dst, label, lg.olabel[arcs], lg.cost[arcs]


def _check_size(arcs: int, max_arcs: int, advice: str) -> None:
    if arcs > max_arcs:
        raise AslError(f"the graph would have {arcs} arcs, more than {max_arcs}; {advice}")


def _join(parts: List[_Arcs], final: np.ndarray) -> Fst:
    columns = [np.concatenate([part[i] for part in parts]) for i in range(5)]
    order = np.argsort(columns[0], kind="stable")
    src, dst, ilabel, olabel = (column.astype(np.int32)[order] for column in columns[:4])
    return Fst(src, dst, ilabel, olabel, columns[4].astype(np.float32)[order], final.astype(np.float32))
