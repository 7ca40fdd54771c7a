"""A configuration is readable, checked to its last key, and can be run again as it was resolved."""

import pytest

from asl.common.errors import AslError
from asl.tasks import config as configs
from asl.tasks.train import main


def parse(*options):
    return configs.parse(["--config", "conf.yaml", "--exp", "exp/a", *options])


def test_yaml_with_short_class_names_and_dotted_overrides(project):
    config = parse(
        "--task.init_args.encoder.init_args.dim", "12",
        "--task.encoder.dropout=0.5",
        "--data.pipeline.layout", "other",
        "--trainer.max-epochs", "9",
        "--devices", "2",
        "--threads", "1",
    )
    assert config.task.class_path.endswith("toy.ToyTask")
    assert config.task.init_args.encoder.init_args.dim == 12
    assert config.task.init_args.encoder.init_args.dropout == 0.5
    assert config.task.init_args.optimizer.lr == 1e-2
    assert config.data.pipeline.init_args.layout == "other"
    assert (config.trainer.max_epochs, config.trainer.devices, config.trainer.threads) == (9, 2, 1)


def test_seed_and_overfit_reach_the_data(project):
    config = parse("--seed", "5", "--overfit", "4")
    assert (config.data.seed, config.data.overfit) == (5, 4)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("seed:", "sed:", ["'sed'", "'seed'"]),
        ("max_epochs:", "max_epoc:", ["trainer", "'max_epoc'", "'max_epochs'"]),
        ("lr:", "lrr:", ["optimizer", "'lrr'", "'lr'"]),
        ("dim:", "dimm:", ["ToyEncoder", "'dimm'", "'dim'"]),
        ("optimizer:", "optimiser:", ["ToyTask", "'optimiser'", "'optimizer'"]),
        ("data_dir:", "data_dri:", ["data", "'data_dri'", "'data_dir'"]),
        ("layout:", "layot:", ["Pipeline", "'layot'", "'layout'"]),
        ("ToyTask", "ConvTransformr", ["'ConvTransformr'", "'ConvTransformer'"]),
        ("ToyEncoder", "ConvTransformr", ["'ConvTransformr'", "'ConvTransformer'"]),
        ("class_path: ToyTask", "class_pat: ToyTask", ["class_path"]),
        ("max_epochs: 6", "max_epochs: six", ["trainer.max_epochs", "int", "'six'"]),
        ("accelerator: cpu", "accelerator: cpuu", ["trainer.accelerator", "cpuu"]),
        ("trainer:", "trainer: [", ["conf.yaml", "line"]),
    ],
)
def test_a_mistake_in_yaml_is_named_with_its_nearest_neighbour(project, old, new, words):
    file = project / "conf.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(AslError) as error:
        parse()
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "options, words",
    [
        (["--trainer.max_epoc", "3"], ["--trainer.max_epoc", "'--trainer.max_epochs'"]),
        (["--see", "3"], ["--see", "'--seed'"]),
        (["--over", "3"], ["--over"]),
        (["--data.batch", "3"], ["--data.batch", "--data.batch_size"]),
        (["--task.init_args.smothing", "3"], ["ToyTask", "'smothing'", "'smoothing'"]),
        (["--task.init_args.encoder.init_args.dimm", "3"], ["ToyEncoder", "'dimm'", "'dim'"]),
        (["--data.pipeline.layot", "x"], ["Pipeline", "'layot'", "'layout'"]),
        # jsonargparse takes the beginning of a nested dataclass's key for the key
        (["--task.init_args.optimizer.weight", "3"], ["--task.init_args.optimizer.weight", "'--task.init_args.optimizer.weight_decay'"]),
        (["--task.init_args.optimizer.warmup=3"], ["--task.init_args.optimizer.warmup;", "has no key 'warmup'"]),
        (["--task.init_args.encoder", "ConvTransformr"], ["'ConvTransformr'", "'ConvTransformer'"]),
        (["--seed", "x"], ["seed", "int", "'x'"]),
        (["stray"], ["'stray'"]),
        (["--config", "/nowhere"], ["/nowhere", "does not exist"]),
        (["--config", "/tmp"], ["/tmp"]),
    ],
)
def test_a_mistake_on_the_command_line_is_named_with_its_nearest_neighbour(project, options, words):
    with pytest.raises(AslError) as error:
        parse(*options)
    message = str(error.value)
    assert "\n" not in message and len(message) < 400
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "options, words",
    [
        (["--trainer.checkpoint", "ema", "--trainer.ema_decay", "0"], "ema_decay"),
        (["--trainer.max_epochs", "0"], "trainer.max_epochs"),
        (["--trainer.ema_decay", "1.0"], "below 1"),
        (["--trainer.patience", "-1"], "patience"),
    ],
)
def test_values_that_make_no_sense_are_refused(project, options, words):
    with pytest.raises(AslError, match=words) as error:
        main(["--config", "conf.yaml", "--exp", "exp/a", *options])
    assert "\n" not in str(error.value)


def test_a_missing_task_or_exp_is_named(project):
    with pytest.raises(AslError, match="task"):
        main(["--exp", "exp/a"])
    with pytest.raises(AslError, match="--exp"):
        main(["--config", "conf.yaml"])


def test_print_config_prints_everything_and_stops(project, capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--print_config", "--trainer.max_epochs", "2")
    assert stop.value.code in (0, None)
    printed = capsys.readouterr().out
    assert "max_epochs: 2" in printed and "dropout: 0.2" in printed
    (project / "again.yaml").write_text(printed)
    again = configs.parse(["--config", "again.yaml"])
    assert configs.dump(again) == configs.dump(parse("--trainer.max_epochs", "2"))


def test_the_resolved_config_runs_again_and_gives_the_same_weights(run_train, project):
    import torch

    from asl.common.compat import torch_load

    first = run_train("exp/a", "--trainer.max_epochs", "2")
    main(["--config", str(first / "config.yaml"), "--exp", "exp/b"])
    assert (first / "config.yaml").read_text() == (project / "exp/b/config.yaml").read_text()
    a, b = (torch_load(project / f"exp/{n}/checkpoints/last.ckpt")["state_dict"] for n in "ab")
    assert all(torch.equal(a[n], b[n]) for n in a)
