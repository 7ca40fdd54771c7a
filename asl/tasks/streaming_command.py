"""``asl stream``: the clips of a split decoded as if their frames were just coming in."""

import shlex
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np
import torch

from asl.common.errors import AslError
from asl.common.files import PathLike, read_json, write_json
from asl.common.jsonl import write_jsonl
from asl.data.storage import ArchiveReader, cut_fps
from asl.decoding.graph import warn
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.output import write_ctm, write_hypotheses
from asl.decoding.prior import check_prior_scale
from asl.decoding.streaming import EndPointing
from asl.graph.engine import get_engine
from asl.graph.options import SearchOptions
from asl.tasks import experiment, run_data, test_log
from asl.tasks.networks import Networks, network_facts, open_networks, rule_name
from asl.tasks.prior import read_log_prior
from asl.tasks.searches import TUNED, read_tuned
from asl.tasks.streaming import PARTS, SignStream


def stream(
    exp: str,
    data: str = "data",
    split: str = "val",
    graph: Optional[str] = None,
    chunk: int = 8,
    out: Optional[str] = None,
    checkpoint: Optional[str] = None,
    beam: Optional[float] = None,
    min_active: Optional[int] = None,
    max_active: Optional[int] = None,
    acoustic_scale: Optional[float] = None,
    lm_scale: Optional[float] = None,
    insertion_penalty: Optional[float] = None,
    prior_scale: Optional[float] = None,
    tuned: Optional[str] = None,
    end_blank: Optional[int] = 12,
    end_longest: Optional[int] = 500,
) -> None:
    """Decode a split as if its frames were just coming in, chunk by chunk, on one core.

    For a network of limited context on a causal pipeline (conf/streaming.yaml of egs/phoenix2014) and a graph of the
    kaldi engine. Into the folder go hyp.jsonl, hyp.ctm and decode.json, as of asl decode, whose result with --method
    graph --lattice false is the same, and partial.jsonl: what was known of each clip when it changed. Printed are the
    look-ahead (frames that an output waits for) and, apart from it, the processor time of a chunk.

    Args:
        exp: experiment folder.
        data: the recipe's data folder.
        split: which split; decoding test is noted in EXP/test_log.jsonl.
        graph: folder of the compiled graph (asl graph compile --engine kaldi); default EXP/graph.
        chunk: landmark frames that come in at a time.
        out: folder for the output; default EXP/decode_SPLIT_stream.
        checkpoint: last, best, ema, or the run's own mean_last or mean_best; default: its own rule.
        beam: width of the search, natural logarithm; default 16, or what was tuned.
        min_active: states kept in each frame at least.
        max_active: states kept in each frame at most.
        acoustic_scale: weight of the network's log-probs; default 1, or what was tuned.
        lm_scale: weight of the graph's scores; default 1, or what was tuned.
        insertion_penalty: taken off for each word; default 0, or what was tuned.
        prior_scale: so many times the tokens' log priors are taken off; default 0, or what was tuned.
        tuned: folder of asl tune; its scales, penalty and beam are taken where none are given here.
        end_blank: an utterance has ended after so many output frames of blank behind a word (it is only noted here,
            a clip is decoded to its end); null: never.
        end_longest: and after so many output frames; null: never.
    """
    if chunk < 1:
        raise AslError(f"--chunk {chunk}: give the frames that come in at a time, 1 or more")
    networks = open_networks(exp, data, split, "graph", checkpoint)
    if networks.loaded[0].config.data.get("extra"):
        raise AslError(f"{exp} has a second stream (data.extra), which is read from files of whole clips; stream a "
                       "network of landmarks alone")  # fmt: skip
    folder = graph or str(Path(exp) / "graph")
    best = {} if tuned is None else read_tuned(tuned, folder)
    said = {"beam": beam, "acoustic_scale": acoustic_scale, "lm_scale": lm_scale, "insertion_penalty": insertion_penalty}
    weights = {name: best[name] for name in TUNED if name in best}
    weights.update((name, value) for name, value in said.items() if value is not None)
    options = SearchOptions(min_active=min_active, max_active=max_active, **weights)
    scale = check_prior_scale(best.get("prior_scale", 0.0) if prior_scale is None else prior_scale)
    engine = get_engine("kaldi")
    module = networks.members[0].module
    signs = SignStream(
        networks.loaded[0].task, module.pipeline, engine, engine.load(folder), options,
        EndPointing(end_blank, None, end_longest), read_log_prior(networks) if scale else None, scale,
    )  # fmt: skip
    about: Dict[str, Any] = {
        "method": "graph",
        "engine": "kaldi, streaming",
        "checkpoint": rule_name(networks.loaded[0]),
        "views": 1,
        "networks": 1,
        "options": {**vars(options), "prior_scale": scale, "lattice": False, "chunk": chunk, "end_blank": end_blank,
                    "end_longest": end_longest, **({} if tuned is None else {"tuned": tuned})},
        "hands_of_whole_clips": hands_of_whole_clips(data, split),
        "split": split,
        "command": shlex.join(["asl", *sys.argv[1:]]),
    }  # fmt: skip
    module.cuts(split)  # there before it is noted that it was looked at
    if run_data.is_test(split):
        about["test_decodings"] = test_log.note(exp, networks.loaded[0].checkpoint, [exp], about)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        clips = [_follow(signs, cut, array, chunk, networks) for cut, array in _arrivals(module, split)]
    finally:
        torch.set_num_threads(threads)
    warn(signs.counts, options)
    _write(Path(out) if out else Path(exp) / f"decode_{split}_stream", clips, signs, about, networks, chunk)


