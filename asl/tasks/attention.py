"""Decoding with a text decoder: attention, and attention-rescoring of what CTC finds."""

from collections import Counter
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import torch
from torch import Tensor

from asl.common.errors import AslError
from asl.decoding.attention import BeamOptions, Part, beam_search
from asl.decoding.attention_rescoring import rescore_ctc
from asl.decoding.ctc_prefix import CtcPrefixScorer
from asl.decoding.fusion import NeuralFusion, NGramFusion
from asl.decoding.hypothesis import Hypothesis
from asl.lang.arpa import NGram
from asl.lang.tokens import TokenTable
from asl.tasks.decode_options import GRAPH_ONLY
from asl.tasks.networks import ATTENTION, Networks
from asl.tasks.posteriors import Member
from asl.tasks.searches import Method
from asl.tasks.word_lm import NeuralLM, load_lm

CTC_WEIGHT = {"attention": 0.0, "attention-rescoring": 0.5}
BEAM_SIZE = {"attention": 5, "attention-rescoring": 16}
LM_SCALE = 0.3


class AttentionSetting(NamedTuple):
    """What ``asl decode`` is told about it; None where it says nothing. See there."""

    nbest: Optional[int] = None
    beam_size: Optional[int] = None
    length_penalty: Optional[float] = None
    ctc_weight: Optional[float] = None
    max_length: Optional[float] = None
    no_repeat: Optional[int] = None
    lm: Optional[str] = None
    lm_scale: Optional[float] = None


def refuse_foreign_options(method: str, given: Mapping[str, Any]) -> None:
    """Raise AslError where an option was given that ``method`` has no use for; names it.

    Args:
        method: of ``asl decode``, not ``auto``.
        given: names and values of its options. What is about graphs alone is ``refuse_graph_options``' for the other
            methods, and looked at here for those of a text decoder.
    """
    decoders = method in ATTENTION
    if not decoders:
        _refuse(given, ("lm", "length_penalty", "ctc_weight", "max_length", "no_repeat"), method,
                "has no text decoder", "attention")  # fmt: skip
        if method != "beam":
            _refuse(given, ("beam_size",), method, "keeps no list of hypotheses", "beam or attention")
        return
    if method == "attention-rescoring":
        _refuse(given, ("max_length", "no_repeat"), method, "takes its texts from CTC", "attention")
    for name, default in GRAPH_ONLY.items():
        if name != "lm_scale" and given[name] != default:
            _refuse(given, (name,), method, "searches no graph", "graph")


def _refuse(given: Mapping[str, Any], names: Sequence[str], method: str, why: str, other: str) -> None:
    for name in names:
        if given[name] is not None:
            value = str(given[name]).lower() if isinstance(given[name], bool) else given[name]
            raise AslError(f"--{name.replace('_', '-')} {value}: method {method} {why}; leave it out, or use "
                           f"--method {other}")  # fmt: skip


class Encodings(NamedTuple):
    """Of a batch: ids, each network's memory and lengths, and CTC's log-probs, where they are asked for."""

    ids: List[str]
    memories: List[Tensor]
    lengths: List[Tensor]
    log_probs: Optional[Tensor]


def split_encodings(members: Sequence[Member], split: str, device: str, ctc: bool) -> Iterator[Encodings]:
    """What each member makes of the clips of a split, batch by batch; CTC's log-probs are averaged as elsewhere.

    Raises:
        AslError: CTC's outputs are asked for and a network has none, or of several they differ in length.
    """
    for together in zip(*(_encoded(member, split, device, ctc) for member in members)):
        ids, lengths = together[0][0], [encoded.lengths.cpu() for _, encoded in together]
        if any(other != ids for other, _ in together):
            raise AslError(f"{members[0].name} and the others read {split} in other batches; decode them one by one")
        log_probs = None
        if ctc:
            for member, other in zip(members, lengths):
                if not torch.equal(other, lengths[0]):
                    raise AslError(
                        f"{members[0].name} and {member.name} give clip {ids[0]} and others of its batch outputs of other "
                        "lengths, so that CTC's cannot be averaged frame by frame; leave --ctc-weight out, or decode one"
                    )
            rows = [encoded.ctc_log_probs.float().cpu() for _, encoded in together]
            log_probs = rows[0] if len(rows) == 1 else torch.stack(rows).mean(dim=0).log_softmax(dim=-1)
        yield Encodings(ids, [encoded.memory for _, encoded in together], lengths, log_probs)


def _encoded(member: Member, split: str, device: str, ctc: bool) -> Iterator[Any]:
    task = member.task.to(device)
    batches = iter(member.module.loader(split))
    while True:
        member.module.pipeline.view = member.view  # members that take turns may share it
        batch = next(batches, None)
        if batch is None:
            return
        task.check_features(batch["features"])
        encoded = task.encode({k: v.to(device) if isinstance(v, Tensor) else v for k, v in batch.items()})
        if ctc and encoded.ctc_log_probs is None:
            raise AslError(
                f"{member.name} has no CTC outputs (its task.init_args.ctc_weight is 0); leave --ctc-weight out, or "
                "train with one"
            )
        yield batch["ids"], encoded


