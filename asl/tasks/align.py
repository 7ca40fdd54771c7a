"""``asl align``: where in a clip each word of its transcript is, by a trained network (forced alignment)."""

import math
import shlex
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np
import torch

from asl.common.ctm import TimedWord, write_timed
from asl.common.errors import AslError
from asl.common.files import PathLike, write_json
from asl.data.text import CutText, text_of
from asl.decoding.align import viterbi_alignment
from asl.decoding.extents import EXTENTS, extend
from asl.decoding.times import word_times
from asl.landmarks.views import PLAIN
from asl.lang.folder import read_lang
from asl.lang.tokens import TRANSITION
from asl.tasks import config as configs
from asl.tasks import experiment, run_data
from asl.tasks.ctc import CtcTask
from asl.tasks.networks import check_device, choose_method
from asl.tasks.posteriors import Member, output_shifts, split_outputs


class Posteriors(NamedTuple):
    """Of a clip: log-probs ``(frames, tokens)``, and of the tags ``(frames, 3)`` where they are asked for."""

    id: str
    log_probs: np.ndarray
    tags: Optional[np.ndarray]


class Spelling(NamedTuple):
    """What a transcript is for the network: the tokens of each word, and those between two words (none, or <trans>)."""

    words: Mapping[str, Sequence[int]]
    between: Sequence[int] = ()


class Aligned(NamedTuple):
    """A clip's words with their times, and the log-probability of the path a frame."""

    words: List[TimedWord]
    score: float


def align(
    exp: Union[List[str], str],
    out: str,
    data: str = "data",
    split: str = "train",
    extent: str = "midpoints",
    checkpoint: Optional[str] = None,
    batch_size: int = 64,
    device: str = "cpu",
) -> Dict[str, Any]:
    """Find the time of each word of a split's transcripts, and write it as a CTM.

    The best path of CTC through what the network was trained to say (a word's most probable pronunciation, and <trans>
    between words where it has that token) gives each word's spikes, --extent its begin and end. OUT/align.ctm is what data.alignments takes; its last column is the mean posterior of a word's
    tokens over its spikes. OUT/align.json counts, and names the clips that cannot be aligned: a word that the
    network's lexicon lacks, or fewer frames than CTC needs for the transcript.

    Args:
        exp: experiment folder; of several the outputs are averaged.
        out: folder for align.ctm and align.json.
        data: the recipe's data folder.
        split: which split.
        extent: how far a sign reaches: spikes (the frames of its tokens), midpoints (blanks between two signs are
            halved; the movement <trans> belongs to neither) or tags (the segment head's; one experiment with
            segment_weight).
        checkpoint: as for asl decode.
        batch_size: clips at a time.
        device: cpu, cuda or mps, for the network.

    Raises:
        AslError: no CTC network or one that stretches or trims clips, no segment head for tags, or no clip of the
            split can be aligned.
    """
    check_device(device)
    if extent not in EXTENTS:
        raise AslError(f"--extent {extent}: there are {', '.join(EXTENTS)}")
    exps = [exp] if isinstance(exp, str) else list(exp)
    loaded = [experiment.load_task(name, checkpoint) for name in exps]
    _check(exps, loaded, extent)
    for name in exps:
        run_data.refuse_other_protocol(Path(name), Path(data))
    given = {"data_dir": data, "batch_size": batch_size, "num_workers": 0, "overfit": 0}
    given["alignments"] = None  # those that it was trained with
    members = [
        Member(name, one.task, configs.instantiate_data(one.config, **given), PLAIN)
        for name, one in zip(exps, loaded)
    ]
    module = members[0].module
    shifts = output_shifts(module, split, loaded[0].task)
    if shifts is None:
        raise AslError(
            f"{exps[0]} reads clips trimmed or at a fixed number of frames, so its frames have no times; align with "
            "a network trained with data.pipeline.frames: null and trim: false"
        )
    spelling = spelling_of(loaded[0].lang)
    clips = {cut.id: (text_of(cut).split(), cut.duration) for cut in module.cuts(split)}
    done: Dict[str, Aligned] = {}
    failed: Dict[str, str] = {}
    with torch.no_grad():
        outputs = tagged(members[0], split, device) if extent == "tags" else plain(members, split, device)
        for one in outputs:
            result = align_clip(one, *clips[one.id], spelling, shifts[one.id], extent)
            if isinstance(result, str):
                failed[one.id] = result
            else:
                done[one.id] = result
    folder = Path(out)
    report = {
        "system": " + ".join(Path(name).name for name in exps), "split": split, "extent": extent,
        "clips": len(clips), "aligned": len(done), "words": sum(len(a.words) for a in done.values()),
        "mean_score": float(np.mean([a.score for a in done.values()])) if done else None,
        "failed": failed, "command": shlex.join(["asl", *sys.argv[1:]]), **experiment.git_state(),
    }  # fmt: skip
    write_json(folder / "align.json", report)
    print(f"{len(done)} of {len(clips)} clips of {split} aligned into {folder / 'align.ctm'}")
    for clip, why in list(failed.items())[:5]:
        print(f"not aligned: {clip}: {why}")
    if len(failed) > 5:
        print(f"... and {len(failed) - 5} more in {folder / 'align.json'}")
    if not any(a.words for a in done.values()):
        raise AslError(f"no clip of {split} could be aligned; {folder / 'align.json'} says why")
    write_timed(folder / "align.ctm", {key: done[key].words for key in sorted(done)})
    return report


