"""``asl probe``: what the codes and vectors of a network say of handshape, location, movement."""

import shlex
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.common.files import read_json, write_json, write_text
from asl.landmarks.descriptors import DESCRIPTORS
from asl.lang.phonology import PhonologyTable, read_phonology
from asl.models.masking import length_mask, masked_mean
from asl.scoring import probing
from asl.tasks import config as configs
from asl.tasks import experiment
from asl.tasks.networks import check_device
from asl.tasks.pretrain import PretrainTask
from asl.tasks.train import seed_all

FEATURES = ["Handshape", "MajorLocation", "Movement", "SignType"]
_UNTRAINED, _TRAINED, _INPUT = "untrained encoder", "encoder", "input features"


class Represented(NamedTuple):
    """The clips of a split: their words, a vector of each source, and the codes of their leading hand.

    ``counts``: codebook -> ``(clips, codes)`` frames.
    """

    glosses: List[str]
    vectors: Dict[str, np.ndarray]
    counts: Dict[str, np.ndarray]


def probe(
    exp: str,
    data: str = "data",
    phonology: Optional[str] = None,
    features: List[str] = FEATURES,
    train_split: str = "train",
    split: str = "val",
    out: Optional[str] = None,
    checkpoint: Optional[str] = None,
    c: float = 0.1,
    folds: int = 5,
    seed: int = 0,
    batch_size: int = 64,
    device: str = "cpu",
) -> None:
    """Read phonological features of glosses off a network by linear probes, and compare them with its codes.

    Args:
        exp: experiment folder; of a pre-trained network its codebooks are probed too.
        data: a recipe's data folder, every clip of one gloss.
        phonology: the table of features (asl phonology makes it); default: DATA/lang/phonology.tsv.
        features: columns of the table.
        train_split: the split to fit probes on.
        split: the split to ask them.
        out: folder for probe.json and probe.md; default: EXP/probe_SPLIT.
        checkpoint: last, best, ema, or the run's own mean_last or mean_best; default: its own rule.
        c: inverse strength of the probes' L2 penalty.
        folds: of the glosses, where a probe is asked of other glosses than it was fitted on.
        seed: of the folds and shuffles.
        batch_size: clips at a time.
        device: cpu, cuda or mps, for the network.
    """
    check_device(device)
    if not c > 0:
        raise AslError(f"--c {c} must be above 0; 0.1 is a good start")
    table = read_phonology(phonology or Path(data) / "lang" / "phonology.tsv")
    for feature in features:
        table.classes(feature)  # names the nearest column where there is none
    loaded = experiment.load_task(exp, checkpoint)
    module = configs.instantiate_data(
        loaded.config, data_dir=data, batch_size=batch_size, num_workers=0, overfit=0
    )
    module.pipeline.descriptors = isinstance(loaded.task, PretrainTask)
    networks = {_UNTRAINED: untrained(loaded.config), _TRAINED: loaded.task}
    train, val = (represent(networks, module.loader(s), device) for s in (train_split, split))
    labels = {feature: _probe_one(table, feature, train, val, c, folds, seed) for feature in features}
    report = Path(data) / "report.json"
    facts = read_json(report) if report.is_file() else {}
    result = {
        "system": Path(exp).name, "checkpoint": loaded.checkpoint, "corpus": facts.get("corpus"),
        "subset": facts.get("subset"), "synthetic": bool(facts.get("synthetic")), "split": split,
        "c": c, "folds": folds, "seed": seed, "command": shlex.join(["asl", *sys.argv[1:]]),
        **experiment.git_state(), "labels": labels,
    }  # fmt: skip
    folder = Path(out) if out else Path(exp) / f"probe_{split}"
    write_json(folder / "probe.json", result)
    write_text(folder / "probe.md", probing.markdown(result))
    print(probing.markdown(result))
    print(f"-> {folder}/probe.json, {folder}/probe.md")


def untrained(config: Any) -> Any:
    """The task of ``config`` as it was before training."""
    seed_all(config.seed)
    return configs.instantiate_task(config).eval()


