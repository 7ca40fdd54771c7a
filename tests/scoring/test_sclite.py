"""Against NIST's own scorer (``sctk sclite``), on random sentences and on published hypotheses."""

import random
import re
import subprocess

import pytest

from asl.scoring import wer


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
    theirs, same = sclite(tmp_path, pairs), ours(pairs, "sclite")
    for a, b in zip(theirs, same):  # 3 substitutions cost what 2 deletions and 2 insertions cost: a tie
        assert 4 * a[1] + 3 * (a[2] + a[3]) == 4 * b[1] + 3 * (b[2] + b[3])
    assert sum(a == b for a, b in zip(theirs, same)) >= 990


def phoenix_dev(corpora, name):
    """(reference, hypothesis) of each dev sentence of PHOENIX-2014 as they stand, without any clean-up."""
    root, refs, hyps = corpora / "phoenix2014", {}, {}
    for line in (root / "annotations/manual/dev.corpus.csv").read_text(encoding="utf-8").splitlines()[1:]:
        key, _, _, annotation = line.split("|")
        refs[key] = annotation.split()
    for line in (root / "hypotheses" / name).read_text(encoding="utf-8").splitlines():
        key, _, _, _, word = line.split()
        hyps.setdefault(key, []).append(word)
    assert set(hyps) <= set(refs)
    return [(refs[key], hyps.get(key, [])) for key in sorted(refs)]


PUBLISHED = [("published-dev.ctm", (4010, 1034, 496, 239)), ("published-dev-2.ctm", (3959, 1031, 550, 220))]


@pytest.mark.corpora
@pytest.mark.parametrize("name, expected", PUBLISHED)
def test_published_hypotheses_have_sclites_counts(corpora, name, expected):
    pairs = phoenix_dev(corpora, name)
    assert len(pairs) == 540
    assert tuple(map(sum, zip(*ours(pairs, "sclite")))) == expected  # measured with sclite 2.10
    kaldi = tuple(map(sum, zip(*ours(pairs, "kaldi"))))
    assert sum(kaldi[1:]) == sum(expected[1:])  # other substitutions, the same number of errors


@pytest.mark.corpora
@pytest.mark.sctk
@pytest.mark.parametrize("name, expected", PUBLISHED)
def test_published_hypotheses_sentence_by_sentence(corpora, tmp_path, name, expected):
    pairs = phoenix_dev(corpora, name)
    theirs = sclite(tmp_path, pairs)
    assert theirs == ours(pairs, "sclite")
    assert tuple(map(sum, zip(*theirs))) == expected
