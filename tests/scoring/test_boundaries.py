"""Boundary errors in frames, by hand."""

import json

import pytest

from asl.common.ctm import TimedWord, write_timed
from asl.common.errors import AslError
from asl.scoring.boundaries import boundaries


def ctm(path, **utterances):
    """Words as (word, first frame, end) at 30 fps."""
    write_timed(path, {k: [TimedWord(w, a / 30, (b - a) / 30) for w, a, b in v] for k, v in utterances.items()})
    return str(path)


def test_errors_are_counted_in_frames(tmp_path, capsys):
    ref = ctm(tmp_path / "ref", u=[("A", 3, 9), ("B", 9, 20)], v=[("A", 0, 5)], w=[("C", 0, 1)])
    hyp = ctm(tmp_path / "hyp", u=[("A", 4, 9), ("B", 12, 18)], v=[("A", 0, 10)])
    result = boundaries(hyp, ref, fps="30", out=str(tmp_path / "out.json"))
    assert result["clips"] == 2 and result["words"] == 3 and result["not_aligned"] == ["w"]
    assert result["begin"]["mean"] == pytest.approx(4 / 3, abs=0.01) and result["begin"]["median"] == pytest.approx(1, abs=0.01)
    assert result["end"]["bias"] == pytest.approx(1, abs=0.01)
    assert result["all"]["mean"] == pytest.approx(11 / 6, abs=0.01) and result["all"]["median"] == pytest.approx(1.5, abs=0.01)
    assert result["all"]["within_2"] == pytest.approx(100 * 4 / 6, abs=0.01)
    assert json.loads((tmp_path / "out.json").read_text()) == result
    assert "1 clips not aligned: w" in capsys.readouterr().out


def test_other_words_and_unknown_clips_are_errors(tmp_path):
    ref = ctm(tmp_path / "ref", u=[("A", 3, 9)])
    with pytest.raises(AslError, match="words of clip u"):
        boundaries(ctm(tmp_path / "hyp", u=[("B", 3, 9)]), ref)
    with pytest.raises(AslError, match="'x' .* no true boundaries"):
        boundaries(ctm(tmp_path / "hyp", x=[("A", 3, 9)]), ref)
