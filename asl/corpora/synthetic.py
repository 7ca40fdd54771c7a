"""A synthetic corpus in an owner's on-disk format, made by the kinematic signer of ``asl.corpora.signer``.

It stands in for corpora that are too big or too closed to carry: the recipes run on it unchanged. It is no
corpus of any sign language, and ``SYNTHETIC.json`` in its folder says so to reports and tables
(``is_synthetic``). Each format has a module: ``synthetic_wlasl``, ``synthetic_phoenix2014``, ``synthetic_how2sign``.
"""

import os
import shutil
from pathlib import Path
from typing import Any, Dict, Optional

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike, read_json, write_json
from asl.corpora.signer.people import Style

MARKER = "SYNTHETIC.json"
_ABOUT = "made by a kinematic signer (asl synthesize); no recording of a person, no sign language"
#: format -> its options and their defaults
_OPTIONS: Dict[str, Dict[str, int]] = {
    "wlasl": dict(signs=20, signers=8, clips_per_sign=12),
    "phoenix2014": dict(signs=40, signers=5, sentences=400),
    "how2sign": dict(signs=60, signers=12, sentences=600),
}
FORMATS = tuple(_OPTIONS)


def is_synthetic(corpus_dir: PathLike) -> bool:
    """True where ``corpus_dir`` was made by ``asl synthesize`` or ``asl simulate``."""
    return (Path(corpus_dir) / MARKER).is_file()


def synthesize(
    dir: str,
    format: str = "wlasl",
    signs: Optional[int] = None,
    signers: Optional[int] = None,
    clips_per_sign: Optional[int] = None,
    sentences: Optional[int] = None,
    difficulty: float = 1.0,
    seed: int = 0,
    nj: int = 1,
) -> None:
    """Write a small synthetic corpus in an owner's on-disk format.

    The same arguments write the same bytes, with however many processes and interruptions. A folder that
    already holds this very corpus is left as it is.

    Args:
        dir: the folder to write; it must be new, empty, or hold the same synthetic corpus.
        format: whose format: wlasl (isolated signs), phoenix2014 (sentences of glosses) or how2sign (signed
            sentences with their English).
        signs: how many signs the lexicon has: 2 to 2000 (wlasl, 20 by default), 29 to 2000 (phoenix2014, 40;
            how2sign, 60).
        signers: how many people sign, at least 3. wlasl (8 by default): about a fifth of them are kept
            for val and an eighth for test; phoenix2014 (5): all are in all splits; how2sign (12): a sixth are
            kept for val, a sixth for test.
        clips_per_sign: wlasl: clips of each sign over all signers, 12 by default.
        sentences: how many sentences: phoenix2014 400 by default, an eighth of them dev, an eighth test; how2sign
            600, a tenth val, a tenth test.
        difficulty: scales how much signers and takes differ; 0 makes all sign alike, 1 is the settled corpus.
        seed: everything random follows from it.
        nj: processes; wlasl's clips follow from one another and are made by one.

    Raises:
        AslError: an argument is out of range or of another format, or the folder holds something else.
    """
    if format not in _OPTIONS:
        raise AslError(
            f"unknown format '{format}'{did_you_mean(format, FORMATS)}; known: {', '.join(FORMATS)}"
        )
    given = dict(signs=signs, signers=signers, clips_per_sign=clips_per_sign, sentences=sentences)
    if format == "wlasl":
        _check("nj", nj, 1, 1, why="each of WLASL's clips may hold a hand of the one before")
    else:
        _check("nj", nj, 1, 1000)
    parameters: Dict[str, Any] = _parameters(format, given)
    _check("difficulty", difficulty, 0, 3)
    parameters["difficulty"] = difficulty
    marker = {"synthetic": True, "format": format, "seed": seed, "parameters": parameters, "about": _ABOUT}
    if format == "wlasl":
        _make_wlasl(Path(dir), marker)
    else:
        _make_sentences(Path(dir), marker, nj)


