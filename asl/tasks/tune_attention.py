"""``asl tune attention``: the length penalty and the weights of CTC and language model by the BLEU on a validation split."""

import itertools
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from asl.common.errors import AslError
from asl.common.files import PathLike, read_json, write_json, write_text
from asl.scoring.bleu import Case, Setting, Tokenizer, bleu, statistics
from asl.scoring.refs import read_references
from asl.tasks import experiment, run_data
from asl.tasks.attention import Attention, AttentionSetting, split_encodings
from asl.tasks.networks import check_device, network_facts, open_networks
from asl.tasks.tune import choose

AXES = ("length_penalty", "ctc_weight", "lm_scale")
PENALTIES, CTC_WEIGHTS, LM_SCALES = (0.6, 0.8, 1.0, 1.2), (0.0, 0.1, 0.3, 0.5), (0.0, 0.1, 0.3)


class Point(NamedTuple):
    """One search of the whole split: its place on the axes, its BLEU, and the seconds that it took."""

    place: Tuple[float, ...]
    bleu: float
    seconds: float


def tune_attention(
    exp: Union[List[str], str],
    data: str = "data",
    split: str = "val",
    out: Optional[str] = None,
    lm: Optional[str] = None,
    length_penalties: Optional[List[float]] = None,
    ctc_weights: Optional[List[float]] = None,
    lm_scales: Optional[List[float]] = None,
    beam_size: int = 5,
    max_length: Optional[float] = None,
    no_repeat: Optional[int] = None,
    case: Case = "keep",
    tokenize: Tokenizer = "13a",
    checkpoint: Optional[str] = None,
    views: int = 1,
    extra: Optional[str] = None,
    batch_size: int = 64,
    device: str = "cpu",
) -> Dict[str, Any]:
    """Choose length penalty, CTC weight and LM scale by the BLEU of every combination on a split.

    Each batch is encoded once and then searched for each combination. Into OUT go best.json (asl decode --tuned OUT
    takes it) and points.tsv with every combination. Of combinations with equal BLEU the one with the better neighbours
    is taken.

    Args:
        exp: experiment folder of a translation, or several whose decoders are averaged.
        data: the recipe's data folder.
        split: which split to choose on; never test.
        out: folder of what is written; default EXP/tune_attention_SPLIT.
        lm: a language model of pieces, as of asl decode; default: none.
        length_penalties: default 0.6 0.8 1 1.2.
        ctc_weights: default 0 0.1 0.3 0.5, and 0 where a network has no CTC outputs.
        lm_scales: default 0 0.1 0.3 with --lm; 0: without it.
        beam_size: as of asl decode.
        max_length: as of asl decode.
        no_repeat: as of asl decode.
        case: of the BLEU, as of asl score.
        tokenize: of the BLEU, as of asl score.
        checkpoint: as of asl decode.
        views: as of asl decode.
        extra: as of asl decode.
        batch_size: clips at a time.
        device: cpu, cuda or mps, for the networks.

    Returns:
        what best.json holds.

    Raises:
        AslError: the split is a test split, LM scales without a language model, or what asl decode refuses.
    """
    if run_data.is_test(split):
        raise AslError(f"--split {split}: what is chosen on test is no result on test; tune on val")
    if lm_scales and lm is None:
        raise AslError("--lm-scales without a language model; give --lm PATH")
    check_device(device)
    networks = open_networks(exp, data, split, "attention", checkpoint, views, extra, batch_size)
    has_ctc = all(member.task.head is not None for member in networks.members)
    given = (length_penalties or PENALTIES, ctc_weights or (CTC_WEIGHTS if has_ctc else (0.0,)),
             (lm_scales or LM_SCALES) if lm else (0.0,))  # fmt: skip
    axes = [sorted(set(values)) for values in given]
    if axes[2][0] < 0:
        raise AslError(f"--lm-scales {axes[2][0]:g}: give 0 (without it) or more")
    way = Attention(AttentionSetting(1, beam_size, None, None, max_length, no_repeat, lm), networks, device)
    plans = [(place, replace(way.beam, length_penalty=place[0], ctc_weight=place[1])) for place in itertools.product(*axes)]
    references, setting = read_references(data, split), Setting(case, tokenize)
    sums, seconds, found = np.zeros((len(plans), 10), np.int64), np.zeros(len(plans)), set()
    with torch.no_grad():
        for batch in split_encodings(networks.members, split, device, max(axes[1]) > 0):
            texts = [" ".join(references[clip]) for clip in batch.ids]
            for row, (place, beam) in enumerate(plans):
                began = time.perf_counter()
                way.beam, way.lm_scale = beam, place[2]
                said = [" ".join(nbest[0].words) for nbest in way.search(batch, None)]
                seconds[row] += time.perf_counter() - began
                sums[row] += statistics(said, texts, setting).sum(axis=0)
            found.update(batch.ids)
    missing = [clip for clip in sorted(references) if clip not in found]
    if missing:  # as in asl score
        print(f"warning: {len(missing)} of {len(references)} sentences of {split} have no landmarks, counted as empty: "
              f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}")  # fmt: skip
        sums += statistics([""] * len(missing), [" ".join(references[clip]) for clip in missing], setting).sum(axis=0)
    values = bleu(sums)
    points = [Point(*point) for point in zip([place for place, _ in plans], values.tolist(), seconds.tolist())]
    best = points[choose(-values.reshape([len(axis) for axis in axes]))]
    folder = Path(out) if out else Path(networks.exps[0]) / f"tune_attention_{split}"
    result = {
        "method": "attention", **dict(zip(AXES, best.place)), "lm": lm, "bleu": round(best.bleu, 4), "n": len(references),
        "n_missing": len(missing),
        "at_the_edge_of": _edges(axes, best.place) if values.max() > values.min() else [], "split": split, "beam_size": beam_size,
        "max_length": way.beam.max_length, "no_repeat": way.beam.no_repeat, "case": case, "tokenize": tokenize,
        **network_facts(networks.exps), "axes": dict(zip(AXES, axes)), "search_seconds": round(float(seconds.sum()), 3),
        "command": shlex.join(["asl", *sys.argv[1:]]), **experiment.git_state(),
    }  # fmt: skip
    write_text(folder / "points.tsv", _table(points))
    write_json(folder / "best.json", result)
    chosen = ", ".join(f"{axis.replace('_', ' ')} {value:g}" for axis, value in zip(AXES, best.place))
    print(f"{folder}: {len(points)} combinations on {len(references)} sentences of {split}; the best: {chosen}, "
          f"BLEU {best.bleu:.2f} ({setting.text()})")  # fmt: skip
    for axis in result["at_the_edge_of"]:
        print(f"warning: the best {axis.replace('_', ' ')} is at the edge of what was tried; give more values")
    return result


