"""CTC with targets for each frame, where the words' times are known."""

from typing import Any, Callable, Dict

from torch import Tensor
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.data.segments import UNKNOWN
from asl.models import Encoder
from asl.tasks.base import Batch
from asl.tasks.ctc import CtcTask, Outputs


class AlignedCtcTask(CtcTask):
    """``CtcTask`` that is told besides which token each frame is, blank outside of words.

    The loss is ``ctc_weight L_CTC + frame_weight L_frame + ...``, ``L_frame`` being the cross-entropy of the CTC
    head's own output against the token of each frame (``data.alignments``), a mean over the frames. It takes the place
    of CTC's spikes by tokens that last as long as the signs: their scores then count in every frame, and a forced
    alignment gives extents. The classical framewise training of hybrid systems (Bourlard and Morgan 1994) with CTC's
    outputs and decoding.

    Args:
        encoder: see ``CtcTask``.
        frame_weight: of the framewise loss; needs ``data.alignments``.
        frame_smoothing: label smoothing of it.
        ctc_weight: of CTC's loss; 0: frames alone are learnt from.
        kwargs: as ``CtcTask``.
    """

    def __init__(
        self,
        encoder: Callable[[Dict[str, int]], Encoder],
        frame_weight: float = 1.0,
        frame_smoothing: float = 0.1,
        ctc_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, **kwargs)
        for name, value in (("frame_weight", frame_weight), ("ctc_weight", ctc_weight)):
            if value < 0:
                raise AslError(f"task.init_args.{name} is {value}; give 0 (off) or more")
        if not 0 <= frame_smoothing < 1:
            raise AslError(f"task.init_args.frame_smoothing is {frame_smoothing}; give a share from 0 to below 1")
        if self.mixup is not None:
            raise AslError("task.init_args.mixup blends sentences, which have no token of a frame; set it to null")
        self.frame_weight, self.frame_smoothing, self.ctc_weight = frame_weight, frame_smoothing, ctc_weight

    def losses(self, out: Outputs, batch: Batch, *mix: Any) -> Dict[str, Tensor]:
        parts = super().losses(out, batch, *mix)
        frame = batch_frame_loss(out, batch, self.subsampling, type(self).__name__, self.frame_smoothing)
        ctc = parts.get("ctc", parts["loss"])
        loss = parts["loss"] + (self.ctc_weight - 1) * ctc + self.frame_weight * frame
        return {**parts, "loss": loss, "ctc": ctc, "frame": frame}


def batch_frame_loss(out: Outputs, batch: Batch, subsampling: int, task: str, smoothing: float = 0.1) -> Tensor:
    """``frame_losses`` of a batch; AslError, which names ``task``, where no token of a frame is known."""
    if "frame_tokens" not in batch:
        raise AslError(f"{task} learns from the token of each frame; set data.alignments to a CTM")
    return frame_losses(out.log_probs, frame_targets(batch["frame_tokens"], subsampling), smoothing)


def frame_targets(tokens: Tensor, subsampling: int) -> Tensor:
    """Tokens of input frames ``(batch, frames)`` -> of output frames: that of the frame in the middle of each."""
    middle = tokens[:, subsampling // 2 :: subsampling]
    last = -(-tokens.shape[1] // subsampling)
    # the last output frame may be of fewer input frames than reach its middle
    return middle if middle.shape[1] == last else F.pad(middle, (0, last - middle.shape[1]), value=UNKNOWN)


def frame_losses(log_probs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy over the frames whose token is known; 0 where none is.

    Args:
        log_probs: ``(batch, frames, vocab_size)``, normalised.
        targets: ``(batch, frames)``, -1 where not known.
        smoothing: share of each target that is spread over all tokens.
    """
    known = targets != UNKNOWN
    if not bool(known.any()):
        return log_probs.sum() * 0.0
    return F.cross_entropy(log_probs[known], targets[known], label_smoothing=smoothing)
