"""The translation benchmarks run, and decode alike batched and one by one."""

import json

import pytest

from asl.lang.sentencepiece import train
from asl.lang.sentencepiece_command import write_pieces
from tests.bench import translate
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

CONFIG = """
seed: 2
task:
  class_path: TranslateTask
  init_args:
    encoder: {class_path: TransformerEncoder, init_args: {dim: 16, part_dim: 8, layers: 1, heads: 2, feedforward: 24, subsampling: 4}}
    decoder: {dim: 16, layers: 1, heads: 2, feedforward: 24}
    optimizer: {warmup_steps: 1}
data: {pipeline: {layout: hands42, frames: null, trim: false}, batch_size: 2, num_buckets: 1, num_workers: 0}
trainer: {max_epochs: 3, accelerator: cpu}
"""
LINES = ["Book it now, please.", "Drink, then go!", "Go home."]


def test_texts_are_about_as_long_as_told_and_the_same_one_by_one(capsys):
    rows = translate.search(3, 1, [2])
    assert [row["ctc_weight"] for row in rows] == [0.0, 0.3]
    for row in rows:
        assert 25 <= row["tokens"] <= 35 and row["same texts"] == 3 and row["largest difference of scores"] < 1e-4
        assert row["times"] == pytest.approx(row["batched sentences/s"] / row["one by one sentences/s"])
    assert capsys.readouterr().out.count("sentences/s batched (3)") == 2


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_an_epoch_is_timed_with_its_memory_and_a_share_says_what_it_is(imported, tmp_path, capsys, share):  # noqa: F811
    data = imported(train=16, val=2, texts=lambda i: LINES[i % 3])
    write_pieces(data / "lang", train(LINES * 3, 30, "bpe", "keep", "keep"), ["Book", "Drink", "Go", "home"])
    (tmp_path / "conf.yaml").write_text(CONFIG)
    found = translate.epoch(tmp_path / "conf.yaml", data, share, 1, ["--data.batch_size", "2"])
    assert [row["batches"] for row in found["rows"]] == ([2, 4, 6, 8] if share == 1 else [1, 2, 3, 4])
    assert [row["clips"] for row in found["rows"]] == [2 * row["batches"] for row in found["rows"]]
    assert all(row["gb"] > 0 and row["workers_gb"] == 0 for row in found["rows"])
    last = found["rows"][-1]
    assert found["epoch_seconds"] == pytest.approx(last["seconds"] / share) and found["extrapolated"] == (share < 1)
    assert ("EXTRAPOLATED" in capsys.readouterr().out) == (share < 1)
    json.dumps(found)
