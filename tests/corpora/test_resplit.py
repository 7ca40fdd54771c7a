"""Splits by signer: nobody is in two of them, and train keeps every class."""

import numpy as np

from asl.corpora.resplit import Item, split_by_signer


def test_signers_are_in_one_split_only_and_classes_keep_train_clips():
    rng = np.random.default_rng(0)
    sizes = {"train": 700, "val": 180, "test": 120}
    official = [split for split, n in sizes.items() for _ in range(n)]
    items = [
        Item(f"{i:05}", f"s{int(40 * rng.random() ** 2)}", f"c{i % 50}", split)
        for i, split in enumerate(official)
    ]
    division = split_by_signer(items, seed=1)
    assert split_by_signer(items[::-1], seed=1) == division
    assert split_by_signer(items, seed=2) != division
    signers = {s: {i.signer for i in items if division[i.id] == s} for s in sizes}
    assert not signers["train"] & signers["val"] and not signers["train"] & signers["test"]
    assert not signers["val"] & signers["test"]
    assert {i.label for i in items if division[i.id] == "train"} == {f"c{i}" for i in range(50)}
    for split, n in sizes.items():
        assert abs(list(division.values()).count(split) - n) < 50
