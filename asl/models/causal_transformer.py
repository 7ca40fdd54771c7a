"""Convolutions and attention that see a limited stretch of a clip: the encoder for streams.

``ConvTransformer`` without what looks at the whole clip. Convolutions look a few frames ahead, and attention not at
all, a fixed way back (as Emformer's left context, Shi et al. 2021, without its chunks), so that the look-ahead is the
same for every frame and does not depend on how frames arrive. Channel attention, which pools over the clip, is left out.
Frames know how far others are by a learnt bias for each distance (Raffel et al. 2020, T5): a clip has no length that
would be too long.
"""

from typing import Dict, Optional, Sequence, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asl.common.errors import AslError
from asl.models.conv_transformer import DropPath, StagedEncoder, TransformerBlock, check_sizes
from asl.models.depthwise import DepthwiseConv
from asl.models.frontend import FrontEndMaker, PartFrontEnd
from asl.models.masking import MaskedBatchNorm, average_frames
from asl.models.streaming import EncoderStream

Kept = Tuple[Tensor, Tensor]


class AheadConvBlock(nn.Module):
    """Expand, depthwise convolution that looks ``ahead`` frames ahead, project; residual.

    Shape: ``(batch, frames, dim)``, mask ``(batch, frames)`` -> ``(batch, frames, dim)``.
    """

    def __init__(self, dim: int, kernel: int, ahead: int, expand: int, drop_path: float) -> None:
        super().__init__()
        self.half, self.ahead, self.behind = kernel // 2, ahead, kernel - 1 - ahead
        self.expand = nn.Linear(dim, dim * expand)
        self.depthwise = DepthwiseConv(dim * expand, kernel)
        self.norm = MaskedBatchNorm(dim * expand)
        self.project = nn.Linear(dim * expand, dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        inside = mask[..., None].to(x.dtype)
        y = F.silu(self.expand(x)) * inside
        # later by as much as the kernel's middle has to move
        y = self.depthwise(F.pad(y, (0, 0, self.half - self.ahead, 0)))[:, : x.shape[1]]
        y = self.project(F.silu(self.norm(y, mask)))
        return x + self.drop_path(y) * inside

    def begin(self, like: Tensor) -> Kept:
        """What is kept before the first frame: the convolution's past, and frames that wait for theirs to come."""
        return like.new_zeros(1, self.behind, self.expand.out_features), like.new_zeros(1, 0, self.expand.in_features)

    def step(self, x: Tensor, kept: Kept, last: bool) -> Tuple[Tensor, Kept]:
        """The next frames ``(1, frames, dim)`` -> those that are known by now, and what is kept."""
        past, waiting = kept
        end = x.new_zeros(1, self.ahead if last else 0, past.shape[2])
        y = torch.cat([past, F.silu(self.expand(x)), end], dim=1)
        x = torch.cat([waiting, x], dim=1)
        ready = y.shape[1] - self.behind - self.ahead
        if ready <= 0:
            return x[:, :0], (y, x)
        out = self.depthwise(y)[:, self.half : self.half + ready]
        out = x[:, :ready] + self.project(F.silu(self.norm(out, out.new_ones(1, ready, dtype=torch.bool))))
        return out, (y[:, ready:], x[:, ready:])


class BackwardBlock(TransformerBlock):
    """A transformer block that attends to its frame and the ``back`` ones before it, with a bias for each distance."""

    def __init__(self, dim: int, heads: int, back: int, expand: int, dropout: float, drop_path: float) -> None:
        super().__init__(dim, heads, expand, dropout, drop_path)
        self.back = back
        self.distance = nn.Parameter(torch.zeros(heads, back + 1))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        # padding lies behind the clip, where no frame inside looks
        inside = mask[..., None].to(x.dtype)
        y = self.norm_attention(x)
        x = x + self.drop_path(self._attend(y, y)) * inside
        return x + self.drop_path(self.feed(self.norm_feed(x))) * inside

    def step(self, x: Tensor, past: Tensor) -> Tuple[Tensor, Tensor]:
        """The next frames ``(1, frames, dim)`` -> the same, and the past of the frames after them."""
        if x.shape[1] == 0:
            return x, past
        y = self.norm_attention(x)
        keys = torch.cat([past, y], dim=1)
        x = x + self._attend(y, keys)
        return x + self.feed(self.norm_feed(x)), keys[:, max(0, keys.shape[1] - self.back) :]

    def _attend(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The queries are the last of the keys."""
        rows, count, total = len(queries), queries.shape[1], keys.shape[1]
        time = torch.arange(total, device=keys.device)
        distance = time[total - count :, None] - time[None, :]
        seen = (distance >= 0) & (distance <= self.back)
        bias = self.distance[:, distance.clamp(0, self.back)].masked_fill(~seen, float("-inf")).to(queries.dtype)
        out, _ = self.attention(queries, keys, keys, attn_mask=bias.repeat(rows, 1, 1), need_weights=False)
        return out


class CausalTransformer(StagedEncoder):
    """Stages of convolution blocks, each closed by a transformer block that looks back.

    Args:
        feature_parts: ordered widths of the feature vector's parts.
        dim: channels.
        part_dim: channels of each part in the front-end.
        blocks: convolution blocks a stage; there are as many stages as numbers in ``ahead``.
        kernel: frames that a convolution sees (odd).
        ahead: of these frames, how many lie ahead, in each stage; at most half of them.
        back: frames that attention looks back, at the subsampled rate.
        expand: widening inside the blocks.
        heads: attention heads.
        subsampling: frames averaged into one behind the first stage's convolutions.
        dropout: in the front-end and the transformer blocks.
        drop_path: probability that a residual branch is dropped.
        frontend: class of the front-end; null: ``PartFrontEnd``.

    Raises:
        AslError: an even kernel, more frames ahead than half a kernel, heads that do not divide the channels.

    Example:
        >>> encoder = CausalTransformer({"pose": 13}, dim=32, ahead=[3, 0], subsampling=4)
        >>> encoder.look_ahead  # 3 blocks of 3 frames, and the 3 others of the 4 that are averaged
        12
    """

    def __init__(
        self,
        feature_parts: Dict[str, int],
        dim: int = 192,
        part_dim: int = 128,
        blocks: int = 3,
        kernel: int = 17,
        ahead: Sequence[int] = (3, 0),
        back: int = 32,
        expand: int = 2,
        heads: int = 4,
        subsampling: int = 4,
        dropout: float = 0.2,
        drop_path: float = 0.2,
        frontend: Optional[FrontEndMaker] = None,
    ) -> None:
        super().__init__()
        check_sizes(dim, kernel, heads)
        if not ahead or any(not 0 <= frames <= kernel // 2 for frames in ahead) or back < 0:
            raise AslError(f"encoder: ahead={list(ahead)} and back={back}; give for each stage 0 to {kernel // 2} "
                           f"frames ahead (half of kernel={kernel}), and 0 or more back")  # fmt: skip
        self.output_dim, self.middle_dim, self.subsampling = dim, dim, subsampling
        self.frontend = (frontend or PartFrontEnd)(feature_parts, part_dim, dim, dropout)
        self.conv_stages = nn.ModuleList(
            nn.ModuleList(AheadConvBlock(dim, kernel, frames, expand, drop_path) for _ in range(blocks))
            for frames in ahead
        )
        self.transformers = nn.ModuleList(
            BackwardBlock(dim, heads, back, expand, dropout, drop_path) for _ in ahead
        )
        self.norm = nn.LayerNorm(dim)
        slow = subsampling * blocks
        self.look_ahead = blocks * ahead[0] + subsampling - 1 + slow * sum(ahead[1:])
        self.history = blocks * (kernel - 1 - ahead[0]) + subsampling * back * len(ahead)
        self.history += slow * sum(kernel - 1 - frames for frames in ahead[1:])

    def open_stream(self) -> "CausalStream":
        return CausalStream(self)


class CausalStream(EncoderStream):
    """Every frame goes through every layer once; kept is what later frames will look at."""

    def __init__(self, encoder: CausalTransformer) -> None:
        self.encoder = encoder
        self.reset()

    def reset(self) -> None:
        encoder = self.encoder
        like = encoder.norm.weight.detach()
        nothing = like.new_zeros(1, 0, encoder.output_dim)
        self._convolutions = [[block.begin(like) for block in blocks] for blocks in encoder.conv_stages]
        self._attention = [nothing for _ in encoder.transformers]
        self._waiting = nothing  # frames of which there are too few to be averaged

    @torch.no_grad()
    def accept(self, features: Tensor, last: bool = False) -> Tensor:
        encoder = self.encoder
        x = encoder.frontend(features[None], torch.ones(1, len(features), dtype=torch.bool, device=features.device))
        for i, (blocks, transformer) in enumerate(zip(encoder.conv_stages, encoder.transformers)):
            for j, block in enumerate(blocks):
                x, self._convolutions[i][j] = block.step(x, self._convolutions[i][j], last)
            if i == 0 and encoder.subsampling > 1:
                x = self._average(x, last)
            x, self._attention[i] = transformer.step(x, self._attention[i])
        if last:
            self.reset()
        return encoder.norm(x)[0]

    def _average(self, x: Tensor, last: bool) -> Tensor:
        x, by = torch.cat([self._waiting, x], dim=1), self.encoder.subsampling
        whole = x.shape[1] if last else x.shape[1] // by * by
        self._waiting = x[:, whole:]
        if whole == 0:
            return x[:, :0]
        return average_frames(x[:, :whole], torch.tensor([whole], device=x.device), by)[0]
