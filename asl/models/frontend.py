"""From the features of hands, body and face to one vector a frame."""

from typing import Callable, Dict

import torch
from torch import Tensor, nn

from asl.models.masking import MaskedBatchNorm


class PartFrontEnd(nn.Module):
    """A linear map for each part, the same one for both hands, joined by another.

    A left hand comes mirrored from the landmark pipeline, so what is learnt of a handshape on one hand serves
    the other, which halves what has to be learnt from few clips.

    Args:
        feature_parts: ordered widths of the parts; ``hand_left`` and ``hand_right`` share weights.
        part_dim: channels of each part.
        dim: channels of the output.
        dropout: on the parts' channels.

    Shape:
        ``(batch, frames, sum(widths))``, mask ``(batch, frames)`` -> ``(batch, frames, dim)``.
    """

    def __init__(self, feature_parts: Dict[str, int], part_dim: int, dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.widths = dict(feature_parts)
        names = {name: self._weights_of(name) for name in self.widths}
        self.parts = nn.ModuleDict(
            {weights: nn.Linear(self.widths[name], part_dim) for name, weights in names.items()}
        )
        self.norm = MaskedBatchNorm(part_dim * len(self.widths))
        self.dropout = nn.Dropout(dropout)
        self.join = nn.Linear(part_dim * len(self.widths), dim)

    @staticmethod
    def _weights_of(part: str) -> str:
        return "hand" if part in ("hand_left", "hand_right") else part

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        pieces = features.split(list(self.widths.values()), dim=-1)
        hidden = [self.parts[self._weights_of(name)](x) for name, x in zip(self.widths, pieces)]
        joined = torch.nn.functional.silu(self.norm(torch.cat(hidden, dim=-1), mask))
        return self.join(self.dropout(joined)) * mask[..., None].to(joined.dtype)


# (feature_parts, part_dim, dim, dropout) -> a front-end, as an encoder asks for one
FrontEndMaker = Callable[[Dict[str, int], int, int, float], PartFrontEnd]
