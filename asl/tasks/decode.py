"""``asl decode``: an experiment and a split in, hypotheses out.

Everything about the network comes from the experiment folder; the data only have to be of the same layout.
"""

import os
import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, Union

import torch
from jsonargparse import Namespace
from torch import Tensor

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.decoding.beam import prefix_beam_search
from asl.decoding.classify import softmax_nbest
from asl.decoding.greedy import greedy_search
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.output import write_ctm, write_hypotheses
from asl.landmarks.views import first_views
from asl.lang.tokens import TokenTable
from asl.tasks import config as configs
from asl.tasks import experiment, run_data, test_log
from asl.tasks.ctc import CtcTask
from asl.tasks.posteriors import Member, Outputs, output_shifts, split_outputs

METHODS = ("softmax", "greedy", "beam", "graph")
# log-probs, lengths and, where times mean something, seconds from one output frame to the next of each clip
Search = Callable[[Tensor, Tensor, Optional[List[float]]], List[List[Hypothesis]]]


def decode(
    exp: Union[List[str], str],
    data: str = "data",
    split: str = "val",
    method: str = "auto",
    out: Optional[str] = None,
    checkpoint: Optional[str] = None,
    views: int = 1,
    extra: Optional[str] = None,
    engine: str = "auto",
    graph: Optional[str] = None,
    nbest: int = 10,
    beam_size: int = 16,
    beam: float = 20.0,
    lattice_beam: float = 20.0,
    max_active: Optional[int] = None,
    acoustic_scale: float = 1.0,
    batch_size: int = 64,
    device: str = "cpu",
) -> None:
    """Decode a split with a trained network, or the average of several, and write the hypotheses.

    Decoding test is noted in EXP/test_log.jsonl: what was decoded, and when.

    Args:
        exp: experiment folder; holds everything about the network. Of several the outputs are averaged.
        data: the recipe's data folder.
        split: which split.
        method: softmax (isolated signs), greedy, beam (prefix beam search) or graph; auto: softmax or greedy.
        out: folder for hyp.jsonl and decode.json; default EXP/decode_SPLIT_METHOD.
        checkpoint: last, best, ema, or the run's own mean_last or mean_best; default: its own rule.
        views: look at each clip in so many ways (as it is, mirrored, cut a little at its ends: see
            asl/landmarks/views.py) and average the outputs.
        extra: folder of the second stream, for a network that has one; default: as it was trained with (a
            relative folder lies in the data folder).
        engine: k2, kaldi or auto, for method graph.
        graph: folder of the compiled graph; default EXP/graph.
        nbest: hypotheses kept for each clip.
        beam_size: prefixes kept in each frame by method beam.
        beam: width of the search in the graph, natural logarithm.
        lattice_beam: what is worse than the best path by more than this is not in the lattice.
        max_active: states kept in each frame at most, where the engine has it.
        acoustic_scale: weight of the network against the grammar.
        batch_size: clips at a time.
        device: cpu, cuda or mps, for the network; the search runs on the CPU.
    """
    check_device(device)
    looks = first_views(views)
    exps = [exp] if isinstance(exp, str) else list(exp)
    loaded = [experiment.load_task(name, checkpoint) for name in exps]
    method = choose_method(method, exps, loaded)
    for name in exps:
        run_data.refuse_other_protocol(Path(name), Path(data))
    if extra and not any(one.config.data.get("extra") for one in loaded):
        raise AslError(f"--extra {extra}: {exps[0]} was trained without a second stream; leave it out")
    members: List[Member] = []
    for name, one in zip(exps, loaded):
        given = {"data_dir": data, "batch_size": batch_size, "num_workers": 0, "overfit": 0}
        module = configs.instantiate_data(one.config, **given, **other_stream(one.config, extra))
        members += [Member(f"{name} ({view})", one.task, module, view) for view in looks]
    tokens = TokenTable.read(loaded[0].lang / "tokens.txt")
    shifts = output_shifts(members[0].module, split, loaded[0].task)

    chosen, counts, options = None, Counter(), {}
    if method == "softmax":
        search: Search = lambda p, n, s: softmax_nbest(p, tokens.units, nbest)
    elif method == "greedy":
        search = lambda p, n, s: greedy_search(p, n, tokens, s)
    elif method == "beam":
        options = {"beam_size": beam_size}
        search = lambda p, n, s: prefix_beam_search(p, n, tokens, beam_size, nbest, s)
    else:
        from asl.decoding.graph import decode_graph
        from asl.graph.engine import get_engine
        from asl.graph.options import SearchOptions

        chosen = get_engine(engine)
        compiled = chosen.load(graph or Path(exps[0]) / "graph")
        wide = SearchOptions(beam, lattice_beam, None, max_active, acoustic_scale)
        options = {"beam": beam, "lattice_beam": lattice_beam, "max_active": max_active}
        options["acoustic_scale"] = acoustic_scale
        search = lambda p, n, s: decode_graph(chosen, compiled, p, n, wide, nbest, s, counts)

    about = {
        "method": method,
        "engine": chosen.name if chosen else None,
        "checkpoint": " and ".join(sorted({rule_name(one) for one in loaded})),
        "views": views,
        "networks": len(exps),
        "options": options,
        "split": split,
        "command": shlex.join(["asl", *sys.argv[1:]]),
    }
    members[0].module.cuts(split)  # there before it is noted that it was looked at
    if run_data.is_test(split):
        rules = [(name, one.checkpoint) for name, one in zip(exps, loaded)]
        about["test_decodings"] = max(test_log.note(name, rule, exps, about) for name, rule in rules)
    ids, hypotheses, seconds = run(split_outputs(members, split, device), search, shifts)
    folder = Path(out) if out else Path(exps[0]) / default_name(split, method, views, len(exps))
    write_hypotheses(folder / "hyp.jsonl", ids, hypotheses)
    (folder / "hyp.ctm").unlink(missing_ok=True)  # of an earlier decoding
    if all(h[0].times is not None for h in hypotheses if h and h[0].words):
        write_ctm(folder / "hyp.ctm", ids, hypotheses)
    write_json(
        folder / "decode.json",
        {
            **network_facts(exps),
            "task": type(loaded[0].task).__name__,
            **about,
            **experiment.git_state(),
            **{f"{k}_seconds": round(v, 3) for k, v in seconds.items()},
            **counts,
        },
    )
    print(f"{len(ids)} clips of {split} decoded ({method}) into {folder}: "
          + ", ".join(f"{k} {v:.1f} s" for k, v in seconds.items()))  # fmt: skip


