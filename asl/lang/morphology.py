"""Rules from glosses as annotators write them (and a network may tell apart) to the words that are scored.

A rules file has one rule a line; ``#`` behind a blank, or at the start of a line, begins a comment:

    delete    loc- -PLUSPLUS             # taken out of a gloss wherever it stands: loc-BERG -> BERG
    replace   HABEN2 HABEN               # this gloss by that one
    rewrite   ([A-Z][A-Z])RAUM$ \\1       # a regular expression of Python, wherever it matches in a gloss
    compound  WIE AUSSEHEN WIE-AUSSEHEN  # two glosses in a row are one word
    letters   + [A-Z] SCH                # spelled letters in a row are joined: A B -> A+B
    repeats   [A-Z]+                     # of words in a row that are alike one is kept
    drop      __EMOTION__ __PU__         # glosses that are no words

``delete``, ``replace`` and ``rewrite`` look at one gloss alone and are applied in the file's order, each once. Then
follow, whatever their order in the file: compounds (from left to right, a gloss is part of one at most), letters,
repeats, and last what is dropped, as is a gloss of which nothing is left (so ``A __PU__ A`` stays two words).
What is a letter, or is merged where repeated, is said by regular expressions that match the whole; without one it is
any single letter, or any word.
"""

import re
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, List, NoReturn, Optional, Sequence, Tuple

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike
from asl.lang.lexicon import is_special
from asl.lang.tokens import read_lines

KINDS = ("delete", "replace", "rewrite", "compound", "letters", "repeats", "drop")
_COMMENT = re.compile(r"#(?!\d+$)")


@dataclass(frozen=True)
class Morphology:
    """Rules; ``apply`` is what they do to a sentence.

    Args:
        steps: from one gloss to one gloss, in order.
        compounds: two glosses -> one word.
        joiner: what stands between spelled letters that were joined; None: they are not joined.
        letters: what a letter is.
        repeats: which words are merged where they are repeated; None: none.
        dropped: what is no word.
    """

    steps: Tuple[Callable[[str], str], ...] = ()
    compounds: Tuple[Tuple[str, str, str], ...] = ()
    joiner: Optional[str] = None
    letters: Tuple["re.Pattern[str]", ...] = ()
    repeats: Optional[Tuple["re.Pattern[str]", ...]] = None
    dropped: FrozenSet[str] = frozenset()

    def word(self, gloss: str) -> str:
        """Return what the rules about one gloss make of it, before neighbours are looked at; perhaps nothing.

        Raises:
            AslError: they make a symbol of it that is reserved, as ``<eps>`` is.
        """
        word = gloss
        for step in self.steps:
            word = step(word)
        if is_special(word):
            raise AslError(f"the rules make {word!r} of the gloss {gloss!r}, which is reserved for graphs")
        return word

    def spelled(self, word: str) -> Tuple[str, ...]:
        """Return the letters of a spelled word, nothing where it is none."""
        if self.joiner is None or not word:
            return ()
        parts = word.split(self.joiner)
        return tuple(parts) if all(_matches(self.letters, part) for part in parts) else ()

    def merges(self, word: str) -> bool:
        """Whether of this word, repeated, one is kept."""
        return self.repeats is not None and bool(word) and _matches(self.repeats, word)

    def drops(self, word: str) -> bool:
        """Whether this is no word."""
        return not word or word in self.dropped

    def apply(self, glosses: Sequence[str]) -> List[str]:
        """Return the words of a sentence of glosses."""
        words = self._joined([self.word(gloss) for gloss in glosses])
        words = [w for i, w in enumerate(words) if i == 0 or w != words[i - 1] or not self.merges(w)]
        return [word for word in words if not self.drops(word)]

    def _joined(self, words: Sequence[str]) -> List[str]:
        whole = {(first, second): word for first, second, word in self.compounds}
        compounded, rest = [], list(words)
        while rest:
            pair = tuple(rest[:2])
            compounded.append(whole.get(pair, rest[0]))
            del rest[:2 if pair in whole else 1]
        joined: List[str] = []
        for word in compounded:
            if joined and self.spelled(word) and self.spelled(joined[-1]):
                joined[-1] = f"{joined[-1]}{self.joiner}{word}"
            else:
                joined.append(word)
        return joined


def _matches(patterns: Sequence["re.Pattern[str]"], text: str) -> bool:
    return any(pattern.fullmatch(text) for pattern in patterns)