@torch.no_grad()
def represent(networks: Dict[str, Any], loader: Any, device: str) -> Represented:
    """Vectors and codes of all clips of ``loader``.

    A clip's vector is, of ``input features``, their mean and standard deviation over the frames; of an
    encoder the mean of its output; of a codebook the shares of its codes, of the leading hand and of the
    other one. The leading hand of a clip is the one that moves more.
    """
    for network in networks.values():
        network.to(device)
    trained = networks[_TRAINED]
    glosses: List[str] = []
    vectors: Dict[str, List[np.ndarray]] = {}
    counts: Dict[str, List[np.ndarray]] = {}
    for batch in loader:
        trained.check_features(batch["features"])
        on_device = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()}
        features, lengths = on_device["features"], on_device["feature_lengths"]
        glosses += batch["texts"]
        mask = length_mask(lengths, features.shape[1])
        mean = masked_mean(features, mask)
        spread = masked_mean((features - mean[:, None]).square(), mask).sqrt()
        _add(vectors, _INPUT, torch.cat([mean, spread], dim=-1))
        for name, network in networks.items():
            output, out_lengths = network.encoder(features, lengths)
            _add(vectors, name, masked_mean(output, length_mask(out_lengths, output.shape[1])))
        if isinstance(trained, PretrainTask):
            shares = {}
            found = code_counts(trained, on_device["descriptors"], on_device["descriptors_known"])
            for name, hands in found.items():
                _add(counts, name, hands[:, 0])
                shares[name] = (hands / hands.sum(-1, keepdim=True).clamp(min=1)).flatten(1)
                _add(vectors, f"{name} codes", shares[name])
            _add(vectors, "all codes", torch.cat(list(shares.values()), dim=-1))
    return Represented(
        glosses,
        {name: np.concatenate(parts) for name, parts in vectors.items()},
        {name: np.concatenate(parts) for name, parts in counts.items()},
    )


def _add(to: Dict[str, List[np.ndarray]], name: str, value: Tensor) -> None:
    to.setdefault(name, []).append(value.float().cpu().numpy())


def code_counts(task: PretrainTask, descriptors: Tensor, known: Tensor) -> Dict[str, Tensor]:
    """Frames of each code, ``(batch, 2 hands, codes)`` of each codebook; the leading hand comes first."""
    codes = task.head.quantizer(descriptors)
    order = leading_first(descriptors)
    found = {}
    for i, (name, book) in enumerate(task.head.quantizer.books.items()):
        onehot = torch.nn.functional.one_hot(codes[..., i], book.size) * known[..., i, None]
        hands = onehot.sum(dim=1).float()
        found[name] = hands.gather(1, order[..., None].expand_as(hands))
    return found


def leading_first(descriptors: Tensor) -> Tensor:
    """Each clip's hands, ``(batch, 2)``, the one that moves more first."""
    movement = descriptors.split(list(DESCRIPTORS.values()), dim=-1)[list(DESCRIPTORS).index("movement")]
    moved = movement.norm(dim=-1).sum(dim=1)  # (batch, hands); 0 where not known
    return moved.sort(dim=1, descending=True, stable=True).indices


def _probe_one(
    table: PhonologyTable, feature: str, train: Represented, val: Represented, c: float, folds: int, seed: int
) -> Dict[str, Any]:
    """Probes of one feature, and its information on every codebook."""
    splits = []
    for clips in (train, val):
        values = [table.rows[g].values.get(feature) if g in table.rows else None for g in clips.glosses]
        splits.append(probing.Clips(clips.vectors, values, clips.glosses))
    try:
        result = probing.probe(*splits, c, folds, seed)
    except AslError as e:
        raise AslError(f"{feature}: {e}") from None
    if val.counts:
        args = (splits[1].labels, val.glosses, seed)
        result["nmi"] = {name: probing.information(counts, *args) for name, counts in val.counts.items()}
    return result
