"""Files appear whole or not at all, hashes follow content, and damage is told by file and line."""

import gzip
import os

import pytest

from asl.common.errors import AslError, did_you_mean
from asl.common.files import atomic_path, hash_file, hash_paths, read_json, write_json, write_text
from asl.common.jsonl import read_jsonl, write_jsonl
from asl.common.seeds import derive_seed

ROWS = [{"id": f"clip{i}", "text": "GO " * (i % 37)} for i in range(2000)]


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a.txt") as tmp:
        tmp.write_text("ne")
        1 / 0
    assert (tmp_path / "a.txt").read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(AslError, match="cannot write .*file/a.txt: .*file is a file; give a folder"):
        write_text(tmp_path / "file" / "a.txt", "x")
    for folder in (tmp_path, "."):
        with pytest.raises(AslError, match="it is a folder; give the name of a file"):
            write_text(folder, "x")


def test_a_device_is_written_to_and_not_replaced():
    master, slave = os.openpty()  # a character device, as /dev/null is
    try:
        write_text(os.ttyname(slave), "said")
        assert os.read(master, 9) == b"said"
    finally:
        os.close(master)
        os.close(slave)


def test_json_comes_back_and_damage_is_placed(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"b": [1], "a": "Ä"})
    assert list(read_json(tmp_path / "deep" / "a.json").items()) == [("b", [1]), ("a", "Ä")]
    (tmp_path / "a.json").write_text('{"a": 1,\n "b": ')
    with pytest.raises(AslError, match="a.json line 2 column 7: not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(AslError, match="none.json does not exist"):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_json_lines_come_back_and_the_same_rows_are_the_same_bytes(tmp_path, name):
    assert write_jsonl(tmp_path / name, ROWS) == len(ROWS)
    before = (tmp_path / name).read_bytes()
    assert list(read_jsonl(tmp_path / name)) == ROWS
    write_jsonl(tmp_path / name, iter(ROWS))
    assert (tmp_path / name).read_bytes() == before


def test_json_lines_that_are_damaged_name_file_and_line(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    write_jsonl(path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AslError, match=r"a.jsonl.gz after line \d+: .*cut short"):
        list(read_jsonl(path))
    path.write_bytes(whole[:100] + bytes(b ^ 0x5F for b in whole[100:110]) + whole[110:])  # no longer deflate
    with pytest.raises(AslError, match="a.jsonl.gz"):
        list(read_jsonl(path))
    path.write_bytes(gzip.compress(b'{"id": 1}\n\n[2]\n'))
    with pytest.raises(AslError, match="a.jsonl.gz line 3: expected a JSON object, found list"):
        list(read_jsonl(path))


def test_hashes_follow_content_and_names_not_order(tmp_path):
    for name in ("a", "b", ".hidden"):
        (tmp_path / name).write_text(name)
    before = hash_paths([tmp_path])
    assert hash_paths([tmp_path / "a", tmp_path / "b"]) == hash_paths([tmp_path / "b", tmp_path / "a"])
    (tmp_path / ".hidden").write_text("other")
    assert hash_paths([tmp_path]) == before
    (tmp_path / "b").write_text("c")
    assert hash_paths([tmp_path]) != before
    assert hash_paths([tmp_path / "none"]) != hash_paths([tmp_path / "a"])


def test_a_large_file_is_hashed_by_its_ends_and_time(tmp_path, monkeypatch):
    monkeypatch.setattr("asl.common.files.CONTENT_HASH_LIMIT", 100_000)
    path = tmp_path / "large"
    path.write_bytes(bytes(300_000))
    before = hash_file(path)
    os.utime(path, ns=(1, 1))
    assert hash_file(path) != before


def test_seeds_are_the_same_everywhere_and_differ_by_every_part():
    assert derive_seed(0, "augment", 1, 2) == 6078449028796424066
    seeds = {derive_seed(s, what, n) for s in range(3) for what in ("a", "b") for n in range(50)}
    assert len(seeds) == 300 and all(0 <= seed < 2**63 for seed in seeds)


def test_the_nearest_name_is_offered():
    assert did_you_mean("trian", ["train", "val"]) == "; did you mean 'train'?"
    assert did_you_mean("xyz", ["train", "val"]) == ""
