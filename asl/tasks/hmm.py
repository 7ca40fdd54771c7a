"""``asl baseline hmm``: single-Gaussian word models and a bigram on hand positions: how hard are sentences?"""

import shlex
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.data.alignments import Alignments, frame_span
from asl.data.segments import ALIGNMENT
from asl.data.storage import ArchiveReader, cut_layout, open_cuts
from asl.data.text import speaker_of, text_of
from asl.decoding.hmm import BigramSearch, Hmm, bigram_matrix, train_hmm
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.output import write_hypotheses
from asl.landmarks.layouts import Layout, get_layout
from asl.lang.arpa import NGram, read_arpa
from asl.lang.ngram import estimate
from asl.tasks.experiment import git_state

SCALES = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0)  # of the bigram, to choose from
INNER_FOLDS = 4


class Sentence(NamedTuple):
    """A clip: words, signer, ``(frames, 4)`` of both hands about the nose, and the words' frames (None: not known)."""

    id: str
    words: List[str]
    speaker: Optional[str]
    places: np.ndarray
    spans: Optional[List[Tuple[int, int]]]


def hmm(
    alignments: str,
    lm: str,
    data: str = "data",
    train_split: str = "train",
    split: str = "val",
    out: Optional[str] = None,
    lm_scale: Optional[float] = None,
    word_penalty: float = 0.0,
) -> None:
    """Train a single-Gaussian HMM of each word on one split, decode another with a bigram, and write the hypotheses.

    Features are x and y of both hands (wrists) relative to the nose, of zero mean and unit variance over each
    signer's training clips (over all for a signer who is not among them), and their differences over two frames. A
    word has 2 to 8 states; silence may be between words. asl score scores the folder like any other system's.

    Args:
        alignments: CTM with the words' times in the training split.
        lm: bigram of the training split (asl lm train --order 2).
        data: the recipe's data folder, with cuts (stage 2).
        train_split: the split to learn from.
        split: the split to decode.
        out: folder for hyp.jsonl and decode.json; default exp/hmm/decode_SPLIT_hmm.
        lm_scale: weight of the bigram; default: the best of 1, 2, 4, 6, 8, 12 in cross-validation inside the
            training split (sentences of the same words in one fold).
        word_penalty: taken off for each word.

    Raises:
        AslError: a layout without nose or wrists, no aligned training clip, or an n-gram that is no bigram.
    """
    grammar = read_arpa(lm)
    if grammar.order > 2:
        raise AslError(f"{lm} is of order {grammar.order}; this baseline takes a bigram (asl lm train --order 2)")
    began = time.perf_counter()
    training = read_sentences(data, train_split, Alignments(alignments))
    usable = [s for s in training if s.spans]
    if not usable:
        raise AslError(f"{alignments} has no clip of {data}/{train_split}; give the word boundaries of that split")
    if len(usable) < len(training):
        print(f"{len(training) - len(usable)} of {len(training)} training clips have no word boundaries: left out")
    errors = {} if lm_scale is not None else errors_by_scale(usable, word_penalty)
    scale = lm_scale if lm_scale is not None else min(SCALES, key=lambda s: (errors[s], s))
    sentences = read_sentences(data, split, None)
    found = recognise(usable, sentences, grammar, [scale], word_penalty)[scale]
    folder = Path(out) if out else Path("exp/hmm") / f"decode_{split}_hmm"
    write_hypotheses(folder / "hyp.jsonl", [s.id for s in sentences], [[h] for h in found])
    about = {
        "system": "HMM", "task": "baseline", "method": "bigram", "engine": None, "checkpoint": None,
        "options": {"lm_scale": scale, "word_penalty": word_penalty, "errors_inside_train": errors}, "split": split,
        "seed": None, "train_seconds": round(time.perf_counter() - began, 3),
        "command": shlex.join(["asl", *sys.argv[1:]]), **git_state(),
    }  # fmt: skip
    write_json(folder / "decode.json", about)
    print(f"{len(sentences)} clips of {split} decoded, {len(usable)} of {train_split} learnt from, bigram x {scale:g}, "
          f"into {folder}")  # fmt: skip


