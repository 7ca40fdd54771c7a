"""Minimum word error rate, from a network that was trained with CTC or MMI."""

from typing import Any, Callable, Dict, List, Tuple

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.models import Encoder
from asl.tasks.base import Batch
from asl.tasks.ctc import Outputs
from asl.tasks.discriminative import DiscriminativeTask


class MwerTask(DiscriminativeTask):
    """Lowers the number of word errors that is expected of an n-best list.

    Prabhavalkar et al. 2018 (Minimum word error rate training for attention-based sequence-to-sequence models).
    The loss of an utterance is ``sum_i p_i errors_i`` over the ``nbest`` best word sequences of the graph, each
    once. ``p_i`` is the probability of all of the reading's paths, in all pronunciations, normalised over the list;
    errors are counted as the scorer does. (``k2.mwer_loss`` draws paths, and weighs a word sequence by one of them.)

    Args:
        encoder: the network below the head, see ``DiscriminativeTask``.
        nbest: word sequences of an utterance.
        more: arguments of ``DiscriminativeTask``.
    """

    loss_name = "mwer"

    def __init__(self, encoder: Callable[[Dict[str, int]], Encoder], nbest: int = 8, **more: Any) -> None:
        super().__init__(encoder, **more)
        if nbest < 2:
            raise AslError(
                f"task.init_args.nbest is {nbest}: one word sequence leaves nothing to choose; give 2 or more"
            )
        self.nbest = nbest

    def sequence_losses(self, out: Outputs, batch: Batch) -> Tuple[Tensor, Tensor, Tensor]:
        readings = self.totals.best_readings(out.log_probs, out.lengths, self.nbest)
        scores = self.totals.of_words(out.log_probs, out.lengths, readings, batch["ids"])
        with torch.no_grad():
            transcripts = self.transcript_scores(out, batch)
        losses = [
            (score.softmax(dim=0) * errors(text.split(), found).to(score)).sum()
            for score, text, found in zip(scores, batch["texts"], readings)
        ]
        empty = torch.tensor([not found for found in readings])
        losses = torch.stack(losses)
        return losses, transcripts.isinf(), empty.to(losses.device)


def errors(reference: List[str], readings: List[List[str]]) -> Tensor:
    """Word errors of each reading, float64 ``(readings,)``."""
    from kaldialign import edit_distance

    return torch.tensor([edit_distance(reference, one)["total"] for one in readings], dtype=torch.float64)