class Clip(NamedTuple):
    """What came out of one: its hypotheses, what was known on the way, and its end-point (frames) if there was one."""

    id: str
    fps: float
    hypotheses: List[Hypothesis]
    partials: List[Dict[str, Any]]
    ended: Optional[int]


def _arrivals(module: Any, split: str) -> Any:
    """Yield each cut and its landmarks ``(frames, points, dims)``."""
    reader, layout = ArchiveReader(), module.pipeline.layout
    for cut in module.cuts(split):
        array = np.asarray(reader.read(cut), dtype=np.float32)
        yield cut, torch.from_numpy(array.reshape(-1, layout.num_points, layout.num_dims))


def _follow(signs: SignStream, cut: Any, landmarks: torch.Tensor, chunk: int, networks: Networks) -> Clip:
    """Let the frames of one clip come in."""
    partials: List[Dict[str, Any]] = []
    ended, known = None, (0, [])
    for first in range(0, len(landmarks), chunk):
        partial = signs.accept(landmarks[first : first + chunk])
        frames = min(first + chunk, len(landmarks))
        if (partial.stable, partial.words) != known:
            known = (partial.stable, partial.words)
            partials.append({"frames": frames, "text": " ".join(partial.words), "stable": partial.stable})
        if partial.ended and ended is None:
            ended = frames
    shift = None if networks.shifts is None else networks.shifts[cut.id]
    return Clip(cut.id, float(cut_fps(cut)), signs.finish(shift), partials, ended)


def _write(
    folder: Path, clips: List[Clip], signs: SignStream, about: Dict[str, Any], networks: Networks, chunk: int
) -> None:
    ids, hypotheses = [clip.id for clip in clips], [clip.hypotheses for clip in clips]
    write_hypotheses(folder / "hyp.jsonl", ids, hypotheses)
    (folder / "hyp.ctm").unlink(missing_ok=True)  # of an earlier decoding
    if all(h[0].times is not None for h in hypotheses if h and h[0].words):
        write_ctm(folder / "hyp.ctm", ids, hypotheses)
    write_jsonl(folder / "partial.jsonl", ({"id": c.id, "partials": c.partials, "ended": c.ended} for c in clips))
    ahead = look_ahead_of(signs, min(clip.fps for clip in clips))
    compute = {part: milliseconds(signs.seconds[part]) for part in PARTS}
    compute["all"] = milliseconds([sum(chunk) for chunk in zip(*signs.seconds.values())])
    ended = [clip.id for clip in clips if clip.ended is not None]
    write_json(
        folder / "decode.json",
        {
            **network_facts(networks.exps),
            "task": type(networks.loaded[0].task).__name__,
            **about,
            **experiment.git_state(),
            "look_ahead": ahead,
            "chunk_milliseconds": compute,
            "chunks": len(signs.seconds["search"]),
            "end_points": len(ended),
            **{name: signs.counts[name] for name in ("searched", "widened", "empty")},
        },
    )
    print(f"{len(clips)} clips of {about['split']} decoded (stream) into {folder}")
    print(f"look-ahead {ahead['frames']} frames, {ahead['milliseconds']:.0f} ms: {ahead['features']} of the features, "
          f"{ahead['network']} of the network; and the frames of a chunk wait for its last one")  # fmt: skip
    print(f"processor time of a chunk of {chunk} frames on one core, mean (99 % are below): "
          + ", ".join(f"{part} {ms['mean']:.1f} ({ms['p99']:.1f}) ms" for part, ms in compute.items()))  # fmt: skip
    if about["hands_of_whole_clips"]:
        print("stage 2 found out with the whole clip in sight which hand is which: live frames must come with their "
              "hands named, as MediaPipe Holistic names them")  # fmt: skip
    print(f"end-points in {len(ended)} of {len(clips)} clips")


def hands_of_whole_clips(data: PathLike, split: str) -> bool:
    """Whether stage 2 named the hands of a split's clips (``asl.landmarks.tracking``), which looks at all of a clip."""
    path = Path(data) / "landmarks" / "report.json"
    report = read_json(path) if path.is_file() else {}
    return "switches" in report.get("splits", {}).get(split, {})


def look_ahead_of(signs: SignStream, fps: float) -> Dict[str, Any]:
    """Frames that an output waits for, where they come from, and milliseconds at a frame rate."""
    features, network = signs.features.pipeline.look_ahead, signs.task.encoder.look_ahead
    ms = round(1000 * signs.look_ahead / fps, 1)
    return {"frames": signs.look_ahead, "features": features, "network": network, "milliseconds": ms}


def milliseconds(seconds: List[float]) -> Dict[str, float]:
    """Mean, 99th percentile and longest, in milliseconds."""
    ms = 1000 * np.array(seconds)
    values: Tuple[float, ...] = (ms.mean(), np.percentile(ms, 99), ms.max())
    return {name: round(float(value), 3) for name, value in zip(("mean", "p99", "longest"), values)}
