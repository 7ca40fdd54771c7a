"""The choices behind a word error rate: what the field does differently, each said beside the number."""

from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, List, Literal, Sequence

from asl.common.errors import AslError
from asl.common.glosses import RULES, clean_sentence, clean_words, merge_repeats
from asl.scoring.bleu import Setting
from asl.scoring.refs import Utterance, Words
from asl.scoring.wer import Costs

Cleanup = Literal["none", "phoenix2014", "phoenix2014-sentence"]
CleanupOf = Literal["hypotheses", "both"]
Repeats = Literal["keep", "hypotheses", "both"]
Case = Literal["keep", "fold"]
Missing = Literal["deletions", "error"]
_SENTENCE = "-sentence"


@dataclass(frozen=True)
class Choices:
    """What is done to the words before they are compared.

    Attributes:
        cleanup: rules of ``asl.common.glosses``. ``phoenix2014`` looks at each word by itself, as the owner's
            script does on a CTM; with ``-sentence`` the rules about neighbours (joining ``WIE AUSSEHEN`` and
            spelled letters, one of each repeated word of capitals) apply too, as on a line of words.
        cleanup_of: hypotheses, as the owner does it (its references are clean); or both, as those scripts do
            that clean lines: some of the references' words then go too.
        repeats: of words that follow themselves one is left: in the hypotheses, or in both; after clean-up.
        case: fold compares without regard to case, as sclite does unless it is told otherwise.
        missing: an utterance without a hypothesis is all deletions, or an error.
        costs: of the alignment; see ``asl.scoring.wer.align``.
    """

    cleanup: Cleanup = "none"
    cleanup_of: CleanupOf = "hypotheses"
    repeats: Repeats = "keep"
    case: Case = "keep"
    missing: Missing = "deletions"
    costs: Costs = "kaldi"

    def apply(self, utterances: Sequence[Utterance]) -> List[Utterance]:
        """The utterances with these choices made.

        Raises:
            AslError: utterances without a hypothesis where that is to be an error; names the first.
        """
        absent = [u.id for u in utterances if not u.readings]
        if absent and self.missing == "error":
            raise AslError(
                f"{len(absent)} of {len(utterances)} utterances have no hypothesis, '{absent[0]}' first; "
                "decode them, or count them as deleted with --missing deletions"
            )
        reference, hypothesis = self._change("references"), self._change("hypotheses")
        return [
            Utterance(u.id, reference(u.reference), tuple(dict.fromkeys(map(hypothesis, u.readings))))
            for u in utterances
        ]

    def _change(self, side: str) -> Callable[[Words], Words]:
        """What is done to the words of one side."""
        steps: List[Callable[[Sequence[str]], Sequence[str]]] = []
        if self.cleanup != "none" and (side == "hypotheses" or self.cleanup_of == "both"):
            name = self.cleanup[: -len(_SENTENCE)] if self.cleanup.endswith(_SENTENCE) else self.cleanup
            clean = clean_sentence if self.cleanup.endswith(_SENTENCE) else clean_words
            rules = RULES[name]
            steps.append(lambda words: clean(words, rules))
        if self.repeats == "both" or self.repeats == side:
            steps.append(merge_repeats)
        if self.case == "fold":
            steps.append(lambda words: [word.casefold() for word in words])

        def change(words: Words) -> Words:
            for step in steps:
                words = tuple(step(words))
            return words

        return change

    def as_dict(self) -> Dict[str, Any]:
        """As ``result.json`` keeps them."""
        return asdict(self)

    def text(self) -> str:
        """All of them in one line, to be printed with the number."""
        return (
            f"clean-up {self.cleanup}" + (f" (of {self.cleanup_of})" if self.cleanup != "none" else "")
            + f", repeats {_REPEATS[self.repeats]}, case {_CASE[self.case]}, missing ids "
            + ("deleted" if self.missing == "deletions" else "refused") + f", costs {self.costs}"
        )  # fmt: skip


_REPEATS = {"keep": "kept", "hypotheses": "merged in hypotheses", "both": "merged in both"}
_CASE = {"keep": "kept", "fold": "folded"}


def short(kept: Dict[str, Any]) -> str:
    """What of ``result.json``'s choices changes the words (or the text that BLEU counts), for a table's cell."""
    if "tokenize" in kept:
        listed = [f"blacklist {kept['blacklist']}"] if kept.get("blacklist") else []
        return ", ".join([Setting(kept["case"], kept["tokenize"]).text(), *listed])
    parts = [kept.get("cleanup", "none") + (" of both" if kept.get("cleanup_of") == "both" else "")]
    if kept.get("repeats", "keep") != "keep":
        parts.append("repeats " + _REPEATS[kept["repeats"]])
    if kept.get("case", "keep") != "keep":
        parts.append("case folded")
    return ", ".join(parts)
