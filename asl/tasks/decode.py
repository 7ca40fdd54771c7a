"""``asl decode``: an experiment and a split in, hypotheses out.

Everything about the network comes from the experiment folder; the data only have to be of the same layout.
"""

import shlex
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

import torch

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.output import write_ctm, write_hypotheses
from asl.tasks import experiment, run_data, searches, test_log
from asl.tasks.attention import Attention, AttentionRescoring, AttentionSetting, refuse_foreign_options, split_encodings
from asl.tasks.decode_options import refuse_graph_options
from asl.tasks.networks import ATTENTION, check_device, network_facts, open_networks, rule_name
from asl.tasks.posteriors import split_outputs
from asl.tasks.tune_attention import with_tuned


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
    nbest: Optional[int] = None,
    beam_size: Optional[int] = None,
    length_penalty: Optional[float] = None,
    ctc_weight: Optional[float] = None,
    max_length: Optional[float] = None,
    no_repeat: Optional[int] = None,
    lm: Optional[str] = None,
    beam: Optional[float] = None,
    lattice_beam: float = 8.0,
    min_active: Optional[int] = None,
    max_active: Optional[int] = None,
    acoustic_scale: Optional[float] = None,
    lm_scale: Optional[float] = None,
    insertion_penalty: Optional[float] = None,
    prior_scale: Optional[float] = None,
    tuned: Optional[str] = None,
    lattice: bool = True,
    mbr: bool = False,
    rescore: Optional[str] = None,
    rescore_scale: Optional[float] = None,
    rescore_keep: float = 0.0,
    nj: int = 1,
    batch_size: int = 64,
    device: str = "cpu",
) -> None:
    """Decode a split with a trained network, or the average of several, and write the hypotheses.

    Decoding test is noted in EXP/test_log.jsonl: what was decoded, and when. In a graph a path's score is
    acoustic-scale x (log-probs - prior-scale x log priors) + lm-scale x graph - insertion-penalty x words.
    decode.json has the times taken, what was counted and, for lattices, the WER of their best reading (oracle,
    without any clean-up).

    Args:
        exp: experiment folder; holds everything about the network. Of several the outputs are averaged.
        data: the recipe's data folder.
        split: which split.
        method: softmax (isolated signs); greedy, beam (prefix beam search) or graph, over CTC's outputs; attention (the
            text decoder of a translation) or attention-rescoring (it scores what method beam finds). auto: softmax,
            attention, or greedy, or graph where words are rows of units.
        out: folder for hyp.jsonl and decode.json; default EXP/decode_SPLIT_METHOD.
        checkpoint: last, best, ema, or the run's own mean_last or mean_best; default: its own rule.
        views: look at each clip in so many ways (as it is, mirrored, cut a little at its ends: see
            asl/landmarks/views.py) and average the outputs.
        extra: folder of the second stream, for a network that has one; default: as it was trained with (a
            relative folder lies in the data folder).
        engine: k2, kaldi or auto, for method graph.
        graph: folder of the compiled graph; default EXP/graph.
        nbest: hypotheses kept for each clip; default 10, of a smaller beam-size all.
        beam_size: hypotheses that go on after each token in method attention (default 5); prefixes kept in each frame
            in methods beam and attention-rescoring (default 16).
        length_penalty: attention: a text's score is divided by n ** length-penalty, n being its tokens and the end;
            default 1 (the mean of a token), 0: not divided, and short texts win.
        ctc_weight: attention: share of CTC in the score, from 0 to below 1: of the prefix so far, or in
            attention-rescoring (default 0.5) of the text; default 0.
        max_length: attention: tokens that a text has at most for each frame of the encoder's output (10 are always
            allowed); default 2. decode.json counts the clips whose text was cut off.
        no_repeat: attention: no row of so many tokens stands twice in a text; default 0 (off).
        lm: attention: a language model of pieces (asl lang pieces, asl lm train, asl lm neural), an .arpa file or
            a folder; its log-probabilities are added, times lm-scale.
        beam: width of the search in the graph, natural logarithm; default 16, or what was tuned.
        lattice_beam: what is worse than the best path by more than this is not in the lattice.
        min_active: states kept in each frame at least, where the engine has it.
        max_active: states kept in each frame at most, where the engine has it (kaldi: with --lattice false).
        acoustic_scale: weight of the network's log-probs; default 1, or what was tuned.
        lm_scale: weight of the graph's scores; default 1, or what was tuned. With --lm that of its log-probs; default
            0.3.
        insertion_penalty: taken off for each word; default 0, or what was tuned.
        prior_scale: so many times the tokens' log priors (EXP/prior.json of asl prior) are taken off the log-probs
            before they meet the graph; default 0, or what was tuned. Of several networks the priors are averaged, too.
        tuned: folder of asl tune; its scales, penalty and beam are taken where none are given here. For method
            attention that of asl tune attention, with its beam size, longest length and no-repeat, too.
        lattice: false: the best path alone, several times as fast, without n-best and confidences.
        mbr: put the reading of least expected word errors first, not the most probable one.
        rescore: a language model that takes the place of the graph's grammar: an .arpa file (the lattices are
            rescored), the folder of a neural one, or the .json of a cache, which remembers what was recognised of
            the same video (the n-best lists are).
        rescore_scale: its weight; default: what the graph's grammar has (--lm-scale).
        rescore_keep: share of the graph's own grammar that stays beside it, 0 to 1.
        nj: processes of the search, for the kaldi engine.
        batch_size: clips at a time.
        device: cpu, cuda or mps, for the network; the search runs on the CPU.
    """
    check_device(device)
    networks = open_networks(exp, data, split, method, checkpoint, views, extra, batch_size)
    if prior_scale and networks.method != "graph":
        raise AslError(f"--prior-scale {prior_scale:g}: method {networks.method} meets no grammar that would put "
                       "priors in the place of the network's; leave it out, or use --method graph")
    refuse_graph_options(networks.method, locals())
    refuse_foreign_options(networks.method, locals())
    for name, value in (("rescore", rescore), ("tuned", tuned), ("mbr", mbr)):
        if value and networks.method != "graph" and (name, networks.method) != ("tuned", "attention"):
            other = "--method graph (asl tune) or attention (asl tune attention)" if name == "tuned" else "--method graph"
            raise AslError(f"--{name} {value}: method {networks.method} searches no graph; leave it out, or use {other}")
    exps, shifts, spelling = networks.exps, networks.shifts, networks.spelling
    way: searches.Method
    if networks.method == "softmax":
        way = searches.Softmax(networks.tokens, 10 if nbest is None else nbest)
    elif networks.method == "greedy":
        way = searches.Greedy(spelling)
    elif networks.method == "beam":
        size = 16 if beam_size is None else beam_size
        way = searches.Beam(spelling, size, min(10, size) if nbest is None else nbest)
    elif networks.method in ATTENTION:
        told = AttentionSetting(nbest, beam_size, length_penalty, ctc_weight, max_length, no_repeat, lm, lm_scale)
        told = told if tuned is None else with_tuned(told, tuned, exps)
        way = (Attention if networks.method == "attention" else AttentionRescoring)(told, networks, device)
    else:
        given = searches.GraphSetting(
            engine, graph or str(Path(exps[0]) / "graph"), 10 if nbest is None else nbest, beam, lattice_beam,
            min_active, max_active, acoustic_scale, lm_scale, insertion_penalty, lattice, mbr, nj, rescore,
            rescore_scale, rescore_keep, tuned, prior_scale,
        )  # fmt: skip
        way = searches.Graph(given, networks, searches.references_of(data, split))
    about = {
        "method": networks.method,
        "engine": way.engine,
        "checkpoint": " and ".join(sorted({rule_name(one) for one in networks.loaded})),
        "views": views,
        "networks": len(exps),
        "options": way.options,
        "split": split,
        "command": shlex.join(["asl", *sys.argv[1:]]),
    }
    networks.members[0].module.cuts(split)  # there before it is noted that it was looked at
    if run_data.is_test(split):
        rules = [(name, one.checkpoint) for name, one in zip(exps, networks.loaded)]
        about["test_decodings"] = max(test_log.note(name, rule, exps, about) for name, rule in rules)
    try:
        if isinstance(way, Attention):
            outputs = split_encodings(networks.members, split, device, way.needs_ctc)
        else:
            outputs = split_outputs(networks.members, split, device)
        ids, hypotheses, seconds = run(outputs, way, shifts)
    finally:
        way.close()
    folder = Path(out) if out else Path(exps[0]) / default_name(split, networks.method, views, len(exps))
    write_hypotheses(folder / "hyp.jsonl", ids, hypotheses)
    (folder / "hyp.ctm").unlink(missing_ok=True)  # of an earlier decoding
    if not isinstance(way, Attention) and all(h[0].times is not None for h in hypotheses if h and h[0].words):
        write_ctm(folder / "hyp.ctm", ids, hypotheses)
    write_json(
        folder / "decode.json",
        {
            **network_facts(exps),
            "task": type(networks.loaded[0].task).__name__,
            **about,
            **experiment.git_state(),
            **{f"{k}_seconds": round(v, 3) for k, v in seconds.items()},
            "sentences_per_second": round(len(ids) / max(sum(seconds.values()), 1e-9), 2),
            **way.counts,
        },
    )
    print(f"{len(ids)} clips of {split} decoded ({networks.method}) into {folder}: "
          + ", ".join(f"{k} {v:.1f} s" for k, v in seconds.items()))  # fmt: skip
    if way.counts.get("counts", {}).get("cut_off"):
        print(f"{way.counts['counts']['cut_off']} texts were cut off at the longest length; see --max-length")
    if "oracle" in way.counts:
        oracle = way.counts["oracle"]
        print(f"oracle WER of the lattices {oracle['wer']:.2f} % [ {oracle['errors']} / {oracle['words']} ]")


def default_name(split: str, method: str, views: int, networks: int) -> str:
    """Name of the folder of a decoding inside the (first) experiment."""
    more = [f"{views}views"] if views > 1 else []
    more += [f"{networks}networks"] if networks > 1 else []
    return "_".join(["decode", split, method, *more])


def run(
    outputs: Iterable[Any], way: searches.Method, shifts: Optional[Dict[str, float]]
) -> Tuple[List[str], List[List[Hypothesis]], Dict[str, float]]:
    """Search in all ``outputs``; return ids, n-best lists and the seconds that network and search took."""
    ids: List[str] = []
    found: list = []
    seconds = {"network": 0.0, "search": 0.0}
    with torch.no_grad():
        began = time.perf_counter()
        for batch in outputs:
            between = time.perf_counter()
            seconds["network"] += between - began
            ids += batch.ids
            found += way.search(batch, None if shifts is None else [shifts[i] for i in batch.ids])
            began = time.perf_counter()
            seconds["search"] += began - between
        between = time.perf_counter()
        hypotheses = way.finish(ids, found, None if shifts is None else [shifts[i] for i in ids])
        seconds["search"] += time.perf_counter() - between
    return ids, hypotheses, seconds
