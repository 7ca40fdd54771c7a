"""Two processes train MMI as one does."""

import pytest

from asl.graph.compile import compile_graph
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_discriminative import ARPA
from tests.tasks.test_distributed import CTC, SENTENCES, assert_alike, launch, prepared  # noqa: F401 (fixtures)

FINE = """
seed: 4
task:
  class_path: MmiTask
  init_args:
    ctc_weight: 0.3
    beam: 1000
    lattice_beam: 1000
    optimizer: {warmup_steps: 2}
trainer: {max_epochs: 2, ema_decay: 0.9, accelerator: cpu, threads: 1}
"""


@pytest.mark.k2
def test_mmi_by_devices(prepared, launch, tmp_path):  # noqa: F811
    prepared(CTC, texts=lambda i: SENTENCES[i % 4], frames=lambda i: 40 + 3 * i)
    main(["--config", "conf.yaml", "--exp", "exp/ctc", "--trainer.max_epochs", "1"])
    (tmp_path / "G.arpa").write_text(ARPA)
    (tmp_path / "mmi.yaml").write_text(FINE)
    compile_graph("data/lang", "exp/ctc/graph", "G.arpa", "k2")
    options = ["--config", "mmi.yaml", "--init-from", "exp/ctc", "--task.init_args.graph", "exp/ctc/graph"]
    main([*options, "--exp", "exp/one"])
    status, said = launch("-m", "asl", "train", *options, "--exp", "exp/two", "--devices", "2")
    assert status == 0, said
    assert_alike(tmp_path / "exp/one", tmp_path / "exp/two")
