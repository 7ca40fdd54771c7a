"""Encoders and front-ends by configuration: built, filled in, and built again to decode."""

import pytest

from asl.common.errors import AslError
from asl.models.graph_conv import GraphFrontEnd, PartGraph
from asl.tasks import config as configs
from asl.tasks.decode import decode
from asl.tasks.experiment import load_task
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

CONFIG = """
seed: 2
task:
  class_path: {task}
  init_args:
    encoder: {encoder}
    optimizer: {{warmup_steps: 1}}
data:
  pipeline: {{layout: hands42, frames: 16, lags: [1, 2]}}
  batch_size: 8
  num_workers: 0
trainer: {{max_epochs: 1, accelerator: cpu}}
"""
GRAPH = "{class_path: GraphFrontEnd, init_args: {channels: 4}}"
SMALL = {
    "ConvTransformer": "dim: 16, part_dim: 8, stages: 1, blocks: 1, heads: 2",
    "BiLstm": "hidden: 8, part_dim: 8, layers: 1",
    "Conformer": "dim: 16, part_dim: 8, layers: 1, heads: 2",
}


def encoder(name, frontend=""):
    more = f", frontend: {frontend}" if frontend else ""
    return f"{{class_path: {name}, init_args: {{{SMALL[name]}{more}}}}}"


@pytest.fixture
def project(imported, tmp_path, monkeypatch):  # noqa: F811
    imported(train=12, val=4)
    monkeypatch.chdir(tmp_path)

    def write(text, task="IsolatedTask"):
        (tmp_path / "conf.yaml").write_text(CONFIG.format(encoder=text, task=task))
        return ["--config", "conf.yaml", "--exp", "exp/a"]

    return write


@pytest.mark.parametrize("task", ["IsolatedTask", "CtcTask"])
@pytest.mark.parametrize("name", ["ConvTransformer", "BiLstm"])
def test_a_graph_front_end_is_filled_in_and_built_again(project, tmp_path, name, task):
    main(project(encoder(name, GRAPH), task))
    loaded = load_task("exp/a")
    assert isinstance(loaded.task.encoder.frontend, GraphFrontEnd)
    hand = loaded.task.encoder.frontend.parts["hand"]
    assert isinstance(hand, PartGraph) and hand.shape == (3, 21, 3)
    assert int((hand.graph[0].given.sum(-1) > 0).sum()) > 21  # edges came too
    filled = loaded.config.task.init_args.encoder.init_args.frontend.init_args
    assert filled.edges["hand"].split()[0] == "0-1"
    decode("exp/a", "data", "val")
    assert len((tmp_path / "exp/a").glob("decode_val_*/hyp.jsonl").__next__().read_text().splitlines()) == 4


def test_points_of_another_pipeline_are_refused(project):
    main(project(encoder("BiLstm", GRAPH)))
    with pytest.raises(AslError, match="steps 3 in the front-end, the pipeline gives 2"):
        main(["--config", "exp/a/config.yaml", "--exp", "exp/b", "--data.pipeline.lags", "[1]",
              "--task.init_args.feature_parts", "null"])  # fmt: skip


@pytest.mark.torchaudio
def test_a_conformer_is_trained_and_decoded(project):
    main(project(encoder("Conformer", GRAPH)))
    decode("exp/a", "data", "val")
    assert type(load_task("exp/a").task.encoder).__name__ == "Conformer"


def test_a_conformer_without_torchaudio_leaves_nothing_behind(project, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torchaudio", None)
    monkeypatch.setitem(sys.modules, "torchaudio.models", None)
    with pytest.raises(AslError, match="encoder Conformer is torchaudio's"):
        main(project(encoder("Conformer")))
    assert not (tmp_path / "exp").exists()


def test_an_unknown_front_end_is_named_with_its_nearest_neighbour(project):
    with pytest.raises(AslError, match="'GraphFrontEn'.*'GraphFrontEnd'"):
        main(project(encoder("BiLstm", "GraphFrontEn")))


@pytest.mark.parametrize("name", ["conformer", "graph"])
def test_the_recipes_variants_differ_in_the_encoder_alone(root, name):
    read = lambda n: configs.flatten(
        configs.parse(["--config", str(root / f"egs/wlasl/conf/{n}.yaml")]).as_dict()
    )
    base, other = read("softmax"), read(name)
    differing = [k for k in {**base, **other} if base.get(k) != other.get(k) and k != "config"]
    assert differing and all(k.startswith("task.init_args.encoder.") for k in differing)
