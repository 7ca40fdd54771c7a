"""L: the transducer from tokens to words, plain and with disambiguation symbols."""

import math
from pathlib import Path
from typing import List, Optional, Sequence

from asl.common.errors import AslError
from asl.common.files import PathLike, write_text
from asl.lang.folder import Lang, read_lang
from asl.lang.lexicon import Entry, disambiguate
from asl.lang.lexicon_probs import pronunciation_costs
from asl.lang.tokens import TRANSITION, is_disambig

# as Kaldi's optional silence
TRANSITION_PROB = 0.5


def write_lexicon_fsts(
    lang_dir: PathLike, pronunciations: str = "max", transition_prob: Optional[float] = None
) -> None:
    """Write ``L.fst.txt`` and ``L_disambig.fst.txt`` (OpenFst text, token id : word id) into ``lang_dir``.

    State 0 is start, end and the loop between words; a word's label stands on its first token, and so does the
    cost of its pronunciation. Only ``L_disambig`` has ``#1``, ``#2``, … behind ambiguous entries and the loop
    ``#0:#0`` by which the back-off symbol of an n-gram passes through.

    Where the movement between two signs is a token, it stands between two words with ``transition_prob`` and
    does not with the rest (as optional silence, but never before the first word or behind the last): state 0 is
    the start, 1 before a word, 2 behind one.

    Args:
        lang_dir: folder with tokens, words, lexicon and perhaps ``lexiconp.txt``.
        pronunciations: how probabilities of pronunciations are normalised, see ``pronunciation_costs``.
        transition_prob: from 0 to 1; None: 0.5 where tokens.txt has the transition.

    Raises:
        AslError: the lang folder is incomplete or wrong, as ``read_lang`` says, or has too few disambiguation
            symbols, or a probability does not fit.
    """
    lang_dir, lang = Path(lang_dir), read_lang(lang_dir)
    probability = _checked(transition_prob, lang, lang_dir)
    costs = pronunciation_costs(lang.entries, lang.probs or [1.0] * len(lang.entries), pronunciations)
    entries, highest = disambiguate(lang.entries)
    if highest >= len(lang.tokens.disambig):
        raise AslError(f"{lang_dir / 'tokens.txt'}: '#{highest}' is missing; words that sound alike need the "
                       f"disambiguation symbols '#1' to '#{highest}' behind all units")
    # the first line's source is the start
    plain = [*_between(lang, probability), *_words(lang, lang.entries, costs, probability)]
    marked = [*_between(lang, probability), *_words(lang, entries, costs, probability)]
    ends = ["0 0"] if probability is None else ["0 0", "2 0"]
    back_off = f"{len(lang.tokens)} {lang.word_ids['#0']} 0"
    loops = [f"{end[0]} {end[0]} {back_off}" for end in ends]
    write_text(lang_dir / "L.fst.txt", "\n".join([*plain, *ends]) + "\n")
    write_text(lang_dir / "L_disambig.fst.txt", "\n".join([*marked, *loops, *ends]) + "\n")


def _checked(transition_prob: Optional[float], lang: Lang, lang_dir: Path) -> Optional[float]:
    """The probability of a transition, None where the lang folder has none."""
    if not lang.has_transition:
        if transition_prob is not None:
            raise AslError(f"--transition-prob {transition_prob}: {lang_dir / 'tokens.txt'} has no {TRANSITION}; make "
                           "a lang folder with it by 'asl lexicon --transition true', or leave the option out")
        return None
    probability = TRANSITION_PROB if transition_prob is None else transition_prob
    if not 0 <= probability <= 1:
        raise AslError(f"--transition-prob is {probability}; give a probability from 0 (never) to 1 (always)")
    return probability


def _words(
    lang: Lang, entries: Sequence[Entry], costs: Sequence[float], probability: Optional[float]
) -> List[str]:
    word_ids, lines = lang.word_ids, []
    begin, end, next_state = (0, 0, 1) if probability is None else (1, 2, 3)
    for (word, units), cost in zip(entries, costs):
        state, label, weight = begin, word_ids[word], f"{cost:.9g}"
        for position, unit in enumerate(units):
            last = position == len(units) - 1
            lines.append(f"{state} {end if last else next_state} {_token_id(lang, unit)} {label} {weight}")
            state, label, weight = next_state, 0, "0"
            next_state += not last
    return lines


def _between(lang: Lang, probability: Optional[float]) -> List[str]:
    """The arcs from the start and from behind a word to before a word."""
    if probability is None:
        return []
    ways = [(0, 1 - probability), (lang.tokens.id(TRANSITION), probability)]
    return ["0 1 0 0 0"] + [f"2 1 {token} 0 {-math.log(p) + 0.0:.9g}" for token, p in ways if p > 0]


def _token_id(lang: Lang, unit: str) -> int:
    # disambiguation symbols follow the units in tokens.txt
    return len(lang.tokens) + int(unit[1:]) if is_disambig(unit) else lang.tokens.id(unit)
