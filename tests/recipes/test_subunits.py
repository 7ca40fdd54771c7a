"""Words that are rows of units, from an owner's layout to a word error rate: the commands that a recipe would run."""

import pytest

from asl.cli import main
from asl.common.ctm import read_timed
from asl.common.files import read_json
from asl.common.jsonl import read_jsonl
from asl.corpora.synthetic import synthesize
from asl.lang.folder import read_lang

CONFIG = """
seed: 1
task:
  class_path: CtcTask
  init_args:
    encoder:
      class_path: Tdnn
      init_args: {dim: 64, part_dim: 32, kernels: [5, 5], dilations: [1, 2], subsampling: 1, dropout: 0.0}
    dropout: 0.0
    optimizer: {lr: 1.0e-2, weight_decay: 0.01, warmup_steps: 10}
data:
  lang: lang_units
  pipeline: {layout: hands_body51, frames: null, trim: false}
  batch_size: 8
  num_workers: 0
trainer: {max_epochs: 25, accelerator: cpu, threads: 1}
"""


@pytest.fixture
def asl(tmp_path, monkeypatch, capsys):
    """``asl(words)`` runs a command in an empty folder; gives its status and all that it said."""
    monkeypatch.chdir(tmp_path)

    def run(words):
        status = main(words.split())
        said = capsys.readouterr()
        return status or 0, said.out + said.err

    return run


def test_a_network_of_sentencepieces_is_trained_and_decoded_through_its_lexicon(asl, tmp_path):
    synthesize("corpus", format="phoenix2014", signs=29, signers=3, sentences=30)
    (tmp_path / "conf.yaml").write_text(CONFIG)
    for words in (
        "prepare phoenix2014 --corpus-dir corpus --out data",
        "landmarks import --data data --nj 1 --layout hands_body51 --max-failures 0.01",
        "lexicon --lang data/lang --out data/lang_units --kind sentencepiece --size 60",
        "train --config conf.yaml --exp exp/units",
        "lm train --data data --split train --order 2 --out data/lang/2-gram.arpa",
        "graph compile --lang data/lang_units --grammar data/lang/2-gram.arpa --engine kaldi --out exp/units/graph",
    ):
        status, said = asl(words)
        assert status == 0, said
    lang = read_lang("exp/units/lang")
    assert lang.words == read_lang("data/lang").words and lang.tokens.units == read_lang("data/lang_units").tokens.units
    assert sum(len(units) for _, units in lang.entries) > 2 * len(lang.entries)

    for method in ("greedy", "beam"):
        status, said = asl(f"decode --exp exp/units --split train --method {method}")
        assert status == 1 and f"method {method} gives units, and its words are rows of units" in said
    for split in ("train", "val"):
        decode, out = f"decode --exp exp/units --split {split} --engine kaldi --lm-scale 0.3", f"exp/units/{split}"
        status, said = asl(f"{decode} --lattice false --out {out}")  # auto: the graph
        assert status == 0, said
        status, said = asl(f"score --decode {out} --split {split} --metric wer")
        assert status == 0 and "%WER" in said, said
        result, hypotheses = read_json(f"{out}/result.json"), list(read_jsonl(f"{out}/hyp.jsonl"))
        assert result["n"] == len(hypotheses) > 0 and result["n_missing"] == 0
        assert {word for row in hypotheses for word in row["text"].split()} <= set(lang.words)
        if split == "train":  # words that it was trained on and says back
            assert result["metrics"]["wer"]["value"] < 60

    status, said = asl("align --exp exp/units --split train --out ali")
    report = read_json("ali/align.json")
    assert status == 0 and report["aligned"] + len(report["failed"]) == report["clips"] and report["aligned"] > 15
    texts = {row["id"]: row["text"].split() for row in read_jsonl("data/train/supervisions.jsonl.gz")}
    assert all([w.word for w in words] == texts[key] for key, words in read_timed("ali/align.ctm").items())
