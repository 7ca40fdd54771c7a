"""``data/lang``: the written side of a corpus, made in stage 1."""

from pathlib import Path
from typing import Dict, List, Optional, Sequence

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike
from asl.lang.folder import PIECES_FILE, PROBS_FILE, TEXT_FILE
from asl.lang.lexicon import Entry, disambiguate, is_special, write_lexicon
from asl.lang.lexicon_probs import write_probs
from asl.lang.tokens import TRANSITION, TokenTable, write_symbols

EPSILON, START, END = "<eps>", "<s>", "</s>"


def gloss_word(gloss: str) -> str:
    """Return ``gloss`` as one word: whitespace at its ends goes, whitespace inside becomes ``_``.

    Raises:
        AslError: nothing is left, or the word is reserved (``<…>`` and ``#n`` belong to graphs).
    """
    word = "_".join(gloss.split())
    if not word:
        raise AslError(f"gloss {gloss!r} is empty; give every clip a gloss")
    if is_special(word):
        raise AslError(f"gloss {gloss!r} is reserved for graphs, as <eps> and #0 are; name it otherwise")
    return word


def write_lang(
    words: Sequence[str],
    lang_dir: PathLike,
    lexicon: Optional[Dict[str, List[List[str]]]] = None,
    probs: Optional[Dict[Entry, float]] = None,
    transition: bool = False,
) -> None:
    """Write ``tokens.txt``, ``words.txt``, ``lexicon.txt`` and, where given, ``lexiconp.txt`` into ``lang_dir``.

    The order of ``words`` is kept: word ``i`` has id ``i + 1`` in ``words.txt`` (after ``<eps>``), and
    without a lexicon, where each word is its own token, in ``tokens.txt`` as well (after the blank).

    Args:
        words: the words (or glosses), each once; see ``gloss_word``.
        lang_dir: the folder, made where it is not there.
        lexicon: for each word its pronunciations, each a list of units. Entries for words that are not in
            ``words`` are left out. Tokens come in the order in which they are first seen.
        probs: entry -> its probability, given its word.
        transition: whether the movement between two signs is a token, the last one.

    Raises:
        AslError: no words, a word twice, a reserved word or one with whitespace, a word without units.
    """
    lang_dir = Path(lang_dir)
    _check_words(words)
    entries = _entries(words, lexicon)
    units = list(dict.fromkeys(unit for _, pronunciation in entries for unit in pronunciation))
    if TRANSITION in units:
        raise AslError(f"{TRANSITION} is the transition between signs; no sign has it as a unit")
    units += [TRANSITION] if transition else []
    _, num_disambig = disambiguate(entries)
    TokenTable(units, num_disambig + 1).write(lang_dir / "tokens.txt")
    write_symbols(lang_dir / "words.txt", [EPSILON, *words, "#0", START, END])
    write_lexicon(lang_dir / "lexicon.txt", entries)
    for name in (PIECES_FILE, TEXT_FILE):  # of other tokens
        (lang_dir / name).unlink(missing_ok=True)
    if probs is None:
        (lang_dir / PROBS_FILE).unlink(missing_ok=True)  # of another lexicon
    else:
        write_probs(lang_dir / PROBS_FILE, entries, [probs[entry] for entry in entries])


def _check_words(words: Sequence[str]) -> None:
    if not words:
        raise AslError("there are no words to make a lang folder of; has the train split any text?")
    seen = set()
    for word in words:
        if gloss_word(word) != word:
            raise AslError(f"word {word!r} holds whitespace; pass it through gloss_word first")
        if word in seen:
            raise AslError(f"word {word!r} stands twice in the list of words; each word needs its own id")
        seen.add(word)


def _entries(words: Sequence[str], lexicon: Optional[Dict[str, List[List[str]]]]) -> List[Entry]:
    if lexicon is None:
        return [(word, (word,)) for word in words]
    entries: List[Entry] = []
    for word in words:
        if word not in lexicon:
            raise AslError(f"word {word!r} is not in the lexicon{did_you_mean(word, lexicon)}; add its units")
        if not lexicon[word] or not all(lexicon[word]):
            raise AslError(f"word {word!r} has no units in the lexicon; give each pronunciation one")
        # a pronunciation that is given twice says nothing new
        entries += [(word, units) for units in dict.fromkeys(tuple(p) for p in lexicon[word])]
    return entries
