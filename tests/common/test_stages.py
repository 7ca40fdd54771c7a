"""What the stage runner compares, without a recipe around it."""

from pathlib import Path

import pytest

from asl.common.errors import AslError
from asl.common.stages import difference, fingerprint, hash_listing, log_path, main, run_step


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_order_of_inputs_does_not_matter_and_their_content_does():
    Path("a").write_text("1")
    Path("b").write_text("2")
    before = fingerprint(["x"], ["a", "b"], [])
    assert difference(before, fingerprint(["x"], ["b", "a"], [])) is None
    Path("b").write_text("3")
    assert difference(before, fingerprint(["x"], ["a", "b"], [])) == "changed since: b"


def test_an_input_that_came_or_went_is_named():
    Path("a").write_text("1")
    with_a, without = fingerprint(["x"], ["a"], []), fingerprint(["x"], [], [])
    assert difference(with_a, without) == difference(without, with_a) == "changed since: a"


def test_hidden_files_of_an_input_folder_do_not_count():
    Path("data").mkdir()
    before = fingerprint(["x"], ["data"], [])
    Path("data/.marker").write_text("x")
    assert difference(before, fingerprint(["x"], ["data"], [])) is None


def test_a_listing_sees_a_file_that_was_replaced():
    Path("corpus").mkdir()
    Path("corpus/a").write_text("1")
    before = hash_listing("corpus")
    Path("corpus/a").write_text("22")
    assert hash_listing("corpus") != before


def test_an_absent_input_is_named():
    with pytest.raises(AslError, match="nowhere is needed and not there"):
        fingerprint(["x"], ["nowhere"], [])


def test_logs_lie_with_the_experiment_they_are_of():
    command = ["asl", "score", "--decode", "x"]
    assert log_path("6", command, ["exp/a/decode_val/result.json"]) == Path("exp/a/log/stage6-score-decode_val.log")
    assert log_path("4", ["asl", "train", "--x"], ["exp/a/train.json"]) == Path("exp/a/log/stage4-train.log")
    assert log_path("2", ["asl", "landmarks", "import"], ["data/x"]) == Path("data/log/stage2-landmarks-import.log")


def test_a_damaged_marker_counts_as_none():
    for _ in range(2):
        run_step(["sh", "-c", "echo x >> out"], ["out"])
    assert Path("out").read_text() == "x\n"
    Path(".out.done.json").write_text("{")
    run_step(["sh", "-c", "echo x >> out"], ["out"])
    assert Path("out").read_text() == "x\nx\n"


def test_a_step_without_outputs_runs_every_time():
    for _ in range(2):
        run_step(["sh", "-c", "echo x >> seen"], [])
    assert Path("seen").read_text() == "x\nx\n"


def test_a_step_needs_a_command():
    with pytest.raises(AslError, match="a step is: step"):
        main(["--out", "x"])
