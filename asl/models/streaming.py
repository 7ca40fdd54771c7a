"""Encoders while the frames come in: the outputs for a whole clip, piece by piece.

An encoder that sees a limited stretch of a clip says how much (``look_ahead``, ``history``), and any such encoder can be
fed by computing that stretch again for every piece (``WindowStream``). One that keeps what its layers need does less.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from asl.common.errors import AslError


class EncoderStream(ABC):
    """Feeds an encoder, in eval mode, the features of one clip as they come."""

    @abstractmethod
    def reset(self) -> None:
        """Begin another clip."""

    @abstractmethod
    def accept(self, features: Tensor, last: bool = False) -> Tensor:
        """Take the next frames; return the outputs that no later frame can change.

        All pieces together are what ``encoder(features[None], lengths)`` gives for the whole clip.

        Args:
            features: ``(frames, features)``; may be no frames.
            last: the clip ends here.

        Returns:
            ``(frames', output_dim)``: outputs that follow those returned before.
        """


class WindowStream(EncoderStream):
    """Computes all the outputs that rest on a piece, from as many earlier frames as they need.

    Args:
        encoder: an ``Encoder`` with ``look_ahead`` and ``history``.

    Raises:
        AslError: the encoder must see the whole clip.
    """

    def __init__(self, encoder: Any) -> None:
        if encoder.look_ahead is None or encoder.history is None:
            raise AslError(
                f"the encoder {type(encoder).__name__} must see a whole clip, so it cannot be fed while frames come "
                "in; train with one that sees a limited stretch of it: CausalTransformer or Tdnn"
            )
        self.encoder = encoder
        self.reset()

    def reset(self) -> None:
        self._window: Any = None
        self._start, self._done = 0, 0  # first frame of the window, outputs given

    @torch.no_grad()
    def accept(self, features: Tensor, last: bool = False) -> Tensor:
        encoder, by = self.encoder, self.encoder.subsampling
        self._window = features if self._window is None else torch.cat([self._window, features])
        total, first = self._start + len(self._window), self._start // by
        ready = -(-total // by) if last else max(0, (total - 1 - encoder.look_ahead) // by + 1)
        out = features.new_zeros(0, encoder.output_dim)
        if ready > self._done:
            hidden, _ = encoder(self._window[None], torch.tensor([len(self._window)], device=features.device))
            out, self._done = hidden[0, self._done - first : ready - first], ready
        start = max(self._start, (self._done * by - encoder.history) // by * by)
        self._window, self._start = self._window[start - self._start :], start
        if last:
            self.reset()
        return out
