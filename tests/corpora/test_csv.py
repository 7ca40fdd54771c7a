"""A corpus table: what people's spreadsheets write is read, and all that is wrong is told at once."""

import json

import pytest

from asl.common.errors import AslError
from asl.common.jsonl import read_jsonl
from asl.corpora.csv import check, prepare

HEADER = "id,path,split,text,signer"


@pytest.fixture
def table(tmp_path, hands_file):
    """``table(*lines, header=...)`` writes corpus.csv beside three landmark files a, b, c.npy."""
    for name in "abc":
        hands_file(tmp_path / "corpus" / "clips" / f"{name}.npy", 50)

    def write(*lines, header=HEADER, ends="\n", encoding="utf-8"):
        path = tmp_path / "corpus" / "corpus.csv"
        path.write_bytes(ends.join([header, *lines, ""]).encode(encoding))
        return path

    return write


ISOLATED = ("a,clips/a.npy,train,book,anna", "b,clips/b.npy,train,drink,ben", "c,clips/c.npy,val,book,")


def rows_of(out, split, kind="supervisions"):
    return {row["id"]: row for row in read_jsonl(out / split / f"{kind}.jsonl.gz")}


def words_of(out):
    lines = (out / "lang" / "words.txt").read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line[0] not in "<#"]


def test_isolated_signs(table, tmp_path, lhotse_validates):
    out = tmp_path / "data"
    report = prepare(str(table(*ISOLATED).parent), str(out), language="ase")
    assert json.loads((out / "report.json").read_text()) == report
    assert report["isolated"] is True and report["synthetic"] is False
    assert {s: row["found"] for s, row in report["splits"].items()} == {"train": 2, "val": 1, "test": 0}
    lhotse_validates(out / "train")
    row = rows_of(out, "train")["a"]
    assert (row["text"], row["speaker"], row["language"]) == ("book", "anna", "ase")
    assert row["custom"] == {"fps_from": "assumed", "fps_estimated": True}
    assert rows_of(out, "val")["c"].get("speaker") is None
    assert words_of(out) == ["book", "drink"]


def test_sentences_and_words_that_train_lacks(table, tmp_path, capsys):
    lines = ("a,clips/a.npy,train,me  drink book,anna", "b,clips/b.npy,val,book me read,ben")
    report = prepare(str(table(*lines)), str(tmp_path / "data"))
    assert report["isolated"] is False
    assert report["unseen_words"] == ["read"]
    assert rows_of(tmp_path / "data", "train")["a"]["text"] == "me drink book"
    assert words_of(tmp_path / "data") == ["me", "drink", "book", "read"]
    assert "1 words of val and test are not in train" in capsys.readouterr().out


def test_glosses_are_what_is_recognised(table, tmp_path):
    line = 'a,clips/a.npy,train,"Would you like a book, please?",anna,YOU WANT BOOK'
    prepare(str(table(line, header=HEADER + ",gloss")), str(tmp_path / "data"))
    row = rows_of(tmp_path / "data", "train")["a"]
    assert row["text"] == "YOU WANT BOOK"
    assert row["custom"]["text"] == "Would you like a book, please?"
    assert words_of(tmp_path / "data") == ["YOU", "WANT", "BOOK"]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_what_spreadsheets_write(table, tmp_path, ends, encoding, separator):
    lines = [line.replace(",", separator) for line in (*ISOLATED, "", ",,,,", "a2,clips/a.npy,train,für,ö")]
    header = " ID,path,Split,text,signer".replace(",", separator)
    prepare(str(table(*lines, header=header, ends=ends, encoding=encoding)), str(tmp_path / "data"))
    assert sorted(rows_of(tmp_path / "data", "train")) == ["a", "a2", "b"]
    assert words_of(tmp_path / "data") == ["book", "drink", "für"]


def test_rates_come_from_the_table(table, tmp_path):
    lines = [line + "," + fps for line, fps in zip(ISOLATED, ("29.97", "50", ""))]
    prepare(str(table(*lines, header=HEADER + ",fps")), str(tmp_path / "data"))
    recordings = {**rows_of(tmp_path / "data", "train", "recordings"),
                  **rows_of(tmp_path / "data", "val", "recordings")}  # fmt: skip
    assert {i: r["sampling_rate"] for i, r in recordings.items()} == {"a": 30000, "b": 50, "c": 25}
    custom = rows_of(tmp_path / "data", "train")["a"]["custom"]
    assert custom == {"fps_from": "table", "fps_estimated": False}


