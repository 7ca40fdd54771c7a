"""Pre-training without labels: what the hidden frames of a clip are, and which frames belong together.

Spans of frames are hidden behind the front-end, and the network is asked which codes of handshape, location,
movement and orientation stand there (HuBERT, Hsu et al. 2021; SHuBERT, Gueuwou et al. 2024). Frames that are
near in time are drawn together, far ones and other clips' pushed apart (van den Oord et al. 2018, InfoNCE).
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.common.processes import summed
from asl.common.seeds import derive_seed
from asl.landmarks.descriptors import DESCRIPTORS, MOVEMENT_LAGS
from asl.models import Encoder
from asl.models.contrast import near_pairs, temporal_contrast
from asl.models.masking import hide_frames, length_mask, span_mask
from asl.models.quantizer import ProductQuantizer, diversity_loss, perplexity
from asl.tasks.base import Batch, OptimizerConfig, SignTask

HANDS = 2


@dataclass(frozen=True)
class CodebookSizes:
    """Codes of each codebook.

    Args:
        handshape: of the fingers in the palm's frame.
        location: of the hand's place.
        movement: of its differences.
        orientation: of the palm's normal and the direction in which the hand points.
        decay: weight of the past in the running means that are the codes.
    """

    handshape: int = 64
    location: int = 48
    movement: int = 32
    orientation: int = 48
    decay: float = 0.99

    @property
    def sizes(self) -> Dict[str, int]:
        return {name: asdict(self)[name] for name in DESCRIPTORS}


@dataclass(frozen=True)
class MaskConfig:
    """Which frames are hidden.

    Args:
        share: of the frames that spans are drawn for; somewhat less is hidden, as spans overlap.
        span: frames of a span. More than twice the longest lag of the movement descriptor, so that no hidden
            movement lies between two frames that are seen.
        guard: last frames of a span that are hidden but not asked for: the differences in the features of the
            frame behind the span would give them away. At least the pipeline's longest lag.
    """

    share: float = 0.5
    span: int = 10
    guard: int = 1

    def __post_init__(self) -> None:
        least = 2 * max(MOVEMENT_LAGS) + 1
        if not 0 < self.share <= 1:
            raise AslError(f"task.init_args.mask.share is {self.share}; give more than 0, for example 0.5")
        if self.span < least or not 0 <= self.guard < self.span:
            raise AslError(
                f"task.init_args.mask has span {self.span} and guard {self.guard}; give a span of at least "
                f"{least} (movement is measured over {least - 1} frames) and a guard below it"
            )


@dataclass(frozen=True)
class CoherenceConfig:
    """Which frames are drawn together, which pushed apart; in frames of the encoder's output.

    Args:
        anchors: frames of each clip that are compared.
        near: a frame at most so far away is alike.
        far: a frame of the same clip at least so far away is not.
        temperature: by which similarities are divided.
        dim: channels in which they are compared.
    """

    anchors: int = 6
    near: int = 2
    far: int = 12
    temperature: float = 0.1
    dim: int = 128

    def __post_init__(self) -> None:
        if self.anchors < 1 or not 1 <= self.near < self.far or self.temperature <= 0:
            raise AslError(
                f"task.init_args.coherence has anchors {self.anchors}, near {self.near}, far {self.far} and "
                f"temperature {self.temperature}; give 1 or more, near below far, and a number above 0"
            )


class PretrainHead(nn.Module):
    """All that pre-training needs beside the encoder, and fine-tuning leaves behind.

    Args:
        dim: channels of the encoder's output (and of its front-end's).
        sizes: codes of each codebook.
        compared: channels in which frames are compared; 0: they are not.
    """

    def __init__(self, dim: int, sizes: CodebookSizes, compared: int) -> None:
        super().__init__()
        self.quantizer = ProductQuantizer(DESCRIPTORS, sizes.sizes, sizes.decay)
        self.hidden_frame = nn.Parameter(0.02 * torch.randn(dim))
        self.predict = nn.ModuleDict({n: nn.Linear(dim, HANDS * size) for n, size in sizes.sizes.items()})
        self.compare = nn.Linear(dim, compared) if compared else None


class PretrainTask(SignTask):
    """An encoder learns from landmarks alone; batches need ``data.pipeline.descriptors``.

    Another task takes the encoder with ``--init-from EXP --init-only encoder``. Where several processes share
    a batch the codebooks learn from all of it; frames are compared with those of the same process.

    Args:
        encoder: the network that is wanted, made from ``feature_parts``; it must have a ``frontend``, as all
            of ``asl.models`` have.
        codes: sizes of the codebooks.
        mask: which frames are hidden.
        coherence: which frames are compared.
        prediction_weight: of the prediction of hidden codes; 0: not computed.
        coherence_weight: of the comparison of frames; 0: not computed.
        diversity_weight: of the penalty on predictions that are the same everywhere; 0: not computed.
        feature_parts, optimizer: see ``SignTask``.
        vocab_size: not used; there are no labels.
    """

    needs_vocabulary = False
    compiled_parts = ()  # the compiler would not see that other frames are hidden in every step

    def __init__(
        self,
        encoder: Callable[[Dict[str, int]], Encoder],
        codes: CodebookSizes = CodebookSizes(),
        mask: MaskConfig = MaskConfig(),
        coherence: CoherenceConfig = CoherenceConfig(),
        prediction_weight: float = 1.0,
        coherence_weight: float = 0.3,
        diversity_weight: float = 0.1,
        feature_parts: Optional[Dict[str, int]] = None,
        vocab_size: int = 0,
        optimizer: OptimizerConfig = OptimizerConfig(),
    ) -> None:
        super().__init__(feature_parts, vocab_size, optimizer)
        weights = (prediction_weight, coherence_weight, diversity_weight)
        if min(weights) < 0 or not prediction_weight + coherence_weight:
            raise AslError(
                f"task.init_args: prediction_weight, coherence_weight and diversity_weight are {weights}; "
                "give 0 (off) or more, and one of the first two above 0"
            )
        self.encoder = encoder(self.feature_parts)
        self.head = PretrainHead(self.encoder.output_dim, codes, coherence.dim if coherence_weight else 0)
        self.mask, self.coherence = mask, coherence
        self.prediction_weight, self.coherence_weight = prediction_weight, coherence_weight
        self.diversity_weight = diversity_weight
        self._seen: Dict[str, Tensor] = {}

    def on_fit_start(self) -> None:
        lags = getattr(getattr(self.trainer.datamodule, "pipeline", None), "lags", [])
        if lags and max(lags) > self.mask.guard:
            raise AslError(
                f"data.pipeline.lags has {max(lags)}, but task.init_args.mask.guard is {self.mask.guard}: "
                f"the differences would give hidden frames away; set the guard to {max(lags)}"
            )

    def training_loss(self, batch: Batch) -> Dict[str, Tensor]:
        described = _descriptors(batch)
        self.head.quantizer.update(*described)  # also where no code is predicted: asl probe reads them
        uniforms = torch.rand(len(batch["features"]), self._draws(batch)).to(batch["features"].device)
        return self._losses(batch, uniforms, described)[0]

    def validation_metrics(self, batch: Batch) -> Dict[str, Tuple[Any, Any]]:
        described = _descriptors(batch)
        losses, found = self._losses(batch, self._fixed_uniforms(batch), described)
        n = len(batch["features"])
        metrics = {name: (value * n, n) for name, value in losses.items()}
        for name, (codes, right, targets) in found.items():
            metrics[f"accuracy/{name}"] = (right.sum(), right.numel())
            for key, values in ((f"codes/{name}", codes), (f"targets/{name}", targets)):
                self._seen[key] += torch.bincount(values, minlength=len(self._seen[key]))
        return metrics

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        books = self.head.quantizer.books.items() if self.prediction_weight else ()
        self._seen = {
            f"{what}/{name}": torch.zeros(book.size, dtype=torch.int64, device=self.device)
            for name, book in books
            for what in ("codes", "targets")
        }

    def on_validation_epoch_end(self) -> None:
        """Add what can be said of whole histograms only.

        ``perplexity/NAME`` (codes in even use), ``use/NAME`` (share of the codes that occur at all) and
        ``unigram/NAME`` (accuracy of always guessing the commonest code of the hidden frames).
        """
        super().on_validation_epoch_end()
        for key in sorted(self._seen):
            counts = summed(self._seen[key]).cpu()
            what, name = key.split("/")
            shares = counts.double() / counts.sum().clamp(min=1)
            if what == "targets":
                self.val_metrics[f"unigram/{name}"] = float(shares.max())
            else:
                self.val_metrics[f"perplexity/{name}"] = float(perplexity(shares))
                self.val_metrics[f"use/{name}"] = float((counts > 0).double().mean())

    def log_probs(self, batch: Batch) -> Tuple[Tensor, Tensor]:
        """Raise AslError: what is pre-trained knows no sign yet."""
        raise AslError(
            "a pre-trained network knows no signs and cannot be decoded; train one from it with --init-from"
        )

    def _draws(self, batch: Batch) -> int:
        """How many uniform numbers a clip of this batch needs."""
        spans = math.ceil(self.mask.share * batch["features"].shape[1] / self.mask.span) + 1
        return spans + 1 + 2 * self.coherence.anchors

    def _fixed_uniforms(self, batch: Batch) -> Tensor:
        """The same numbers for a clip in every validation, whatever batch it stands in."""
        rows: List[Tensor] = []
        for clip in batch["ids"]:
            generator = torch.Generator().manual_seed(derive_seed("pretrain", clip))
            rows.append(torch.rand(self._draws(batch), generator=generator))
        return torch.stack(rows).to(batch["features"].device)

    def _losses(self, batch, uniforms, described):
        """The parts of the loss; for each codebook the codes that were met, the hits and the hidden codes."""
        features, lengths = batch["features"], batch["feature_lengths"]
        config, anchors = self.mask, self.coherence.anchors
        draws, moments = uniforms[:, : -2 * anchors], uniforms[:, -2 * anchors :]
        hidden, asked = span_mask(lengths, features.shape[1], config.share, config.span, config.guard, draws)
        if not self.prediction_weight:
            hidden = asked = torch.zeros_like(hidden)
        with hide_frames(self.encoder, hidden, self.head.hidden_frame):
            output, out_lengths = self.encoder(features, lengths)
        losses: Dict[str, Tensor] = {}
        found: Dict[str, Tuple[Tensor, Tensor, Tensor]] = {}
        total = output.new_zeros(())
        if self.prediction_weight:
            predicted, found = self._predict(output, asked, *described)
            losses["prediction"] = sum(predicted["loss"]) / len(DESCRIPTORS)
            total = total + self.prediction_weight * losses["prediction"]
            if self.diversity_weight:
                losses["diversity"] = sum(predicted["diversity"]) / len(DESCRIPTORS)
                total = total + self.diversity_weight * losses["diversity"]
            hits = torch.cat([right for _, right, _ in found.values()])
            losses["accuracy"] = hits.float().mean() if len(hits) else output.new_zeros(())
        if self.coherence_weight:
            at, near = near_pairs(out_lengths, anchors, self.coherence.near, moments)
            compared, far = self.head.compare(output), self.coherence.far
            losses["coherence"] = temporal_contrast(compared, at, near, far, self.coherence.temperature)
            total = total + self.coherence_weight * losses["coherence"]
        return {"loss": total, **losses}, found

    def _predict(self, output, asked, descriptors, known):
        """Cross-entropy of the codes of the frames that are asked for, a codebook at a time."""
        asked = _all_of(asked, self.encoder.subsampling)
        codes = _middle_of(self.head.quantizer(descriptors), self.encoder.subsampling)
        known = _middle_of(known, self.encoder.subsampling)
        rows = output[asked]
        parts: Dict[str, List[Tensor]] = {"loss": [], "diversity": []}
        found = {}
        for i, (name, layer) in enumerate(self.head.predict.items()):
            said = known[asked][..., i]  # (rows, hands)
            scores = layer(rows).float().view(len(rows), HANDS, -1)[said].log_softmax(dim=-1)
            target = codes[asked][..., i][said]
            if len(target):
                parts["loss"].append(F.nll_loss(scores, target))
                if self.diversity_weight:
                    parts["diversity"].append(diversity_loss(scores))
            else:  # keep the layer in the graph: every process has the same gradients to share
                parts["loss"].append(scores.sum() + 0 * layer.weight.sum())
                parts["diversity"].append(scores.sum())
            met = codes[..., i][known[..., i]]
            found[name] = (met, scores.argmax(dim=-1) == target, target)
        return parts, found


def _descriptors(batch: Batch) -> Tuple[Tensor, Tensor]:
    if "descriptors" not in batch:
        raise AslError("pre-training needs descriptors of the hands: set data.pipeline.descriptors to true")
    return batch["descriptors"], batch["descriptors_known"]


def _grouped(x: Tensor, by: int) -> Tensor:
    """``(batch, frames, ...)`` -> ``(batch, ceil(frames / by), by, ...)``, the last frame repeated."""
    pad = (-x.shape[1]) % by
    x = torch.cat([x, x[:, -1:].expand(-1, pad, *x.shape[2:])], dim=1) if pad else x
    return x.view(x.shape[0], -1, by, *x.shape[2:])


def _all_of(mask: Tensor, by: int) -> Tensor:
    return mask if by == 1 else _grouped(mask, by).all(dim=2)


def _middle_of(x: Tensor, by: int) -> Tensor:
    return x if by == 1 else _grouped(x, by)[:, :, by // 2]
