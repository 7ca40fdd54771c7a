"""G: which word sequences there are and how probable: one sign, or an n-gram from an ARPA file."""

import logging
import math
import re
import subprocess
import sys
from pathlib import Path

from asl.common.errors import AslError
from asl.common.files import PathLike, write_text
from asl.lang.folder import read_lang

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
    lang = read_lang(lang_dir)
    ids, cost = [lang.word_ids[word] for word in lang.words], math.log(len(lang.words))
    lines = [f"0 1 {index} {index} {cost:.9g}" for index in ids]
    write_text(Path(lang_dir) / "G.fst.txt", "\n".join([*lines, "1 0"]) + "\n")


def write_arpa_grammar(lang_dir: PathLike, arpa: PathLike) -> None:
    """Write ``G.fst.txt`` from an n-gram model in ARPA format; back-off arcs carry ``#0`` as input.

    N-grams with words that are not in ``words.txt`` are left out, and words that are in none cannot be
    recognised: both are counted in a warning.

    Raises:
        AslError: the ARPA file is absent or malformed (its line is named), or has no word of the lang folder.
    """
    lang_dir, lang = Path(lang_dir), read_lang(lang_dir)
    if not Path(arpa).is_file():
        raise AslError(f"no ARPA file {arpa}; give --grammar one-sign or the path of an n-gram model")
    done = subprocess.run(
        [sys.executable, "-c", _ARPA2FST, str(arpa), str(lang_dir / "words.txt")],
        capture_output=True, text=True,
    )
    if done.returncode or not done.stdout.strip():
        error = re.search(r"\[[EF]\] (.*)", done.stderr)
        reason = error.group(1) if error else (done.stderr.strip().splitlines() or ["it is empty"])[-1]
        raise AslError(f"{arpa} is not a whole ARPA file: {reason}; make the n-gram model again")
    rows = [line.split() for line in done.stdout.splitlines() if line.strip()]
    spoken = {int(row[2]) for row in rows if len(row) >= 4}
    silent = [word for word in lang.words if lang.word_ids[word] not in spoken]
    if len(silent) == len(lang.words):
        raise AslError(f"{arpa} has no word of {lang_dir / 'words.txt'}; was it made from the same glosses?")
    skipped = len(re.findall(r"skipped: word", done.stderr))
    if skipped:
        log.warning("%s: %d n-grams left out, they hold words that are not in words.txt", arpa, skipped)
    if silent:
        log.warning("%s: %d words are in no n-gram and cannot be recognised, the first is %r",
                    arpa, len(silent), silent[0])
    write_text(lang_dir / "G.fst.txt", "\n".join(" ".join(row) for row in rows) + "\n")


def write_grammar(lang_dir: PathLike, grammar: str) -> None:
    """Write ``G.fst.txt``: ``one-sign``, or an n-gram where ``grammar`` is the path of an ARPA file."""
    if grammar == ONE_SIGN:
        write_one_sign_grammar(lang_dir)
    else:
        write_arpa_grammar(lang_dir, grammar)