def test_all_problems_are_told_together_by_line(table):
    path = table(
        ISOLATED[0],
        "a,clips/b.npy,train,book,anna",
        "b,clips/b.npy,trian,book,anna",
        "c,clips/none.npy,train,book,anna",
        "d,clips/c.npy,train,,anna",
        ",,train,book,anna",
        "e f,clips/c.npy,train,<eps>,anna",
        "g,clips/c.npy,train,yes, sir,anna",
        "h,clips/c.npy",
    )
    with pytest.raises(AslError) as raised:
        check(str(path))
    message = str(raised.value)
    for part in (
        f"{path} line 3: id 'a' stands in line 2 already",
        "line 4: unknown split 'trian'; did you mean 'train'?",
        f"line 5: path {path.parent / 'clips/none.npy'} is not there",
        "line 6: the text is empty",
        "line 7: the id is empty",
        "line 7: the path is empty",
        "line 8: id 'e f' holds whitespace",
        "line 8: gloss '<eps>' is reserved",
        "line 9: 6 fields where the header has 5",
        "line 10: 2 fields where the header has 5",
    ):
        assert part in message
    assert "line 2:" not in message


def test_many_problems_are_not_all_told(table):
    with pytest.raises(AslError, match=r"200 problems; .*(\n.*)+and 170 more"):
        check(str(table(*[f"x{i},clips/a.npy,train,,anna" for i in range(200)])))


@pytest.mark.parametrize(
    "header, lines, message",
    [
        ("id,path,split,text,singer", ISOLATED, "no column signer among .*did you mean 'singer'"),
        ("a;b;c", ISOLATED, r"name the columns id,path,split,text,signer\[,gloss\]"),
        ("", (), "no column id, path, split, text, signer among nothing"),
        (HEADER + ",text", ISOLATED, "column text stands twice"),
        (HEADER + ",glos", ISOLATED, "unknown column 'glos'; did you mean 'gloss'"),
        (HEADER, (), "has a header and no clips"),
        (HEADER + ",gloss", ("a,clips/a.npy,train,book,anna,",), "line 2: the gloss is empty"),
        (HEADER + ",fps", ("a,clips/a.npy,train,book,anna,fast",), "line 2: fps 'fast' is not a number"),
        (HEADER, ('a,clips/a.npy,train,"book,anna', ISOLATED[1]), "unexpected end of data; close the quotes"),
        (HEADER, ("a,corpus.csv,train,book,anna",), r"neither a landmark file \(.npy, .npz, .pose\) nor a"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(table, header, lines, message):
    with pytest.raises(AslError, match=message):
        check(str(table(*lines, header=header)))


def test_no_table_and_no_utf8(table, tmp_path):
    with pytest.raises(AslError, match="corpus.csv is not there; give the table or its folder"):
        check(str(tmp_path))
    with pytest.raises(AslError, match="not UTF-8 text"):
        check(str(table(*ISOLATED, "d,clips/a.npy,train,für,a", encoding="latin-1")))


def test_other_columns_are_named_and_not_used(table, capsys):
    check(str(table(*[line + ",x" for line in ISOLATED], header=HEADER + ",camera")))
    assert "columns not used: camera" in capsys.readouterr().out


def test_clips_that_cannot_be_read_are_counted(table, tmp_path, hands_file):
    path = table(*ISOLATED)
    (path.parent / "clips" / "a.npy").write_bytes(b"no array")
    hands_file(path.parent / "clips" / "c.npy", 0)
    report = prepare(str(path), str(tmp_path / "data"))
    assert {s: (r["found"], r["bad"]) for s, r in report["splits"].items() if r["official"]} == {
        "train": (1, 1), "val": (0, 1),
    }  # fmt: skip
    assert not (tmp_path / "data" / "val").exists()
    (path.parent / "clips" / "b.npy").write_bytes(b"")
    with pytest.raises(AslError, match="none of its 3 clips can be used"):
        prepare(str(path), str(tmp_path / "data"))
