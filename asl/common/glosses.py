"""Rules about written glosses: what annotators and systems write differently is made alike.

They stand here because two rooms need the very same ones and may import no other room in common: ``corpora``
(labels for training) and ``scoring`` (hypotheses). A file in ``data/lang`` would do for the former, but then
nobody could score a published CTM without having prepared the corpus.

The rules of a corpus are an entry of ``RULES``. There are two ways of applying them:

- ``clean_words``: each word by itself. So the owner's script works on a CTM, which has one word a line: rules
  that look at neighbours cannot fire.
- ``clean_sentence``: the rules about neighbours too. So the owner's script works on a line of words, and so
  the references of PHOENIX-2014 were made from the annotations: of all 5,671 train sentences of its STM,
  each one comes out of its raw annotation to the letter.
"""

import re
from dataclasses import dataclass, field
from typing import Dict, FrozenSet, List, Mapping, Sequence, Tuple

from asl.common.errors import AslError, did_you_mean

_PLAIN = re.compile(r"[A-Z]+")


@dataclass(frozen=True)
class Rules:
    """What is done to the glosses of a corpus.

    Attributes:
        marks: taken out of a word, wherever they stand in it.
        parts: parts of words that are written otherwise.
        words: whole words that are written otherwise.
        suffixes: go where two capitals stand before them.
        dropped: words that are no glosses.
        joined: two words in a row that are one.
        letters: what counts as a spelled letter beside A to Z; spelled letters in a row become one word, with
            ``+`` between them. Empty: letters stay apart.
    """

    marks: Tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    suffixes: Tuple[str, ...] = ()
    dropped: FrozenSet[str] = frozenset()
    joined: Mapping[Tuple[str, str], str] = field(default_factory=dict)
    letters: Tuple[str, ...] = ()


RULES: Dict[str, Rules] = {
    "phoenix2014": Rules(
        marks=("loc-", "cl-", "qu-", "poss-", "lh-", "-PLUSPLUS"),
        parts={"S0NNE": "SONNE", "HABEN2": "HABEN"},
        words={"ZEIGEN": "ZEIGEN-BILDSCHIRM"},
        suffixes=("RAUM",),
        dropped=frozenset(("__EMOTION__", "__PU__", "__LEFTHAND__", "__EPENTHESIS__")),
        joined={("WIE", "AUSSEHEN"): "WIE-AUSSEHEN"},
        letters=("SCH", "NN"),
    ),
}


def get_rules(name: str) -> Rules:
    """The rules called ``name``.

    Raises:
        AslError: there are none of that name; lists those that there are.
    """
    if name not in RULES:
        raise AslError(f"no clean-up '{name}'{did_you_mean(name, RULES)}; there are {', '.join(RULES)}")
    return RULES[name]


def clean_word(word: str, rules: Rules) -> str:
    """One gloss by the rules that look at one word; empty where nothing is left of it.

    Example:
        >>> clean_word("loc-SUEDWESTRAUM", RULES["phoenix2014"]), clean_word("__PU__", RULES["phoenix2014"])
        ('SUEDWEST', '')
    """
    return "" if word in rules.dropped else _respelt(word, rules)


def clean_words(words: Sequence[str], rules: Rules) -> List[str]:
    """Each gloss by itself; what nothing is left of goes."""
    return [cleaned for cleaned in (clean_word(word, rules) for word in words) if cleaned]


def clean_sentence(words: Sequence[str], rules: Rules) -> List[str]:
    """The glosses of a sentence, by the rules about neighbours too.

    Neighbours are joined, and of a word that follows itself one is kept, where it is of capitals alone
    (``NICHT-HABEN NICHT-HABEN`` stays). Only then the dropped words go: ``GLATT __EMOTION__ GLATT`` are two.
    """
    sentence: List[str] = []
    for word in (_respelt(word, rules) for word in words):
        before = sentence[-1] if sentence else ""
        if (before, word) in rules.joined:
            sentence[-1] = rules.joined[before, word]
        elif rules.letters and _is_spelled(before, rules) and _is_spelled(word, rules):
            sentence[-1] = f"{before}+{word}"
        else:
            sentence.append(word)
    once = [w for i, w in enumerate(sentence) if i == 0 or w != sentence[i - 1] or not _PLAIN.fullmatch(w)]
    return [word for word in once if word and word not in rules.dropped]


def merge_repeats(words: Sequence[str]) -> List[str]:
    """Keep one of each word that follows itself, whatever it looks like."""
    return [word for i, word in enumerate(words) if i == 0 or word != words[i - 1]]


def _respelt(word: str, rules: Rules) -> str:
    for mark in rules.marks:
        word = word.replace(mark, "")
    for part, other in rules.parts.items():
        word = word.replace(part, other)
    word = rules.words.get(word, word)
    for suffix in rules.suffixes:
        word = re.sub(rf"(?<=[A-Z][A-Z]){suffix}$", "", word)
    return word


def _is_spelled(word: str, rules: Rules) -> bool:
    """Whether ``word`` is a spelled letter, or several that were joined."""
    return all(re.fullmatch("[A-Z]", part) or part in rules.letters for part in word.split("+"))
