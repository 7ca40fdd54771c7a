"""Attention and convolution in every layer: the Conformer (Gulati et al. 2020), torchaudio's.

torchaudio's layer hides padding from its attention alone: its depthwise convolution reads what stands beyond
a clip's end, and its batch normalisation counts it. Here both stop there (``_InsideConvolution``); the
attention, the feed-forward parts and the order of all are torchaudio's own.
"""

from typing import Any, Dict, Optional, Tuple

from torch import Tensor, nn

from asl.common.errors import AslError
from asl.models.depthwise import DepthwiseConv
from asl.models.encoder import Encoder
from asl.models.frontend import FrontEndMaker, PartFrontEnd
from asl.models.masking import MaskedBatchNorm, average_frames, length_mask
from asl.models.positions import sinusoidal_positions


class _InsideConvolution(nn.Module):
    """The convolution module of a torchaudio ``ConformerLayer``, kept inside the sequences.

    Set ``mask`` ``(batch, frames)`` before each call: torchaudio's layer hands none on.

    Shape: ``(batch, frames, dim)`` -> ``(batch, frames, dim)``.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        widen, glu, depthwise, norm, activation, narrow, dropout = module.sequential
        self.layer_norm, self.widen, self.glu = module.layer_norm, widen, glu
        # without torchaudio's bias, which the normalisation takes out again
        self.depthwise = DepthwiseConv(depthwise.out_channels, depthwise.kernel_size[0])
        self.norm = MaskedBatchNorm(norm.num_features)
        self.activation, self.narrow, self.dropout = activation, narrow, dropout
        self.mask: Optional[Tensor] = None

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask
        y = self.glu(self.widen(self.layer_norm(x).transpose(1, 2))).transpose(1, 2)
        y = self.depthwise(y * mask[..., None].to(y.dtype))
        y = self.activation(self.norm(y, mask))
        return self.dropout(self.narrow(y.transpose(1, 2))).transpose(1, 2)


class Conformer(Encoder):
    """Front-end, then Conformer layers. Needs torchaudio, which is imported when one is built.

    Args:
        feature_parts: ordered widths of the feature vector's parts.
        dim: channels.
        part_dim: channels of each part in the front-end.
        layers: Conformer layers.
        heads: attention heads.
        expand: widening inside the feed-forward parts.
        kernel: frames that a convolution sees (odd).
        subsampling: frames averaged into one before the first layer.
        dropout: in the front-end and the layers.
        frontend: class of the front-end; null: ``PartFrontEnd``.

    Raises:
        AslError: torchaudio is not installed or does not load, an even kernel, or heads that do not divide
            the channels.
    """

    def __init__(
        self,
        feature_parts: Dict[str, int],
        dim: int = 144,
        part_dim: int = 128,
        layers: int = 4,
        heads: int = 4,
        expand: int = 4,
        kernel: int = 17,
        subsampling: int = 1,
        dropout: float = 0.2,
        frontend: Optional[FrontEndMaker] = None,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise AslError(
                f"encoder: kernel={kernel} has no middle frame; give an odd number, as {kernel + 1}"
            )
        if dim % heads:
            raise AslError(
                f"encoder: dim={dim} cannot be shared by heads={heads}; give a multiple of {heads}"
            )
        self.output_dim, self.middle_dim, self.subsampling = dim, dim, subsampling
        self.frontend = (frontend or PartFrontEnd)(feature_parts, part_dim, dim, dropout)
        theirs = _torchaudio_conformer()
        self.layers = theirs(dim, heads, dim * expand, layers, kernel, dropout).conformer_layers
        for layer in self.layers:
            layer.conv_module = _InsideConvolution(layer.conv_module)

    def forward(self, features: Tensor, lengths: Tensor, middle: bool = False) -> Tuple[Tensor, ...]:
        mask = length_mask(lengths, features.shape[1])
        x = self.frontend(features, mask)
        if self.subsampling > 1:
            x, lengths, mask = average_frames(x, lengths, self.subsampling)
        x = x + sinusoidal_positions(x.shape[1], x.shape[2], x.device).to(x.dtype)
        x = x.transpose(0, 1)
        inside = mask[..., None].to(x.dtype)
        half = x
        for number, layer in enumerate(self.layers, 1):
            layer.conv_module.mask = mask
            x = layer(x, ~mask)
            layer.conv_module.mask = None
            if number == len(self.layers) // 2:
                half = x
        y = x.transpose(0, 1) * inside
        return (y, lengths, half.transpose(0, 1) * inside) if middle else (y, lengths)


def _torchaudio_conformer() -> Any:
    """torchaudio's class. A build for another torch fails while it is loaded, with an OSError."""
    try:
        from torchaudio.models import Conformer as theirs
    except (ImportError, OSError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise AslError(
            f"encoder Conformer is torchaudio's, which does not import here ({reason}): take the encoder "
            "ConvTransformer or BiLstm, or make the environment with tools/setup_env.sh --set 2, which has it"
        ) from None
    return theirs