def claim(out: Path, marker: Dict[str, Any]) -> bool:
    """Look whether ``out`` is free for the corpus of ``marker``; return whether it holds it already.

    Raises:
        AslError: it holds something else.
    """
    if is_synthetic(out) and read_json(out / MARKER) == marker:
        return True
    if out.exists() and (not out.is_dir() or any(not p.name.startswith(".tmp") for p in out.iterdir())):
        raise AslError(f"{out} is there and is not this synthetic corpus; name a new folder or remove it")
    return False


def _parameters(format: str, given: Dict[str, Optional[int]]) -> Dict[str, Any]:
    """The options of a format, checked.

    Raises:
        AslError: one is out of range or belongs to another format.
    """
    options = _OPTIONS[format]
    for name, value in given.items():
        if value is not None and name not in options:
            known = ", ".join(f"--{option.replace('_', '-')}" for option in options)
            raise AslError(f"--{name.replace('_', '-')} is no option of the format {format}; it has {known}")
    chosen = {name: default if given[name] is None else given[name] for name, default in options.items()}
    signers = chosen["signers"]
    if format == "wlasl":
        from asl.corpora.synthetic_wlasl import signer_splits

        _check("signs", chosen["signs"], 2, 2000)
        _check("signers", signers, 3, 1000)
        held_out = sum(split != "train" for split in signer_splits(signers))
        why = f"{held_out} of the {signers} signers are held out, and each sign needs a clip to train on"
        _check("clips_per_sign", chosen["clips_per_sign"], held_out + 1, 1000, why=why)
    else:
        from asl.corpora.synthetic_grammar import LEAST

        _check("signs", chosen["signs"], LEAST, 2000, why=f"the grammar needs {LEAST} words")
        _check("signers", signers, 3, 99)
        why = "each signer signs in dev and in test, and most in train" if format == "phoenix2014" else ""
        _check("sentences", chosen["sentences"], 10 * signers, 100_000, why=why)
    return chosen


def _check(name: str, value: float, low: float, high: float, why: str = "") -> None:
    if not low <= value <= high:
        raise AslError(
            f"--{name} {value} is out of range; give {low} to {high}" + (f" ({why})" if why else "")
        )


def _make_wlasl(out: Path, marker: Dict[str, Any]) -> None:
    from asl.corpora.synthetic_wlasl import write_wlasl

    if claim(out, marker):
        print(f"{out} already holds this corpus")
        return
    have = marker["parameters"]
    # written beside and renamed whole: a corpus that was cut short is never taken for one
    unfinished = out.with_name(f".tmp{os.getpid()}.{out.name}")
    try:
        unfinished.mkdir(parents=True)
        counts = write_wlasl(
            unfinished,
            have["signs"],
            have["signers"],
            have["clips_per_sign"],
            Style(scale=have["difficulty"]),
            marker["seed"],
        )
        write_json(unfinished / MARKER, marker)
        os.replace(unfinished, out)
    except OSError as e:
        raise AslError(f"cannot write {out}: {e.strerror or e}; free space or choose another folder") from e
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    print(
        f"{out}: {have['signs']} signs by {have['signers']} signers, clips: "
        + ", ".join(f"{split} {n}" for split, n in counts.items())
    )


def _make_sentences(out: Path, marker: Dict[str, Any], nj: int) -> None:
    if marker["format"] == "phoenix2014":
        from asl.corpora.synthetic_phoenix2014 import write_phoenix2014 as write
    else:
        from asl.corpora.synthetic_how2sign import write_how2sign as write

    # marked first and listed last: what was cut short is never taken for a recording nor for a whole corpus,
    # and what is there of it is kept
    if not claim(out, marker):
        write_json(out / MARKER, marker)
    have = marker["parameters"]
    style = Style(scale=have["difficulty"])
    counts = write(out, have["sentences"], have["signs"], have["signers"], style, marker["seed"], nj)
    print(
        f"{out}: {have['signs']} signs by {have['signers']} signers, sentences: "
        + ", ".join(f"{split} {n}" for split, n in counts.items())
    )
