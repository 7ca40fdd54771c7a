"""Landmarks and a second stream in one network: joined early, late, or through a gate.

The stream is the part ``extra`` of the feature vector, its last feature whether it was found
(``asl.data.stream``). An encoder that knows nothing of it takes it as one more part: that is ``early``.
"""

from typing import Callable, Dict, List, Literal, Tuple

import torch
from torch import Tensor, nn

from asl.common.errors import AslError
from asl.models.encoder import Encoder
from asl.models.masking import MaskedBatchNorm, average_frames, length_mask

EXTRA = "extra"


class StreamProjection(nn.Module):
    """Normalise a stream's numbers one by one, whatever their scale, then a linear map and SiLU.

    Shape: ``(batch, frames, width)``, mask ``(batch, frames)`` -> ``(batch, frames, dim)``; 0 where the last
    of ``width``, found, is 0, and beyond the mask.
    """

    def __init__(self, width: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = MaskedBatchNorm(width - 1, eps=1e-7)  # numbers of a vector of length 1 are small
        self.map = nn.Sequential(nn.Linear(width - 1, dim), nn.SiLU(), nn.Dropout(dropout))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        vectors, found = x[..., :-1], x[..., -1:]
        return self.map(self.norm(vectors, mask)) * found * mask[..., None].to(x.dtype)


class FusedEncoder(Encoder):
    """An encoder of the landmarks, and a second stream (``data.extra``) that joins it.

    ``early``: the encoder's front-end takes the stream as a part of its own. ``late``: the stream, projected
    to ``dim`` channels and averaged to the encoder's frames, stands beside the encoder's output. ``gated``: it
    is projected to the encoder's channels and added, each channel through a sigmoid of both (after the gated
    multimodal unit, Arevalo et al. 2017), so that what says nothing can be shut out. Where the stream is
    missing nothing is added.

    Args:
        feature_parts: ordered widths of the feature vector's parts; one is ``extra``.
        encoder: of the landmarks.
        fusion: how the stream joins.
        dim: channels of the stream beside the encoder's (``late`` only).
        dropout: on the projected stream (not ``early``: there the front-end has its own).

    Raises:
        AslError: the data have no second stream.
    """

    def __init__(
        self,
        feature_parts: Dict[str, int],
        encoder: Callable[[Dict[str, int]], Encoder],
        fusion: Literal["early", "late", "gated"] = "gated",
        dim: int = 64,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if EXTRA not in feature_parts:
            raise AslError(
                "encoder FusedEncoder: the data have no second stream; give data.extra its dir and dim, or "
                "take the encoder inside alone"
            )
        self.fusion, self.widths = fusion, dict(feature_parts)
        landmarks = {name: width for name, width in feature_parts.items() if name != EXTRA}
        self.encoder = encoder(self.widths if fusion == "early" else landmarks)
        self.subsampling, self.output_dim = self.encoder.subsampling, self.encoder.output_dim
        width = feature_parts[EXTRA]
        if fusion == "late":
            self.stream = StreamProjection(width, dim, dropout)
            self.output_dim += dim
        elif fusion == "gated":
            self.stream = StreamProjection(width, self.output_dim, dropout)
            self.gate = nn.Linear(2 * self.output_dim, self.output_dim)

    @property
    def frontend(self) -> nn.Module:
        """The front-end of the encoder inside."""
        return self.encoder.frontend

    def layer_groups(self) -> List[List[nn.Module]]:
        """The layers of the encoder inside; what joins the stream comes last."""
        joining = [m for name, m in self.named_children() if name != "encoder"]
        return self.encoder.layer_groups() + ([joining] if joining else [])

    def forward(self, features: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor]:
        if self.fusion == "early":
            return self.encoder(features, lengths)
        pieces = dict(zip(self.widths, features.split(list(self.widths.values()), dim=-1)))
        stream = self.stream(pieces.pop(EXTRA), length_mask(lengths, features.shape[1]))
        if self.subsampling > 1:
            stream, _, _ = average_frames(stream, lengths, self.subsampling)
        x, lengths = self.encoder(torch.cat(list(pieces.values()), dim=-1), lengths)
        if self.fusion == "late":
            return torch.cat([x, stream.to(x.dtype)], dim=-1), lengths
        gate = torch.sigmoid(self.gate(torch.cat([x, stream.to(x.dtype)], dim=-1)))
        return x + gate * stream.to(x.dtype), lengths
