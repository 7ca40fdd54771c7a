"""Decoding: averages over networks and views, what is noted of test, what is refused."""

import math

import pytest

from asl.cli import main
from asl.common.errors import AslError
from asl.common.files import read_json, write_json
from asl.common.jsonl import read_jsonl
from asl.tasks.decode import decode
from asl.tasks.train import main as train
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

CONFIG = """
task:
  class_path: {task}
  init_args:
    encoder: {{class_path: BiLstm, init_args: {{hidden: 8, layers: 1, part_dim: 8}}}}
    optimizer: {{warmup_steps: 3}}
data:
  pipeline: {{layout: hands42, frames: {frames}}}
  batch_size: 6
  num_buckets: 1
  num_workers: 0
trainer: {{max_epochs: 1, ema_decay: 0.9, checkpoint: ema, accelerator: cpu}}
"""


@pytest.fixture
def trained(imported, tmp_path, monkeypatch):  # noqa: F811
    """``trained(name, seed, task, frames)`` trains exp/NAME for an epoch; train, val and test are there."""
    imported(train=12, val=6, test=5)
    monkeypatch.chdir(tmp_path)

    def run(name, seed=0, task="IsolatedTask", frames=8, *options):
        (tmp_path / "conf.yaml").write_text(CONFIG.format(task=task, frames=frames))
        train(["--config", "conf.yaml", "--exp", f"exp/{name}", "--seed", str(seed), *options])
        return f"exp/{name}"

    return run


def probabilities(folder):
    """id -> word -> probability, of an n-best list that holds all words."""
    return {
        row["id"]: {h["text"]: math.exp(h["score"]) for h in row["nbest"]}
        for row in read_jsonl(f"{folder}/hyp.jsonl")
    }


def test_networks_are_averaged_in_probability(trained):
    one, other = trained("a_seed0", 0), trained("b_seed1", 1)
    for exps, out in (([one], "one"), ([other], "other"), ([one, other], "both")):
        decode(exps, out=out)
    first, second, both = (probabilities(folder) for folder in ("one", "other", "both"))
    assert len(both) == 6 and first != second
    for clip, words in both.items():
        assert len(words) == 4
        for word, p in words.items():
            assert p == pytest.approx((first[clip][word] + second[clip][word]) / 2, abs=1e-5)
    about = read_json("both/decode.json")
    sizes = [read_json(f"{exp}/train.json")["parameters"] for exp in (one, other)]
    assert about["parameters"] == sum(sizes) and about["networks"] == 2 and "seed" not in about
    assert about["system"] == "a_seed0 + b_seed1"
    main(["score", "--decode", "both"])
    assert read_json("both/result.json")["method"] == "softmax, 2 networks"


def test_views_are_averaged_and_named_in_the_result(trained, capsys):
    exp = trained("a_seed0")
    decode(exp)
    decode(exp, views=4)
    main(["score", "--decode", f"{exp}/decode_val_softmax_4views"])
    result = read_json(f"{exp}/decode_val_softmax_4views/result.json")
    assert result["method"] == "softmax, 4 views" and result["seed"] == 0
    plain, views = probabilities(f"{exp}/decode_val_softmax"), probabilities(
        f"{exp}/decode_val_softmax_4views"
    )
    assert plain != views
    for words in views.values():
        assert sum(words.values()) == pytest.approx(1, abs=1e-5)
    decode(exp, views=4, batch_size=2, out="again")
    for clip, words in probabilities("again").items():
        assert words == pytest.approx(views[clip], abs=1e-5)
    assert main(["decode", "--exp", exp, "--views", "9"]) == 1
    assert "--views 9: give 1 (each clip as it is) to 8" in capsys.readouterr().err


def test_ctc_is_averaged_only_where_lengths_agree(trained):
    fixed = trained("fixed", 0, "CtcTask", 8)
    decode(fixed, views=3)
    assert len(list(read_jsonl(f"{fixed}/decode_val_greedy_3views/hyp.jsonl"))) == 6
    free = trained("free", 0, "CtcTask", "null")
    decode(free, views=2)  # mirrored: as long
    with pytest.raises(
        AslError, match=r"clip val\d+: exp/free \(as it is\) gives outputs of shape .* \(start cut by 6%\)"
    ):
        decode(free, views=3)


def test_what_cannot_be_averaged_is_refused(trained, tmp_path):
    one, ctc = trained("one"), trained("ctc", 0, "CtcTask")
    with pytest.raises(AslError, match="exp/one and exp/ctc are a IsolatedTask and CtcTask"):
        decode([one, ctc])
    with pytest.raises(AslError, match="one of them twice"):
        decode([one, one])
    other = trained("other", 1)
    tokens = tmp_path / other / "lang/tokens.txt"
    tokens.write_text(tokens.read_text().replace("book", "books"))
    with pytest.raises(AslError, match="exp/one and exp/other were trained with different tokens.txt"):
        decode([one, other])


def test_each_look_at_test_is_noted_and_different_ones_are_counted(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["asl", "decode", "--exp", "a b"])
    exp = trained("a_seed0")
    decode(exp)
    assert not (tmp_path / exp / "test_log.jsonl").exists()
    counts = []
    for options in ({}, {}, {"checkpoint": "last"}, {"views": 2}):
        decode(exp, split="test", out="out", **options)
        counts.append(read_json("out/decode.json")["test_decodings"])
    assert counts == [1, 1, 2, 3]
    lines = list(read_jsonl(f"{exp}/test_log.jsonl"))
    assert [line["checkpoint"] for line in lines] == ["ema", "ema", "last", "ema"]
    assert all(line["when"] and line["command"] == "asl decode --exp 'a b'" and line["weights"] for line in lines)
    main(["score", "--decode", "out", "--split", "test"])
    main(["results", "out"])
    assert "| ema (test decoded in 3 ways) |" in (tmp_path / "RESULTS.md").read_text()
    # nothing is looked at where there is no such split
    with pytest.raises(AslError):
        decode(exp, split="test_unseen")
    assert len(list(read_jsonl(f"{exp}/test_log.jsonl"))) == 4


def test_validating_on_test_is_refused_unless_said(trained):
    with pytest.raises(AslError, match="data.val_split is test: .* --select-on-test"):
        trained("a", 0, "IsolatedTask", 8, "--data.val_split", "test")
    exp = trained("a", 0, "IsolatedTask", 8, "--data.val_split", "test", "--select-on-test")
    decode(exp)
    assert read_json(f"{exp}/decode_val_softmax/decode.json")["checkpoint"] == "ema, validated on test"


def test_the_two_divisions_of_a_corpus_are_not_mixed(trained, tmp_path):
    exp = trained("official")
    assert read_json(f"{exp}/version.json")["data"]["protocol"] == "official"
    write_json(tmp_path / "data/report.json", {"corpus": "wlasl", "protocol": "signer-independent"})
    with pytest.raises(
        AslError, match="exp/official was trained on the official division .* data holds the signer-"
    ):
        decode(exp)
    with pytest.raises(AslError, match="exp/official was trained on the official division"):
        trained("apart", 0, "IsolatedTask", 8, "--init-from", exp)
    apart = trained("apart2")
    decode(apart)
    main(["score", "--decode", f"{apart}/decode_val_softmax"])
    result = read_json(f"{apart}/decode_val_softmax/result.json")
    assert result["protocol"] == "signer-independent"
    main(["results", "exp/apart2"])
    assert "## wlasl, signer-independent, val" in (tmp_path / "RESULTS.md").read_text()
    assert "No signer of this split is in another one." in (tmp_path / "RESULTS.md").read_text()
