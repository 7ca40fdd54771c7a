"""The encoder of translation: fewer frames by convolution, then a plain transformer (Vaswani et al. 2017).

The temporal convolutions are those of continuous sign language recognition (K5-P2-K5-P2: kernel 5, pool 2, twice; Min
et al. 2021) or convolutions with a stride.
"""

from typing import Dict, List, Literal, Optional, Tuple

from torch import Tensor, nn
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models.attention import Attention, FeedForward
from asl.models.conv_transformer import DropPath
from asl.models.encoder import Encoder
from asl.models.frontend import FrontEndMaker, PartFrontEnd
from asl.models.masking import MaskedBatchNorm, length_mask
from asl.models.positions import sinusoidal_positions

Reduction = Literal["pool", "stride"]


class Halving(nn.Module):
    """A convolution over 5 frames and half as many frames: the larger of two neighbours, or every other one.

    Args:
        dim: channels.
        how: ``pool`` or ``stride``.

    Shape: ``(batch, frames, dim)``, lengths ``(batch,)`` -> ``(batch, ceil(frames / 2), dim)``, 0 beyond the ends,
    and ``ceil(lengths / 2)``.
    """

    def __init__(self, dim: int, how: Reduction) -> None:
        super().__init__()
        self.pool = how == "pool"
        self.convolve = nn.Conv1d(dim, dim, 5, stride=1 if self.pool else 2, padding=2)
        self.norm = MaskedBatchNorm(dim)

    def forward(self, x: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor]:
        y = self.convolve(x.transpose(1, 2)).transpose(1, 2)
        halved = (lengths + 1) // 2
        mask = length_mask(lengths if self.pool else halved, y.shape[1])
        y = F.silu(self.norm(y, mask))
        if self.pool:
            y = y.masked_fill(~mask[..., None], float("-inf"))  # padding is never the larger
            y = F.pad(y, (0, 0, 0, y.shape[1] % 2), value=float("-inf"))
            y = y.view(y.shape[0], -1, 2, y.shape[2]).amax(dim=2)
            mask = length_mask(halved, y.shape[1])
        return y.masked_fill(~mask[..., None], 0.0), halved


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, normalised before, residual.

    Args:
        dim: channels.
        heads: attention heads.
        feedforward: channels inside the feed-forward.
        dropout: of the attention's weights, in the feed-forward, and of both branches.
        drop_path: probability that a branch is dropped for a whole clip.

    Shape: ``(batch, frames, dim)``, mask ``(batch, frames)`` -> ``(batch, frames, dim)``.
    """

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.norm_attention, self.norm_feed = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, dropout)
        self.feed = FeedForward(dim, feedforward, dropout)
        self.dropout, self.drop_path = nn.Dropout(dropout), DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.norm_attention(x)
        y = self.attention(y, self.attention.keys_values(y), mask[:, None, None])
        x = x + self.drop_path(self.dropout(y))
        x = x + self.drop_path(self.dropout(self.feed(self.norm_feed(x))))
        return x * mask[..., None].to(x.dtype)


class TransformerEncoder(Encoder):
    """Front-end by parts, temporal subsampling, transformer layers.

    Args:
        feature_parts: ordered widths of the feature vector's parts.
        dim: channels.
        part_dim: channels of each part in the front-end.
        layers: transformer layers.
        heads: attention heads.
        feedforward: channels inside the feed-forwards.
        subsampling: frames for one output frame: 1, 2 or 4.
        reduction: how frames become fewer: ``pool`` (kernel 5, pool 2, each time) or ``stride`` (kernel 5, stride 2).
        dropout: in the front-end, of positions, weights and branches.
        drop_path: probability that a branch of the last layer is dropped for a whole clip (stochastic depth, Huang et
            al. 2016); lower layers have less, linearly.
        frontend: class of the front-end; null: ``PartFrontEnd``.

    Raises:
        AslError: another subsampling or reduction, or heads that do not divide the channels.
    """

    def __init__(
        self,
        feature_parts: Dict[str, int],
        dim: int = 256,
        part_dim: int = 128,
        layers: int = 2,
        heads: int = 4,
        feedforward: int = 1024,
        subsampling: int = 4,
        reduction: Reduction = "pool",
        dropout: float = 0.3,
        drop_path: float = 0.0,
        frontend: Optional[FrontEndMaker] = None,
    ) -> None:
        super().__init__()
        if subsampling not in (1, 2, 4):
            raise AslError(f"encoder: subsampling={subsampling}; frames are halved, so give 1, 2 or 4")
        if reduction not in ("pool", "stride"):
            raise AslError(f"encoder: reduction={reduction!r}; give pool or stride")
        if layers < 1:
            raise AslError(f"encoder: layers={layers}; give 1 or more")
        self.output_dim, self.middle_dim, self.subsampling = dim, dim, subsampling
        self.frontend = (frontend or PartFrontEnd)(feature_parts, part_dim, dim, dropout)
        self.halvings = nn.ModuleList(Halving(dim, reduction) for _ in range(subsampling // 2))
        depths = [drop_path * (i + 1) / layers for i in range(layers)]
        self.layers = nn.ModuleList(TransformerLayer(dim, heads, feedforward, dropout, p) for p in depths)
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(self, features: Tensor, lengths: Tensor, middle: bool = False) -> Tuple[Tensor, ...]:
        x = self.frontend(features, length_mask(lengths, features.shape[1]))
        for halving in self.halvings:
            x, lengths = halving(x, lengths)
        mask = length_mask(lengths, x.shape[1])
        inside, convolved = mask[..., None].to(x.dtype), x
        positions = sinusoidal_positions(x.shape[1], x.shape[2], x.device).to(x.dtype)
        x = self.dropout((x + positions) * inside)
        for layer in self.layers:
            x = layer(x, mask)
        y = self.norm(x) * inside
        return (y, lengths, convolved) if middle else (y, lengths)

    def layer_groups(self) -> List[List[nn.Module]]:
        """Front-end; each halving and each layer; the last norm belongs to the last layer."""
        groups: List[List[nn.Module]] = [[self.frontend], *([layer] for layer in (*self.halvings, *self.layers))]
        groups[-1].append(self.norm)
        return groups
