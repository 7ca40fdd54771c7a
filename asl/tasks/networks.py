"""The networks that a decoding is made with: loaded, checked against one another, and their facts."""

import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from jsonargparse import Namespace

from asl.common.errors import AslError
from asl.landmarks.views import first_views
from asl.lang.folder import PIECES_FILE, read_lang
from asl.lang.tokens import TokenTable
from asl.tasks import config as configs
from asl.tasks import experiment, run_data
from asl.tasks.ctc import CtcTask
from asl.tasks.pieces import Spelling
from asl.tasks.posteriors import Member, output_shifts
from asl.tasks.translate import TranslateTask

CTC = ("greedy", "beam", "graph")
ATTENTION = ("attention", "attention-rescoring")
METHODS = ("softmax", *CTC, *ATTENTION)


class Networks(NamedTuple):
    """One network or several whose outputs are averaged.

    Attributes:
        exps: their folders. loaded: what was in them. members: each with each way of looking at the clips.
        method: the decoding method that fits them. tokens: their outputs. spelling: what these spell.
        shifts: seconds for one output frame of each clip, where times mean something.
    """

    exps: List[str]
    loaded: List[experiment.LoadedTask]
    members: List[Member]
    method: str
    tokens: TokenTable
    shifts: Optional[Dict[str, float]]
    spelling: Spelling


def open_networks(
    exp: Union[List[str], str],
    data: str,
    split: str,
    method: str = "auto",
    checkpoint: Optional[str] = None,
    views: int = 1,
    extra: Optional[str] = None,
    batch_size: int = 64,
) -> Networks:
    """Load the networks of experiment folders; arguments as of ``asl decode``.

    Raises:
        AslError: they do not fit the method, each other or the data.
    """
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
        given: Dict[str, Any] = {"data_dir": data, "batch_size": batch_size, "num_workers": 0, "overfit": 0}
        given["alignments"] = None  # for training alone
        module = configs.instantiate_data(one.config, **given, **other_stream(one.config, extra))
        members += [Member(f"{name} ({view})", one.task, module, view) for view in looks]
    tokens = TokenTable.read(loaded[0].lang / "tokens.txt")
    shifts = output_shifts(members[0].module, split, loaded[0].task)
    return Networks(exps, loaded, members, method, tokens, shifts, Spelling.read(loaded[0].lang, tokens))


def choose_method(method: str, exps: Sequence[str], loaded: Sequence[experiment.LoadedTask]) -> str:
    """The method that ``auto`` stands for; AslError where it or the networks do not fit one another."""
    first = loaded[0]
    fits = fitting(first.task)
    entries = read_lang(first.lang).entries
    # pieces of written words are put together again; units of signs are not
    spelt = all(units == (word,) for word, units in entries) or (first.lang / PIECES_FILE).is_file()
    plain = "greedy" if spelt else "graph"
    method = (plain if fits[0] in CTC else fits[0]) if method == "auto" else method
    if method not in METHODS:
        raise AslError(f"no decoding method '{method}'; there are {', '.join(METHODS)}")
    if method not in fits:
        uses = " or ".join([", ".join(fits[:-1])] * (len(fits) > 1) + [fits[-1]])
        raise AslError(
            f"{exps[0]} ({type(first.task).__name__}): method {method} does not fit it, use {uses}"
        )
    if method in ("greedy", "beam") and plain == "graph":
        word, units = next(entry for entry in entries if entry[1] != (entry[0],))
        raise AslError(f"{exps[0]}: method {method} gives units, and its words are rows of units ({word} is "
                       f"{' '.join(units)}); use method graph")
    if len(set(exps)) < len(exps):
        raise AslError(f"--exp names {', '.join(exps)}: one of them twice; give different experiments")
    tokens = (first.lang / "tokens.txt").read_bytes()
    for name, one in zip(exps, loaded):
        if fitting(one.task)[0] != fits[0]:
            kinds = f"{type(first.task).__name__} and {type(one.task).__name__}"
            raise AslError(f"{exps[0]} and {name} are a {kinds}: their outputs cannot be averaged")
        if isinstance(one.task, TranslateTask) and one.task.head is None and method != "attention":
            raise AslError(f"{name}: method {method} needs CTC's outputs, and this network has none (its "
                           "task.init_args.ctc_weight is 0); use method attention")  # fmt: skip
        if (one.lang / "tokens.txt").read_bytes() != tokens:
            raise AslError(
                f"{exps[0]} and {name} were trained with different tokens.txt: their outputs are of other "
                "signs and cannot be averaged; train both on one data folder"
            )
    return method


def fitting(task: Any) -> Tuple[str, ...]:
    """The decoding methods for a task, the first of them being its own."""
    if isinstance(task, TranslateTask):
        return (*ATTENTION, *CTC)
    return CTC if isinstance(task, CtcTask) else ("softmax",)


def rule_name(loaded: experiment.LoadedTask) -> str:
    """The checkpoint rule, and what a run that validated on test must own up to."""
    split = loaded.config.data.get("val_split") or ""
    return f"{loaded.checkpoint}, validated on {split}" if run_data.is_test(split) else loaded.checkpoint


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


def finished(exp: str) -> Dict[str, Any]:
    """``train.json`` of the run, or nothing where it is still training."""
    return experiment.read_result(exp) if (Path(exp) / "train.json").is_file() else {}
