"""Two decode folders on the same clips."""

import pytest

from asl.common.errors import AslError
from asl.scoring.compare import compare
from asl.scoring.score import score


def test_a_clear_difference(folder, capsys):
    keys = [f"c{i:03d}" for i in range(100)]
    folder.references({key: "X" for key in keys})
    a = folder.decode({key: "X" if i < 50 else "Y" for i, key in enumerate(keys)}, name="exp/a/decode_val")
    b = folder.decode({key: "X" if i >= 20 else "Y" for i, key in enumerate(keys)}, name="exp/b/decode_val")
    result = compare(a, b, data=str(folder.data))
    assert (result["a"], result["b"], result["difference"]) == (50.0, 80.0, pytest.approx(30.0))
    assert (result["only_a"], result["only_b"], result["n"]) == (20, 50, 100)
    assert 10 < result["low"] < 30 < result["high"] < 50
    assert result["p"] == pytest.approx(0.000438, rel=0.01)  # exact McNemar of 20 against 50
    shown = capsys.readouterr().out
    assert "B - A = +30.00, 95 % interval" in shown and "p = 0.00044" in shown and "100 clips" in shown


def test_a_system_is_not_better_than_itself(folder):
    folder.references({"a": "X", "b": "Y"})
    decode = folder.decode({"a": "X", "b": "Z"})
    for metric in ("topk", "wer"):
        result = compare(decode, decode, data=str(folder.data), metric=metric)
        assert (result["difference"], result["low"], result["high"], result["p"]) == (0, 0, 0, 1.0)


def test_word_error_rates(folder):
    folder.references({f"{i}": "A B C D" for i in range(30)})
    a = folder.decode({f"{i}": "A B" for i in range(30)}, name="exp/a/decode_val")
    b = folder.decode({f"{i}": "A B C" for i in range(30)}, name="exp/b/decode_val")
    result = compare(a, b, data=str(folder.data), metric="wer")
    assert (result["a"], result["b"], result["difference"]) == (50.0, 25.0, -25.0)
    assert result["only_b"] == 30 and result["p"] == pytest.approx(2 * 0.5**30)
    assert compare(a, b, data=str(folder.data))["metric"] == "top1"
    score(a, data=str(folder.data), metric="wer")  # what A was scored in is what is compared
    assert compare(a, b, data=str(folder.data)) == result


def test_words_are_cleaned_as_they_were_when_the_first_was_scored(folder, capsys):
    folder.references({"a": "NORD REGEN"})
    a = folder.decode({"a": "loc-NORD REGEN"}, name="exp/a/decode_val")
    b = folder.decode({"a": "NORD"}, name="exp/b/decode_val")
    score(a, data=str(folder.data), metric="wer", cleanup="phoenix2014")
    result = compare(a, b, data=str(folder.data))
    assert (result["a"], result["b"]) == (0.0, 50.0)
    assert "clean-up phoenix2014" in capsys.readouterr().out.splitlines()[-1]
    assert compare(a, b, data=str(folder.data), cleanup="none")["a"] == 50.0


def test_words_are_aligned_by_the_costs_that_the_first_was_scored_with(folder, capsys):
    # 4 errors with 3 substitutions or 5 with 2: sclite, to which a substitution is dearer, takes the latter
    folder.references({"a": "A B C D"})
    a = folder.decode({"a": "C D A D B"}, name="exp/a/decode_val")
    b = folder.decode({"a": "A B C D"}, name="exp/b/decode_val")
    found = {}
    for costs in ("kaldi", "sclite"):
        number = score(a, data=str(folder.data), metric="wer", costs=costs)["metrics"]["wer"]["value"]
        found[costs] = compare(a, b, data=str(folder.data))["a"]
        assert found[costs] == number
        assert f"costs {costs}" in capsys.readouterr().out.splitlines()[-1]
    assert found == {"kaldi": 100.0, "sclite": 125.0}
    assert compare(a, b, data=str(folder.data), costs="kaldi")["a"] == found["kaldi"]


def test_both_missing_the_same_clip_counts_it_as_wrong(folder):
    folder.references({"a": "X", "b": "Y"})
    result = compare(*[folder.decode({"a": "X"}, name=f"exp/{n}") for n in "ab"], data=str(folder.data))
    assert result["n"] == 2 and result["a"] == 50.0


def test_unequal_sets_of_ids(folder):
    folder.references({"a": "X", "b": "Y", "c": "Z"})
    a = folder.decode({"a": "X", "b": "Y"}, name="exp/a")
    b = folder.decode({"a": "X"}, name="exp/b")
    for pair in ((a, b), (b, a)):
        with pytest.raises(
            AslError, match="1 ids have a hypothesis in .*exp/a and none in .*exp/b, 'b' first"
        ):
            compare(*pair, data=str(folder.data))


def test_unknown_ids_in_both(folder):
    folder.references({"a": "X"})
    with pytest.raises(AslError, match="id 'other' is not in the val split"):
        compare(*[folder.decode({"other": "X"}, name=f"exp/{n}") for n in "ab"], data=str(folder.data))


def test_references_without_words(folder):
    folder.references({"a": ""})
    decode = folder.decode({"a": ""})
    with pytest.raises(AslError, match="hold no words"):
        compare(decode, decode, data=str(folder.data), metric="wer")
