"""``asl prior`` and ``asl decode --prior-scale``: posteriors divided by what the network says anyway."""

import math
import shutil

import numpy as np
import pytest
import torch

from asl.cli import main
from asl.common.errors import AslError
from asl.common.files import read_json, write_json
from asl.common.jsonl import read_jsonl
from asl.decoding.align import viterbi_alignment
from asl.decoding.prior import floored_log, less_prior
from asl.tasks.decode import decode
from asl.tasks.networks import open_networks
from asl.tasks.posteriors import split_outputs
from asl.tasks.prior import prior, read_log_prior
from tests.tasks.test_decode_graph import UNIGRAM, here, recipe, search  # noqa: F401 (fixtures)


def frames_of(split):
    """id -> log-probs ``(frames, tokens)`` of the network in exp/ctc, and its tokens with the blank."""
    networks = open_networks("exp/ctc", "data", split, "graph", batch_size=5)
    with torch.no_grad():
        batches = list(split_outputs(networks.members, split, "cpu"))
    rows = {
        clip: row[:length].double().numpy()
        for batch in batches for clip, row, length in zip(batch.ids, batch.log_probs, batch.lengths.tolist())
    }  # fmt: skip
    return rows, ["<blk>", *networks.tokens.units]


@pytest.fixture
def measured(here):  # noqa: F811
    """What ``asl prior`` wrote for exp/ctc."""
    assert main(["prior", "--exp", "exp/ctc", "--batch-size", "7"]) == 0
    yield read_json("exp/ctc/prior.json")
    (here / "exp/ctc/prior.json").unlink(missing_ok=True)


def test_a_prior_is_the_mean_posterior_of_all_frames_of_train(measured, capsys):
    rows, names = frames_of("train")
    frames = np.exp(np.concatenate(list(rows.values())))
    assert measured["tokens"] == pytest.approx(dict(zip(names, frames.mean(axis=0).tolist())), rel=1e-4)
    assert measured["frames"] == len(frames) and measured["clips"] == len(rows) == 12
    assert measured["split"] == "train" and measured["checkpoint"] == "ema"
    assert sum(measured["tokens"].values()) == pytest.approx(1, abs=1e-5)
    capsys.readouterr()
    prior("exp/ctc")
    said = capsys.readouterr().out
    assert f"the blank has {100 * measured['tokens']['<blk>']:.2f} %" in said and "least frequent" in said


def test_a_token_without_a_frame_of_its_own_counts_as_one_frame():
    logs = floored_log([0.9, 0.1, 1e-7, 0.0], 1000)
    assert logs.exp().tolist() == pytest.approx([0.9, 0.1, 0.001, 0.001])
    log_probs = torch.randn(2, 3, 4).log_softmax(-1)
    assert less_prior(log_probs, logs, 0.0) is log_probs
    torch.testing.assert_close(less_prior(log_probs, logs, 0.5).exp(), log_probs.exp() / logs.exp() ** 0.5)


@pytest.mark.parametrize("nj", [1, 2])
def test_a_path_is_scored_with_the_log_probs_less_the_scaled_prior(measured, nj):
    # a prior far from the untrained network's flat one, so that it decides
    shares = [0.9, 0.06, 0.03, 0.01, 1e-9]
    write_json("exp/ctc/prior.json", {**measured, "tokens": dict(zip(measured["tokens"], shares))})
    search("divided", prior_scale=0.7, acoustic_scale=0.8, lm_scale=1.5, insertion_penalty=0.5, nj=nj)
    rows, names = frames_of("val")
    log_prior = np.log(np.maximum(shares, 1 / measured["frames"]))
    seen = 0
    for row in read_jsonl("divided/hyp.jsonl"):
        for reading in row["nbest"]:
            words = reading["text"].split()
            divided = rows[row["id"]] - 0.7 * log_prior
            _, acoustic = viterbi_alignment(divided, [names.index(word) for word in words])
            graph = math.log(10) * (sum(UNIGRAM[word] for word in words) - 0.5)
            assert reading["score"] == pytest.approx(0.8 * acoustic + 1.5 * graph - 0.5 * len(words), abs=1e-2)
            seen += 1
    assert seen > 5
    assert read_json("divided/decode.json")["options"]["prior_scale"] == 0.7


def test_without_a_scale_no_prior_is_needed_or_used(here):  # noqa: F811
    search("plain")
    search("zero", prior_scale=0.0)
    assert (here / "plain/hyp.jsonl").read_bytes() == (here / "zero/hyp.jsonl").read_bytes()
    assert read_json("plain/decode.json")["options"]["prior_scale"] == 0.0


def test_of_several_networks_the_log_priors_are_averaged(measured):
    shutil.copytree("exp/ctc", "exp/other", dirs_exist_ok=True)
    changed = {token: share / (1 + place) for place, (token, share) in enumerate(measured["tokens"].items())}
    write_json("exp/other/prior.json", {**measured, "tokens": changed})
    networks = open_networks(["exp/ctc", "exp/other"], "data", "val", "graph")
    mean = np.sqrt([max(share, 1 / measured["frames"]) * max(changed[token], 1 / measured["frames"])
                    for token, share in measured["tokens"].items()])  # fmt: skip
    assert read_log_prior(networks).exp().tolist() == pytest.approx(mean.tolist(), rel=1e-4)


def test_what_does_not_fit_is_refused(measured):
    def fails(message, **options):
        with pytest.raises(AslError, match=message):
            search("out", **{"prior_scale": 0.3, **options})

    for method in ("greedy", "beam"):
        with pytest.raises(AslError, match=f"--prior-scale 0.3: method {method} meets no grammar"):
            decode("exp/ctc", method=method, out="out", prior_scale=0.3)
        for name, value in (("rescore", "G.arpa"), ("tuned", "tune"), ("mbr", True)):
            with pytest.raises(AslError, match=f"--{name} {value}: method {method} searches no graph"):
                decode("exp/ctc", method=method, out="out", **{name: value})
    fails("prior scale is -1", prior_scale=-1.0)
    again = "run 'asl prior --exp exp/ctc --checkpoint last'"
    fails(f"prior.json is of checkpoint ema, not of last; {again}", checkpoint="last")
    tokens = {**measured["tokens"], "more": 0.1}
    write_json("exp/ctc/prior.json", {**measured, "tokens": tokens})
    fails("not of the tokens of exp/ctc")
    with pytest.raises(AslError, match="nothing of test may enter"):
        prior("exp/ctc", split="test")


def test_a_prior_that_is_not_there_says_what_makes_it(here):  # noqa: F811
    with pytest.raises(AslError, match="prior.json does not exist.* 'asl prior --exp exp/ctc --checkpoint ema'"):
        search("out", prior_scale=0.3)
