"""``asl decode``: an experiment and a split in, hypotheses out.

Everything about the network comes from the experiment folder; the data only have to be of the same layout.
"""

import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.decoding.beam import prefix_beam_search
from asl.decoding.classify import softmax_nbest
from asl.decoding.greedy import greedy_search
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.output import write_ctm, write_hypotheses
from asl.lang.tokens import TokenTable
from asl.tasks import config as configs
from asl.tasks import experiment
from asl.tasks.ctc import CtcTask

METHODS = ("softmax", "greedy", "beam", "graph")
# log-probs, lengths and, where times mean something, seconds from one output frame to the next of each utterance
Search = Callable[[Tensor, Tensor, Optional[List[float]]], List[List[Hypothesis]]]


class Outputs(NamedTuple):
    """What a network says of a batch: ids, log-probs ``(batch, frames, vocab)`` or ``(batch, classes)``, lengths."""

    ids: List[str]
    log_probs: Tensor
    lengths: Tensor


def decode(
    exp: str,
    data: str = "data",
    split: str = "val",
    method: str = "auto",
    out: Optional[str] = None,
    checkpoint: Optional[str] = None,
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
    """Decode a split with a trained network and write its hypotheses.

    Args:
        exp: experiment folder; holds everything about the network.
        data: the recipe's data folder.
        split: which split.
        method: softmax (isolated signs), greedy, beam (prefix beam search) or graph; auto: softmax or greedy.
        out: folder for hyp.jsonl and decode.json; default EXP/decode_SPLIT_METHOD.
        checkpoint: last, best or ema; default: the rule fixed in the run's configuration.
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
    loaded = experiment.load_task(exp, checkpoint)
    is_ctc = isinstance(loaded.task, CtcTask)
    method = ("greedy" if is_ctc else "softmax") if method == "auto" else method
    if method not in METHODS:
        raise AslError(f"no decoding method '{method}'; there are {', '.join(METHODS)}")
    if (method == "softmax") == is_ctc:
        fits = "greedy, beam or graph" if is_ctc else "softmax"
        raise AslError(f"{exp} ({type(loaded.task).__name__}): method {method} does not fit it, use {fits}")
    module = configs.instantiate_data(loaded.config, data_dir=data, batch_size=batch_size, num_workers=0, overfit=0)
    tokens = TokenTable.read(loaded.lang / "tokens.txt")
    shifts = output_shifts(module, split, loaded.task)

    chosen, counts = None, Counter()
    if method == "softmax":
        search: Search = lambda p, n, s: softmax_nbest(p, tokens.units, nbest)
    elif method == "greedy":
        search = lambda p, n, s: greedy_search(p, n, tokens, s)
    elif method == "beam":
        search = lambda p, n, s: prefix_beam_search(p, n, tokens, beam_size, nbest, s)
    else:
        from asl.decoding.graph import decode_graph
        from asl.graph.engine import get_engine
        from asl.graph.options import SearchOptions

        chosen = get_engine(engine)
        compiled = chosen.load(graph or Path(exp) / "graph")
        options = SearchOptions(beam, lattice_beam, None, max_active, acoustic_scale)
        search = lambda p, n, s: decode_graph(chosen, compiled, p, n, options, nbest, s, counts)

    ids, hypotheses, seconds = run(loaded.task.to(device), module.loader(split), search, shifts, device)
    folder = Path(out) if out else Path(exp) / f"decode_{split}_{method}"
    write_hypotheses(folder / "hyp.jsonl", ids, hypotheses)
    (folder / "hyp.ctm").unlink(missing_ok=True)  # of an earlier decoding
    if all(h[0].times is not None for h in hypotheses if h and h[0].words):
        write_ctm(folder / "hyp.ctm", ids, hypotheses)
    write_json(
        folder / "decode.json",
        {
            "system": Path(exp).name,
            "task": type(loaded.task).__name__,
            "method": method,
            "engine": chosen.name if chosen else None,
            "checkpoint": loaded.checkpoint,
            "split": split,
            "command": shlex.join(["asl", *sys.argv[1:]]),
            **{k: v for k, v in finished(exp).items() if k in ("seed", "parameters", "train_seconds")},
            **experiment.git_state(),
            **{f"{k}_seconds": round(v, 3) for k, v in seconds.items()},
            **counts,
        },
    )
    print(f"{len(ids)} clips of {split} decoded ({method}) into {folder}: "
          + ", ".join(f"{k} {v:.1f} s" for k, v in seconds.items()))  # fmt: skip


def check_device(device: str) -> None:
    """Raise AslError unless this torch has ``device`` (cpu, cuda, cuda:1, mps) here."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as e:
        reason = str(e).splitlines()[0]
        raise AslError(f"--device {device} cannot be used here ({reason}); asl doctor shows what can") from None


def run(
    task: Any, loader: Any, search: Search, shifts: Optional[Dict[str, float]], device: str
) -> Tuple[List[str], List[List[Hypothesis]], Dict[str, float]]:
    """Network and search over all batches; return ids, n-best lists and the seconds that each part took."""
    ids: List[str] = []
    hypotheses: List[List[Hypothesis]] = []
    seconds = {"network": 0.0, "search": 0.0}
    with torch.no_grad():
        began = time.perf_counter()
        for outputs in network_outputs(task, loader, device):
            between = time.perf_counter()
            seconds["network"] += between - began
            ids += outputs.ids
            shift = None if shifts is None else [shifts[i] for i in outputs.ids]
            hypotheses += search(outputs.log_probs, outputs.lengths, shift)
            began = time.perf_counter()
            seconds["search"] += began - between
    return ids, hypotheses, seconds


def network_outputs(task: Any, loader: Any, device: str = "cpu"):
    """Yield the ``Outputs`` of each batch of ``loader``, on the CPU."""
    for batch in loader:
        task.check_features(batch["features"])
        on_device = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
        log_probs, lengths = task.log_probs(on_device)
        yield Outputs(batch["ids"], log_probs.cpu(), lengths.cpu())


def output_shifts(module: Any, split: str, task: Any) -> Optional[Dict[str, float]]:
    """Seconds for one output frame of each cut; None where the pipeline stretches or trims clips."""
    from asl.data.storage import cut_fps

    if module.pipeline.frames is not None or module.pipeline.trim:
        return None
    subsampling = getattr(task, "subsampling", 1)
    return {cut.id: float(subsampling / cut_fps(cut)) for cut in module.cuts(split)}


def finished(exp: str) -> Dict[str, Any]:
    """``train.json`` of the run, or nothing where it is still training."""
    return experiment.read_result(exp) if (Path(exp) / "train.json").is_file() else {}