def choose_method(method: str, exps: Sequence[str], loaded: Sequence[experiment.LoadedTask]) -> str:
    """The method that ``auto`` stands for; AslError where it or the networks do not fit one another."""
    first = loaded[0]
    is_ctc = isinstance(first.task, CtcTask)
    method = ("greedy" if is_ctc else "softmax") if method == "auto" else method
    if method not in METHODS:
        raise AslError(f"no decoding method '{method}'; there are {', '.join(METHODS)}")
    if (method == "softmax") == is_ctc:
        fits = "greedy, beam or graph" if is_ctc else "softmax"
        raise AslError(
            f"{exps[0]} ({type(first.task).__name__}): method {method} does not fit it, use {fits}"
        )
    if len(set(exps)) < len(exps):
        raise AslError(f"--exp names {', '.join(exps)}: one of them twice; give different experiments")
    tokens = (first.lang / "tokens.txt").read_bytes()
    for name, one in zip(exps, loaded):
        if isinstance(one.task, CtcTask) != is_ctc:
            kinds = f"{type(first.task).__name__} and {type(one.task).__name__}"
            raise AslError(f"{exps[0]} and {name} are a {kinds}: their outputs cannot be averaged")
        if (one.lang / "tokens.txt").read_bytes() != tokens:
            raise AslError(
                f"{exps[0]} and {name} were trained with different tokens.txt: their outputs are of other "
                "signs and cannot be averaged; train both on one data folder"
            )
    return method


def rule_name(loaded: experiment.LoadedTask) -> str:
    """The checkpoint rule, and what a run that validated on test must own up to."""
    split = loaded.config.data.get("val_split") or ""
    return f"{loaded.checkpoint}, validated on {split}" if run_data.is_test(split) else loaded.checkpoint


def default_name(split: str, method: str, views: int, networks: int) -> str:
    """Name of the folder of a decoding inside the (first) experiment."""
    more = [f"{views}views"] if views > 1 else []
    more += [f"{networks}networks"] if networks > 1 else []
    return "_".join(["decode", split, method, *more])


def network_facts(exps: Sequence[str]) -> Dict[str, Any]:
    """Name, seed, size and training time; of several networks all names, no seed, and the sums."""
    facts = [finished(exp) for exp in exps]
    if len(exps) == 1:
        known = {k: v for k, v in facts[0].items() if k in ("seed", "parameters", "train_seconds")}
        return {"system": Path(exps[0]).name, **known}
    sums = {
        key: sum(fact[key] for fact in facts)
        for key in ("parameters", "train_seconds")
        if all(key in fact for fact in facts)
    }
    return {"system": " + ".join(Path(exp).name for exp in exps), **sums}


def other_stream(config: Namespace, folder: Optional[str]) -> Dict[str, Any]:
    """What ``--extra`` changes in a data section: the second stream's folder, taken from where we are."""
    if folder is None or not config.data.get("extra"):
        return {}
    stream = config.data.extra.clone()
    stream.dir = os.path.abspath(folder)
    return {"extra": stream}


def check_device(device: str) -> None:
    """Raise AslError unless this torch has ``device`` (cpu, cuda, cuda:1, mps) here."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as e:
        reason = str(e).splitlines()[0]
        raise AslError(
            f"--device {device} cannot be used here ({reason}); asl doctor shows what can"
        ) from None


def run(
    outputs: Iterable[Outputs], search: Search, shifts: Optional[Dict[str, float]]
) -> Tuple[List[str], List[List[Hypothesis]], Dict[str, float]]:
    """Search in all ``outputs``; return ids, n-best lists and the seconds that network and search took."""
    ids: List[str] = []
    hypotheses: List[List[Hypothesis]] = []
    seconds = {"network": 0.0, "search": 0.0}
    with torch.no_grad():
        began = time.perf_counter()
        for batch in outputs:
            between = time.perf_counter()
            seconds["network"] += between - began
            ids += batch.ids
            shift = None if shifts is None else [shifts[i] for i in batch.ids]
            hypotheses += search(batch.log_probs, batch.lengths, shift)
            began = time.perf_counter()
            seconds["search"] += began - between
    return ids, hypotheses, seconds


def finished(exp: str) -> Dict[str, Any]:
    """``train.json`` of the run, or nothing where it is still training."""
    return experiment.read_result(exp) if (Path(exp) / "train.json").is_file() else {}
