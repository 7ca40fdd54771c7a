"""Ablation files: what they mean, and the sentence for each mistake."""

import pytest

from asl.common.errors import AslError
from asl.tasks.ablation_plan import read_plan

PLAN = """
title: What helps?
base: conf/softmax.yaml
data: data/100
seeds: [0, 1]
rows:
  no_augment: {set: {data.pipeline.augment: null}}
  no_z: {set: {data.pipeline.space: 2}, seeds: [3]}
  pretrained: {init_from: "exp/pretrain_{seed}", init_only: [encoder]}
  bilstm: {config: conf/bilstm.yaml, data: data/other}
  last: {decode: {checkpoint: last}}
"""


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read(text):
        (tmp_path / "parts.yaml").write_text(text)
        return read_plan("parts.yaml")

    return read


def test_rows_are_the_base_with_what_they_say(plan):
    made = plan(PLAN)
    (group,) = made.groups
    base, no_augment, no_z, pretrained, bilstm, last = group.rows
    assert made.name == "parts" and made.title == "What helps?" and group.split == "val"
    start = ["--config", "conf/softmax.yaml", "--seed", "1", "--data.data_dir", "data/100"]
    assert base.name == "base" and base.train_words(1) == start and base.seeds == (0, 1)
    assert no_augment.train_words(1) == [*start, "--data.pipeline.augment=null"]
    assert no_z.seeds == (3,) and no_z.about() == "space = 2"
    assert pretrained.train_words(1) == [*start, "--init-from", "exp/pretrain_1", "--init-only", "encoder"]
    assert bilstm.train_words(1)[:2] == ["--config", "conf/bilstm.yaml"] and bilstm.data == "data/other"
    assert last.train_words(1) == start and last.decode.words() == [
        "--method",
        "auto",
        "--checkpoint",
        "last",
    ]


def test_a_translation_is_searched_as_its_row_says(plan):
    rows = plan("""
base: {config: conf/base.yaml, decode: {beam_size: 5, ctc_weight: 0.3}}
data: data
seeds: [0]
metric: bleu
rows: {one: {decode: {beam_size: 1}}, attention: {decode: {ctc_weight: 0}}}
""").groups[0].rows
    assert [row.decode.words()[2:] for row in rows] == [
        ["--beam-size", "5", "--ctc-weight", "0.3"],
        ["--beam-size", "1", "--ctc-weight", "0.3"],
        ["--beam-size", "5", "--ctc-weight", "0.0"],
    ]


def test_groups_take_from_the_top_what_they_do_not_say(plan):
    made = plan("""
base: {config: a.yaml, set: {trainer.max_epochs: 9}, seeds: [0, 1, 2]}
set: {trainer.patience: 3}
seeds: [0]
rows: {wide: {set: {trainer.max_epochs: 8, data.pipeline.lags: [1, 2]}}}
groups:
  20: {data: data/20}
  1000: {data: data/1000, base: b.yaml, split: dev, rows: {narrow: {seeds: [5]}}}
""")
    small, large = made.groups
    assert (small.name, large.name, large.split) == ("20", "1000", "dev")
    base, wide = small.rows
    assert base.changes == {"trainer.patience": 3, "trainer.max_epochs": 9} and base.seeds == (0, 1, 2)
    assert wide.changes == {"trainer.patience": 3, "trainer.max_epochs": 8, "data.pipeline.lags": [1, 2]}
    assert wide.seeds == (0,) and "--data.pipeline.lags=[1, 2]" in wide.train_words(0)
    assert [row.name for row in large.rows] == ["base", "narrow"]
    assert large.rows[1].config == "b.yaml" and large.rows[1].changes == {"trainer.patience": 3}


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("rows:", "row:", "parts.yaml: no key 'row'; did you mean 'rows'?"),
        ("{set: {data.pipeline.space: 2}", "{sets: {}", "parts.yaml: row no_z: no key 'sets'; did you mean 'set'?"),
        ("seeds: [3]", "seeds: [3, 3]", "parts.yaml: row no_z: seeds is [3, 3]; give different whole numbers"),
        ("seeds: [3]", "seeds: 3", "parts.yaml: row no_z: seeds is 3"),
        ("base: conf/softmax.yaml\n", "", "parts.yaml has no base"),
        ("data: data/100\n", "", "parts.yaml: base has no data"),
        ("{checkpoint: last}", "{checkpoint: 3}", "parts.yaml: row last: decode: checkpoint is 3"),
        ("{checkpoint: last}", "{beam_size: 1.5}", "decode: beam_size is 1.5; give a whole number"),
        ("{checkpoint: last}", "{checkpoin: last}", "did you mean 'checkpoint'?"),
        ("data.pipeline.space: 2", "seed: 2", "parts.yaml: row no_z: set has seed; it is given by seeds here"),
        ("data.pipeline.space: 2", "data.data_dir: x", "set has data.data_dir; it is given by data here"),
        ("  no_z:", "  a/b:", "parts.yaml: row a/b: its name stands in paths"),
        ("  no_z:", "  base:", "there are two rows called base"),
        ("[encoder]", "encoder", "init_only is 'encoder'; give a list of prefixes"),
        ("title: What", "metric: f1\ntitle: What", "metric is 'f1'; give topk, wer or bleu"),
        ("  last: {decode", "  last: 3\n  other: {decode", "parts.yaml: row last is 3; give keys with values"),
        ("rows:", "rows: [", "not valid yaml"),
    ],
)  # fmt: skip
def test_mistakes_name_file_row_and_key(plan, old, new, said):
    assert PLAN.count(old) >= 1
    with pytest.raises(AslError) as error:
        plan(PLAN.replace(old, new, 1))
    assert said in str(error.value)