def read_morphology(path: PathLike) -> Morphology:
    """Read a rules file.

    Raises:
        AslError: it is absent or empty, or a rule is unknown, has too few or too many words, is no regular
            expression, or stands against an earlier one; names file and line.
    """
    reader = _Reader(path)
    for number, fields in enumerate(read_lines(path), 1):
        reader.number, end = number, next((i for i, f in enumerate(fields) if _COMMENT.match(f)), len(fields))
        if fields[:end]:
            reader.rule(*fields[:end])
    return reader.morphology()


class _Reader:
    """The rules read so far, and the line that is read."""

    def __init__(self, path: PathLike) -> None:
        self.path, self.number = path, 0
        self.steps: List[Callable[[str], str]] = []
        self.compounds: Dict[Tuple[str, str], str] = {}
        self.joiner: Optional[str] = None
        self.patterns: Dict[str, Tuple["re.Pattern[str]", ...]] = {}
        self.replaced: Dict[str, str] = {}
        self.dropped: List[str] = []

    def fail(self, reason: str) -> NoReturn:
        raise AslError(f"{self.path} line {self.number}: {reason}")

    def rule(self, kind: str, *words: str) -> None:
        if kind not in KINDS:
            self.fail(f"no rule {kind!r}{did_you_mean(kind, KINDS)}; there are {', '.join(KINDS)}")
        getattr(self, f"_{kind}")(words)

    def morphology(self) -> Morphology:
        if not (self.steps or self.compounds or self.patterns or self.dropped):
            raise AslError(f"{self.path} holds no rule; write some, or leave --morphology out")
        compounds = tuple((*pair, word) for pair, word in self.compounds.items())
        patterns = self.patterns
        return Morphology(tuple(self.steps), compounds, self.joiner, patterns.get("letters", ()),
                          patterns.get("repeats"), frozenset(self.dropped))  # fmt: skip

    def _count(self, words: Sequence[str], count: int, expected: str) -> None:
        if len(words) != count:
            self.fail(f"expected '{expected}', found {len(words)} words behind the rule's name")

    def _some(self, words: Sequence[str], expected: str) -> None:
        if not words:
            self.fail(f"expected '{expected}', found nothing behind the rule's name")

    def _result(self, word: str) -> str:
        if is_special(word):
            self.fail(f"{word!r} is reserved for graphs, as <eps> and #0 are; make another word of it")
        return word

    def _pattern(self, text: str) -> "re.Pattern[str]":
        try:
            return re.compile(text)
        except re.error as e:
            self.fail(f"{text!r} is no regular expression: {e}")

    def _delete(self, words: Sequence[str]) -> None:
        self._some(words, "delete TEXT …")
        for text in words:
            self.steps.append(lambda gloss, text=text: gloss.replace(text, ""))

    def _replace(self, words: Sequence[str]) -> None:
        self._count(words, 2, "replace GLOSS WORD")
        gloss, word = words[0], self._result(words[1])
        if gloss in self.replaced:
            self.fail(f"{gloss!r} is replaced by {self.replaced[gloss]!r} already; remove one of the rules")
        self.replaced[gloss] = word
        self.steps.append(lambda given: word if given == gloss else given)

    def _rewrite(self, words: Sequence[str]) -> None:
        if len(words) == 1:
            words = (*words, "")  # what matches goes
        self._count(words, 2, "rewrite PATTERN REPLACEMENT")
        pattern, replacement = self._pattern(words[0]), words[1]
        try:
            pattern.sub(replacement, "")
        except (re.error, IndexError) as e:
            self.fail(f"{replacement!r} is no replacement for {words[0]!r}: {e}")
        self.steps.append(lambda gloss: pattern.sub(replacement, gloss))

    def _compound(self, words: Sequence[str]) -> None:
        self._count(words, 3, "compound FIRST SECOND WORD")
        first, second, word = words
        if (first, second) in self.compounds:
            known = self.compounds[first, second]
            self.fail(f"'{first} {second}' is the compound {known!r} already; remove one of the rules")
        self.compounds[first, second] = self._result(word)

    def _letters(self, words: Sequence[str]) -> None:
        self._some(words, "letters JOINER [PATTERN …]")
        if "letters" in self.patterns:
            self.fail("'letters' stands twice; name all patterns in one rule")
        self.joiner = words[0]
        self.patterns["letters"] = tuple(map(self._pattern, words[1:] or (r"[^\W\d_]",)))

    def _repeats(self, words: Sequence[str]) -> None:
        if "repeats" in self.patterns:
            self.fail("'repeats' stands twice; name all patterns in one rule")
        self.patterns["repeats"] = tuple(map(self._pattern, words or (r".+",)))

    def _drop(self, words: Sequence[str]) -> None:
        self._some(words, "drop GLOSS …")
        self.dropped += words
