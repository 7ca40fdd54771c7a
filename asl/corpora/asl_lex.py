"""ASL-LEX 2.0: the phonology of 2,723 signs of American Sign Language, as the owners' CSV gives it.

Sehyr, Caselli, Cohen-Goldberg and Emmorey (2021), The ASL-LEX 2.0 Project; https://asl-lex.org gives
``signdata.csv`` (with a byte order mark; ``signdataKEY.csv`` says what its columns are). An entry is one
sign, ``EntryID`` its name in English; variants are numbered (``about_1``, ``about_2``) and share a
``LemmaID``. The columns ``Handshape.2.0`` to ``UlnarRotation.2.0`` code the first morpheme of a sign; those
of later morphemes (``HandshapeM2.2.0`` …) are not read.

What is odd about it: a column says ``NA`` (or nothing) where a feature cannot be told; the key does not say
what NA means. In two columns it says, by their definitions, that a sign lacks the thing itself: a one-handed
sign (exactly those) has no ``NonDominantHandshape``, a sign without a setting change no
``SecondMinorLocation``. These become the value ``none``. Every other NA (the spread of one finger, the
thumb's contact with the thumb) stays unknown; the owners leave it out of their own frequencies too.
``Movement`` has a value ``None``, which is no path movement. ``NonDominantHandshape`` writes an unmarked hand of a sign with two
different handshapes in capitals; that is a class of its own here too.
"""

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Tuple

from asl.common.errors import AslError
from asl.common.files import PathLike, write_json
from asl.lang.folder import read_lang
from asl.lang.phonology import FEATURES, Coded, PhonologyTable

ABSENT = "none"
_LACKING = ("NonDominantHandshape", "SecondMinorLocation")  # NA says that a sign has none
Entry = Dict[str, str]


def phonology(asl_lex: str, lang: str = "data/lang", out: Optional[str] = None) -> None:
    """Find the glosses of a corpus in ASL-LEX and write their phonological features.

    A gloss is looked for as an EntryID, then as a LemmaID, as the name of a numbered entry (the lowest number
    counts), as the translation that most deaf signers gave, as ASL Signbank's name of the sign, and last
    among Signbank's English translations. There several signs may stand for one word; a feature is then known
    only where more than half of them agree. Translations that few signers gave are not read: they hold
    misunderstandings.

    Args:
        asl_lex: the owners' CSV.
        lang: the folder of words.txt.
        out: the table; default: phonology.tsv in that folder, its report beside it.
    """
    path = Path(out) if out else Path(lang) / "phonology.tsv"
    table = match(read_lang(lang).words, read_entries(asl_lex))
    facts = report(table)
    if facts["matched"] == 0:
        count = len(table.rows)
        raise AslError(f"none of the {count} words of {lang} is in {asl_lex}; is it the right corpus?")
    table.write(path)
    write_json(path.with_suffix(".json"), facts)
    how = ", ".join(f"{rule} {n}" for rule, n in facts["rules"].items())
    print(f"{facts['matched']} of {len(table.rows)} glosses found ({how}) -> {path}")
    print(f"{facts['several']} of them with several candidates")
    if facts["unmatched"]:
        print("not found: " + ", ".join(facts["unmatched"]))


def read_entries(path: PathLike) -> List[Entry]:
    """Read the owners' CSV: one dict an entry.

    Raises:
        AslError: the file is absent, not UTF-8, or lacks a column (named).
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            entries = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise AslError(f"cannot read {path}: {e}; it must be ASL-LEX's signdata CSV in UTF-8") from e
    needed = [*_SOURCES, *(column(feature) for feature in FEATURES)]
    lacking = [name for name in needed if not entries or name not in entries[0]]
    if lacking:
        raise AslError(f"{path} has no column {lacking[0]!r}; give ASL-LEX 2.0's signdata CSV")
    return entries


_SOURCES = (
    "EntryID",
    "LemmaID",
    "DominantTranslation",
    "SignBankAnnotationID",
    "SignBankEnglishTranslations",
)


def column(feature: str) -> str:
    """The owners' name of a feature's column."""
    return f"{feature}.2.0"


def normalise(name: str) -> str:
    """A name as it is compared: lower case, ``_`` for blanks and hyphens, no apostrophe."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower().replace("'", ""))


def _stem(name: str) -> str:
    return re.sub(r"_\d+$", "", normalise(name))


def _translations(entry: Entry) -> Iterable[str]:
    return {normalise(word) for word in entry["SignBankEnglishTranslations"].split(",")}


# in this order; the first rule that finds a gloss is the one that counts
RULES: Tuple[Tuple[str, Callable[[Entry], Iterable[str]]], ...] = (
    ("entry", lambda e: [normalise(e["EntryID"])]),
    ("lemma", lambda e: [normalise(e["LemmaID"])]),
    ("variant", lambda e: [_stem(e["EntryID"])]),
    ("dominant", lambda e: [normalise(e["DominantTranslation"])]),
    ("signbank", lambda e: [normalise(e["SignBankAnnotationID"])]),
    ("translation", _translations),
)


def match(glosses: Iterable[str], entries: List[Entry]) -> PhonologyTable:
    """Return the phonology of ``glosses``; see ``phonology`` for how they are found."""
    index: Dict[str, Dict[str, List[Entry]]] = {rule: defaultdict(list) for rule, _ in RULES}
    for entry in sorted(entries, key=lambda e: _number(e["EntryID"])):  # stable: else in the owners' order
        for rule, names in RULES:
            for name in names(entry):
                index[rule][name].append(entry)
    return PhonologyTable(list(FEATURES), {gloss: _find(normalise(gloss), index) for gloss in glosses})


def _number(name: str) -> int:
    found = re.search(r"_(\d+)$", name)
    return int(found.group(1)) if found else 0


def _find(gloss: str, index: Dict[str, Dict[str, List[Entry]]]) -> Coded:
    for rule, names in index.items():
        found = names.get(gloss)
        if gloss and found:
            values = _agreed(found) if rule == "translation" else features_of(found[0])
            return Coded(values, rule, len(found), found[0]["EntryID"])
    return Coded({}, "none", 0)


def features_of(entry: Entry) -> Dict[str, str]:
    """The features of an entry that are known."""
    values = {}
    for feature in FEATURES:
        value = entry[column(feature)].strip()
        if value in ("", "NA"):
            if feature not in _LACKING:
                continue
            value = ABSENT
        values[feature] = value
    return values


def _agreed(entries: List[Entry]) -> Dict[str, str]:
    """The values that more than half of the entries have."""
    coded, values = [features_of(entry) for entry in entries], {}
    for feature in FEATURES:
        counts = Counter(c[feature] for c in coded if feature in c)
        for value, count in counts.most_common(1):
            if 2 * count > len(coded):
                values[feature] = value
    return values


def report(table: PhonologyTable) -> Dict:
    """How many glosses were found by each rule, which were not, and what is known of each feature."""
    rows = table.rows
    rules = Counter(row.rule for row in rows.values())
    known = {f: Counter(r.values[f] for r in rows.values() if f in r.values) for f in table.features}
    features = {f: {"known": sum(n.values()), "values": dict(n.most_common())} for f, n in known.items()}
    return {
        "glosses": len(rows),
        "matched": len(rows) - rules["none"],
        "rules": {rule: rules[rule] for rule, _ in RULES if rules[rule]},
        "several": sum(row.candidates > 1 for row in rows.values()),
        "unmatched": [gloss for gloss, row in rows.items() if row.rule == "none"],
        "features": features,
    }
