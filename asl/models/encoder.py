"""What every encoder promises."""

from typing import List, Optional, Tuple

from torch import Tensor, nn

from asl.models.streaming import EncoderStream, WindowStream


class Encoder(nn.Module):
    """Features of a clip -> one hidden vector a frame (or a few frames).

    Subclasses take ``feature_parts`` (ordered widths of the feature vector's parts, from
    ``LandmarkPipeline.feature_parts``) as their first argument and set ``output_dim`` and ``subsampling``.

    Attributes:
        output_dim: channels of the output.
        subsampling: input frames for one output frame.
        middle_dim: channels of what the layers before the last mixing of frames give; 0: it is not given.
        look_ahead: input frames behind the first of its own on which an output rests (in eval mode); None: the
            encoder sees the whole clip.
        history: input frames before the first of its own on which an output rests; None: all.
    """

    output_dim: int
    subsampling: int = 1
    middle_dim: int = 0
    look_ahead: Optional[int] = None
    history: Optional[int] = None

    def forward(self, features: Tensor, lengths: Tensor, middle: bool = False) -> Tuple[Tensor, ...]:
        """``(batch, frames, features)``, ``(batch,)`` -> ``(batch, frames', output_dim)``, ``(batch,)``.

        ``frames' = ceil(frames / subsampling)``; outputs beyond a sequence's length are 0. With ``middle``
        (only where ``middle_dim`` is not 0; others need not take it) ``(batch, frames', middle_dim)`` besides,
        for an auxiliary head.
        """
        raise TypeError(f"{type(self).__name__} must define forward()")

    def open_stream(self) -> EncoderStream:
        """Feed the encoder while frames come in; AslError where it sees the whole clip."""
        return WindowStream(self)

    def layer_groups(self) -> List[List[nn.Module]]:
        """The layers from the input to the output, for what goes by depth (freezing, smaller learning rates).

        In general the children in the order in which they were made, each member of a list of modules by
        itself. An encoder whose data take another way says so.
        """
        return [[layer] for child in self.children() for layer in _members(child) if list(layer.parameters())]


def _members(module: nn.Module) -> List[nn.Module]:
    if not isinstance(module, nn.ModuleList):
        return [module]
    return [layer for child in module for layer in _members(child)]
