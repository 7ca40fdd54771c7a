"""The choices behind a WER: each does what it says, stands beside the number, and never hides an error."""

import json

import pytest

from asl.common.errors import AslError
from asl.scoring.choices import Choices, short
from asl.scoring.compare import compare
from asl.scoring.ctm import score_ctm
from asl.scoring.refs import Utterance
from asl.scoring.score import score


def changed(reference, hypothesis, **choices):
    one = Utterance("u", tuple(reference.split()), (tuple(hypothesis.split()),))
    (utterance,) = Choices(**choices).apply([one])
    return " ".join(utterance.reference), " ".join(utterance.best)


@pytest.mark.parametrize(
    "choices, reference, hypothesis",
    [
        ({}, "NORD loc-SUED SUED", "loc-NORD Nord __PU__ A B B"),
        ({"cleanup": "phoenix2014"}, "NORD loc-SUED SUED", "NORD Nord A B B"),
        ({"cleanup": "phoenix2014", "cleanup_of": "both"}, "NORD SUED SUED", "NORD Nord A B B"),
        ({"cleanup": "phoenix2014-sentence"}, "NORD loc-SUED SUED", "NORD Nord A+B+B"),
        ({"repeats": "hypotheses"}, "NORD loc-SUED SUED", "loc-NORD Nord __PU__ A B"),
        ({"cleanup": "phoenix2014", "cleanup_of": "both", "repeats": "both"}, "NORD SUED", "NORD Nord A B"),
        ({"case": "fold"}, "nord loc-sued sued", "loc-nord nord __pu__ a b b"),
    ],
)
def test_each_choice(choices, reference, hypothesis):
    assert changed("NORD loc-SUED SUED", "loc-NORD Nord __PU__ A B B", **choices) == (reference, hypothesis)


def test_readings_that_become_one_count_once_and_a_missing_one_stays_missing():
    readings = (("loc-A",), ("A",), ("B",))
    some, none = Choices("phoenix2014").apply([Utterance("u", ("A",), readings), Utterance("v", ("A",))])
    assert some.readings == (("A",), ("B",)) and none.readings == ()


def test_the_choices_stand_with_the_number(folder, capsys):
    folder.references({"a": "NORD REGEN", "b": "SUED"})
    decode = folder.decode({"a": "loc-NORD REGEN REGEN", "b": "SUED"})
    plain = score(decode, data=str(folder.data), metric="wer")
    assert plain["counts"]["err"] == 2 and plain["scoring"]["cleanup"] == "none"
    capsys.readouterr()
    clean = score(decode, data=str(folder.data), metric="wer", cleanup="phoenix2014", repeats="hypotheses")
    assert clean["counts"]["err"] == 0
    kept = json.loads((folder.path / decode / "result.json").read_text())["scoring"]
    assert kept == {"cleanup": "phoenix2014", "cleanup_of": "hypotheses", "repeats": "hypotheses",
                    "case": "keep", "missing": "deletions", "costs": "kaldi"}  # fmt: skip
    said = capsys.readouterr().out
    assert "scored with: clean-up phoenix2014 (of hypotheses), repeats merged in hypotheses, case" in said
    assert short(kept) == "phoenix2014, repeats merged in hypotheses" and short({}) == "none"


def test_missing_hypotheses_are_an_error_where_that_is_asked_for(folder):
    folder.references({"a": "X", "b": "Y", "c": "Z"})
    decode = folder.decode({"b": "Y"})
    with pytest.raises(AslError, match="2 of 3 utterances have no hypothesis, 'a' first"):
        score(decode, data=str(folder.data), metric="wer", missing="error")


def test_signs_are_not_cleaned_in_silence(folder):
    folder.references({"a": "X"})
    with pytest.raises(AslError, match="top-k takes signs as they are, not with clean-up phoenix2014"):
        score(folder.decode({"a": "X"}), data=str(folder.data), cleanup="phoenix2014")


def test_a_comparison_is_made_with_the_same_choices(folder, capsys):
    folder.references({"a": "NORD REGEN", "b": "SUED"})
    a = folder.decode({"a": "loc-NORD REGEN", "b": "SUED"}, name="exp/a/decode")
    b = folder.decode({"a": "NORD REGEN", "b": "SUED"}, name="exp/b/decode")
    assert compare(a, b, str(folder.data), metric="wer")["only_b"] == 1
    assert compare(a, b, str(folder.data), metric="wer", cleanup="phoenix2014")["only_b"] == 0


STM = "a-1 1 s 0.0 9 NORD REGEN\na-2 1 s 0.0 9 SUED\n"


@pytest.fixture
def files(tmp_path):
    """An STM and a CTM of two utterances."""
    (tmp_path / "ref.stm").write_text(STM)
    (tmp_path / "hyp.ctm").write_text("a-1 1 0.0 0.1 loc-NORD\na-1 1 0.5 0.1 REGEN\na-2 1 0.0 0.1 WIND 0.8\n")
    return str(tmp_path / "hyp.ctm"), str(tmp_path / "ref.stm")


def test_a_ctm_against_an_stm(files, tmp_path, capsys):
    result = score_ctm(*files, cleanup="phoenix2014", out=str(tmp_path / "scored"))
    assert result["counts"]["err"] == 1 and result["metrics"]["wer"]["value"] == pytest.approx(33.3333)
    assert json.loads((tmp_path / "scored/result.json").read_text()) == result
    assert "(SUED->WIND)" in (tmp_path / "scored/errs.txt").read_text()
    said = capsys.readouterr().out
    assert "%WER 33.33 [ 1 / 3, 0 ins, 0 del, 1 sub ]" in said and "costs sclite" in said


def test_a_ctm_of_our_decoder_against_a_split(folder, capsys):
    from asl.decoding.hypothesis import Hypothesis
    from asl.decoding.output import write_ctm

    folder.references({"a": "NORD REGEN", "b": "SUED", "c": "WIND"})
    best = Hypothesis(["NORD", "REGEN"], -1.0, times=[(0.0, 0.4), (0.4, 1.0)])
    write_ctm(folder.path / "hyp.ctm", ["a", "b"], [[best], [Hypothesis([], -1.0, times=[])]])
    result = score_ctm(str(folder.path / "hyp.ctm"), data=str(folder.data))
    assert result["counts"]["del"] == 2 and result["n_missing"] == 2  # a CTM cannot hold an empty hypothesis
    assert "Scored 3 sentences, 2 not present in hyp." in capsys.readouterr().out


def test_ids_that_are_not_in_the_references(files):
    ctm, stm = files
    with open(ctm, "a") as f:
        f.write("a-3 1 0.0 0.1 WIND\n")
    with pytest.raises(AslError, match=r"hyp.ctm: id 'a-3' is not in ref.stm; did you mean 'a-"):
        score_ctm(ctm, stm)
    with pytest.raises(AslError, match="1 of 2 utterances have no hypothesis"):
        only = ctm + ".one"
        with open(only, "w") as f:
            f.write("a-1 1 0.0 0.1 X\n")
        score_ctm(only, stm, missing="error")


def test_references_are_one_thing(files, folder):
    with pytest.raises(AslError, match="--stm FILE or --data DIR"):
        score_ctm(*files, data=str(folder.data))
    with pytest.raises(AslError, match="--stm FILE or --data DIR"):
        score_ctm(files[0])
