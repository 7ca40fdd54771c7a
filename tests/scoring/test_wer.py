"""Word error rates: against brute force, and in the exact forms of Kaldi, sclite and icefall."""

import random
import re

import pytest

from asl.scoring import wer
from asl.scoring.errs import errs, recogs, wer_summary
from asl.scoring.refs import Utterance
from asl.scoring.score import score


def brute_force(ref, hyp, sub=1, gap=1):
    """Least cost of an alignment, by the textbook's recursion (Wagner and Fischer, 1974)."""
    row = [j * gap for j in range(len(hyp) + 1)]
    for i, r in enumerate(ref, 1):
        new = [i * gap]
        for j, h in enumerate(hyp, 1):
            new.append(min(row[j] + gap, new[j - 1] + gap, row[j - 1] + (sub if r != h else 0)))
        row = new
    return row[-1]


def test_random_sequences_against_brute_force():
    rng = random.Random(0)
    for _ in range(2000):
        ref = [rng.choice("ABCD*") for _ in range(rng.randrange(9))]
        hyp = [rng.choice("ABCD*") for _ in range(rng.randrange(9))]
        counts = wer.count(wer.align(ref, hyp))
        assert counts.errors == brute_force(ref, hyp)
        assert counts.ref == len(ref) == counts.corr + counts.sub + counts.dele
        assert len(hyp) == counts.corr + counts.sub + counts.ins
        sclite = wer.count(wer.align(ref, hyp, costs="sclite"))
        assert 4 * sclite.sub + 3 * (sclite.ins + sclite.dele) == brute_force(ref, hyp, sub=4, gap=3)


def test_kaldis_exact_form():
    counts = [wer.Counts(ref=10000, corr=8000, sub=2000, dele=0, ins=358),
              wer.Counts(ref=10138, corr=9788, sub=20, dele=330), wer.Counts()]  # fmt: skip
    assert wer.kaldi_lines(counts, n_missing=1) == (
        "%WER 13.45 [ 2708 / 20138, 358 ins, 330 del, 2020 sub ]\n"
        "%SER 66.67 [ 2 / 3 ]\n"
        "Scored 3 sentences, 1 not present in hyp.\n"
    )


def test_empty_reference_adds_its_insertions_and_no_word(folder, capsys):
    folder.references({"a": "", "b": "X Y"})
    result = score(folder.decode({"a": "Z", "b": "X Y"}), data=str(folder.data), metric="wer")
    assert result["counts"]["ins"] == 1 and result["counts"]["ref"] == 2
    assert result["metrics"]["wer"]["value"] == 50.0
    assert result["metrics"]["wer"]["high"] is None  # a draw of the empty one alone has no rate
    assert "%WER 50.00 [ 1 / 2, 1 ins, 0 del, 0 sub ]" in capsys.readouterr().out


def test_no_reference_word_at_all(folder, capsys):
    folder.references({"a": "", "b": ""})
    clean = score(folder.decode({"a": "", "b": ""}), data=str(folder.data), metric="wer")
    assert clean["metrics"]["wer"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    wrong = score(folder.decode({"a": "Z", "b": ""}), data=str(folder.data), metric="wer")
    assert wrong["metrics"]["wer"]["value"] is None
    assert "%WER inf [ 1 / 0, 1 ins, 0 del, 0 sub ]" in capsys.readouterr().out


UTTERANCES = [
    Utterance("u1", tuple("THE ASSOCIATION OF EDISON COMPANIES".split()),
              (tuple("THE ASSOCIATION OF ADDISON COMPANIES".split()),)),
    Utterance("u2", tuple("FOR THE DAY SIR I THINK".split()), (tuple("FOR THE DAY I THINK SO".split()),)),
    Utterance("u3", ("A", "B"), ()),
    Utterance("u4", (), (("*",),)),
]  # fmt: skip


def test_icefalls_files():
    text = errs(UTTERANCES, wer.align_all(UTTERANCES))
    assert (
        text.splitlines()
        == """%WER = 46.15
Errors: 2 insertions, 3 deletions, 1 substitutions, over 13 reference words (9 correct)
Search below for sections starting with PER-UTT DETAILS:, SUBSTITUTIONS:, DELETIONS:, INSERTIONS:, \
PER-WORD STATS:

PER-UTT DETAILS: corr or (ref->hyp)
u1:\tTHE ASSOCIATION OF (EDISON->ADDISON) COMPANIES
u2:\tFOR THE DAY (SIR->*) I THINK (*->SO)
u3:\t(A B->*)
u4:\t(*->*)

SUBSTITUTIONS: count ref -> hyp
1   EDISON -> ADDISON

DELETIONS: count ref
1   A
1   B
1   SIR

INSERTIONS: count hyp
1   *
1   SO

PER-WORD STATS: word  corr tot_errs count_in_ref count_in_hyp
*   0 1 0 1
A   0 1 1 0
ADDISON   0 1 0 1
B   0 1 1 0
EDISON   0 1 1 0
SIR   0 1 1 0
SO   0 1 0 1
ASSOCIATION   1 0 1 1
COMPANIES   1 0 1 1
DAY   1 0 1 1
FOR   1 0 1 1
I   1 0 1 1
OF   1 0 1 1
THE   2 0 2 2
THINK   1 0 1 1""".replace("hyp)\nu1", "hyp)  \nu1").splitlines()
    )
    assert recogs(UTTERANCES[2:]) == "u3:\tref=['A', 'B']\nu3:\thyp=[]\nu4:\tref=[]\nu4:\thyp=['*']\n"
    assert wer_summary("greedy", 46.154) == "settings\tWER\ngreedy\t46.15\n"


def test_sentences_end_to_end(folder, capsys):
    folder.references({u.id: " ".join(u.reference) for u in UTTERANCES})
    decode = folder.decode({u.id: " ".join(u.best) for u in UTTERANCES if u.readings}, method="greedy")
    result = score(decode, data=str(folder.data), metric="wer")
    assert result["counts"] == {
        "sentences": 4, "sentences_wrong": 4, "ref": 13, "corr": 9, "sub": 1, "del": 3, "ins": 2, "err": 6,
    }  # fmt: skip
    assert result["main"] == "wer" and result["per_clip"] == {"errors": "1 2 2 1", "lengths": "5 6 2 0"}
    shown = capsys.readouterr().out
    assert "|     4     13 |  69.2    7.7   23.1   15.4   46.2  100.0 |" in shown
    kaldi = (folder.path / "exp/softmax/decode_val/wer_val").read_text().splitlines()
    assert re.fullmatch(r"%WER [\d.]+ \[ \d+ / \d+, \d+ ins, \d+ del, \d+ sub \]", kaldi[0])
    assert kaldi[2] == "Scored 4 sentences, 1 not present in hyp."


@pytest.mark.parametrize("ref, hyp, expected", [("", "", 0.0), ("A B", "A B", 0.0), ("A B", "", 100.0),
                                                 ("A", "B C D", 300.0)])  # fmt: skip
def test_corners(ref, hyp, expected):
    counts = wer.count(wer.align(ref.split(), hyp.split()))
    assert wer.rate(counts.errors, counts.ref) == expected
