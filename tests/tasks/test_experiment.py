"""An experiment folder is all that is needed to use a network again; what is wrong with one is said."""

import pytest
import torch
import yaml

from asl.common.errors import AslError
from asl.tasks import config as configs
from asl.tasks.experiment import load_task, read_result


def test_a_task_is_built_again_with_the_weights_of_each_rule(run_train):
    from asl.common.compat import torch_load

    exp = run_train()
    last = torch_load(exp / "checkpoints" / "last.ckpt")
    for rule, expected in (("last", last["state_dict"]), ("ema", last["ema"]), (None, last["state_dict"])):
        loaded = load_task(exp, rule)
        assert not loaded.task.training and loaded.checkpoint == (rule or "last")
        assert all(torch.equal(v, expected[n]) for n, v in loaded.task.state_dict().items())
    assert not torch.equal(last["state_dict"]["head.weight"], last["ema"]["head.weight"])


def test_the_recorded_validation_is_what_the_loaded_weights_give(run_train):
    for rule in ("last", "best", "ema"):
        exp = run_train(f"exp/{rule}", "--trainer.checkpoint", rule)
        loaded = load_task(exp)
        data = configs.instantiate_data(loaded.config)
        correct = count = 0.0
        with torch.no_grad():
            for batch in data.val_dataloader():
                right, n = loaded.task.validation_metrics(batch)["top1"]
                correct, count = correct + float(right), count + n
        assert read_result(exp)["val"]["top1"] == pytest.approx(correct / count)


def test_the_data_module_is_built_with_other_arguments(run_train):
    loaded = load_task(run_train())
    assert configs.instantiate_data(loaded.config, batch_size=3).batch_size == 3
    with pytest.raises(AslError, match="'batch_size'"):
        configs.instantiate_data(loaded.config, batch_sise=3)


def test_lang_is_the_copy_of_training_time(run_train, project):
    exp = run_train()
    (project / "data/lang/tokens.txt").unlink()
    assert (load_task(exp).lang / "tokens.txt").read_text().startswith("<blk> 0")


def test_the_order_of_feature_parts_survives(run_train):
    assert list(load_task(run_train()).task.feature_parts.items()) == [("right", 4), ("left", 2)]


class TestErrors:
    def test_no_such_folder_names_its_neighbours(self, run_train, project):
        run_train("exp/softmax", "--trainer.max_epochs", "1")
        with pytest.raises(AslError, match="no experiment folder exp/sotfmax; exp has softmax"):
            load_task("exp/sotfmax")

    def test_a_folder_of_something_else(self, project):
        with pytest.raises(AslError, match="no config.yaml"):
            load_task(project / "data")

    @pytest.mark.parametrize("part", [0, 10, 0.5, 0.99])
    def test_a_checkpoint_cut_short(self, run_train, part):
        exp = run_train("exp/a", "--trainer.max_epochs", "1")
        file = exp / "checkpoints" / "last.ckpt"
        data = file.read_bytes()
        file.write_bytes(data[: int(len(data) * part) if part < 1 else part])
        with pytest.raises(AslError, match="last.ckpt is not a whole checkpoint") as error:
            load_task(exp)
        assert "\n" not in str(error.value)

    def test_going_on_from_a_checkpoint_cut_short(self, run_train):
        exp = run_train("exp/a", "--trainer.max_epochs", "1")
        (exp / "train.json").unlink()
        file = exp / "checkpoints" / "last.ckpt"
        file.write_bytes(file.read_bytes()[:1000])
        with pytest.raises(AslError, match="last.ckpt is not a whole checkpoint"):
            run_train("exp/a", "--trainer.max_epochs", "1")

    def test_a_checkpoint_that_is_not_there(self, run_train):
        exp = run_train("exp/a", "--trainer.max_epochs", "1")
        (exp / "checkpoints" / "best.ckpt").unlink()
        with pytest.raises(AslError, match="best.ckpt does not exist"):
            load_task(exp, "best")

    def test_another_feature_dimension_names_both_shapes(self, run_train):
        exp = run_train("exp/a", "--trainer.max_epochs", "1")
        config = yaml.safe_load((exp / "config.yaml").read_text())
        config["task"]["init_args"]["feature_parts"] = {"right": 4, "left": 5}
        (exp / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        with pytest.raises(AslError, match=r"encoder.layer.weight \(8, 6\) there, \(8, 9\) here"):
            load_task(exp)

    def test_unknown_rule_and_a_rule_without_weights(self, run_train):
        exp = run_train("exp/a", "--trainer.max_epochs", "1", "--trainer.ema_decay", "0")
        with pytest.raises(AslError, match="'bset'; did you mean 'best'"):
            load_task(exp, "bset")
        with pytest.raises(AslError, match="no averaged weights"):
            load_task(exp, "ema")

    def test_a_run_that_did_not_end(self, run_train):
        exp = run_train("exp/a", "--trainer.max_epochs", "1")
        (exp / "train.json").unlink()
        with pytest.raises(AslError, match="did not come to its end"):
            read_result(exp)

    def test_a_config_with_a_key_that_is_not_known(self, run_train):
        exp = run_train("exp/a", "--trainer.max_epochs", "1")
        (exp / "config.yaml").write_text((exp / "config.yaml").read_text().replace("smoothing:", "smothing:"))
        with pytest.raises(AslError, match="config.yaml.*'smothing'; did you mean 'smoothing'"):
            load_task(exp)


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    import errno

    from asl.common import files
    from asl.tasks.checkpoints import AtomicCheckpointIO

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    plugin, path = AtomicCheckpointIO(), tmp_path / "last.ckpt"
    plugin.save_checkpoint({"epoch": 1}, path)
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(AslError, match="last.ckpt: No space left on device"):
        plugin.save_checkpoint({"epoch": 2}, path)
    assert plugin.load_checkpoint(path) == {"epoch": 1} and [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
