"""asl doctor: tells what works, and ends with 1 where something required does not."""

import os

import pytest

from asl.common import doctor


def test_everything_that_is_required_works_here(capsys):
    assert doctor.doctor() == 0
    out = capsys.readouterr().out
    assert "everything that is required works" in out and "BROKEN" not in out
    for name in ("torch and its devices", "graph engine kaldi", "graph engine k2", "landmarks from videos"):
        assert name in out


@pytest.mark.k2
def test_k2_is_expected_and_works():
    assert os.environ.get("ASL_EXPECT_K2", "1") == "1"
    assert doctor.check_k2().works


def test_what_is_broken_is_told_with_what_mends_it(capsys, monkeypatch):
    def broken():
        raise ImportError("no such\nthing")

    monkeypatch.setattr(doctor, "ATTEMPTS", [lambda: doctor._attempt("engine", broken, mend="mend-it --now")])
    assert doctor.doctor() == 1
    out = capsys.readouterr().out
    assert "BROKEN  engine: ImportError: no such thing" in out and "mend it with: mend-it --now" in out


def test_what_may_be_absent_is_no_failure(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "ATTEMPTS", [lambda: doctor.Check("video", False, "not there", required=False)])
    assert doctor.doctor() == 0
    assert "absent  video" in capsys.readouterr().out
