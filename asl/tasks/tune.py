"""``asl tune``: the weights of network, graph and word count that make the fewest errors on a validation split."""

import itertools
import shlex
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from asl.common.errors import AslError
from asl.common.files import write_json, write_text
from asl.decoding.graph import Passes, warn
from asl.decoding.parallel import Searcher
from asl.decoding.prior import check_prior_scale, less_prior
from asl.graph.options import SearchOptions
from asl.scoring.choices import Choices, Cleanup, Repeats
from asl.scoring.refs import Words, join, read_references
from asl.scoring.wer import Costs, Counts, align_all, count, rate
from asl.tasks import experiment, run_data
from asl.tasks.networks import check_device, network_facts, open_networks
from asl.tasks.posteriors import Outputs, split_outputs
from asl.tasks.prior import has_prior, read_log_prior
from asl.tasks.searches import grammar_hash
from asl.tasks.surface import draw_surface

WEIGHTS = ("acoustic_scale", "lm_scale", "insertion_penalty")
AXES = ("prior_scale", *WEIGHTS)
DEFAULTS = ((1.0,), (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0), (-2.0, -1.0, 0.0, 1.0, 2.0))
PRIOR_SCALES = (0.0, 0.3, 0.6)
UNTUNED = (0.0, 1.0, 1.0, 0.0)
BEAMS = (4.0, 6.0, 8.0, 10.0, 12.0, 14.0)


class Point(NamedTuple):
    """One search of the whole split: its weights, errors, seconds, and the sum of the best paths' scores."""

    prior_scale: float
    options: SearchOptions
    counts: Counts
    seconds: float
    score: float

    @property
    def place(self) -> Tuple[float, ...]:
        """Its place on the axes."""
        return (self.prior_scale, *(getattr(self.options, axis) for axis in WEIGHTS))


def tune(
    exp: Union[List[str], str],
    data: str = "data",
    split: str = "val",
    out: Optional[str] = None,
    graph: Optional[str] = None,
    engine: str = "auto",
    prior_scales: Optional[List[float]] = None,
    acoustic_scales: Optional[List[float]] = None,
    lm_scales: Optional[List[float]] = None,
    insertion_penalties: Optional[List[float]] = None,
    beam: float = 10.0,
    beams: Optional[List[float]] = None,
    max_active: Optional[int] = None,
    cleanup: Cleanup = "none",
    repeats: Repeats = "keep",
    costs: Costs = "kaldi",
    nj: int = 1,
    checkpoint: Optional[str] = None,
    views: int = 1,
    extra: Optional[str] = None,
    batch_size: int = 64,
    device: str = "cpu",
) -> Dict[str, Any]:
    """Choose prior, acoustic and LM scale and insertion penalty by the WER of every combination on a split.

    The network runs once; then the split is searched for each combination (the best path alone), which is exact:
    no lattice of other weights is reused. Into OUT go best.json (asl decode --tuned OUT takes it), points.tsv with
    every combination, and surface.png (for the best prior scale). Of combinations with equally few errors the
    one with the better neighbours is taken. Last, narrower beams are tried with it: the narrowest that makes no
    more errors is best.json's.

    The best path depends on the ratios of the last three alone, so that one acoustic scale will do; it also
    sharpens or flattens confidences, and what minimum Bayes risk makes of them.

    Args:
        exp: experiment folder, or several whose outputs are averaged.
        data: the recipe's data folder.
        split: which split to choose on; never test.
        out: folder of what is written; default EXP/tune_SPLIT.
        graph: folder of the compiled graph; default EXP/graph.
        engine: k2, kaldi or auto.
        prior_scales: so many times the tokens' log priors are taken off the log-probs; default 0, and where
            each EXP has a prior.json (asl prior) 0 0.3 0.6.
        acoustic_scales: weights of the network's log-probs; default 1.
        lm_scales: weights of the graph's scores; default 0.1 0.25 0.5 0.75 1 1.5 2.
        insertion_penalties: what is taken off for each word; default -2 -1 0 1 2.
        beam: width of the search.
        beams: narrower ones to try at the end; default 4 6 8 10 12 14.
        max_active: states kept in each frame at most.
        cleanup: of hypotheses, as of asl score.
        repeats: as of asl score.
        costs: as of asl score.
        nj: processes of the search, for the kaldi engine.
        checkpoint: as of asl decode.
        views: as of asl decode.
        extra: as of asl decode.
        batch_size: clips at a time.
        device: cpu, cuda or mps, for the network.

    Returns:
        what best.json holds.

    Raises:
        AslError: the split is a test split, or what asl decode refuses.
    """
    if run_data.is_test(split):
        raise AslError(f"--split {split}: what is chosen on test is no result on test; tune on val")
    check_device(device)
    given = (acoustic_scales, lm_scales, insertion_penalties)
    networks = open_networks(exp, data, split, "graph", checkpoint, views, extra, batch_size)
    priors = prior_scales or (PRIOR_SCALES if all(map(has_prior, networks.exps)) else (0.0,))
    axes = [sorted(set(map(check_prior_scale, priors)))]
    axes += [sorted(set(values or default)) for values, default in zip(given, DEFAULTS)]
    log_prior = read_log_prior(networks) if any(axes[0]) else None
    folder = Path(out) if out else Path(networks.exps[0]) / f"tune_{split}"
    graph = graph or str(Path(networks.exps[0]) / "graph")
    grammar = grammar_hash(graph)
    references, choices = read_references(data, split), Choices(cleanup, "hypotheses", repeats, costs=costs)
    first = SearchOptions(beam, max_active=max_active)
    with Searcher(engine, graph, first, Passes(lattice=False), nj) as searcher, torch.no_grad():
        began = time.perf_counter()
        outputs = list(split_outputs(networks.members, split, device))
        seconds = time.perf_counter() - began
        grid = [replace(first, **dict(zip(WEIGHTS, place))) for place in itertools.product(*axes[1:])]
        points: List[Point] = []
        for scale in axes[0]:
            batches = _less_prior(outputs, log_prior, scale)
            points += [_search(searcher, scale, options, batches, references, choices) for options in grid]
        warn(searcher.counts, first)
        best = points[choose(np.array([p.counts.errors for p in points]).reshape([len(axis) for axis in axes]))]
        scale, batches = best.prior_scale, _less_prior(outputs, log_prior, best.prior_scale)
        tried = [_search(searcher, scale, replace(best.options, beam=b), batches, references, choices)
                 for b in sorted(set(beams or BEAMS)) if b < beam] + [best]  # fmt: skip
        name = searcher.engine.name
    narrow = next(p for p in tried if p.counts.errors <= best.counts.errors)
    edges = [axis for axis, values, value in zip(AXES, axes, best.place)
             if len(values) > 2 and value in (values[0], values[-1])
             and (axis, value) != ("prior_scale", 0.0)]  # fmt: skip
    result = {
        **dict(zip(AXES, best.place)), "beam": narrow.options.beam,
        "wer": _wer(best), "errors": best.counts.errors, "words": best.counts.ref, "n": len(references),
        "untuned_wer": next((_wer(p) for p in points if p.place == UNTUNED), None),
        "at_the_edge_of": edges, "split": split, "graph": graph, "grammar": grammar, "engine": name,
        "max_active": max_active, "choices": asdict(choices), **network_facts(networks.exps),
        "axes": dict(zip(AXES, axes)), "network_seconds": round(seconds, 3),
        "search_seconds": round(sum(p.seconds for p in points), 3),
        "beams": [{"beam": p.options.beam, "wer": _wer(p), "seconds": round(p.seconds, 3), "score": round(p.score, 3)}
                  for p in tried],
        "command": shlex.join(["asl", *sys.argv[1:]]), **experiment.git_state(),
    }  # fmt: skip
    write_text(folder / "points.tsv", _table(points))
    drawn = [(p.place[1:], _wer(p)) for p in points if p.prior_scale == best.prior_scale]
    title = f"{split}, {graph}" + (f", prior scale {best.prior_scale:g}" if best.prior_scale else "")
    draw_surface(folder / "surface.png", drawn, best.place[1:], title)
    write_json(folder / "best.json", result)
    _print(result, folder, len(points))
    return result


