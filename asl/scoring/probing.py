"""What a representation tells of a property: linear probes with intervals, and mutual information with codes.

A probe is a logistic regression (Alain and Bengio 2016): how well a property can be read off by a plane.
It is asked twice. With ``seen`` glosses it is fitted on the train clips and asked of the val clips of the
same glosses: knowing the gloss is then enough. With ``unseen`` glosses it is fitted without the glosses that
it is asked of, in folds: it must know the property. Intervals are over glosses (all clips of a gloss have the
same value, so they are no independent trials).
"""

import warnings
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.seeds import derive_seed
from asl.scoring.intervals import bootstrap, ratio

SHUFFLES = 20


@dataclass(frozen=True)
class Clips:
    """The clips of a split.

    Args:
        vectors: source -> ``(clips, dim)``.
        labels: ``(clips,)`` the property's value, None where it is not known.
        glosses: ``(clips,)``.
    """

    vectors: Dict[str, np.ndarray]
    labels: List[Optional[str]]
    glosses: List[str]

    def known(self) -> np.ndarray:
        """Positions of the clips with a value."""
        return np.flatnonzero([label is not None for label in self.labels])


def probe(train: Clips, val: Clips, c: float, folds: int, seed: int) -> Dict[str, Any]:
    """Fit and ask a probe on every source, and the commonest value beside.

    Args:
        c: inverse strength of the L2 penalty.
        folds: of the glosses, for ``unseen``.
        seed: of the folds.

    Returns:
        ``{"n_train", "n", "classes", "glosses", "sources": {name: {"seen": {"value", "interval"},
        "unseen": …}}}``; accuracies in per cent, over the val clips whose value occurs in train. ``majority``
        is the first source.

    Raises:
        AslError: fewer than two values in train, no val clip with one of them, or fewer glosses than folds.
    """
    rows, asked = train.known(), val.known()
    y = np.array([train.labels[i] for i in rows])
    asked = np.array([i for i in asked if val.labels[i] in set(y)], dtype=int)
    if len(set(y)) < 2 or not len(asked):
        raise AslError(f"a probe needs two values or more and clips to ask: {len(set(y))} values in train, "
                       f"{len(asked)} clips of val have one of them")  # fmt: skip
    truth = np.array([val.labels[i] for i in asked])
    of_train = np.array([train.glosses[i] for i in rows])
    of_val = np.array([val.glosses[i] for i in asked])
    fold = gloss_folds(sorted({*of_train, *of_val}), folds, seed)
    train_fold, val_fold = (np.array([fold[g] for g in glosses]) for glosses in (of_train, of_val))
    sources = {}
    for name in ("majority", *train.vectors):
        x, queries = (_vectors(clips, name, at) for clips, at in ((train, rows), (val, asked)))
        seen = _fit_and_say(x, y, queries, c)
        unseen = np.empty_like(seen)
        for k in range(folds):
            inside, outside = val_fold == k, train_fold != k
            if inside.any():
                unseen[inside] = _fit_and_say(x[outside], y[outside], queries[inside], c)
        sources[name] = {
            "seen": _accuracy(seen == truth, of_val),
            "unseen": _accuracy(unseen == truth, of_val),
        }
    return {
        "n_train": len(rows), "n": len(asked), "classes": len(set(y)), "glosses": len(set(of_val)),
        "sources": sources,
    }  # fmt: skip


def gloss_folds(glosses: Sequence[str], folds: int, seed: int) -> Dict[str, int]:
    """Share glosses out evenly.

    Raises:
        AslError: fewer glosses than folds.
    """
    if not 2 <= folds <= len(glosses):
        raise AslError(
            f"{len(glosses)} glosses cannot be shared out to {folds} folds; give --folds from 2 to that"
        )
    order = np.random.default_rng(derive_seed("folds", seed)).permutation(len(glosses))
    return {glosses[i]: place % folds for place, i in enumerate(order)}


def _vectors(clips: Clips, source: str, rows: np.ndarray) -> np.ndarray:
    """``(rows, dim)``; nothing at all (one constant) for the commonest value."""
    return np.zeros((len(rows), 1)) if source == "majority" else clips.vectors[source][rows]


