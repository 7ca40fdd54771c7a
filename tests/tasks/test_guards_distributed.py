"""A step that fails on one of two processes is left out by both."""

from asl.common.jsonl import read_jsonl
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_distributed import ISOLATED, assert_alike, launch, prepared  # noqa: F401 (fixtures)

# 'asl train', with a clip whose loss is not a number in the second epoch
SCRIPT = """
import sys

from asl.tasks.isolated import IsolatedTask
from asl.tasks.train import main

right = IsolatedTask.training_loss

def training_loss(self, batch):
    bad = "train003" in batch["ids"] and self.trainer.current_epoch == 1
    return {name: value * (float("nan") if bad else 1.0) for name, value in right(self, batch).items()}

IsolatedTask.training_loss = training_loss
main(sys.argv[1:])
"""


def test_both_leave_out_the_step_and_name_the_failing_share(prepared, launch, tmp_path):  # noqa: F811
    prepared(ISOLATED)
    (tmp_path / "script.py").write_text(SCRIPT)
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    for exp, start in (("one", []), ("two", torchrun)):
        status, said = launch(*start, "script.py", "--config", "conf.yaml", "--exp", f"exp/{exp}")
        assert status == 0, said
        assert said.count("the loss is nan, the step of 4 clips is left out (1 of at most 10; train") == 1
    assert_alike(tmp_path / "exp/one", tmp_path / "exp/two")
    one, two = (list(read_jsonl(tmp_path / f"exp/{exp}/logs/nonfinite.jsonl")) for exp in ("one", "two"))
    assert len(one) == len(two) == 1
    assert len(one[0]["ids"]) == 4 and len(two[0]["ids"]) == 2
    assert set(two[0].pop("ids")) < set(one[0].pop("ids")) and one == two
    assert [r["nonfinite"] for r in read_jsonl(tmp_path / "exp/two/logs/epochs.jsonl")] == [0, 1]


def test_past_the_limit_both_stop(prepared, launch, tmp_path):  # noqa: F811
    prepared(ISOLATED)
    (tmp_path / "script.py").write_text(SCRIPT)
    options = ["--config", "conf.yaml", "--exp", "exp/a", "--trainer.max_nonfinite", "0"]
    status, said = launch("-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone", "script.py", *options)
    assert status != 0 and "train003" in said and "trainer.max_nonfinite 0" in said
