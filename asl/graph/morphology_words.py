"""The words on each side of M's parts, and how those that M gives are spelt."""

from typing import Dict, List, Optional, Sequence, Tuple

from asl.lang.folder import Lang
from asl.lang.lexicon import Entry
from asl.lang.morphology import Morphology

BACK_OFF = "#0"
# spellings of a word of several glosses that are kept (for times; the graph has them all)
_SPELLINGS = 20


class Words:
    """The words before and behind each kind of rule.

    Args:
        lang: the glosses are its words.
        rules: what is made of them.
        grammar: the words of the n-gram; None: all.

    Attributes:
        image: gloss -> what the rules about one gloss make of it; ``single`` are these.
        compounds, idle: the compounds whose parts are among them, and the others.
        compounded: behind the compounds.
        spelled: spelled words that can be put together of them.
        joined: behind the letters; ``useful``: those of them that the grammar has, or that are dropped.
        merged: of which, repeated, one is kept.
        results: behind all rules.
        numbers: word -> its label in M's parts (0 is epsilon).
    """

    def __init__(self, lang: Lang, rules: Morphology, grammar: Optional[Sequence[str]]) -> None:
        self.lang, self.rules = lang, rules
        self.image = {gloss: rules.word(gloss) for gloss in lang.words}
        self.single = list(dict.fromkeys(self.image.values()))
        known = set(self.single)
        self.compounds = [rule for rule in rules.compounds if rule[0] in known and rule[1] in known]
        self.idle = [rule for rule in rules.compounds if rule not in self.compounds]
        self.compounded = list(dict.fromkeys([*self.single, *(word for _, _, word in self.compounds)]))
        spelled = [word for word in [*self.compounded, *(grammar or ())] if rules.spelled(word)]
        self.spelled = self._reachable(dict.fromkeys(spelled))
        plain = [word for word in self.compounded if not rules.spelled(word)]
        self.joined = list(dict.fromkeys([*plain, *self.spelled]))
        self.results = [word for word in self.joined if not rules.drops(word)]
        allowed = set(self.joined if grammar is None else grammar)
        self.useful = [word for word in self.joined if word in allowed or rules.drops(word)]
        self.merged = [word for word in self.useful if rules.merges(word) and not rules.drops(word)]
        every = dict.fromkeys([*lang.words, *self.joined, *self.compounded, *self.single, *self.spelled])
        self.numbers = {word: number for number, word in enumerate([*every, BACK_OFF], 1)}

    def items(self) -> Dict[Tuple[str, ...], List[str]]:
        """Letters -> the glosses that are these letters (one, or several that are joined already)."""
        found: Dict[Tuple[str, ...], List[str]] = {}
        for word in self.compounded:
            if self.rules.spelled(word):
                found.setdefault(self.rules.spelled(word), []).append(word)
        return found

    def _reachable(self, words: Dict[str, None]) -> List[str]:
        """Those of the spelled words that the glosses can spell."""
        items = self.items()

        def spells(letters: Tuple[str, ...]) -> bool:
            reached = {0}
            for end in range(1, len(letters) + 1):
                if any(letters[begin:end] in items for begin in reached):
                    reached.add(end)
            return len(letters) in reached

        return [word for word in words if spells(self.rules.spelled(word))]


def spellings(made: Words) -> List[Entry]:
    """How each word that M gives is spelt, where nothing in it is repeated or dropped."""
    of_gloss: Dict[str, List[Tuple[str, ...]]] = {}
    for gloss, units in made.lang.entries:
        of_gloss.setdefault(gloss, []).append(units)
    of: Dict[str, Dict[Tuple[str, ...], None]] = {}
    for gloss, word in made.image.items():
        of.setdefault(word, {}).update(dict.fromkeys(of_gloss[gloss]))
    whole = [(word, [first, second]) for first, second, word in made.compounds]
    items = {letters: words[0] for letters, words in made.items().items()}
    for word in made.spelled:
        parts = _cut(made.rules.spelled(word), items)
        whole += [(word, parts)] if len(parts) > 1 else []
    for word, parts in whole:
        ways: List[Tuple[str, ...]] = [()]
        for part in parts:
            ways = [(*way, *units) for way in ways for units in of[part]][:_SPELLINGS]
        of.setdefault(word, {}).update(dict.fromkeys(ways))
    return [(word, units) for word in made.results for units in of[word]]


def _cut(letters: Tuple[str, ...], items: Dict[Tuple[str, ...], str]) -> List[str]:
    """Return the glosses that spell ``letters``, the longest first where there is a choice."""
    if not letters:
        return []
    for end in range(len(letters), 0, -1):
        if letters[:end] in items:
            rest = _cut(letters[end:], items)
            if rest or end == len(letters):
                return [items[letters[:end]], *rest]
    return []