class Attention(Method):
    """Beam search over the networks' text decoders; their log-probabilities are averaged in each step.

    ``counts`` has the clips whose best text was cut off at the longest length.
    """

    def __init__(self, given: AttentionSetting, networks: Networks, device: str, method: str = "attention") -> None:
        super().__init__()
        self.decoders = [member.task.decoder for member in networks.members]
        self.device, self.spelling = device, networks.spelling
        self.beam = beam_options(given, method)
        self.options = {
            "beam_size": self.beam.beam_size,
            "nbest": self.beam.nbest,
            "length_penalty": self.beam.length_penalty,
            "ctc_weight": self.beam.ctc_weight,
        }
        if method == "attention":
            self.options.update(max_length=self.beam.max_length, no_repeat=self.beam.no_repeat)
        self.lm, self.lm_scale = None, LM_SCALE if given.lm_scale is None else given.lm_scale
        if given.lm is not None:
            self._add_lm(given.lm, networks.tokens)
        elif given.lm_scale is not None:
            raise AslError(f"--lm-scale {given.lm_scale:g}: method {method} has no language model; give --lm PATH")
        self.cut_off: Counter = Counter()

    @property
    def needs_ctc(self) -> bool:
        """Whether CTC's outputs have a say."""
        return self.beam.ctc_weight > 0

    def _add_lm(self, path: str, tokens: TokenTable) -> None:
        if not 0 < self.lm_scale:
            raise AslError(f"--lm-scale {self.lm_scale:g}: give a number above 0, or leave --lm out")
        self.lm = fusion_of(path, tokens)
        if self.lm.unknown:
            print(f"warning: {path} does not know {len(self.lm.unknown)} of the {len(tokens) - 1} tokens, such as "
                  f"{self.lm.unknown[0]}")  # fmt: skip
        self.options.update(lm=path, lm_scale=self.lm_scale, lm_unknown_tokens=len(self.lm.unknown))

    def parts(self, batch: Encodings) -> List[Part]:
        """Decoders and language model at the begin of the texts of a batch."""
        weight = (1 - self.beam.ctc_weight) / len(self.decoders)
        given = zip(self.decoders, batch.memories, batch.lengths)
        parts = [
            Part(weight, decoder, decoder.start(memory, lengths.to(self.device)), self.device)
            for decoder, memory, lengths in given
        ]
        if self.lm is not None and self.lm_scale:
            parts.append(Part(self.lm_scale, self.lm, self.lm.start(len(batch.ids))))
        return parts

    def search(self, batch: Encodings, shift: Optional[List[float]]) -> list:
        ctc = CtcPrefixScorer(batch.log_probs, batch.lengths[0]) if self.needs_ctc else None
        sos_eos = self.decoders[0].sos_eos
        found = beam_search(self.parts(batch), sos_eos, batch.lengths[0], self.beam, ctc)
        self.cut_off["cut_off"] += sum(texts[0].cut for texts in found)
        self.counts = {"counts": dict(self.cut_off)}
        return self.hypotheses(found)

    def hypotheses(self, found: Sequence[Sequence[Any]]) -> List[List[Hypothesis]]:
        """Detokenised; of texts that are spelt alike the best stays."""
        return [
            self.spelling.different([Hypothesis(self.spelling.words(text.ids), text.score) for text in texts])
            for texts in found
        ]


class AttentionRescoring(Attention):
    """CTC's prefix beam search; what it found is scored again by the text decoders."""

    needs_ctc = True

    def __init__(self, given: AttentionSetting, networks: Networks, device: str) -> None:
        super().__init__(given, networks, device, "attention-rescoring")

    def search(self, batch: Encodings, shift: Optional[List[float]]) -> list:
        sos_eos, texts = self.decoders[0].sos_eos, self.beam.beam_size
        found = rescore_ctc(batch.log_probs, batch.lengths[0], self.parts(batch), sos_eos, self.beam, texts)
        return self.hypotheses(found)


def beam_options(given: AttentionSetting, method: str) -> BeamOptions:
    """What was said, and the defaults of the method where nothing was; ten texts are returned where the beam has them."""
    said: Dict[str, Any] = {
        name: getattr(given, name)
        for name in ("length_penalty", "max_length", "no_repeat")
        if getattr(given, name) is not None
    }
    size = BEAM_SIZE[method] if given.beam_size is None else given.beam_size
    nbest = min(10, size) if given.nbest is None else given.nbest
    weight = CTC_WEIGHT[method] if given.ctc_weight is None else given.ctc_weight
    return BeamOptions(size, nbest, ctc_weight=weight, **said)


def fusion_of(path: str, tokens: TokenTable) -> Any:
    """The language model at ``path`` as a scorer of tokens; AslError where it is a cache, or of other words."""
    lm = load_lm(path)
    try:
        if isinstance(lm, NGram):
            return NGramFusion(lm, tokens.units)
        if isinstance(lm, NeuralLM):
            return NeuralFusion(lm.network, lm.vocabulary.ids, tokens.units)
    except AslError as e:
        raise AslError(f"--lm {path}: {e}") from None
    raise AslError(f"--lm {path} is a cache, which remembers sentences, not pieces; give an .arpa file or the folder of "
                   "a neural model")
