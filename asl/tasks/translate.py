"""Sentences of sign language into sentences of a written one: attention to the encoder's frames, and CTC beside it."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, Literal, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.models import CtcHead, Encoder, TextDecoder
from asl.models.masking import length_mask
from asl.tasks.base import Batch, OptimizerConfig, SignTask
from asl.tasks.ctc_losses import ctc_loss, pad_tokens
from asl.tasks.feature_masks import FeatureMaskConfig, mask_bands
from asl.tasks.part_dropout import checked_probability, drop_parts


@dataclass(frozen=True)
class DecoderConfig:
    """The text decoder; see ``asl.models.text_decoder.TextDecoder``.

    Args:
        dim: channels.
        layers: layers.
        heads: attention heads.
        feedforward: channels inside the feed-forwards.
        dropout: of embeddings, weights and branches.
        drop_path: probability that a branch of the last layer is dropped; lower layers have less.
        tied: the embedding is the output's weights too.
    """

    dim: int = 256
    layers: int = 2
    heads: int = 4
    feedforward: int = 1024
    dropout: float = 0.3
    drop_path: float = 0.0
    tied: bool = True


class Encoded(NamedTuple):
    """What a decoder looks at.

    Attributes:
        memory: ``(batch, frames', dim)``.
        lengths: ``(batch,)``.
        ctc_log_probs: ``(batch, frames', vocab_size)``; None where the task has no CTC head.
    """

    memory: Tensor
    lengths: Tensor
    ctc_log_probs: Optional[Tensor]


class TranslateTask(SignTask):
    """Encoder and text decoder, trained token by token given those before, and CTC on the encoder beside it.

    The loss of a batch is, for each token of its texts (their ends counted),

        L = (1 - ctc_weight) L_text + ctc_weight L_CTC

    (Watanabe et al. 2017, Hybrid CTC/attention architecture for end-to-end speech recognition). ``L_text`` is the
    cross-entropy with label smoothing (Szegedy et al. 2016) over all tokens but the blank. Where the order of words is
    not that of signs CTC cannot be right; it still ties the encoder to the frames early in training. A clip with fewer
    frames than CTC needs has 0 for ``L_CTC`` and is trained by its text alone.

    Validation measures ``loss`` (cross-entropy of a token, not smoothed), ``ppl`` (its exponential), ``acc`` (share of
    the tokens that are the most probable one, given the right ones before) and, with CTC, ``ctc``. In training ``nll``
    and ``acc`` are the first and the third, with dropout and augmentation.

    Args:
        encoder: the network that the decoder looks at, made from ``feature_parts``.
        decoder: the text decoder.
        ctc_weight: share of CTC's loss, from 0 (no CTC head) to below 1.
        label_smoothing: share of a token's target that is spread over all tokens.
        dropout: before the CTC head's last layer.
        part_dropout: probability that a part of the feature vector (a hand, the face) is taken away from a whole
            training clip.
        feature_mask: bands of the feature vector that vanish from a whole training clip.
        monitor: the validation metric by which the best checkpoint is chosen and patience is lost: loss or acc.
        feature_parts, vocab_size, optimizer: see ``SignTask``.
    """

    measured_on_train = True
    keeps_short = True

    def __init__(
        self,
        encoder: Callable[[Dict[str, int]], Encoder],
        decoder: DecoderConfig = DecoderConfig(),
        ctc_weight: float = 0.3,
        label_smoothing: float = 0.1,
        dropout: float = 0.2,
        part_dropout: float = 0.0,
        feature_mask: FeatureMaskConfig = FeatureMaskConfig(),
        monitor: Literal["loss", "acc"] = "loss",
        feature_parts: Optional[Dict[str, int]] = None,
        vocab_size: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        super().__init__(feature_parts, vocab_size, optimizer)
        for name, value in (("ctc_weight", ctc_weight), ("label_smoothing", label_smoothing)):
            if not 0 <= value < 1:
                raise AslError(f"task.init_args.{name} is {value}; give 0 (off) or a share below 1")
        self.encoder = encoder(self.feature_parts)
        dim = self.encoder.output_dim
        self.decoder = TextDecoder(vocab_size, dim, **asdict(decoder))
        self.head = CtcHead(dim, vocab_size, dropout) if ctc_weight else None
        self.ctc_weight, self.label_smoothing = ctc_weight, label_smoothing
        self.part_dropout, self.feature_mask = checked_probability(part_dropout), feature_mask
        self.monitor, self.monitor_mode = monitor, "max" if monitor == "acc" else "min"

    @property
    def subsampling(self) -> int:
        """Input frames for one frame of the memory."""
        return self.encoder.subsampling

    @property
    def ctc_subsampling(self) -> Optional[int]:
        """The same where there is CTC, which needs a frame for each token."""
        return self.encoder.subsampling if self.head is not None else None

    def loss_weight(self, batch: Batch) -> float:
        """The tokens of the batch, with an end for each clip."""
        return float(batch["token_lengths"].sum()) + len(batch["token_lengths"])

    def encode(self, batch: Batch) -> Encoded:
        """What the decoder is given of a batch."""
        memory, lengths = self.encoder(batch["features"], batch["feature_lengths"])
        return Encoded(memory, lengths, self.head(memory) if self.head is not None else None)

    def token_log_probs(self, encoded: Encoded, batch: Batch) -> Tuple[Tensor, Tensor]:
        """Log-probabilities of the tokens of a batch and of its ends, given those before.

        Returns:
            ``(tokens, vocab_size)`` of ids from 1 (the blank is none of them), and what stands there ``(tokens,)``,
            0 for id 1.
        """
        given, lengths, targets = teacher(batch["tokens"], batch["token_lengths"], self.decoder.sos_eos)
        inside = length_mask(lengths, given.shape[1])
        logits = self.decoder(given, lengths, encoded.memory, encoded.lengths)[inside][:, 1:]
        return logits.float().log_softmax(dim=-1), targets[inside] - 1

    def training_loss(self, batch: Batch) -> Dict[str, Tensor]:
        features = drop_parts(batch["features"], self.feature_parts, self.part_dropout)
        batch = {**batch, "features": mask_bands(features, self.feature_mask)}
        encoded = self.encode(batch)
        log_probs, targets = self.token_log_probs(encoded, batch)
        nll = -log_probs.gather(1, targets[:, None]).mean()
        text = (1 - self.label_smoothing) * nll - self.label_smoothing * log_probs.mean()
        loss, parts = text, {"text": text}
        if encoded.ctc_log_probs is not None:
            parts["ctc"] = self._ctc(encoded, batch).sum() / len(targets)
            loss = (1 - self.ctc_weight) * text + self.ctc_weight * parts["ctc"]
        hits = (log_probs.argmax(dim=-1) == targets).float().mean()
        return {"loss": loss, **parts, "nll": nll, "acc": hits}

    def _ctc(self, encoded: Encoded, batch: Batch) -> Tensor:
        return ctc_loss(encoded.ctc_log_probs, encoded.lengths, batch["tokens"], batch["token_lengths"])

    def validation_metrics(self, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        encoded = self.encode(batch)
        log_probs, targets = self.token_log_probs(encoded, batch)
        n = len(targets)
        metrics: Dict[str, Tuple[Any, Any]] = {
            "loss": (-log_probs.gather(1, targets[:, None]).sum(), n),
            "acc": ((log_probs.argmax(dim=-1) == targets).sum(), n),
        }
        if encoded.ctc_log_probs is not None:
            ctc = self._ctc(encoded, batch)
            fits = ctc > 0  # exactly 0 where there are fewer frames than CTC needs: that says nothing of the network
            metrics["ctc"] = (ctc.sum(), (batch["token_lengths"].to(ctc.device)[fits] + 1).sum())
        return metrics

    def finished_metrics(self, averages: Dict[str, float]) -> Dict[str, float]:
        known = {name: value for name, value in averages.items() if name != "ctc" or not math.isnan(value)}
        return {**known, "ppl": math.exp(min(averages.get("loss", math.nan), 700.0))}

    def log_probs(self, batch: Batch) -> Tuple[Tensor, Tensor]:
        """The CTC head's log-probabilities ``(batch, frames', vocab_size)`` and their lengths.

        Raises:
            AslError: the task was trained without CTC.
        """
        if self.head is None:
            raise AslError("this TranslateTask has no CTC head (ctc_weight is 0); decode it with --method attention")
        encoded = self.encode(batch)
        return encoded.ctc_log_probs, encoded.lengths


def teacher(tokens: Tensor, token_lengths: Tensor, sos_eos: int) -> Tuple[Tensor, Tensor, Tensor]:
    """What the decoder is given in training, and what it is to say.

    Args:
        tokens: all texts' ids joined.
        token_lengths: ``(batch,)``.
        sos_eos: the mark of begin and end.

    Returns:
        ``(batch, most tokens + 1)``: the mark, then the text; its lengths ``(batch,)``; and the text, then the mark.
        Beyond the lengths both hold the mark.
    """
    texts = pad_tokens(tokens, token_lengths)
    mark = torch.full_like(token_lengths[:, None], sos_eos)
    texts = texts.masked_fill(~length_mask(token_lengths, texts.shape[1]), sos_eos)
    return torch.cat([mark, texts], dim=1), token_lengths + 1, torch.cat([texts, mark], dim=1)
