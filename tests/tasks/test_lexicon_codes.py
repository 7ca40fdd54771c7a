"""``asl lexicon codes``: the codes of a pre-trained network as units of glosses."""

import math

import numpy as np
import pytest

from asl.cli import main as cli
from asl.common.errors import AslError
from asl.lang.folder import read_lang
from asl.tasks.lexicon_codes import choose_variants, clip_units, lasting, lexicon_codes
from tests.tasks.test_pretrain import corpus, pretrain  # noqa: F401 (fixtures)


def test_codes_that_last():
    assert lasting(np.array([3, 3, 3, 5, 3, 3, 7, 7, 7]), 2) == [3, 7]
    assert lasting(np.array([3, 3, 3, 5, 5, 3, 3]), 2) == [3, 5, 3]
    assert lasting(np.array([1, 2, 2, 1]), 3) == [2] and lasting(np.array([]), 1) == []


def test_variants_are_the_medoids_and_share_the_clips():
    rows = [("a", "b")] * 3 + [("a", "b", "c")] + [("x", "y", "z")] * 2
    assert choose_variants(rows, 1) == {("a", "b"): 1.0}
    assert choose_variants(rows, 2) == {("a", "b"): 4 / 6, ("x", "y", "z"): 2 / 6}
    assert choose_variants(rows, 9) == {("a", "b"): 0.5, ("x", "y", "z"): 2 / 6, ("a", "b", "c"): 1 / 6}


def test_a_lang_folder_of_codes(pretrain, corpus, capsys):  # noqa: F811
    exp = pretrain("exp", "--trainer.max_epochs", "1")
    out, data = corpus / "data" / "lang_codes", str(corpus / "data")
    words = ["lexicon", "codes", "--exp", str(exp), "--out", str(out), "--data", data, "--variants", "3",
             "--min-frames", "2", "--transition", "true"]  # fmt: skip
    assert cli(words) == 0
    lang = read_lang(out)
    assert lang.words == read_lang(corpus / "data" / "lang").words and lang.has_transition
    units = [unit for _, pronunciation in lang.entries for unit in pronunciation]
    assert all(unit.startswith("handshape") for unit in units)
    for word in lang.words:
        shares = [prob for (entry, _), prob in zip(lang.entries, lang.probs) if entry == word]
        assert math.isclose(sum(shares), 1, abs_tol=1e-6) and len(shares) <= 3
    assert "clips of train; " in capsys.readouterr().out
    before = (out / "lexiconp.txt").read_bytes()
    assert cli(words) == 0 and (out / "lexiconp.txt").read_bytes() == before
    for wrong, message in [({"codebook": "handshap"}, "did you mean 'handshape'"), ({"variants": 0}, "--variants is 0"),
                           ({"min_frames": 0}, "--min-frames is 0")]:  # fmt: skip
        with pytest.raises(AslError, match=message):
            lexicon_codes(str(exp), str(out), data, **wrong)


def test_clips_of_several_signs_are_refused():
    from types import SimpleNamespace

    task = SimpleNamespace(to=lambda device: None)
    with pytest.raises(AslError, match="clip c1 says 'book go'; codes are read off clips of one sign"):
        clip_units(task, [{"ids": ["c1"], "texts": ["book go"]}], "handshape", 2, "cpu")