def _check(exps: List[str], loaded: List[experiment.LoadedTask], extent: str) -> None:
    if not isinstance(loaded[0].task, CtcTask):
        raise AslError(f"{exps[0]} ({type(loaded[0].task).__name__}) is no CTC network: it has nothing to align with")
    choose_method("graph", exps, loaded)  # they belong together
    if extent == "tags" and (len(exps) > 1 or loaded[0].task.segment_head is None):
        raise AslError(
            "--extent tags takes one experiment with a segment head (task.init_args.segment_weight above 0); "
            "take --extent midpoints"
        )


def spelling_of(lang_dir: PathLike) -> Spelling:
    """What words are spelt with in training, by the lang folder of an experiment."""
    lang = read_lang(lang_dir)
    return Spelling(CutText(lang_dir).spelling, lang.tokens.encode([TRANSITION] if lang.has_transition else []))


def plain(members: List[Member], split: str, device: str) -> Iterator[Posteriors]:
    """Log-probs of every clip, averaged over the members."""
    for batch in split_outputs(members, split, device):
        for clip, row, length in zip(batch.ids, batch.log_probs, batch.lengths.tolist()):
            yield Posteriors(clip, row[:length].double().numpy(), None)


def tagged(member: Member, split: str, device: str) -> Iterator[Posteriors]:
    """Log-probs and tags of every clip by one network."""
    task = member.task.to(device)
    for batch in member.module.loader(split):
        task.check_features(batch["features"])
        on_device = {k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in batch.items()}
        out = task.outputs(on_device)
        tags = torch.log_softmax(task.segment_head(out.hidden).float(), dim=-1).cpu()
        rows = zip(batch["ids"], out.log_probs.cpu(), tags, out.lengths.tolist())
        for clip, row, its_tags, length in rows:
            yield Posteriors(clip, row[:length].double().numpy(), its_tags[:length].double().numpy())


def align_clip(
    one: Posteriors, words: List[str], duration: float, spelling: Spelling, shift: float, extent: str
) -> Union[Aligned, str]:
    """Align one clip with its words; a sentence that says why where that is impossible.

    Args:
        one: what the network says of it.
        words: its transcript.
        duration: of the clip in seconds: its last output frame may stand for fewer frames than the others.
        spelling: of ``spelling_of``.
        shift: seconds from one frame of the output to the next.
        extent: see ``asl.decoding.extents``.
    """
    unknown = [word for word in words if word not in spelling.words]
    if unknown:
        return f"the network's lexicon lacks {', '.join(unknown[:3])}"
    units = {**spelling.words, TRANSITION: spelling.between}
    said = with_transitions(words) if spelling.between else words
    tokens = [token for word in said for token in units[word]]
    path, score = viterbi_alignment(one.log_probs, tokens)
    frames = len(one.log_probs)
    if score == -math.inf:
        return f"{frames} output frames are too few for its {len(tokens)} tokens"
    times = word_times(path, said, {word: [tuple(units[word])] for word in said}, 1.0)  # in output frames
    if times is None:
        return "its path says other words"
    spikes = [(int(begin), int(end)) for begin, end in times]
    step = 2 if spelling.between else 1  # what is not a sign lies between two of them
    if extent == "midpoints":  # the movement between two signs reaches to its own halves of the blanks
        spans = extend(spikes, frames, extent)[::step]
    else:
        spans = extend(spikes[::step], frames, extent, one.tags)
    chosen = np.exp(one.log_probs[np.arange(frames), path])
    timed = []
    for word, spike, span in zip(words, spikes[::step], spans):
        its = [chosen[t] for t in range(*spike) if path[t] != 0]
        begin, end = (min(frame * shift, duration) for frame in span)
        timed.append(TimedWord(word, begin, end - begin, min(float(np.mean(its)), 1.0)))
    return Aligned(timed, score / frames)


def with_transitions(words: Sequence[str]) -> List[str]:
    """The words with the transition between each two of them."""
    return [TRANSITION if n % 2 else words[n // 2] for n in range(2 * len(words) - 1)]
