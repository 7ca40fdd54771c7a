"""Training through the decoding graph: what MMI and MWER share."""

import importlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from jsonargparse import Namespace
from torch import Tensor

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.graph.engine import k2_missing
from asl.graph.options import SearchOptions
from asl.graph.total import TotalScores
from asl.models import Encoder
from asl.tasks import experiment
from asl.tasks.aligned import batch_frame_loss
from asl.tasks.base import Batch
from asl.tasks.ctc import CtcTask, Outputs

# why an utterance has no sequence loss in a batch
SHORT = "fewer frames than its transcript needs"
EMPTY = "no path through the graph within the beam"


class DiscriminativeTask(CtcTask):
    """A network trained with CTC, trained on through a decoding graph. Subclasses define ``sequence_losses``.

    The loss of an utterance is ``(1 - ctc_weight) L_seq + ctc_weight L``, where ``L`` is the whole loss of
    ``CtcTask`` (Su et al. 2013, Error back propagation for sequence training of context-dependent deep networks, smooth
    so with the frames' cross-entropy). That cross-entropy, as a mean over frames whose token is known, is added with
    ``frame_weight``: a network of ``AlignedCtcTask`` says a token as long as the sign lasts, and CTC's loss alone
    would undo it. Losses are in natural logarithms (MMI) or words (MWER) for an utterance, not divided by its frames or
    words; a batch's is the mean over its clips. An utterance without a sequence loss (see ``skipped``) counts as 0 in
    that mean.

    The graph is read when training begins: to build the network again, and to decode with it, neither the graph nor k2
    is needed.

    Args:
        encoder: the network below the head. ``asl train`` takes it, the data's section and what else makes the network
            from the experiment of ``--init-from``, where the config does not say it.
        graph: folder of a graph of ``asl graph compile --engine k2``.
        graph_hash: of that graph; filled in by ``asl train``.
        ctc_weight: share of the CTC task's loss.
        frame_weight: of the cross-entropy against the token of each frame; above 0 it needs ``data.alignments``.
        acoustic_scale: what log-probs are multiplied by in the graph.
        beam: states worse than the best one of their frame by more than this are dropped in the search.
        lattice_beam: what is worse than an utterance's best path by more than this is left out of a sum.
        min_active, max_active: states to keep in each frame at least and at most; null: no bound.
        ctc: arguments of ``CtcTask``.

    Attributes:
        skipped: reason -> ids of the clips of the last batch that had no sequence loss.
    """

    loss_name = "sequence"

    def __init__(
        self,
        encoder: Callable[[Dict[str, int]], Encoder],
        graph: str = "",
        graph_hash: Optional[str] = None,
        ctc_weight: float = 0.1,
        frame_weight: float = 0.0,
        acoustic_scale: float = 1.0,
        beam: float = 20.0,
        lattice_beam: float = 10.0,
        min_active: Optional[int] = None,
        max_active: Optional[int] = None,
        **ctc: Any,
    ) -> None:
        super().__init__(encoder, **ctc)
        name = type(self).__name__
        if not 0 <= ctc_weight < 1:
            raise AslError(f"task.init_args.ctc_weight is {ctc_weight}; give a share from 0 to below 1")
        if not frame_weight >= 0:
            raise AslError(f"task.init_args.frame_weight is {frame_weight}; give 0 (off) or more")
        if self.mixup is not None:
            raise AslError(f"{name}: a blend of sentences has no path through the graph; set mixup to null")
        self.graph_dir, self.ctc_weight, self.frame_weight = graph, ctc_weight, frame_weight
        self.options = SearchOptions(
            beam=beam, lattice_beam=lattice_beam, min_active=min_active, max_active=max_active,
            acoustic_scale=acoustic_scale,
        )  # fmt: skip
        self.totals: Optional[TotalScores] = None
        self.skipped: Dict[str, List[str]] = {}

    def exact(self) -> bool:
        """Whether sums over the whole graph are made without pruning in the frames."""
        return False

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self.totals = TotalScores(self.graph_dir, self.options, self.exact())

    def sequence_losses(self, out: Outputs, batch: Batch) -> Tuple[Tensor, Tensor, Tensor]:
        """The sequence loss of each utterance ``(batch,)``, and two masks: no path says its text, nothing was found."""
        raise TypeError(f"{type(self).__name__} must define sequence_losses()")

    def training_loss(self, batch: Batch) -> Dict[str, Tensor]:
        batch, _ = self.regularised(batch)
        out = self.outputs(batch)
        ctc = self.losses(out, batch)
        sequence, skipped = self._kept(out, batch)
        loss = (1 - self.ctc_weight) * sequence.mean()
        if self.ctc_weight:
            loss = loss + self.ctc_weight * ctc["loss"]
        parts = {name: value for name, value in {"ctc": ctc["loss"], **ctc}.items() if name != "loss"}
        if self.frame_weight:
            parts["frame"] = batch_frame_loss(out, batch, self.subsampling, type(self).__name__)
            loss = loss + self.frame_weight * parts["frame"]
        return {"loss": loss, self.loss_name: sequence.mean(), **parts, "skipped": skipped.mean()}

    def metrics(self, out: Outputs, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        """Those of CTC, the sequence loss over the utterances that have one, and the share that has none."""
        metrics = super().metrics(out, batch)
        if self.totals is None:  # nothing is being trained
            return metrics
        sequence, skipped = self._kept(out, batch)
        metrics[self.loss_name] = (sequence.sum(), (1 - skipped).sum())
        metrics["skipped"] = (skipped.sum(), len(skipped))
        return metrics

    def transcript_scores(self, out: Outputs, batch: Batch) -> Tensor:
        """Sums over the paths that say the transcripts, float64 ``(batch,)``; minus infinity where there are none.

        In training a word that the graph lacks is an error. In validation, where there may be such words, the
        utterance has no sequence loss.
        """
        texts = [[text.split()] for text in batch["texts"]]
        return torch.cat(self.totals.of_words(out.log_probs, out.lengths, texts, batch["ids"], strict=self.training))

    def _kept(self, out: Outputs, batch: Batch) -> Tuple[Tensor, Tensor]:
        """Losses ``(batch,)``, 0 for those that are skipped, and 1 for those; notes which."""
        losses, short, empty = self.sequence_losses(out, batch)
        bad = (short | empty).to(losses.device)
        # where(), not a product: 0 times infinity would be NaN, in the gradient too
        losses = torch.where(bad, torch.zeros_like(losses), losses).to(out.log_probs)
        losses = losses + out.log_probs.flatten()[:0].sum()  # 0: a batch without any loss still has a gradient
        masks = {SHORT: short, EMPTY: empty & ~short}
        ids = batch["ids"]
        self.skipped = {why: [ids[i] for i in m.nonzero().flatten().tolist()] for why, m in masks.items() if m.any()}
        return losses, bad.to(losses)


def fill_in(config: Namespace, lang: Path) -> None:
    """Check what a discriminative task starts from, and write the hash of its graph into a run's configuration.

    Raises:
        AslError: k2 does not import; no experiment to start from, or not all of it; no graph, or one of other tokens;
            ``config`` (of an earlier run) was made with another graph.
    """
    module, _, name = config.task.class_path.rpartition(".")
    if not issubclass(getattr(importlib.import_module(module), name), DiscriminativeTask):
        return
    given = config.task.init_args
    refuse_without_k2(name)
    if not config.init_from:
        raise AslError(f"{name} trains a network on that was trained with CTC: give its folder by --init-from")
    if config.init_only or config.init_allow:
        raise AslError(f"{name} takes the whole network of {config.init_from}; leave --init-only and --init-allow out")
    if not given.graph:
        raise AslError(
            f"{name} needs a graph: asl graph compile --engine k2 --lang {lang} --grammar G.arpa --out DIR, and then "
            "--task.init_args.graph DIR"
        )
    tokens = {
        "the data": lang / "tokens.txt",
        str(config.init_from): experiment.existing(config.init_from) / "lang" / "tokens.txt",
        f"the graph {given.graph}": Path(given.graph) / "tokens.txt",
    }
    contents = {where: path.read_bytes() if path.is_file() else b"" for where, path in tokens.items()}
    for where, content in contents.items():
        if not content:
            raise AslError(f"{where} has no {tokens[where]}; check the path, or make it again")
        if content != contents["the data"]:
            raise AslError(f"{where} has other tokens ({tokens[where]}) than the data ({lang / 'tokens.txt'})")
    found = _hash_of(Path(given.graph))
    if given.graph_hash and given.graph_hash != found:
        raise AslError(
            f"{given.graph} is another graph than the one that this run began with; give that one, or train again "
            "from the start with --force"
        )
    given.graph_hash = found


def _hash_of(graph: Path) -> str:
    path = graph / "k2.json"
    if not path.is_file():
        raise AslError(f"{graph} holds no graph for the k2 engine; run asl graph compile --engine k2 --out {graph}")
    return str(read_json(path).get("hash"))


def refuse_without_k2(who: str) -> None:
    """Raise AslError, which names ``who`` wants it, unless k2 imports."""
    missing = k2_missing()
    if missing:
        raise AslError(
            f"{who} needs k2, which does not import ({missing}); set up an environment that has it (tools/setup_env.sh "
            "with Python 3.10, or with --k2-index URL), or decode the CTC network as it is"
        )
