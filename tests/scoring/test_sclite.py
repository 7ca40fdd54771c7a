"""Against NIST's own scorer (``sctk sclite``), on random sentences and on published hypotheses."""

import random
import re
import subprocess

import pytest

from asl.common.transcripts import read_ctm, read_stm
from asl.scoring import wer
from asl.scoring.choices import Choices
from asl.scoring.ctm import score_ctm
from asl.scoring.refs import Utterance, join


def sclite(folder, pairs):
    """(correct, sub, del, ins) of each (reference, hypothesis) by sclite, case kept (-s)."""
    for name, side in (("ref", 0), ("hyp", 1)):
        lines = [f"{' '.join(pair[side])} (s-{i:05d})\n" for i, pair in enumerate(pairs)]
        (folder / f"{name}.trn").write_text("".join(lines))
    command = "sctk sclite -s -i rm -r ref.trn trn -h hyp.trn trn -o pralign stdout"
    done = subprocess.run(
        command.split(), cwd=folder, stdout=subprocess.PIPE, universal_newlines=True, check=True
    )
    found = re.findall(r"^Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)", done.stdout, re.MULTILINE)
    assert len(found) == len(pairs)
    return [tuple(map(int, numbers)) for numbers in found]


def sclite_ctm(folder, pairs, case):
    """The same through an STM and a CTM, as PHOENIX-2014 is scored; sclite folds case unless it is kept."""
    ids = [f"s{i:05d}" for i in range(len(pairs))]
    stm = [f"{key} 1 s 0.0 1.79769e+308 {' '.join(ref)}\n" for key, (ref, _) in zip(ids, pairs)]
    rows = [(key, i, word) for key, (_, hyp) in zip(ids, pairs) for i, word in enumerate(hyp)]
    (folder / "ref.stm").write_text("".join(stm))
    (folder / "hyp.ctm").write_text("".join(f"{key} 1 {i / 100:.2f} 0.01 {word}\n" for key, i, word in rows))
    words = ["-s"] if case == "keep" else []
    command = ["sctk", "sclite", *words, *"-r ref.stm stm -h hyp.ctm ctm -o pralign stdout".split()]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, universal_newlines=True, check=True)
    found = re.findall(r"^Scores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)", done.stdout, re.MULTILINE)
    assert len(found) == len(pairs)
    return [tuple(map(int, numbers)) for numbers in found]


def ours(pairs, costs):
    counts = [wer.count(wer.align(ref, hyp, costs)) for ref, hyp in pairs]
    return [(c.corr, c.sub, c.dele, c.ins) for c in counts]


@pytest.mark.sctk
def test_random_sentences(tmp_path):
    rng, pairs = random.Random(0), []
    for _ in range(1000):
        ref = [rng.choice("ABCDEFGh") for _ in range(rng.randrange(1, 12))]
        edits = [[w] if rng.random() < 0.6 else rng.choice([[], ["H"], [w, "h"]]) for w in ref]
        pairs.append((ref, [word for edit in edits for word in edit]))
    assert sclite(tmp_path, pairs) == ours(pairs, "sclite")


def test_a_tie_is_resolved_as_sclite_does():
    # B may stand under B: 2 deletions before it and 2 insertions behind cost as much as 3 substitutions
    counts = wer.count(wer.align("A A B".split(), "B C C".split(), "sclite"))
    assert (counts.sub, counts.dele, counts.ins) == (3, 0, 0)


def paths(corpora, name):
    root = corpora / "phoenix2014"
    return str(root / "hypotheses" / name), str(root / "evaluation/phoenix2014-groundtruth-dev.stm")


# (correct, substitutions, deletions, insertions) in 5,540 words, measured with sclite 2.10 (-s)
PUBLISHED = [
    ("published-dev.ctm", "none", (4010, 1034, 496, 239)),  # 31.93 %
    ("published-dev.ctm", "phoenix2014", (4292, 710, 538, 175)),  # 25.69 %
    ("published-dev-2.ctm", "none", (3959, 1031, 550, 220)),  # 32.51 %
    ("published-dev-2.ctm", "phoenix2014", (4238, 712, 590, 168)),  # 26.53 %
]


@pytest.mark.corpora
@pytest.mark.parametrize("name, cleanup, expected", PUBLISHED)
def test_published_hypotheses_have_sclites_counts(corpora, name, cleanup, expected):
    ctm, stm = paths(corpora, name)
    result = score_ctm(ctm, stm, cleanup=cleanup, missing="error", replications=10)
    counts = result["counts"]
    assert tuple(counts[key] for key in ("corr", "sub", "del", "ins")) == expected
    assert counts["sentences"] == 540 and counts["ref"] == 5540
    plain = score_ctm(ctm, stm, cleanup=cleanup, costs="kaldi", replications=10)
    assert plain["counts"]["err"] == sum(expected[1:])  # other substitutions, the same number of errors


@pytest.mark.corpora
@pytest.mark.sctk
@pytest.mark.parametrize("name, cleanup, expected", PUBLISHED)
@pytest.mark.parametrize("case", ["keep", "fold"])
def test_published_hypotheses_sentence_by_sentence(corpora, tmp_path, name, cleanup, expected, case):
    ctm, stm = paths(corpora, name)
    references = read_stm(stm)
    utterances = join(references, {key: (words,) for key, words in read_ctm(ctm).items()}, ctm, stm)
    pairs = [(u.reference, u.best) for u in Choices(cleanup).apply(utterances)]
    theirs = sclite_ctm(tmp_path, pairs, case)
    folded = [(u.reference, u.best) for u in Choices(cleanup, case=case).apply(utterances)]
    assert theirs == ours(folded, "sclite")
    assert case == "fold" or tuple(map(sum, zip(*theirs))) == expected


# What the choices that the field makes differently do to one published file: errors, words of the references.
CHOICES = [
    ({}, 1769, 5540),
    ({"cleanup": "phoenix2014"}, 1423, 5540),
    ({"cleanup": "phoenix2014", "repeats": "hypotheses"}, 1417, 5540),
    ({"cleanup": "phoenix2014-sentence"}, 1408, 5540),
    ({"cleanup": "phoenix2014-sentence", "repeats": "hypotheses"}, 1409, 5540),
    ({"cleanup": "phoenix2014-sentence", "cleanup_of": "both", "repeats": "both"}, 1404, 5535),
    ({"cleanup": "phoenix2014", "case": "fold"}, 1423, 5540),
]


@pytest.mark.corpora
@pytest.mark.parametrize("choices, errors, words", CHOICES)
def test_what_each_choice_does(corpora, choices, errors, words):
    ctm, stm = paths(corpora, "published-dev.ctm")
    counts = score_ctm(ctm, stm, costs="kaldi", replications=10, **choices)["counts"]
    assert (counts["err"], counts["ref"]) == (errors, words)


@pytest.mark.corpora
@pytest.mark.parametrize("split, left", [("dev", 5540 - 5), ("test", 6504 - 11)])
def test_cleaning_lines_of_references_loses_words(corpora, split, left):
    stm = read_stm(corpora / f"phoenix2014/evaluation/phoenix2014-groundtruth-{split}.stm")
    both = Choices("phoenix2014-sentence", "both", "both")
    cleaned = both.apply([Utterance(key, words) for key, words in stm.items()])
    assert sum(len(u.reference) for u in cleaned) == left
