"""The baseline that is to be beaten: a bidirectional LSTM on the joined features (Graves et al. 2005)."""

from typing import Dict, Optional, Tuple

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asl.models.encoder import Encoder
from asl.models.frontend import FrontEndMaker, PartFrontEnd
from asl.models.masking import average_frames, length_mask


class BiLstm(Encoder):
    """Front-end, then LSTM layers that read the clip from both ends.

    Args:
        feature_parts: ordered widths of the feature vector's parts.
        hidden: cells in each direction.
        layers: LSTM layers.
        part_dim: channels of each part in the front-end.
        subsampling: frames averaged into one before the LSTM.
        dropout: in the front-end, between the layers and after the last.
        frontend: class of the front-end; null: ``PartFrontEnd``.
    """

    def __init__(
        self,
        feature_parts: Dict[str, int],
        hidden: int = 128,
        layers: int = 2,
        part_dim: int = 128,
        subsampling: int = 1,
        dropout: float = 0.3,
        frontend: Optional[FrontEndMaker] = None,
    ) -> None:
        super().__init__()
        self.output_dim, self.middle_dim, self.subsampling = 2 * hidden, 2 * hidden, subsampling
        self.frontend = (frontend or PartFrontEnd)(feature_parts, part_dim, 2 * hidden, dropout)
        self.lstm = nn.LSTM(
            2 * hidden,
            hidden,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor, lengths: Tensor, middle: bool = False) -> Tuple[Tensor, ...]:
        x = self.frontend(features, length_mask(lengths, features.shape[1]))
        if self.subsampling > 1:
            x, lengths, _ = average_frames(x, lengths, self.subsampling)
        packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
        y, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])
        return (self.dropout(y), lengths, x) if middle else (self.dropout(y), lengths)
