"""How well a finished network knows clips that it was trained on, beside those of validation: the gap between the two."""

from pathlib import Path
from typing import Any, Dict, List

import torch
from torch import Tensor

from asl.tasks.base import SignTask, averages_of
from asl.tasks.weights import load_weights, read_weights

CLIPS = 1000  # evenly spread over the training split: enough for a mean


def measured_gap(
    task: SignTask, data: Any, exp: Path, result: Dict[str, Any], device: torch.device
) -> Dict[str, Any]:
    """Return ``train``, what validation measures on training clips, and ``gap``, how much higher the loss on val is.

    With ``data.overfit`` validation is on the training clips already.

    Args:
        result: what ``train.json`` holds so far; others as for ``measure_train``.
    """
    val = result["val"]
    train = dict(val) if data.overfit else measure_train(task, data, exp, result["checkpoint"], device)
    print(f"loss of {data.val_split} {val['loss']:.4g}, of {data.train_split} {train['loss']:.4g} (measured alike)")
    return {"train": train, "gap": val["loss"] - train["loss"]}


def measure_train(task: SignTask, data: Any, exp: Path, rule: str, device: torch.device) -> Dict[str, float]:
    """Return what validation measures, of up to ``CLIPS`` clips of the training split, not augmented.

    Training's own losses are no such measure: they are taken with dropout, augmentation and label smoothing, and
    while the network changes.

    Args:
        task: gets the weights that the run is judged by, and is left in eval mode.
        data: the run's data module.
        exp: the experiment folder.
        rule: of those weights, one of ``asl.tasks.weights.RULES``.
        device: where to compute.
    """
    load_weights(task, read_weights(exp, rule), exp)
    task.to(device).eval()
    sums: Dict[str, List[float]] = {}
    with torch.no_grad():
        for batch in data.loader(data.train_split, CLIPS):
            batch = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
            for name, (total, count) in task.validation_metrics(batch).items():
                entry = sums.setdefault(name, [0.0, 0.0])
                entry[0], entry[1] = entry[0] + float(total), entry[1] + float(count)
    return dict(sorted(task.finished_metrics(averages_of(sums)).items()))
