"""One-dimensional convolutions with transformer blocks between: the strongest small landmark encoder known.

After the network that won Google's 2023 isolated sign contest (H. Sohn): blocks of wide depthwise convolution
with efficient channel attention (Wang et al. 2020, ECA-Net), each stage closed by a transformer block. Here
the convolutions look both ways, the two hands share their front-end, and masks reach every normalisation.
"""

from typing import Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models.depthwise import DepthwiseConv
from asl.models.encoder import Encoder
from asl.models.frontend import FrontEndMaker, PartFrontEnd
from asl.models.masking import MaskedBatchNorm, average_frames, length_mask, masked_mean
from asl.models.positions import sinusoidal_positions


class DropPath(nn.Module):
    """Drop a residual branch for whole clips (Huang et al. 2016, stochastic depth)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.p
        return x * keep.to(x.dtype) / (1 - self.p)


class ConvBlock(nn.Module):
    """Expand, depthwise convolution over time, channel attention, project; residual.

    Shape: ``(batch, frames, dim)``, mask ``(batch, frames)`` -> ``(batch, frames, dim)``.
    """

    def __init__(self, dim: int, kernel: int, expand: int, drop_path: float) -> None:
        super().__init__()
        wide = dim * expand
        self.expand = nn.Linear(dim, wide)
        self.depthwise = DepthwiseConv(wide, kernel)
        self.norm = MaskedBatchNorm(wide)
        self.attend = nn.Conv1d(1, 1, 5, padding=2, bias=False)
        self.project = nn.Linear(wide, dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inside = mask[..., None].to(x.dtype)
        y = F.silu(self.expand(x)) * inside
        y = self.depthwise(y)
        y = self.norm(y, mask)
        weight = torch.sigmoid(self.attend(masked_mean(y, mask)[:, None]))  # (batch, 1, wide)
        y = self.project(y * weight)
        return x + self.drop_path(y) * inside


class TransformerBlock(nn.Module):
    """Self-attention and feed-forward, normalised before, residual.

    Shape: ``(batch, frames, dim)``, mask ``(batch, frames)`` -> ``(batch, frames, dim)``.
    """

    def __init__(self, dim: int, heads: int, expand: int, dropout: float, drop_path: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.norm_feed = nn.LayerNorm(dim)
        self.feed = nn.Sequential(
            nn.Linear(dim, dim * expand), nn.SiLU(), nn.Dropout(dropout), nn.Linear(dim * expand, dim)
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inside = mask[..., None].to(x.dtype)
        y = self.norm_attention(x)
        y, _ = self.attention(y, y, y, key_padding_mask=~mask, need_weights=False)
        x = x + self.drop_path(y) * inside
        return x + self.drop_path(self.feed(self.norm_feed(x))) * inside


class StagedEncoder(Encoder):
    """Stages of convolution blocks, each closed by a transformer block; a subclass makes the layers.

    Attributes:
        frontend, conv_stages (a list of blocks each), transformers, norm: the layers, from input to output.
    """

    def forward(self, features: Tensor, lengths: Tensor, middle: bool = False) -> Tuple[Tensor, ...]:
        mask = length_mask(lengths, features.shape[1])
        x = convolved = self.frontend(features, mask)
        for i, (blocks, transformer) in enumerate(zip(self.conv_stages, self.transformers)):
            for block in blocks:
                x = block(x, mask)
            if i == 0:
                if self.subsampling > 1:
                    x, lengths, mask = average_frames(x, lengths, self.subsampling)
                x = self.placed(x, mask)
            convolved = x  # of the last stage, for an auxiliary head
            x = transformer(x, mask)
        y = self.norm(x) * mask[..., None].to(x.dtype)
        return (y, lengths, convolved) if middle else (y, lengths)

    def placed(self, x: Tensor, mask: Tensor) -> Tensor:
        """The frames before the first transformer block, told where in the clip they are; here they are not."""
        return x

    def layer_groups(self) -> List[List[nn.Module]]:
        """Front-end; then block by block, a stage's transformer block behind its convolutions."""
        groups: List[List[nn.Module]] = [[self.frontend]]
        for blocks, transformer in zip(self.conv_stages, self.transformers):
            groups += [[layer] for layer in (*blocks, transformer)]
        groups[-1].append(self.norm)
        return groups


def check_sizes(dim: int, kernel: int, heads: int) -> None:
    """AslError: an even kernel, or heads that do not divide the channels."""
    if kernel % 2 == 0:
        raise AslError(
            f"encoder: kernel={kernel} has no middle frame; give an odd number, as {kernel + 1}"
        )
    if dim % heads:
        raise AslError(
            f"encoder: dim={dim} cannot be shared by heads={heads}; give a multiple of {heads}"
        )


class ConvTransformer(StagedEncoder):
    """Stages of convolution blocks, each closed by a transformer block.

    Args:
        feature_parts: ordered widths of the feature vector's parts.
        dim: channels.
        part_dim: channels of each part in the front-end.
        stages: number of stages.
        blocks: convolution blocks a stage.
        kernel: frames that a convolution sees (odd).
        expand: widening inside a convolution block.
        heads: attention heads.
        subsampling: frames averaged into one after the first stage.
        dropout: in the front-end and the transformer blocks.
        drop_path: probability that a residual branch is dropped.
        frontend: class of the front-end; null: ``PartFrontEnd``.

    Raises:
        AslError: an even kernel, or heads that do not divide the channels.
    """

    def __init__(
        self,
        feature_parts: Dict[str, int],
        dim: int = 192,
        part_dim: int = 128,
        stages: int = 2,
        blocks: int = 3,
        kernel: int = 17,
        expand: int = 2,
        heads: int = 4,
        subsampling: int = 1,
        dropout: float = 0.2,
        drop_path: float = 0.2,
        frontend: Optional[FrontEndMaker] = None,
    ) -> None:
        super().__init__()
        check_sizes(dim, kernel, heads)
        self.output_dim, self.middle_dim, self.subsampling = dim, dim, subsampling
        self.frontend = (frontend or PartFrontEnd)(feature_parts, part_dim, dim, dropout)
        self.conv_stages = nn.ModuleList(
            nn.ModuleList(ConvBlock(dim, kernel, expand, drop_path) for _ in range(blocks))
            for _ in range(stages)
        )
        self.transformers = nn.ModuleList(
            TransformerBlock(dim, heads, expand, dropout, drop_path) for _ in range(stages)
        )
        self.norm = nn.LayerNorm(dim)

    def placed(self, x: Tensor, mask: Tensor) -> Tensor:
        positions = sinusoidal_positions(x.shape[1], x.shape[2], x.device).to(x.dtype)
        return (x + positions) * mask[..., None].to(x.dtype)
