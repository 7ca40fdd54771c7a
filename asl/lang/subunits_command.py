"""``asl lexicon``: another lang folder, with other tokens for the same words."""

from pathlib import Path
from typing import List, Optional

from asl.common.errors import AslError, did_you_mean
from asl.common.files import atomic_path
from asl.lang.folder import read_lang
from asl.lang.phonology import read_phonology
from asl.lang.prepare import write_lang
from asl.lang.subunits import (
    PHONOLOGY_FEATURES,
    Subunits,
    describe,
    phonology_units,
    sentencepiece_units,
)

KINDS = ("words", "phonology", "sentencepiece")
_KIND_OF = {"phonology": "phonology", "features": "phonology", "size": "sentencepiece", "model": "sentencepiece"}


def lexicon(
    out: str,
    kind: str = "words",
    lang: str = "data/lang",
    transition: bool = False,
    phonology: Optional[str] = None,
    features: Optional[List[str]] = None,
    size: Optional[int] = None,
    model: Optional[str] = None,
) -> None:
    """Write a lang folder with the words of another one and other units; train with --data.lang NAME.

    Units of pre-training codes are made by 'asl lexicon codes'.

    Args:
        out: folder to write, for example data/lang_phon.
        kind: words (each word is its own unit), phonology (values of ASL-LEX features) or sentencepiece (pieces of
            the spelling).
        lang: folder whose words are taken.
        transition: a token <trans> for the movement between two signs: training targets hold it between words, the
            decoding graph has it as an option there.
        phonology: the table of features (asl phonology makes it), for kind phonology; default: LANG/phonology.tsv.
        features: columns of the table, one unit each, in this order; default: Handshape MajorLocation Movement.
        size: pieces of kind sentencepiece at most; default: 200.
        model: unigram or bpe, for kind sentencepiece; default: unigram.

    Raises:
        AslError: the lang folder or the table is incomplete or wrong, a kind or feature is unknown, or an option is of
            another kind.
    """
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS)
        raise AslError(f"no kind of lexicon {kind!r}{hint}; there are {', '.join(KINDS)}, and 'asl lexicon codes'")
    for name, value in (("phonology", phonology), ("features", features), ("size", size), ("model", model)):
        if value is not None and _KIND_OF[name] != kind:
            shown = " ".join(value) if isinstance(value, list) else value
            raise AslError(f"--{name} {shown} is about kind {_KIND_OF[name]}, not {kind}: leave it out, or give "
                           f"--kind {_KIND_OF[name]}")
    if Path(out).resolve() == Path(lang).resolve():
        raise AslError(f"--out {out} is the lang folder that is read; give another one, what was trained on it would "
                       "not fit it any more")
    words = read_lang(lang).words
    if kind == "phonology":
        table = read_phonology(phonology or Path(lang) / "phonology.tsv")
        made = phonology_units(words, table, list(PHONOLOGY_FEATURES) if features is None else features)
    elif kind == "sentencepiece":
        made = sentencepiece_units(words, 200 if size is None else size, model or "unigram")
    else:
        made = Subunits({word: [[word]] for word in words}, [], {})
    write_lang(words, out, made.lexicon, transition=transition)
    for name, content in made.files.items():
        with atomic_path(Path(out) / name) as tmp:
            tmp.write_bytes(content)
    print(f"{out}: {describe(made.lexicon, made.whole)}")
    if transition:
        print(f"{out}: <trans> is the movement between two signs")
