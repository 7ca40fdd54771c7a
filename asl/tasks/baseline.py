"""A plain linear classifier on resampled hands: how hard a set of isolated signs is before anything deep is
tried.

It knows nothing that a network here knows: no augmentation, no learnt filters, no time warping. A row of it
stands beside every synthetic figure, and beside the real ones.
"""

import sys
import time
import warnings
from pathlib import Path
from typing import List, Optional, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import write_json
from asl.data.storage import ArchiveReader, cut_layout, open_cuts
from asl.decoding.hypothesis import Hypothesis
from asl.decoding.output import write_hypotheses
from asl.landmarks.layouts import get_layout
from asl.tasks.experiment import git_state

FRAMES = 32
_HAND_POINTS = 21
_MIDDLE_KNUCKLE = 9
_HANDS = ("hand_left", "hand_right")
_NBEST = 10


def svm(
    data: str = "data",
    train_split: str = "train",
    split: str = "val",
    out: Optional[str] = None,
    c: float = 0.01,
    seed: int = 0,
) -> None:
    """Train a linear SVM on one split's hands and write its hypotheses for another.

    asl score scores the folder like any other system's.

    Args:
        data: the recipe's data folder, with cuts (stage 2).
        train_split: the split to learn from.
        split: the split to classify.
        out: folder for hyp.jsonl and decode.json; default exp/svm/decode_SPLIT_svm.
        c: cost of an error; smaller is smoother.
        seed: of the order in which the solver goes through the clips.

    Raises:
        AslError: a split has no cuts or no hands, or fewer than two signs are in the train split.
    """
    if not c > 0:
        raise AslError(f"--c {c} must be above 0; 0.01 is a good start")
    _, labels, train = _read(data, train_split)
    ids, _, test = _read(data, split)
    if len(set(labels)) < 2:
        raise AslError(
            f"{data}/{train_split} has clips of {len(set(labels))} signs; a classifier needs two or more"
        )
    began = time.perf_counter()
    classes, margins = fit_and_score(train, labels, test, c, seed)
    seconds = time.perf_counter() - began

    best = np.argsort(-margins, axis=1, kind="stable")[:, :_NBEST]
    nbests = [[Hypothesis([classes[k]], float(row[k])) for k in order] for row, order in zip(margins, best)]
    folder = Path(out) if out else Path("exp/svm") / f"decode_{split}_svm"
    write_hypotheses(folder / "hyp.jsonl", ids, nbests)
    about = {
        "system": "linear SVM", "task": "baseline", "method": "svm", "split": split, "seed": seed,
        "parameters": len(classes) * (train.shape[1] + 1), "train_seconds": round(seconds, 3), "c": c,
        "command": " ".join(["asl", *sys.argv[1:]]), **git_state(),
    }  # fmt: skip
    write_json(folder / "decode.json", about)
    print(
        f"{len(ids)} clips of {split} classified, {len(labels)} of {train_split} learnt from, into {folder}"
    )


def _read(data: str, split: str) -> Tuple[List[str], List[str], np.ndarray]:
    """Ids, texts and features (clips, features) of a split."""
    ids, texts, features = [], [], []
    reader = ArchiveReader()
    for cut in open_cuts(data, split):
        layout = get_layout(cut_layout(cut))
        missing = [part for part in _HANDS if part not in layout.parts]
        if missing:
            raise AslError(
                f"cut {cut.id}: layout {layout.name} has no {missing[0]}; this baseline needs both hands"
            )
        points = [p for part in _HANDS for p in layout.parts[part]]
        array = reader.read(cut).reshape(-1, layout.num_points, layout.num_dims)
        ids.append(cut.id)
        texts.append(cut.supervisions[0].text)
        features.append(clip_features(array[:, points]))
    reader.close()
    if not ids:
        raise AslError(f"{data}/{split} has no clips; run stage 2 (asl landmarks import)")
    return ids, texts, np.stack(features)


def clip_features(landmarks: np.ndarray) -> np.ndarray:
    """Describe a clip of two hands by a vector of fixed size.

    The part of the clip in which a hand is found is resampled to 32 frames, straight lines over gaps. A hand
    gives its points relative to the wrist and its wrist relative to the mean of all wrists of the clip, both
    in units of the hand's median size in the picture; depth is left out. A hand that is found in fewer than 2
    frames gives 0.

    Args:
        landmarks: (frames, 42, >=2), left hand then right hand, NaN where not found.
    Returns:
        (32 * 2 * 21 * 2,) float32; all 0 where no hand was found at all.
    """
    hands = landmarks[..., :2].reshape(len(landmarks), 2, _HAND_POINTS, 2).astype(np.float32)
    found = np.isfinite(hands).all(axis=(2, 3))
    out = np.zeros((FRAMES, 2, _HAND_POINTS, 2), dtype=np.float32)
    frames = np.flatnonzero(found.any(axis=1))
    if not len(frames):
        return out.ravel()
    at = np.linspace(frames[0], frames[-1], FRAMES)
    middle = hands[found][:, 0].mean(axis=0)
    for hand in range(2):
        seen = np.flatnonzero(found[:, hand])
        if len(seen) < 2:
            continue
        points = hands[seen, hand]
        wrist = points[:, :1]
        size = max(float(np.median(np.linalg.norm(points[:, _MIDDLE_KNUCKLE] - wrist[:, 0], axis=-1))), 1e-3)
        rows = np.concatenate([wrist - middle, points[:, 1:] - wrist], axis=1) / size
        out[:, hand] = _interpolate(at, seen, rows.reshape(len(seen), -1)).reshape(out.shape[0], -1, 2)
    return out.ravel()


def _interpolate(at: np.ndarray, frames: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (len(at), columns) read off between ``frames``, held before the first and after the last."""
    high = np.clip(np.searchsorted(frames, at), 1, len(frames) - 1)
    low = high - 1
    weight = np.clip((at - frames[low]) / (frames[high] - frames[low]), 0, 1)[:, None]
    return (1 - weight) * values[low] + weight * values[high]


def fit_and_score(
    train: np.ndarray, labels: List[str], test: np.ndarray, c: float, seed: int
) -> Tuple[List[str], np.ndarray]:
    """Fit one linear SVM a class against the rest (scikit-learn's LinearSVC); return classes and margins.

    Args:
        train, test: (clips, features).
        labels: one for each row of ``train``, at least two different ones.
        c: cost of an error; smaller is smoother.
    Returns:
        the classes and (test clips, classes) signed distances, the larger the likelier.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    scaler = StandardScaler()
    model = LinearSVC(C=c, dual=True, random_state=seed, tol=0.1, max_iter=200)
    with warnings.catch_warnings():
        # the ranking has settled long before the last digit
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.fit_transform(train), labels)
    margins = model.decision_function(scaler.transform(test))
    if margins.ndim == 1:  # with two classes scikit-learn gives the second one's alone
        margins = np.stack([-margins, margins], axis=1)
    return list(model.classes_), margins
