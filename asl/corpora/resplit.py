"""Signer-independent splits: no signer of train is seen in val or test."""

import random
from collections import Counter, defaultdict
from typing import Dict, List, Mapping, NamedTuple, Sequence

from asl.common.seeds import derive_seed

# Random orders of the signers that are tried; the best division is kept.
_TRIALS = 60
# Of the clips of each class, this part stays in train at least.
_TRAIN_PART = 0.5


class Item(NamedTuple):
    """What the division needs of a clip."""

    id: str
    signer: str
    label: str
    split: str


def split_by_signer(items: Sequence[Item], seed: int = 0) -> Dict[str, str]:
    """Divide clips anew so that each signer is in one split only.

    All signers start in train. In a random order each is moved to val or test, whichever lacks most, where
    that does not make it larger than its owner's part by 2 % of all clips, and where at least half of every
    class's clips stay in train (so no class loses its train clips). Of 60 orders the one is taken that comes
    nearest to the owner's sizes with the fewest classes absent from val and test. The result is a
    function of the clips and the seed alone, not of their order.

    Args:
        items: all clips that the owner lists, whether or not they are at hand: then the division is the
            same for everyone.

    Returns:
        id -> split.
    """
    items = sorted(items)
    target = Counter(item.split for item in items)
    by_signer: Dict[str, List[Item]] = defaultdict(list)
    for item in items:
        by_signer[item.signer].append(item)
    labels = {signer: Counter(i.label for i in clips) for signer, clips in by_signer.items()}
    best: Dict[str, str] = {}
    best_cost = float("inf")
    for trial in range(_TRIALS):
        order = sorted(by_signer)
        random.Random(derive_seed(seed, "split_by_signer", trial)).shuffle(order)
        division = _divide(order, labels, target)
        cost = _cost(division, labels, target)
        if cost < best_cost:
            best, best_cost = division, cost
    return {item.id: best[item.signer] for item in items}


def _divide(order: Sequence[str], labels: Mapping[str, Counter], target: Mapping[str, int]) -> Dict[str, str]:
    total: Counter = Counter()
    for counts in labels.values():
        total.update(counts)
    slack = 0.02 * sum(total.values())
    in_train, size = Counter(total), {"val": 0, "test": 0}
    division = {signer: "train" for signer in order}
    for signer in order:
        counts = labels[signer]
        num = sum(counts.values())
        split = max(size, key=lambda s: target.get(s, 0) - size[s])
        if size[split] >= target.get(split, 0) or size[split] + num > target[split] + slack:
            continue
        if all(in_train[label] - n >= max(1, _TRAIN_PART * total[label]) for label, n in counts.items()):
            division[signer] = split
            size[split] += num
            in_train.subtract(counts)
    return division


def _cost(division: Mapping[str, str], labels: Mapping[str, Counter], target: Mapping[str, int]) -> float:
    size: Counter = Counter()
    seen: Dict[str, set] = defaultdict(set)
    for signer, split in division.items():
        size[split] += sum(labels[signer].values())
        seen[split].update(labels[signer])
    num_labels = len(set().union(*seen.values()))
    cost = 0.0
    for split in ("val", "test"):
        if target.get(split, 0):
            cost += abs(size[split] / target[split] - 1) + 1 - len(seen[split]) / num_labels
    return cost