def _fit_and_say(x: np.ndarray, y: np.ndarray, queries: np.ndarray, c: float) -> np.ndarray:
    """The value that is read off for each query."""
    values, counts = np.unique(y, return_counts=True)
    if len(values) == 1 or not x.any():
        return np.full(len(queries), values[counts.argmax()], dtype=y.dtype)
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    model = LogisticRegression(C=c, max_iter=300, tol=1e-3)
    with warnings.catch_warnings():
        # what is said has settled long before the last digit
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaler.fit_transform(x), y)
    return model.predict(scaler.transform(queries))


def _accuracy(hits: np.ndarray, glosses: np.ndarray) -> Dict[str, Any]:
    """Per cent of ``hits`` and their 95 % interval, by bootstrap over the glosses."""
    _, group = np.unique(glosses, return_inverse=True)
    sums, counts = np.bincount(group, hits), np.bincount(group)
    low, high = bootstrap(len(counts), ratio(sums, counts))[0]
    return {"value": 100 * float(hits.mean()), "interval": [100 * float(low), 100 * float(high)]}


def information(
    counts: np.ndarray, labels: Sequence[Optional[str]], glosses: Sequence[str], seed: int
) -> Dict[str, float]:
    """Normalised mutual information of codes and a property, frame by frame.

    Args:
        counts: ``(clips, codes)`` frames of each clip with each code.
        labels: of the clips; None: left out.
        glosses: of the clips.
        seed: of the shuffles.

    Returns:
        ``value``: ``2 I / (H(code) + H(label))`` in per cent; ``chance``: its mean where the values are
        shuffled among the glosses, which is above 0 where glosses are few.
    """
    rows = [i for i, label in enumerate(labels) if label is not None]
    counts, label = counts[rows], np.array([labels[i] for i in rows])
    names, gloss = np.unique([glosses[i] for i in rows], return_inverse=True)
    of_gloss = np.empty(len(names), dtype=label.dtype)
    of_gloss[gloss] = label
    rng = np.random.default_rng(derive_seed("shuffle", seed))
    chance = [_nmi(counts, of_gloss[rng.permutation(len(names))][gloss]) for _ in range(SHUFFLES)]
    return {"value": 100 * _nmi(counts, label), "chance": 100 * float(np.mean(chance))}


def _nmi(counts: np.ndarray, label: np.ndarray) -> float:
    values, index = np.unique(label, return_inverse=True)
    table = np.zeros((len(values), counts.shape[1]))
    np.add.at(table, index, counts)
    table = table / table.sum()
    of_label, of_code = _entropy(table.sum(axis=1)), _entropy(table.sum(axis=0))
    both = _entropy(table.ravel())
    return float(2 * (of_label + of_code - both) / max(of_label + of_code, 1e-12))


def _entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def markdown(result: Dict[str, Any]) -> str:
    """Tables of what ``asl probe`` writes: accuracies of the probes, and mutual information."""
    features = list(result["labels"])
    kind = " (synthetic landmarks: no measure of any sign language)" if result.get("synthetic") else ""
    lines = [f"# Probes of {result['system']} on {result['split']}{kind}", ""]
    about = "; ".join(
        f"{f}: {v['classes']} values, {v['n_train']} clips fitted on, n = {v['n']} of {v['glosses']} glosses"
        for f, v in result["labels"].items()
    )
    lines += [f"Accuracy in per cent and 95 % interval over glosses. {about}.", ""]
    for which, what in (("seen", "glosses that the probe was fitted on"), ("unseen", "other glosses")):
        rows = []
        for source in next(iter(result["labels"].values()))["sources"]:
            cells = (result["labels"][f]["sources"][source][which] for f in features)
            rows.append([source, *(_cell(**cell) for cell in cells)])
        lines += [f"## Asked of {what}", "", *_table(["", *features], rows), ""]
    if any("nmi" in v for v in result["labels"].values()):
        books = list(next(iter(result["labels"].values()))["nmi"])
        found = {(b, f): result["labels"][f]["nmi"][b] for b in books for f in features}
        cells = {at: f"{v['value']:.1f} ({v['chance']:.1f})" for at, v in found.items()}
        rows = [[book, *(cells[book, f] for f in features)] for book in books]
        lines += ["## Normalised mutual information of codes and values", ""]
        lines += ["Per cent, over frames of the leading hand; in brackets with the values shuffled among glosses."]
        lines += ["", *_table(["", *features], rows), ""]
    return "\n".join(lines)


def _cell(value: float, interval: Tuple[float, float]) -> str:
    return f"{value:.1f} [{interval[0]:.1f}, {interval[1]:.1f}]"


def _table(head: List[str], rows: List[List[str]]) -> List[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
