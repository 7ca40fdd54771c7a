"""ASL-LEX: glosses find their entries, what is unknown stays so; the owners' file and a second mapping."""

import csv
from collections import Counter

import pytest

from asl.common.errors import AslError
from asl.common.files import read_json
from asl.corpora.asl_lex import column, match, phonology, read_entries
from asl.lang.phonology import FEATURES, read_phonology
from asl.lang.prepare import write_lang

NAMES = ("EntryID", "LemmaID", "DominantTranslation", "SignBankAnnotationID", "SignBankEnglishTranslations")


def row(entry, lemma=None, dominant="", bank="", words="", **values):
    names = dict(zip(NAMES, (entry, lemma or entry, dominant, bank, words)))
    return {**names, **{column(f): values.get(f, "0") for f in FEATURES}}


ENTRIES = [
    row("dog_3", bank="DOGthree"),
    row("dog_2", Handshape="s"),
    row("box", words="box, present, gift", Handshape="b", Contact="1"),
    row("now", words="now, present", Handshape="y", Contact="1"),
    row("let_know", bank="INFORM", Movement="None", NonDominantHandshape="NA", SecondMinorLocation="NA"),
    row("ice cream", dominant="don't want", Spread="NA", SpreadChange=""),
    row("bird", "fowl", dominant="hen", words="chicken, hen"),
]


def write_csv(path, rows=ENTRIES):
    with open(path, "w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    "gloss, rule, entry, candidates",
    [
        ("Box", "entry", "box", 1),
        ("ice_cream", "entry", "ice cream", 1),
        ("fowl", "lemma", "bird", 1),
        ("dog", "variant", "dog_2", 2),
        ("hen", "dominant", "bird", 1),
        ("dont_want", "dominant", "ice cream", 1),
        ("inform", "signbank", "let_know", 1),
        ("chicken", "translation", "bird", 1),
        ("present", "translation", "box", 2),
        ("raccoon", "none", None, 0),
    ],
)
def test_a_gloss_is_found_by_the_first_rule_that_has_it(gloss, rule, entry, candidates):
    found = match([gloss], ENTRIES).rows[gloss]
    assert (found.rule, found.entry, found.candidates) == (rule, entry, candidates)


def test_what_is_not_known_is_absent_and_what_a_sign_lacks_is_none():
    table = match(["ice_cream", "inform", "raccoon"], ENTRIES)
    assert not {"Spread", "SpreadChange"} & set(table.rows["ice_cream"].values)
    inform = table.rows["inform"].values
    assert (inform["NonDominantHandshape"], inform["SecondMinorLocation"]) == ("none", "none")
    assert inform["Movement"] == "None" and table.rows["raccoon"].values == {}


def test_of_several_signs_for_one_word_only_what_they_share_is_known():
    values = match(["present"], ENTRIES).rows["present"].values
    assert "Handshape" not in values and values["Contact"] == "1"


def test_the_command_writes_table_and_report(tmp_path, capsys):
    write_lang(["box", "raccoon", "dog"], tmp_path / "lang")
    phonology(str(write_csv(tmp_path / "lex.csv")), str(tmp_path / "lang"))
    table = read_phonology(tmp_path / "lang" / "phonology.tsv")
    assert list(table.rows) == ["box", "raccoon", "dog"] and table.features == list(FEATURES)
    assert table.rows == match(["box", "raccoon", "dog"], ENTRIES).rows
    facts = read_json(tmp_path / "lang" / "phonology.json")
    assert facts["matched"] == 2 and facts["unmatched"] == ["raccoon"]
    assert facts["rules"] == {"entry": 1, "variant": 1} and facts["features"]["Handshape"]["known"] == 2
    said = capsys.readouterr().out
    assert "2 of 3 glosses found (entry 1, variant 1)" in said and "not found: raccoon" in said


def test_another_file_is_refused(tmp_path):
    with pytest.raises(AslError, match="no column 'LemmaID'"):
        read_entries(write_csv(tmp_path / "lex.csv", [{"EntryID": "a", "Code": "b"}]))
    with pytest.raises(AslError, match="cannot read .*absent.csv"):
        read_entries(tmp_path / "absent.csv")
    write_lang(["xyz"], tmp_path / "lang")
    with pytest.raises(AslError, match="none of the 1 words"):
        phonology(str(write_csv(tmp_path / "lex.csv")), str(tmp_path / "lang"))
    assert not (tmp_path / "lang" / "phonology.tsv").exists()


@pytest.fixture(scope="module")
def both(corpora):
    """The second mapping's rows, the owners' entries, and our table of the same glosses."""
    folder = corpora / "asl_lex"
    with open(folder / "wlasl2000_to_asllex.tsv", encoding="utf-8", newline="") as file:
        other = list(csv.DictReader(file, delimiter="\t"))
    entries = read_entries(next(folder.glob("signdata-*.csv")))
    return other, entries, match([r["gloss"] for r in other], entries)


@pytest.mark.corpora
@pytest.mark.parametrize("signs, names, all_rules", [(100, 98, 100), (1000, 877, 972), (2000, 1384, 1762)])
def test_as_many_glosses_as_the_second_mapping(both, signs, names, all_rules):
    other, _, table = both
    ours = [table.rows[r["gloss"]].rule for r in other[:signs]]
    theirs = Counter(r["match"] for r in other[:signs])
    assert sum(rule in ("entry", "lemma", "variant") for rule in ours) == names >= theirs["entry"]
    assert sum(rule != "none" for rule in ours) == all_rules == signs - theirs["none"]


@pytest.mark.corpora
def test_values_are_those_of_the_second_mapping_where_both_name_the_sign(both):
    """They differ on words that stand only in translations: there the second mapping takes the first entry
    that has the word (food -> apple), we the sign that is called so, or what most of the entries share."""
    other, _, table = both
    differing, counts = [], {feature: Counter() for feature in FEATURES if column(feature) in other[0]}
    for theirs in other:
        ours = table.rows[theirs["gloss"]]
        same_entry = ours.entry == (None if theirs["match"] == "none" else theirs["EntryID"])
        assert same_entry or theirs["match"] == "translation", theirs["gloss"]
        if not same_entry:
            differing.append((theirs["gloss"], theirs["EntryID"], ours.rule, ours.entry))
        for feature in counts if ours.entry else ():
            value, mine = theirs[column(feature)], ours.values.get(feature, "unknown")
            agree = value == mine or (value in ("NA", "") and mine in ("none", "unknown"))
            counts[feature]["same" if agree else "unknown" if mine == "unknown" else "other"] += 1
            if same_entry and ours.rule != "translation":
                assert agree, (theirs["gloss"], feature, value, mine)
    for feature, found in counts.items():
        print(f"{feature:22}", dict(found))
    print(len(differing), "glosses with another entry:", differing)
    assert len(counts) == 14 and 0 < len(differing) < 60
    assert {rule for _, _, rule, _ in differing} <= {"lemma", "dominant", "signbank", "translation"}
    assert all(c["same"] > 0.95 * (c["same"] + c["other"]) for c in counts.values())