def _edges(axes: Sequence[Sequence[float]], place: Sequence[float]) -> List[str]:
    """Axes at whose end the best place is; 0 is no end, since there is nothing below."""
    return [
        name for name, values, value in zip(AXES, axes, place)
        if len(values) > 2 and value in (values[0], values[-1]) and value != 0
    ]  # fmt: skip


def _table(points: Sequence[Point]) -> str:
    lines = ["\t".join([*AXES, "bleu", "seconds"])]
    lines += ["\t".join([*(f"{v:g}" for v in p.place), f"{p.bleu:.2f}", f"{p.seconds:.2f}"]) for p in points]
    return "\n".join(lines) + "\n"


def with_tuned(given: AttentionSetting, folder: PathLike, exps: Sequence[str]) -> AttentionSetting:
    """What was said stands; what was not is what ``asl tune attention`` found best. Says so where it was for others.

    Raises:
        AslError: best.json is not there, not whole, or of ``asl tune``.
    """
    path = Path(folder) / "best.json"
    best = read_json(path)
    whole = isinstance(best, dict) and best.get("method") == "attention"
    if not whole or not all(isinstance(best.get(name), (int, float)) for name in AXES):
        raise AslError(f"{path} is not of asl tune attention, or not whole; run asl tune attention --out {folder}")
    system = network_facts(exps)["system"]
    if best.get("system", system) != system:
        print(f"warning: {path} was found with {best['system']}, and {system} is decoded; asl tune attention for that")
    tuned = {name: best.get(name) for name in ("length_penalty", "ctc_weight", "beam_size", "max_length", "no_repeat")}
    if best["lm_scale"] > 0:
        tuned.update(lm=best.get("lm"), lm_scale=best["lm_scale"])
    elif given.lm_scale is not None and given.lm is None:
        raise AslError(f"--lm-scale {given.lm_scale:g}: {path} found no language model best; give --lm PATH, too")
    return given._replace(**{name: value for name, value in tuned.items() if getattr(given, name) is None})