def read_sentences(data: str, split: str, alignments: Optional[Alignments]) -> List[Sentence]:
    """The clips of a split; gaps of points that were not found are filled from their neighbours."""
    reader, out = ArchiveReader(), []
    for cut in open_cuts(data, split):
        cut = alignments.attach(cut) if alignments else cut
        layout = get_layout(cut_layout(cut))
        array = reader.read(cut).reshape(-1, layout.num_points, layout.num_dims)[..., :2].astype(np.float64)
        nose, *hands = (_filled(array[:, point], cut.id) for point in _points(layout, cut.id))
        items = (cut.supervisions[0].alignment or {}).get(ALIGNMENT, [])
        rate = 1 / cut.features.frame_shift
        spans = [frame_span(item.start, item.duration, rate, len(array)) for item in items]
        places = np.concatenate([hand - nose for hand in hands], axis=1)
        out.append(Sentence(cut.id, text_of(cut).split(), speaker_of(cut), places, spans or None))
    reader.close()
    return out


def _points(layout: Layout, clip: str) -> List[int]:
    names = [("nose",), ("left_wrist", "hand_left_wrist"), ("right_wrist", "hand_right_wrist")]
    found = [next((layout.points.index(n) for n in each if n in layout.points), None) for each in names]
    if None in found:
        lost = names[found.index(None)][0]
        raise AslError(f"clip {clip}: layout {layout.name} has no {lost}; this baseline needs nose and both wrists")
    return [point for point in found if point is not None]


def _filled(track: np.ndarray, clip: str) -> np.ndarray:
    """``(frames, 2)`` with straight lines over what was not found."""
    frames = np.flatnonzero(np.isfinite(track).all(axis=1))
    if not len(frames):
        raise AslError(f"clip {clip}: the nose or a wrist is found in none of its frames; leave it out")
    at = np.arange(len(track))
    return np.stack([np.interp(at, frames, track[frames, axis]) for axis in range(2)], axis=1)


def features(sentences: Sequence[Sentence], training: Sequence[Sentence]) -> List[np.ndarray]:
    """``(frames, 8)`` of each: places by the signer's training statistics, and their differences over two frames."""
    groups: Dict[Any, List[np.ndarray]] = {}
    for sentence in training:
        groups.setdefault(sentence.speaker, []).append(sentence.places)
    everyone = np.concatenate([places for each in groups.values() for places in each])
    out = []
    for sentence in sentences:
        own = np.concatenate(groups[sentence.speaker]) if sentence.speaker in groups else everyone
        x = (sentence.places - own.mean(axis=0)) / np.maximum(own.std(axis=0), 1e-6)
        wide = np.pad(x, ((1, 1), (0, 0)), mode="edge")
        out.append(np.concatenate([x, (wide[2:] - wide[:-2]) / 2], axis=1))
    return out


def train(training: Sequence[Sentence]) -> Hmm:
    """Word models from aligned sentences."""
    tokens: Dict[str, List[np.ndarray]] = {}
    silence: List[np.ndarray] = []
    for sentence, x in zip(training, features(training, training)):
        before = 0
        for word, (first, end) in zip(sentence.words, sentence.spans or []):
            tokens.setdefault(word, []).append(x[first:end])
            silence.append(x[before:first])
            before = end
        silence.append(x[before:])
    return train_hmm({word: tokens[word] for word in sorted(tokens)}, silence)


def recognise(
    training: Sequence[Sentence], sentences: Sequence[Sentence], grammar: NGram, scales: Sequence[float], penalty: float
) -> Dict[float, List[Hypothesis]]:
    """Hypotheses of ``sentences`` for each weight of the bigram."""
    models = train(training)
    bigram = bigram_matrix(grammar, list(models.words))
    inputs, out = features(sentences, training), {}
    for scale in scales:
        search = BigramSearch(models, bigram, scale, penalty)
        out[scale] = [Hypothesis(*search.search(x)) for x in inputs]
    return out


def errors_by_scale(training: Sequence[Sentence], penalty: float) -> Dict[float, int]:
    """Word errors for each of ``SCALES`` in cross-validation inside the training sentences."""
    from kaldialign import edit_distance

    texts = sorted({tuple(s.words) for s in training})
    if len(texts) < 2:
        raise AslError("one training sentence is too little to choose the bigram's weight on; give --lm-scale")
    folds = min(INNER_FOLDS, len(texts))
    fold = {text: number % folds for number, text in enumerate(texts)}
    errors = dict.fromkeys(SCALES, 0)
    for number in range(folds):
        inside = [s for s in training if fold[tuple(s.words)] != number]
        held = [s for s in training if fold[tuple(s.words)] == number]
        grammar = estimate([s.words for s in inside], 2, "witten-bell").lm
        for scale, found in recognise(inside, held, grammar, SCALES, penalty).items():
            errors[scale] += sum(edit_distance(s.words, h.words)["total"] for s, h in zip(held, found))
    return errors
