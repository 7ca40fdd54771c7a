"""Words of a written sentence -> glosses of which there is a clip.

A signed sentence says what words mean, not each word; so this is a crude stand-in, and says how crude: words without a
clip are left out, and what share of the words was found is counted. The rules, in this order; the first gloss that is
known is taken:

1. several words that are one gloss together, the longest first (``thank you`` -> ``thank_you``);
2. the word without marks at its ends, in any case (``Dance!`` -> ``DANCE``);
3. English contractions are taken apart (``don't`` -> ``do``, ``not``; ``Bob's`` -> ``Bob``); one part suffices;
4. irregular forms of the commonest verbs and nouns (``went`` -> ``go``, ``feet`` -> ``foot``);
5. the endings -s, -es, -ies, -ing, -ed, -ied, with a doubled consonant or a dropped e put right (``dancing`` ->
   ``dance``, ``stopped`` -> ``stop``, ``tries`` -> ``try``).

3 to 5 are English; without them (``lemmas="none"``) words are compared as they stand.
"""

import unicodedata
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

_CONTRACTED = {"n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'m": "am", "'d": "would", "'s": ""}
_WHOLE = {"can't": ("can", "not"), "won't": ("will", "not"), "let's": ("let", "us"), "cannot": ("can", "not")}
_IRREGULAR = {
    form: base
    for base, forms in {
        "be": "am is are was were been being", "begin": "began begun", "break": "broke broken", "bring": "brought",
        "build": "built", "buy": "bought", "catch": "caught", "child": "children", "choose": "chose chosen",
        "come": "came", "do": "did does done", "draw": "drew drawn", "drink": "drank drunk", "drive": "drove driven",
        "eat": "ate eaten", "fall": "fell fallen", "feel": "felt", "find": "found", "fly": "flew flown",
        "foot": "feet", "forget": "forgot forgotten", "get": "got gotten", "give": "gave given", "go": "went gone",
        "grow": "grew grown", "have": "had has", "hear": "heard", "hold": "held", "keep": "kept", "know": "knew known",
        "learn": "learnt", "leave": "left", "lose": "lost", "make": "made", "man": "men", "mean": "meant",
        "meet": "met",
        "mouse": "mice", "pay": "paid", "person": "people", "ride": "rode ridden", "run": "ran", "say": "said",
        "see": "saw seen", "sell": "sold", "send": "sent", "show": "shown", "sing": "sang sung", "sit": "sat",
        "sleep": "slept", "speak": "spoke spoken", "stand": "stood", "swim": "swam swum", "take": "took taken",
        "teach": "taught", "tell": "told", "think": "thought", "tooth": "teeth", "understand": "understood",
        "wake": "woke woken", "wear": "wore worn", "win": "won", "woman": "women", "write": "wrote written",
    }.items()
    for form in forms.split()
}  # fmt: skip
_VOWELS = set("aeiouy")


class Matched(NamedTuple):
    """A sentence's glosses in the order of its words.

    Attributes:
        glosses: those that were found.
        words: how many words the sentence has (what holds a letter or a digit).
        found: how many of them are told by a gloss.
        lost: those that are not, without marks, in lower case.
    """

    glosses: List[str]
    words: int
    found: int
    lost: List[str]


class GlossFinder:
    """Finds glosses for the words of sentences.

    Args:
        glosses: those of which there are clips; ``_`` stands for a blank inside one, and case does not count.
        english: whether rules 3 to 5 apply.
    """

    def __init__(self, glosses: Iterable[str], english: bool = True) -> None:
        self.english = english
        # of glosses that differ in case alone the first in order is taken
        self._known: Dict[Tuple[str, ...], str] = {}
        for gloss in sorted(glosses):
            self._known.setdefault(tuple(gloss.casefold().replace("_", " ").split()), gloss)
        self._longest = max(map(len, self._known), default=0)

    def match(self, sentence: str) -> Matched:
        """The glosses of a sentence's words."""
        words = [word for word in map(bare, sentence.split()) if word]
        glosses: List[str] = []
        lost: List[str] = []
        at = 0
        while at < len(words):
            several = self._together(words[at : at + self._longest])
            if several:
                glosses.append(self._known[tuple(words[at : at + several])])
                at += several
                continue
            found = self._of_word(words[at])
            glosses += found
            if not found:
                lost.append(words[at])
            at += 1
        return Matched(glosses, len(words), len(words) - len(lost), lost)

    def _together(self, words: Sequence[str]) -> int:
        """How many of the first words are one gloss; 0 where no two are."""
        return next((n for n in range(len(words), 1, -1) if tuple(words[:n]) in self._known), 0)

    def _of_word(self, word: str) -> List[str]:
        if (word,) in self._known:
            return [self._known[(word,)]]
        if not self.english:
            return []
        found = (next((f for f in forms(part) if (f,) in self._known), None) for part in _taken_apart(word))
        return [self._known[(form,)] for form in found if form is not None]


def bare(word: str) -> str:
    """A word in lower case without the marks at its ends; nothing, where it holds no letter and no digit."""
    word = word.casefold().replace("\u2019", "'")
    kept = [i for i, c in enumerate(word) if unicodedata.category(c)[0] in "LNM"]
    return word[kept[0] : kept[-1] + 1] if kept else ""


def _taken_apart(word: str) -> Sequence[str]:
    if word in _WHOLE:
        return _WHOLE[word]
    for end, rest in _CONTRACTED.items():
        if word.endswith(end) and len(word) > len(end):
            return [word[: -len(end)], *([rest] if rest else [])]
    return [word]


def forms(word: str) -> Iterator[str]:
    """The word, then what it may be a form of, the likeliest first."""
    yield word
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    if word.endswith("ies") or word.endswith("ied"):
        yield word[:-3] + "y"
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
        if word.endswith("es"):
            yield word[:-2]
    for end in ("ing", "ed"):
        stem = word[: -len(end)]
        if word.endswith(end) and len(stem) > 1 and _VOWELS.intersection(stem):
            yield stem
            yield stem + "e"
            if stem[-1] == stem[-2] and stem[-1] not in _VOWELS:
                yield stem[:-1]