def choose(errors: np.ndarray) -> int:
    """Which of a grid's points has the fewest errors; of several that whose neighbours have the fewest.

    Args:
        errors: of each combination, one dimension for each axis.

    Returns:
        The place in the flattened grid.
    """
    padded = np.pad(errors.astype(np.float64), 1, mode="edge")
    around = [
        padded[tuple(slice(o, o + n) for o, n in zip(offsets, errors.shape))]
        for offsets in itertools.product((0, 1, 2), repeat=errors.ndim)
    ]
    return int(np.lexsort((np.mean(around, axis=0).ravel(), errors.ravel()))[0])


def _less_prior(outputs: Sequence[Outputs], log_prior: Optional[torch.Tensor], scale: float) -> Sequence[Outputs]:
    if log_prior is None:
        return outputs
    return [batch._replace(log_probs=less_prior(batch.log_probs, log_prior, scale)) for batch in outputs]


def _search(
    searcher: Searcher, prior_scale: float, options: SearchOptions, batches: Sequence[Outputs],
    references: Dict[str, Words], choices: Choices,
) -> Point:  # fmt: skip
    searcher.options, began = options, time.perf_counter()
    hypotheses: Dict[str, Tuple[Words, ...]] = {}
    score = 0.0
    for batch in batches:
        for key, found in zip(batch.ids, searcher.search(batch.log_probs, batch.lengths)):
            hypotheses[key] = (tuple(found.path.words) if found.path else (),)
            score += found.path.score if found.path else 0.0
    seconds = time.perf_counter() - began
    utterances = choices.apply(join(references, hypotheses, "the search", "tuned"))
    counts = sum(map(count, align_all(utterances, choices.costs)), Counts())
    return Point(prior_scale, options, counts, seconds, score)


def _wer(point: Point) -> float:
    return round(rate(point.counts.errors, point.counts.ref), 4)


def _table(points: Sequence[Point]) -> str:
    lines = ["\t".join([*AXES, "wer", "errors", "sub", "del", "ins", "seconds"])]
    for p in points:
        values = [f"{_wer(p):.2f}", p.counts.errors, p.counts.sub, p.counts.dele, p.counts.ins, f"{p.seconds:.2f}"]
        lines.append("\t".join([*(f"{value:g}" for value in p.place), *map(str, values)]))
    return "\n".join(lines) + "\n"


def _print(result: Dict[str, Any], folder: Path, points: int) -> None:
    chosen = ", ".join(f"{axis.replace('_', ' ')} {result[axis]:g}" for axis in AXES)
    untuned = "" if result["untuned_wer"] is None else f" ({result['untuned_wer']:.2f} % with 0, 1, 1, 0)"
    print(f"{folder}: {points} combinations on {result['n']} clips of {result['split']}; the best: {chosen}, "
          f"WER {result['wer']:.2f} %{untuned}, beam {result['beam']:g}")  # fmt: skip
    for axis in result["at_the_edge_of"]:
        print(f"warning: the best {axis.replace('_', ' ')} is at the edge of what was tried; give more values")
