"""Plain convolutions over time: the smallest encoder, for corpora of minutes.

A time-delay network (Waibel et al. 1989; Peddinti, Povey and Khudanpur 2015): each layer looks at more of the
surroundings than the one below. What it says of a frame rests on ``context`` frames about it and on nothing else,
so it cannot learn the sentences of a small corpus by heart, as recurrent and attending networks do.
"""

from typing import Dict, Optional, Sequence, Tuple

from torch import Tensor, nn
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models.encoder import Encoder
from asl.models.frontend import FrontEndMaker, PartFrontEnd
from asl.models.masking import MaskedBatchNorm, average_frames, length_mask


class Tdnn(Encoder):
    """Front-end, then convolutions with residual connections; frames are averaged after the first.

    Args:
        feature_parts: ordered widths of the feature vector's parts.
        dim: channels.
        part_dim: channels of each part in the front-end.
        kernels: frames (of the layer's own rate) that each layer sees; odd.
        dilations: steps between them.
        subsampling: frames averaged into one after the first layer.
        dropout: after each layer.
        frontend: class of the front-end; null: ``PartFrontEnd``.

    Attributes:
        context: input frames on either side that an output may depend on.

    Example:
        >>> encoder = Tdnn({"pose": 13}, dim=32, subsampling=2)
        >>> hidden, lengths = encoder(torch.rand(2, 50, 13), torch.tensor([50, 41]))
        >>> hidden.shape, lengths.tolist()
        (torch.Size([2, 25, 32]), [25, 21])
    """

    def __init__(
        self,
        feature_parts: Dict[str, int],
        dim: int = 128,
        part_dim: int = 64,
        kernels: Sequence[int] = (5, 5, 5),
        dilations: Sequence[int] = (1, 1, 2),
        subsampling: int = 2,
        dropout: float = 0.3,
        frontend: Optional[FrontEndMaker] = None,
    ) -> None:
        super().__init__()
        if len(kernels) != len(dilations) or not kernels or any(k < 1 or k % 2 == 0 for k in kernels):
            raise AslError(f"Tdnn: kernels {list(kernels)} and dilations {list(dilations)}; give as many odd kernels "
                           "as dilations, one of each at least")  # fmt: skip
        self.output_dim, self.middle_dim, self.subsampling = dim, dim, subsampling
        self.frontend = (frontend or PartFrontEnd)(feature_parts, part_dim, dim, dropout)
        self.layers = nn.ModuleList(
            nn.Conv1d(dim, dim, k, padding=k // 2 * d, dilation=d) for k, d in zip(kernels, dilations)
        )
        self.norms = nn.ModuleList(MaskedBatchNorm(dim) for _ in kernels)
        self.dropout = nn.Dropout(dropout)
        reach = [k // 2 * d for k, d in zip(kernels, dilations)]
        self.context = reach[0] + subsampling * sum(reach[1:]) + subsampling - 1
        self.look_ahead, self.history = self.context, self.context - (subsampling - 1)

    def forward(self, features: Tensor, lengths: Tensor, middle: bool = False) -> Tuple[Tensor, ...]:
        mask = length_mask(lengths, features.shape[1])
        x = self._layer(0, self.frontend(features, mask), mask)
        if self.subsampling > 1:
            x, lengths, mask = average_frames(x, lengths, self.subsampling)
        first = x
        for number in range(1, len(self.layers)):
            x = self._layer(number, x, mask)
        return (x, lengths, first) if middle else (x, lengths)

    def _layer(self, number: int, x: Tensor, mask: Tensor) -> Tensor:
        inside = mask[..., None].to(x.dtype)
        y = self.layers[number](x.transpose(1, 2)).transpose(1, 2)
        y = self.dropout(F.silu(self.norms[number](y, mask)))
        return (x + y) * inside
