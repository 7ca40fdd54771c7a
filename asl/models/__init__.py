"""Networks: plain ``nn.Module``s, tensors in, tensors out.

Everything works on ``(batch, frames, channels)`` with ``(batch,)`` lengths; padding never changes what is
computed for the frames inside (a test holds this for every encoder).
"""

from asl.models.bilstm import BiLstm
from asl.models.causal_transformer import CausalTransformer
from asl.models.conformer import Conformer
from asl.models.conv_transformer import ConvTransformer
from asl.models.encoder import Encoder
from asl.models.graph_conv import GraphFrontEnd
from asl.models.heads import CtcHead, SignClassifier
from asl.models.tdnn import Tdnn
from asl.models.text_decoder import TextDecoder
from asl.models.transformer import TransformerEncoder

__all__ = [
    "BiLstm", "CausalTransformer", "Conformer", "ConvTransformer", "CtcHead", "Encoder", "GraphFrontEnd", "SignClassifier",
    "Tdnn", "TextDecoder", "TransformerEncoder",
]  # fmt: skip
