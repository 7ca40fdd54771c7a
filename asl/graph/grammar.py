"""G: which word sequences there are and how probable: one sign, or an n-gram from an ARPA file."""

import logging
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterable

from asl.common.errors import AslError
from asl.common.files import PathLike, write_text
from asl.graph.morphology import graph_files
from asl.lang.arpa import UNKNOWN
from asl.lang.folder import read_lang
from asl.lang.lexicon import is_special
from asl.lang.tokens import read_symbols

ONE_SIGN = "one-sign"
log = logging.getLogger(__name__)

# kaldilm ends its process on a malformed file, so it gets a process of its own
_ARPA2FST = (
    "import sys, kaldilm; "
    "text = kaldilm.arpa2fst(sys.argv[1], disambig_symbol='#0', read_symbol_table=sys.argv[2], "
    "max_arpa_warnings=-1); "
    "sys.stdout.write(text)"
)


def write_one_sign_grammar(lang_dir: PathLike) -> None:
    """Write ``G.fst.txt`` that accepts exactly one word, each with probability ``1 / words``.

    Raises:
        AslError: the lang folder is incomplete or wrong.
    """
    ids = _word_ids(lang_dir)
    cost = math.log(len(ids))
    lines = [f"0 1 {index} {index} {cost:.9g}" for index in ids.values()]
    write_text(Path(lang_dir) / "G.fst.txt", "\n".join([*lines, "1 0"]) + "\n")


def write_arpa_grammar(lang_dir: PathLike, arpa: PathLike) -> None:
    """Write ``G.fst.txt`` from an n-gram model in ARPA format; back-off arcs carry ``#0`` as input.

    The vocabulary is closed: n-grams with words that are not in ``words.txt`` are left out, and words of it that
    are in no n-gram cannot be recognised. Both are counted and listed in a warning, but for ``<unk>``, which an
    n-gram of a closed vocabulary has as a rule: where it alone is left out nothing is said.

    Raises:
        AslError: the ARPA file is absent or malformed (its line is named), or has no word of the lang folder.
    """
    lang_dir, ids = Path(lang_dir), _word_ids(lang_dir)
    words_file = graph_files(lang_dir)["words.txt"]
    if not Path(arpa).is_file():
        raise AslError(f"no ARPA file {arpa}; give --grammar one-sign or the path of an n-gram model")
    done = subprocess.run(
        [sys.executable, "-c", _ARPA2FST, str(arpa), str(words_file)],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode or not done.stdout.strip():
        error = re.search(r"\[[EF]\] (.*)", done.stderr)
        reason = error.group(1) if error else (done.stderr.strip().splitlines() or ["it is empty"])[-1]
        raise AslError(f"{arpa} is not a whole ARPA file: {reason}; make the n-gram model again")
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    spoken = {int(row[2]) for row in rows if len(row) >= 4}
    silent = [word for word, index in ids.items() if index not in spoken]
    if len(silent) == len(ids):
        raise AslError(f"{arpa} has no word of {words_file}; was it made from the same glosses?")
    skipped = re.findall(r"skipped: word '(.*)' not in", done.stderr)
    if set(skipped) - {UNKNOWN}:
        log.warning("%s: %d n-grams left out, they hold words that are not in %s: %s",
                    arpa, len(skipped), words_file.name, listed(skipped))
    if silent:
        log.warning("%s: %d words are in no n-gram and cannot be recognised: %s", arpa, len(silent), listed(silent))
    write_text(lang_dir / "G.fst.txt", "\n".join(" ".join(row) for row in rows) + "\n")


def write_grammar(lang_dir: PathLike, grammar: str) -> None:
    """Write ``G.fst.txt``: ``one-sign``, or an n-gram where ``grammar`` is the path of an ARPA file."""
    if grammar == ONE_SIGN:
        write_one_sign_grammar(lang_dir)
    else:
        write_arpa_grammar(lang_dir, grammar)


def listed(words: Iterable[str], show: int = 10) -> str:
    """Return the first of the words, each once, and how many more there are."""
    once = list(dict.fromkeys(words))
    more = f" and {len(once) - show} more" if len(once) > show else ""
    return ", ".join(once[:show]) + more


def _word_ids(lang_dir: PathLike) -> Dict[str, int]:
    """The words that G is about (M's where the folder has an M) and their ids."""
    read_lang(lang_dir)  # it says what is wrong with the folder
    symbols = read_symbols(graph_files(lang_dir)["words.txt"])
    return {word: index for word, index in symbols.items() if not is_special(word)}
