"""The configurations of egs/how2sign: they build, they are as large as their comments say, pre-training fits them."""

import re

import pytest

from asl.landmarks.pipeline import LandmarkPipeline
from asl.tasks import config as configs
from asl.tasks.train import count_parameters


@pytest.fixture
def build(root):
    def make(name, pieces=1000):
        config = configs.parse(["--config", str(root / "egs/how2sign/conf" / f"{name}.yaml")])
        given = config.data.pipeline.init_args if "init_args" in config.data.pipeline else config.data.pipeline
        pipeline = LandmarkPipeline(given.layout, frames=given.frames)
        config.task.init_args.feature_parts = pipeline.feature_parts
        config.task.init_args.vocab_size = pieces + 1
        return config, configs.instantiate_task(config)

    return make


@pytest.mark.parametrize(
    "name, layers, at_1000, at_4000",
    [("v4", 3.69, 4.98, 6.52), ("v3", 22.1, 26.2, 29.2), ("base", 7.90, 9.2, 10.7), ("tiny", 0.08, 0.27, 0.66)],
)
def test_networks_are_as_large_as_they_are_told(build, root, name, layers, at_1000, at_4000):
    config, task = build(name)
    own = sum(p.numel() for m in (task.encoder.layers, task.decoder.layers) for p in m.parameters())
    rel = 0.03 if name == "tiny" else 0.005
    assert own / 1e6 == pytest.approx(layers, rel=0.05 if name == "tiny" else rel)
    assert count_parameters(task) / 1e6 == pytest.approx(at_1000, rel=rel)
    assert count_parameters(build(name, 4000)[1]) / 1e6 == pytest.approx(at_4000, rel=rel)
    told = " ".join((root / "egs/how2sign/conf" / f"{name}.yaml").read_text().split("seed:")[0].split())
    if name != "tiny":
        assert re.search(rf"{at_1000} M.* at 1,000 # pieces|{at_1000} M.* at 1,000 pieces", told) and f"{at_4000} M at 4,000" in told


def test_v4_and_v3_differ_in_size_alone(build):
    sizes = {"dim", "part_dim", "layers", "feedforward"}
    flat = [configs.flatten(build(name)[0].as_dict()) for name in ("v4", "v3")]
    differing = {key for key in flat[0] if flat[0][key] != flat[1][key]}
    assert {key.rpartition(".")[2] for key in differing if key.startswith("task")} == sizes
    assert {key for key in differing if key.startswith(("data", "trainer"))} == set()
    optimizer, trainer = flat[0], flat[0]
    told = {"lr": 1e-4, "min_lr": 1e-6}
    assert {name: optimizer[f"task.init_args.optimizer.{name}"] for name in told} == told
    assert (trainer["trainer.max_epochs"], trainer["trainer.patience"], trainer["data.batch_size"]) == (30, 10, 64)


@pytest.mark.parametrize("pretrained, trained", [("pretrain", "base"), ("pretrain_tiny", "tiny")])
def test_pre_training_is_of_the_encoder_that_is_trained(build, pretrained, trained):
    first, second = build(pretrained)[1].encoder.state_dict(), build(trained)[1].encoder.state_dict()
    assert {k: v.shape for k, v in first.items()} == {k: v.shape for k, v in second.items()}
