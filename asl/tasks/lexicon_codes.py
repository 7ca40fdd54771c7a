"""``asl lexicon codes``: a gloss as the row of codes that pre-training gives the leading hand in clips of it."""

import itertools
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
import torch

from asl.common.errors import AslError, did_you_mean
from asl.landmarks.descriptors import DESCRIPTORS
from asl.lang.folder import read_lang
from asl.lang.prepare import write_lang
from asl.lang.subunits import describe
from asl.tasks import config as configs
from asl.tasks import experiment
from asl.tasks.networks import check_device
from asl.tasks.pretrain import PretrainTask
from asl.tasks.probe import leading_first

Units = Tuple[str, ...]


def lexicon_codes(
    exp: str,
    out: str,
    data: str = "data",
    lang: Optional[str] = None,
    split: str = "train",
    codebook: str = "handshape",
    min_frames: int = 3,
    variants: int = 1,
    transition: bool = False,
    checkpoint: Optional[str] = None,
    batch_size: int = 64,
    device: str = "cpu",
) -> None:
    """Write a lang folder in which a gloss is a row of codes of a pre-trained network; train with --data.lang NAME.

    The codes are read off clips of one sign each, so that it is known which frames are of which gloss. Of a clip the
    leading hand's codes are taken, frame by frame; runs shorter than --min-frames are left out and equal neighbours
    are one. A gloss gets the row that is nearest to those of its other clips (by edit distance), and where it is
    told so further ones that bring the rest nearer, with the share of clips that each is nearest to.

    Args:
        exp: the pre-trained experiment.
        out: folder to write, for example data/lang_codes.
        data: a recipe's data folder, every clip of one gloss.
        lang: folder whose words are taken; default: DATA/lang. A word without a clip is its own unit.
        split: whose clips are looked at; training clips, or the lexicon knows what it is tested on.
        codebook: handshape, location, movement or orientation.
        min_frames: frames that a code has to last.
        variants: pronunciations of a gloss at most; more than one are written with probabilities (lexiconp.txt).
        transition: a token <trans> for the movement between two signs.
        checkpoint: last, best, ema, or the run's own mean_last or mean_best; default: its own rule.
        batch_size: clips at a time.
        device: cpu, cuda or mps, for the network.

    Raises:
        AslError: the experiment is not of pre-training, a clip holds several words, or an option makes no sense.
    """
    check_device(device)
    if codebook not in DESCRIPTORS:
        near = did_you_mean(codebook, DESCRIPTORS)
        raise AslError(f"no codebook {codebook!r}{near}; there are {', '.join(DESCRIPTORS)}")
    for name, value in (("min-frames", min_frames), ("variants", variants)):
        if value < 1:
            raise AslError(f"--{name} is {value}; give 1 or more")
    loaded = experiment.load_task(exp, checkpoint)
    if not isinstance(loaded.task, PretrainTask):
        raise AslError(f"{exp} is a {type(loaded.task).__name__}, which has no codebooks; give a pre-trained one")
    module = configs.instantiate_data(loaded.config, data_dir=data, batch_size=batch_size, num_workers=0, overfit=0)
    module.pipeline.descriptors = True
    words = read_lang(lang or module.data_dir / "lang").words
    rows = clip_units(loaded.task, module.loader(split), codebook, min_frames, device)
    lexicon: Dict[str, List[List[str]]] = {word: [[word]] for word in words}
    probs = {(word, (word,)): 1.0 for word in words}
    for word in words:
        if rows.get(word):
            chosen = choose_variants(rows[word], variants)
            lexicon[word] = [list(units) for units in chosen]
            probs.update({(word, units): share for units, share in chosen.items()})
    write_lang(words, out, lexicon, probs if variants > 1 else None, transition)
    whole = [word for word in words if not rows.get(word)]
    print(f"{out}: {sum(map(len, rows.values()))} clips of {split}; {describe(lexicon, whole)}")


@torch.no_grad()
def clip_units(
    task: PretrainTask, loader: Iterable[Any], codebook: str, min_frames: int, device: str
) -> Dict[str, List[Units]]:
    """Return for each gloss the units of each of its clips, clips without a known frame left out.

    Raises:
        AslError: a clip has several words, or none; it is named.
    """
    task.to(device)
    place, found = list(DESCRIPTORS).index(codebook), {}
    for batch in loader:
        for clip, text in zip(batch["ids"], batch["texts"]):
            if len(text.split()) != 1:
                raise AslError(f"clip {clip} says {text!r}; codes are read off clips of one sign, where it is known "
                               "which frames are of which gloss")
        described, known = batch["descriptors"].to(device), batch["descriptors_known"].to(device)
        hand = leading_first(described)[:, 0]
        clips = torch.arange(len(hand), device=hand.device)
        codes = task.head.quantizer(described)[clips, :, hand, place].cpu().numpy()
        seen = known[clips, :, hand, place].bool().cpu().numpy()
        for row, text in enumerate(batch["texts"]):
            units = lasting(codes[row][seen[row]], min_frames)
            if units:
                found.setdefault(text, []).append(tuple(f"{codebook}{code}" for code in units))
    return found


def lasting(codes: np.ndarray, min_frames: int) -> List[int]:
    """Return the codes that last ``min_frames`` in a row, equal neighbours once; the longest run where none does."""
    runs = [(int(code), len(list(run))) for code, run in itertools.groupby(codes.tolist())]
    if not runs:
        return []
    kept = [code for code, length in runs if length >= min_frames]
    kept = kept or [max(runs, key=lambda run: run[1])[0]]
    return [code for code, _ in itertools.groupby(kept)]


def choose_variants(rows: Sequence[Units], most: int) -> Dict[Units, float]:
    """Return at most ``most`` of the rows, each with the share of all rows that it is nearest to.

    Greedy k-medoids by edit distance: each further one is that which lowers the sum of distances most.
    """
    from kaldialign import edit_distance

    choices = list(dict.fromkeys(rows))
    distance = np.array([[edit_distance(a, b)["total"] for b in rows] for a in choices], float)
    chosen = [int(distance.sum(axis=1).argmin())]
    while len(chosen) < most:
        nearest = distance[chosen].min(axis=0)
        gains = np.maximum(nearest - distance, 0).sum(axis=1)
        if gains.max() == 0:
            break
        chosen.append(int(gains.argmax()))
    of = distance[chosen].argmin(axis=0)
    return {choices[index]: float((of == place).mean()) for place, index in enumerate(chosen)}
