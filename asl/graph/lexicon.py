"""L: the transducer from tokens to words, plain and with disambiguation symbols."""

from pathlib import Path
from typing import List, Sequence

from asl.common.files import PathLike, write_text
from asl.lang.folder import Lang, read_lang
from asl.lang.lexicon import Entry, disambiguate
from asl.lang.tokens import is_disambig


def write_lexicon_fsts(lang_dir: PathLike) -> None:
    """Write ``L.fst.txt`` and ``L_disambig.fst.txt`` (OpenFst text, token id : word id) into ``lang_dir``.

    State 0 is start, end and the loop between words; a word's label stands on its first token. Only
    ``L_disambig`` has ``#1``, ``#2``, … behind ambiguous entries and the loop ``#0:#0`` by which the
    back-off symbol of an n-gram passes through.

    Raises:
        AslError: the lang folder is incomplete or wrong, as ``read_lang`` says.
    """
    lang_dir, lang = Path(lang_dir), read_lang(lang_dir)
    entries, _ = disambiguate(lang.entries)
    write_text(lang_dir / "L.fst.txt", "\n".join([*_arcs(lang, lang.entries), "0 0"]) + "\n")
    loop = f"0 0 {len(lang.tokens)} {lang.word_ids['#0']} 0"
    write_text(lang_dir / "L_disambig.fst.txt", "\n".join([*_arcs(lang, entries), loop, "0 0"]) + "\n")


def _arcs(lang: Lang, entries: Sequence[Entry]) -> List[str]:
    word_ids, lines, next_state = lang.word_ids, [], 1
    for word, units in entries:
        state, label = 0, word_ids[word]
        for position, unit in enumerate(units):
            last = position == len(units) - 1
            lines.append(f"{state} {0 if last else next_state} {_token_id(lang, unit)} {label} 0")
            state, label = next_state, 0
            next_state += not last
    return lines


def _token_id(lang: Lang, unit: str) -> int:
    # disambiguation symbols follow the units in tokens.txt
    return len(lang.tokens) + int(unit[1:]) if is_disambig(unit) else lang.tokens.id(unit)
