"""M: the transducer from glosses as the network tells them apart to the words of the grammar (H∘L∘M∘G).

It is the composition of one small transducer for each kind of rule of ``asl.lang.morphology``, and accepts every
sequence of glosses of the lexicon with exactly the words that the rules make of it. What depends on a gloss that is
yet to come is guessed and has to come true (the states of that guess have no other way on); determinization of L∘M∘G
takes the guesses out. The back-off symbol ``#0`` of G passes through before a word, at one place alone.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np

from asl.common.errors import AslError
from asl.common.files import PathLike, write_text
from asl.graph.fst import Fst, from_openfst
from asl.graph.morphology_words import BACK_OFF, Words, spellings
from asl.lang.folder import read_lang
from asl.lang.lexicon import write_lexicon
from asl.lang.morphology import Morphology
from asl.lang.prepare import END, EPSILON, START
from asl.lang.tokens import write_symbols

# what M is made of in a lang folder: itself, the words that it gives, and how these are spelt
FST_FILE, WORDS_FILE, LEXICON_FILE = "M.fst.txt", "M_words.txt", "M_lexicon.txt"
# a word that is merged where it is repeated needs an arc to every other word
MOST_ARCS = 5_000_000


@dataclass
class Report:
    """What M does to the words of a lexicon.

    Args:
        glosses: how many there are on its one side.
        words: those on its other side.
        changed: glosses that the rules about one gloss change.
        dropped: glosses that give no word.
        idle: compounds whose parts are no glosses of the lexicon.
    """

    glosses: int
    words: List[str]
    changed: int
    dropped: List[str] = field(default_factory=list)
    idle: List[str] = field(default_factory=list)


def write_morphology(lang_dir: PathLike, rules: Morphology, grammar: Optional[Sequence[str]] = None) -> Report:
    """Write ``M.fst.txt`` (ids of ``words.txt`` : ids of ``M_words.txt``) and the words that it gives.

    Args:
        lang_dir: folder with tokens, words and lexicon.
        rules: what M does.
        grammar: the words of the n-gram. Of spelled words M gives those that stand in it, and of repeated words it
            merges those: others no path has. None: no spelled word of several letters.

    Raises:
        AslError: the lang folder is wrong, the rules leave nothing or make reserved words, or M would be too large.
    """
    lang_dir, lang = Path(lang_dir), read_lang(lang_dir)
    made = Words(lang, rules, grammar)
    machines = [_by_gloss(made), _compounds(made), _letters(made), _repeats(made), _drops(made)]
    fst = machines[0]
    for machine in machines[1:]:
        fst = _compose(fst, machine)
    if not made.results:
        raise AslError(f"the rules leave no word of the {len(lang.words)} glosses in {lang_dir / 'words.txt'}")
    _write(lang_dir, fst, made)
    idle = [f"{first} {second}" for first, second, _ in made.idle]
    dropped = [gloss for gloss in lang.words if rules.drops(made.image[gloss])]
    changed = sum(gloss != word for gloss, word in made.image.items())
    return Report(len(lang.words), made.results, changed, dropped, idle)


def remove_morphology(lang_dir: PathLike) -> None:
    """Remove what ``write_morphology`` wrote: L∘G is without M then."""
    for name in (FST_FILE, WORDS_FILE, LEXICON_FILE):
        (Path(lang_dir) / name).unlink(missing_ok=True)


def graph_files(lang_dir: PathLike) -> Dict[str, Path]:
    """Return where the tokens, words and lexicon of a graph's output are: M's where the folder has one."""
    lang_dir = Path(lang_dir)
    has_m = (lang_dir / FST_FILE).exists()
    words, lexicon = (WORDS_FILE, LEXICON_FILE) if has_m else ("words.txt", "lexicon.txt")
    return {"tokens.txt": lang_dir / "tokens.txt", "words.txt": lang_dir / words, "lexicon.txt": lang_dir / lexicon}


class _Machine:
    """A transducer that is being written: states by name, state 0 is the start; labels are words or ``<eps>``."""

    def __init__(self, made: Words, start: Any) -> None:
        self.made, self.states = made, {start: 0}
        self.arcs: List[Tuple[int, int, int, int]] = []
        self.final: Set[int] = set()

    def arc(self, src: Any, dst: Any, given: str = EPSILON, said: str = EPSILON) -> None:
        numbers = self.made.numbers
        ends = (self.states.setdefault(state, len(self.states)) for state in (src, dst))
        self.arcs.append((*ends, *(0 if word == EPSILON else numbers[word] for word in (given, said))))

    def settled(self, state: Any) -> None:
        """Here all is said that was read: the sentence may end, G may back off."""
        self.arc(state, state, BACK_OFF, BACK_OFF)
        self.final.add(self.states[state])

    def fst(self) -> Any:
        columns = np.array(sorted(self.arcs), np.int32).reshape(-1, 4).T.copy()
        final = np.full(len(self.states), np.inf, np.float32)
        final[list(self.final)] = 0.0
        return Fst(*columns, np.zeros(len(self.arcs), np.float32), final).openfst()


def _by_gloss(made: Words) -> Any:
    machine = _Machine(made, "any")
    machine.settled("any")
    for gloss, word in made.image.items():
        machine.arc("any", "any", gloss, word)
    return machine.fst()


def _compounds(made: Words) -> Any:
    """A first part is either said to be the whole, and its second does not follow, or it does follow."""
    machine, firsts = _Machine(made, ""), {first for first, _, _ in made.compounds}
    after: Dict[str, Set[str]] = {first: set() for first in firsts}
    for first, second, _ in made.compounds:
        after[first].add(second)
    for before in ["", *sorted(firsts)]:  # what was read alone, '' anything that is no first part
        machine.settled(("alone", before) if before else "")
        src = ("alone", before) if before else ""
        for word in made.single:
            if word not in after.get(before, ()):
                machine.arc(src, ("alone", word) if word in firsts else "", word, word)
        for first, second, whole in made.compounds:
            if first not in after.get(before, ()):
                machine.arc(src, ("within", first, second), first, whole)
    for first, second, _ in made.compounds:
        machine.arc(("within", first, second), "", second)
    return machine.fst()


def _letters(made: Words) -> Any:
    """The whole word is said at its first letters; the rest of them must follow, and then no other letter."""
    machine, items = _Machine(made, "any"), made.items()
    for state in ("any", "spelled"):
        machine.settled(state)
        for word in made.compounded:
            if not made.rules.spelled(word):
                machine.arc(state, "any", word, word)

    done: Set[Tuple[str, ...]] = {()}

    def follow(src: Any, letters: Tuple[str, ...], said: str) -> None:
        for end in range(1, len(letters) + 1):
            rest = letters[end:]
            for item in items.get(letters[:end], ()):
                machine.arc(src, ("rest", rest) if rest else "spelled", item, said)
                if rest not in done:
                    done.add(rest)
                    follow(("rest", rest), rest, EPSILON)

    for word in made.spelled:
        follow("any", made.rules.spelled(word), word)
    return machine.fst()


def _repeats(made: Words) -> Any:
    """Behind a word that is merged come any number of the same, and then another word."""
    size = (1 + len(made.merged)) * len(made.useful)
    if size > MOST_ARCS:
        raise AslError(f"the rule 'repeats' for {len(made.merged)} of {len(made.useful)} words would take {size} arcs; "
                       "let it name fewer words, by a narrower pattern")
    machine, merged = _Machine(made, "any"), set(made.merged)
    for before in ["", *made.merged]:
        src = ("behind", before) if before else "any"
        machine.settled(src)
        if before:
            machine.arc(("same", before), ("same", before), before)
            machine.arc(("same", before), src)
        for word in made.useful:
            if word != before or not before:
                machine.arc(src, ("same", word) if word in merged else "any", word, word)
    return machine.fst()


def _drops(made: Words) -> Any:
    """Dropped words go before the back-off symbol, so that one path has them."""
    machine = _Machine(made, "read")
    machine.arc("read", "word")
    machine.settled("word")
    for word in made.joined:
        if made.rules.drops(word):
            machine.arc("read", "read", word)
        else:
            machine.arc("word", "read", word, word)
    return machine.fst()


def _compose(left: Any, right: Any) -> Any:
    import kaldifst

    kaldifst.arcsort(left, "olabel")
    kaldifst.arcsort(right, "ilabel")
    fst = kaldifst.compose(left, right)
    kaldifst.connect(fst)
    return fst


def _write(lang_dir: Path, fst: Any, made: Words) -> None:
    arrays, lang = from_openfst(fst), made.lang
    symbols = [EPSILON, *made.results, BACK_OFF, START, END]
    into, out = (np.zeros(len(made.numbers) + 1, np.int64) for _ in range(2))
    word_ids = lang.word_ids
    for word, number in made.numbers.items():
        into[number] = word_ids.get(word, 0)
    for number, word in enumerate(symbols[:-2]):
        out[made.numbers.get(word, 0)] = number
    columns = (arrays.src, arrays.dst, into[arrays.ilabel], out[arrays.olabel])
    rows = [f"{a} {b} {c} {d} 0" for a, b, c, d in zip(*(column.tolist() for column in columns))]
    ends = [str(state) for state in np.flatnonzero(np.isfinite(arrays.final))]
    write_symbols(lang_dir / WORDS_FILE, symbols)
    write_lexicon(lang_dir / LEXICON_FILE, spellings(made))
    write_text(lang_dir / FST_FILE, "\n".join([*rows, *ends]) + "\n")
