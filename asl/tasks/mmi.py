"""Lattice-free maximum mutual information, from a network that was trained with CTC."""

from typing import Any, Callable, Dict, Tuple

from torch import Tensor

from asl.models import Encoder
from asl.tasks.base import Batch
from asl.tasks.ctc import Outputs
from asl.tasks.discriminative import DiscriminativeTask


class MmiTask(DiscriminativeTask):
    """Raises the share that the transcript has in the graph's sum over everything that could be said.

    Povey et al. 2016 (Purely sequence-trained neural networks for ASR based on lattice-free MMI); with the
    topology of CTC it is the conditional random field of Xiang and Ou 2019 (CRF-based single-stage acoustic
    modeling with CTC topology). The loss of an utterance is ``log sum_all exp(score) - log sum_transcript
    exp(score)``, where a path's score is its log-probs (times ``acoustic_scale``) plus the weights of the graph
    H∘L∘P. The denominator is that graph: P is whatever n-gram of the training transcripts it was compiled with,
    over words (Povey's is over phones; a gloss lexicon has one unit a word). The numerator is the same graph
    restricted to the paths that say the transcript, in all pronunciations, so that the loss is never below 0 in
    an exact search.

    A large grammar is a large graph for k2, which takes back-off arcs out or doubles the frames for them. With the
    1,100 glosses of PHOENIX a bigram has two million arcs, of which a search with ``beam`` 8 and ``max_active`` 200
    looks at enough; a unigram in the topology ``compact`` has 4,402, and can be searched as a whole.

    Args:
        encoder: the network below the head, see ``DiscriminativeTask``.
        exact_denominator: search the whole graph (its states times frames must fit into memory), not within
            ``beam``, ``min_active`` and ``max_active``.
        more: arguments of ``DiscriminativeTask``.
    """

    loss_name = "mmi"

    def __init__(
        self, encoder: Callable[[Dict[str, int]], Encoder], exact_denominator: bool = False, **more: Any
    ) -> None:
        super().__init__(encoder, **more)
        self.exact_denominator = exact_denominator

    def exact(self) -> bool:
        return self.exact_denominator

    def sequence_losses(self, out: Outputs, batch: Batch) -> Tuple[Tensor, Tensor, Tensor]:
        numerator = self.transcript_scores(out, batch)
        denominator = self.totals.of_graph(out.log_probs, out.lengths)
        return denominator - numerator, numerator.isinf(), denominator.isinf()
