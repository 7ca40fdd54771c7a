"""Sequences of signs without their times: connectionist temporal classification (Graves et al. 2006)."""

from typing import Any, Callable, Dict, List, Literal, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from asl.common.errors import AslError
from asl.data.text import frames_needed
from asl.models import CtcHead, Encoder
from asl.tasks.base import Batch, OptimizerConfig, SignTask
from asl.tasks.ctc_losses import (
    blank_excess,
    blank_share,
    ctc_loss,
    occupancy,
    pad_tokens,
    segment_hits,
    segment_losses,
    tags_of_outputs,
    token_means,
    uniform_divergence,
)
from asl.tasks.mixup import MixupConfig, TemporalMix, checked, draw_temporal_mix
from asl.tasks.part_dropout import checked_probability, drop_parts
from asl.tasks.phonology import PhonologyConfig, PhonologyLoss


class Outputs(NamedTuple):
    """What the network says of a batch: last hidden frames, log-probs, lengths, hidden frames of the middle."""

    hidden: Tensor
    log_probs: Tensor
    lengths: Tensor
    middle: Optional[Tensor]


class CtcTask(SignTask):
    """Encoder and a token (or blank) in every frame, trained by the sum over all alignments.

    The loss of an utterance is

        L = L_CTC + aux_weight L_aux + blank_weight L_blank + segment_weight L_seg + phonology.weight L_phon

    ``L_aux`` is the CTC loss of a second head on what the convolutions give, before the last layers mix the
    frames: it keeps them from leaving the work to those layers (Min et al. 2021, Visual alignment constraint
    for continuous sign language recognition). ``L_blank = max(0, b - blank_ratio)`` where ``b`` is the mean
    of the blank's posterior over the frames: what it has above the ratio is penalised, no more. ``L_seg`` is the
    cross-entropy of a tag for each frame (outside a sign, inside one, its begin), over frames whose tag the
    data know. ``L_phon`` is that of ``IsolatedTask`` for each token, its hidden vector being the mean of the
    frames weighted by the token's posterior given the text (CTC's own alignment). All are means over
    utterances. Validation's loss is CTC's alone.

    With label smoothing each CTC loss is ``(1 - label_smoothing) L + label_smoothing sum_t KL(uniform || p_t)``. With
    mixup a clip's features are blended with another clip's, stretched to its length, and each CTC loss is that of
    both texts, weighed by their shares (Meng et al. 2021, MixSpeech; the stretching is ours). A clip that has too few
    frames for its partner's text stays as it is.

    Args:
        encoder: the network below the head, made from ``feature_parts``. It has its own dropout.
        dropout: before the last layer.
        classifier: linear, or cosine (both vectors normalised, a learnt scale).
        aux_weight: of the auxiliary CTC loss; 0: no such head.
        aux_shared: both heads are one classifier (Hao, Min and Chen 2021, Self-mutual distillation learning
            for continuous sign language recognition, whose shared classifier is normalised too).
        blank_weight: of the blank's penalty.
        blank_ratio: share of the frames that the blank may have.
        segment_weight: of the tags' loss; needs ``data.segments``; 0: no such head.
        phonology: classifiers of phonological features; null: none.
        label_smoothing: share of a frame's target that is spread over all tokens and the blank.
        mixup: blend the sentences of a training batch in time; null: not.
        part_dropout: probability that a part of the feature vector (a hand, the face) is taken away from a whole
            training clip.
        feature_parts, vocab_size, optimizer: see ``SignTask``.
    """

    monitor = "ter"
    monitor_mode = "min"

    def __init__(
        self,
        encoder: Callable[[Dict[str, int]], Encoder],
        dropout: float = 0.2,
        classifier: Literal["linear", "cosine"] = "linear",
        aux_weight: float = 0.0,
        aux_shared: bool = False,
        blank_weight: float = 0.0,
        blank_ratio: float = 0.6,
        segment_weight: float = 0.0,
        phonology: Optional[PhonologyConfig] = None,
        label_smoothing: float = 0.0,
        mixup: Optional[MixupConfig] = None,
        part_dropout: float = 0.0,
        feature_parts: Optional[Dict[str, int]] = None,
        vocab_size: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        super().__init__(feature_parts, vocab_size, optimizer)
        self.encoder = encoder(self.feature_parts)
        dim = self.encoder.output_dim
        self.head = CtcHead(dim, vocab_size, dropout, classifier)
        self.aux_weight, self.blank_weight, self.segment_weight = aux_weight, blank_weight, segment_weight
        self.blank_ratio, self.label_smoothing = blank_ratio, label_smoothing
        self.mixup, self.part_dropout = checked(mixup), checked_probability(part_dropout)
        alone = {"segment_weight": segment_weight, "phonology": phonology}
        self._check(of_one_clip=[name for name, on in alone.items() if on])
        middle = self.encoder.middle_dim
        if aux_weight and aux_shared and middle != dim:
            raise AslError(
                f"task.init_args.aux_shared: the encoder has {dim} channels at its end and {middle} in its "
                "middle, which one classifier cannot serve; set it to false"
            )
        self.aux_norm = nn.LayerNorm(middle) if aux_weight else None
        self.aux_head = (
            CtcHead(middle, vocab_size, dropout, classifier) if aux_weight and not aux_shared else None
        )
        self.segment_head = nn.Linear(dim, 3) if segment_weight else None
        self.phonology = PhonologyLoss(phonology, dim, vocab_size) if phonology is not None else None

    def _check(self, of_one_clip: List[str]) -> None:
        for name in ("aux_weight", "blank_weight", "segment_weight"):
            if getattr(self, name) < 0:
                raise AslError(f"task.init_args.{name} is {getattr(self, name)}; give 0 (off) or more")
        if not 0 <= self.blank_ratio <= 1:
            raise AslError(f"task.init_args.blank_ratio is {self.blank_ratio}; give a share from 0 to 1")
        if not 0 <= self.label_smoothing < 1:
            raise AslError(f"task.init_args.label_smoothing is {self.label_smoothing}; give 0 (off) or a share below 1")
        if self.mixup is not None and of_one_clip:
            raise AslError(
                f"task.init_args.mixup blends sentences, and what {of_one_clip[0]} learns from is of one clip alone; "
                "set one of them to null or 0"
            )
        if self.mixup is not None and self.mixup.at != "input":
            raise AslError(
                f"task.init_args.mixup.at is {self.mixup.at}: a sentence has no pooled vector; set it to input"
            )
        if self.aux_weight and not self.encoder.middle_dim:
            raise AslError(
                f"task.init_args.aux_weight: {type(self.encoder).__name__} does not give the output of its "
                "middle layers; set it to 0, or take the encoder ConvTransformer, Conformer or BiLstm"
            )

    @property
    def subsampling(self) -> int:
        """Input frames for one output frame."""
        return self.encoder.subsampling

    def on_fit_start(self) -> None:
        if self.phonology is not None:
            self.phonology.read(self.trainer.datamodule.lang_dir)

    def forward(self, features: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor]:
        """``(batch, frames, features)`` -> log-probabilities ``(batch, frames', vocab_size)``, lengths."""
        hidden, lengths = self.encoder(features, lengths)
        return self.head(hidden), lengths

    def outputs(self, batch: Batch) -> Outputs:
        """Everything that the losses are made of."""
        given = batch["features"], batch["feature_lengths"]
        if self.aux_weight:
            hidden, lengths, middle = self.encoder(*given, middle=True)
            return Outputs(hidden, self.head(hidden), lengths, middle)
        hidden, lengths = self.encoder(*given)
        return Outputs(hidden, self.head(hidden), lengths, None)

    def training_loss(self, batch: Batch) -> Dict[str, Tensor]:
        batch, mix = self.regularised(batch)
        return self.losses(self.outputs(batch), batch, mix)

    def regularised(self, batch: Batch) -> Tuple[Batch, Optional[TemporalMix]]:
        """A training batch as the network sees it: without some parts, and blended as is told besides."""
        features, lengths = batch["features"], batch["feature_lengths"]
        features = drop_parts(features, self.feature_parts, self.part_dropout)
        mix = draw_temporal_mix(self.mixup, lambda p: self._fits(batch, p), len(lengths), features.device)
        if mix is not None:
            features = mix.blend(features, lengths)
        return {**batch, "features": features}, mix

    def _fits(self, batch: Batch, partner: Tensor) -> Tensor:
        """Whether each clip has frames enough for its partner's text."""
        texts = batch["tokens"].split(batch["token_lengths"].tolist())
        needed = torch.tensor([frames_needed(text.tolist()) for text in texts]).to(partner.device)
        return -(-batch["feature_lengths"] // self.subsampling) >= needed[partner]

    def losses(self, out: Outputs, batch: Batch, mix: Optional[TemporalMix] = None) -> Dict[str, Tensor]:
        """The parts of the loss, means over the batch, of what the network says of it."""
        parts = {"ctc": (1.0, self.text_losses(out.log_probs, out.lengths, batch, mix))}
        if self.aux_weight:
            aux = self.text_losses(self.aux_log_probs(out.middle), out.lengths, batch, mix)
            parts["aux"] = (self.aux_weight, aux)
        if self.blank_weight:
            parts["blank"] = (self.blank_weight, blank_excess(out.log_probs, out.lengths, self.blank_ratio))
        if self.segment_head is not None:
            parts["segment"] = (self.segment_weight, segment_losses(*self._tagged(out, batch)))
        if self.phonology is not None:
            logits, tokens = self._coded(out, batch)
            losses = self.phonology.losses(logits, tokens.flatten()).view_as(tokens).sum(dim=1)
            parts["phon"] = (self.phonology.config.weight, losses / batch["token_lengths"].clamp(min=1))
        means = {name: losses.mean() for name, (_, losses) in parts.items()}
        if len(means) == 1:
            return {"loss": means["ctc"]}
        return {"loss": sum(weight * means[name] for name, (weight, _) in parts.items()), **means}

    def text_losses(
        self, log_probs: Tensor, lengths: Tensor, batch: Batch, mix: Optional[TemporalMix] = None
    ) -> Tensor:
        """CTC of each utterance ``(batch,)``: blended as the batch is, and smoothed."""
        losses = ctc_loss(log_probs, lengths, batch["tokens"], batch["token_lengths"])
        if mix is not None:
            texts = batch["tokens"].split(batch["token_lengths"].tolist())
            tokens = torch.cat([texts[i] for i in mix.partner.tolist()])
            partners = ctc_loss(log_probs, lengths, tokens, batch["token_lengths"][mix.partner])
            losses = mix.blend_losses(losses, partners)
        if self.label_smoothing:
            smooth = uniform_divergence(log_probs, lengths)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * smooth
        return losses

    def aux_log_probs(self, middle: Tensor) -> Tensor:
        """The auxiliary head's log-probabilities ``(batch, frames', vocab_size)``."""
        return (self.aux_head or self.head)(self.aux_norm(middle))

    def _tagged(self, out: Outputs, batch: Batch) -> Tuple[Tensor, Tensor]:
        """Logits and tags of the output frames."""
        if "segments" not in batch:
            raise AslError("task.init_args.segment_weight needs frames with tags; set data.segments to true")
        tags = tags_of_outputs(batch["segments"], self.subsampling, out.hidden.shape[1])
        return self.segment_head(out.hidden), tags

    def _coded(self, out: Outputs, batch: Batch) -> Tuple[Any, Tensor]:
        """Logits of the phonological features for each token, and the tokens ``(batch, most tokens)``."""
        occupied = occupancy(out.log_probs, out.lengths, batch["tokens"], batch["token_lengths"])
        tokens = pad_tokens(batch["tokens"], batch["token_lengths"])
        means = token_means(out.hidden, occupied, tokens)
        return self.phonology.heads(means.flatten(0, 1)), tokens

    def validation_metrics(self, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        return self.metrics(self.outputs(batch), batch)

    def metrics(self, out: Outputs, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        """Sums and counts of what validation measures in the network's outputs."""
        from kaldialign import edit_distance

        log_probs, lengths = out.log_probs, out.lengths
        text = (lengths, batch["tokens"], batch["token_lengths"])
        losses = ctc_loss(log_probs, *text)
        references = [t.tolist() for t in batch["tokens"].split(batch["token_lengths"].tolist())]
        guesses = [best_tokens(p[:n]) for p, n in zip(log_probs, lengths.tolist())]
        errors = sum(edit_distance(r, g)["total"] for r, g in zip(references, guesses))
        n = len(losses)
        metrics: Dict[str, Tuple[Any, Any]] = {
            "loss": (losses.sum(), n),
            "ter": (errors, sum(map(len, references))),
            "blank": (blank_share(log_probs, lengths).sum(), n),
        }
        if self.aux_weight:
            metrics["aux_loss"] = (ctc_loss(self.aux_log_probs(out.middle), *text).sum(), n)
        if self.segment_head is not None:
            metrics["segment"] = segment_hits(*self._tagged(out, batch))
        if self.phonology is not None:
            logits, tokens = self._coded(out, batch)
            metrics.update(self.phonology.metrics(logits, tokens.flatten()))
        return metrics

    def log_probs(self, batch: Batch) -> Tuple[Tensor, Tensor]:
        return self(batch["features"], batch["feature_lengths"])


def best_tokens(log_probs: Tensor) -> list:
    """Tokens of the best path of one utterance ``(frames, vocab_size)``: repeats merged, blanks dropped."""
    return [t for t in torch.unique_consecutive(log_probs.argmax(dim=-1)).tolist() if t != 0]
