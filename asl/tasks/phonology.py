"""Phonological supervision of a task: which features, which table, and the loss beside the task's own."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import torch
from jsonargparse import Namespace
from torch import Tensor, nn

from asl.common.errors import AslError
from asl.common.files import PathLike
from asl.lang.phonology import FEATURES, read_phonology
from asl.lang.tokens import TokenTable
from asl.models.phonology import PhonologyHeads, phonology_hits, phonology_losses

TABLE = "phonology.tsv"


@dataclass
class PhonologyConfig:
    """Classifiers of what a sign is made of, on the same hidden vector as the sign.

    Args:
        weight: of their loss, which is added to the task's.
        table: made by ``asl phonology``; null: ``phonology.tsv`` in the data folder's ``lang``.
        features: columns of the table; each has a classifier.
        dropout: before the classifiers.
        classes: number of values of each feature; filled in by ``asl train``.
    """

    weight: float = 0.3
    table: Optional[str] = None
    features: List[str] = field(default_factory=lambda: list(FEATURES))
    dropout: float = 0.4
    classes: Optional[Dict[str, int]] = None


def table_path(table: Optional[str], lang: PathLike) -> Path:
    """Where the table is that a configuration names."""
    return Path(table) if table else Path(lang) / TABLE


def table_of(config: Namespace, lang: PathLike) -> Optional[Path]:
    """The table that a run's configuration uses; None where it has no phonological supervision."""
    options = config.task.init_args.get("phonology")
    return None if options is None else table_path(options.table, lang)


def fill_in(config: Namespace, lang: PathLike) -> None:
    """Write into a run's configuration how many values each feature has, if it has phonological supervision.

    Raises:
        AslError: no table (the command that makes it is named), no such feature, no feature at all, or the
            configuration (of an earlier run) has other numbers.
    """
    options = config.task.init_args.get("phonology")
    if options is None:
        return
    if not options.features:
        raise AslError("task.init_args.phonology.features is empty; name some, or set phonology to null")
    path = table_path(options.table, lang)
    table = read_phonology(path)
    found = {feature: len(table.classes(feature)) for feature in options.features}
    given = options.classes.as_dict() if isinstance(options.classes, Namespace) else options.classes
    if given and given != found:
        where = f"the config has task.init_args.phonology.classes {given}"
        raise AslError(f"{where}, {path} has {found}; remove it there")
    options.classes = found


class PhonologyLoss(nn.Module):
    """The classifiers, the values that each token has, and the loss.

    Args:
        config: with its ``classes`` filled in.
        dim: channels of the hidden vector.
        vocab_size: entries of the token table, blank included.
    """

    targets: Tensor

    def __init__(self, config: PhonologyConfig, dim: int, vocab_size: int) -> None:
        super().__init__()
        if config.classes is None:
            raise AslError(
                "phonology.classes is filled in by 'asl train'; to build a task by hand give the number of "
                "values of each feature"
            )
        self.config = config
        self.heads = PhonologyHeads(dim, config.classes, config.dropout)
        # not among the weights: read anew from the table whenever training starts, and decoding needs none
        unknown = torch.full((vocab_size, len(config.classes)), -1, dtype=torch.int64)
        self.register_buffer("targets", unknown, persistent=False)

    def read(self, lang: PathLike) -> None:
        """Read the values of the tokens of ``lang`` from the table.

        Raises:
            AslError: no table, a table with other numbers of values than the classifiers have, or one that
                holds none of the tokens.
        """
        path = table_path(self.config.table, lang)
        table, units = read_phonology(path), TokenTable.read(Path(lang) / "tokens.txt").units
        classes = {feature: len(table.classes(feature)) for feature in self.heads.classes}
        if classes != self.heads.classes:
            raise AslError(
                f"{path} has {classes} values, the network was made for {self.heads.classes}; give another "
                "--exp, or --force to train again from the start"
            )
        found = torch.tensor(table.targets(units, list(self.heads.classes)), dtype=torch.int64)
        if not (found >= 0).any():
            raise AslError(f"{path} has none of the tokens in {lang}; make it anew with 'asl phonology'")
        self.targets[1:] = found.to(self.targets.device)

    def losses(self, logits: List[Tensor], tokens: Tensor) -> Tensor:
        """Logits of ``heads`` and one token each ``(batch,)`` -> ``(batch,)``, see ``phonology_losses``."""
        return phonology_losses(logits, self.targets[tokens])

    def metrics(self, logits: List[Tensor], tokens: Tensor) -> Dict[str, Tuple[Tensor, Tensor]]:
        """``phon/<feature> -> (right, known)`` over the batch, and ``phon`` over all features."""
        hits = phonology_hits(logits, self.targets[tokens])
        rows = {f"phon/{name}": (row[0], row[1]) for name, row in zip(self.heads.classes, hits)}
        return {"phon": (hits[:, 0].sum(), hits[:, 1].sum()), **rows}
