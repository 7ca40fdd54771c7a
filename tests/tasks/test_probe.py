"""``asl probe`` on a small synthetic corpus: vectors and codes are the clips' own, and a result is left."""

import json

import pytest
import torch

from asl.cli import main as cli
from asl.common.errors import AslError
from asl.lang.folder import read_lang
from asl.lang.phonology import Coded, PhonologyTable
from asl.tasks import config as configs
from asl.tasks.experiment import load_task
from asl.tasks.probe import code_counts, probe, represent, untrained
from tests.tasks.test_pretrain import batch_of, corpus, pretrain, task_for  # noqa: F401 (fixtures)


@pytest.fixture
def probed(pretrain, corpus):  # noqa: F811
    """A pre-trained experiment, and ``phonology.tsv`` for the corpus."""
    exp = pretrain("exp", "--trainer.max_epochs", "1")
    words = read_lang(corpus / "data" / "lang").words
    rows = {w: Coded({"Handshape": "ab"[i % 2], "Movement": "xy"[i // 2]}) for i, w in enumerate(words)}
    PhonologyTable(["Handshape", "Movement"], rows).write(corpus / "data" / "lang" / "phonology.tsv")
    return exp


def test_probes_of_all_sources_are_written(probed, capsys):
    words = ["probe", "--exp", str(probed), "--features", "Handshape", "Movement", "--folds", "2"]
    assert cli(words) == 0
    result = json.loads((probed / "probe_val" / "probe.json").read_text())
    assert result["synthetic"] is True and result["checkpoint"] == "ema" and set(result["labels"]) == {
        "Handshape", "Movement",
    }  # fmt: skip
    sources = result["labels"]["Handshape"]["sources"]
    books = ["handshape", "location", "movement", "orientation"]
    assert list(sources) == ["majority", "input features", "untrained encoder", "encoder",
                             *(f"{b} codes" for b in books), "all codes"]  # fmt: skip
    assert list(result["labels"]["Movement"]["nmi"]) == books
    text = (probed / "probe_val" / "probe.md").read_text()
    assert text in capsys.readouterr().out and "| all codes |" in text
    assert cli(words) == 0
    assert json.loads((probed / "probe_val" / "probe.json").read_text())["labels"] == result["labels"]


def test_vectors_are_the_clips_own_whatever_the_batches(probed):
    loaded = load_task(probed)
    networks = {"untrained encoder": untrained(loaded.config), "encoder": loaded.task}
    found = []
    for size in (16, 5):
        module = configs.instantiate_data(loaded.config, batch_size=size)
        found.append(represent(networks, module.loader("val"), "cpu"))
    assert found[0].glosses == found[1].glosses and len(found[0].glosses) > 16
    for name, vectors in found[0].vectors.items():
        assert torch.allclose(torch.tensor(vectors), torch.tensor(found[1].vectors[name]), atol=1e-4), name
    assert abs(found[0].vectors["encoder"] - found[0].vectors["untrained encoder"]).max() > 0.01
    shares = found[0].vectors["handshape codes"].reshape(len(vectors), 2, -1).sum(-1)
    assert ((abs(shares - 1) < 1e-5) | (shares == 0)).all()


def test_the_hand_that_moves_comes_first():
    pipeline, x, _ = batch_of()
    x[:, :, 21:] = x[:, :1, 21:]  # the right hand stands still
    swapped = x[:, :, [*range(21, 42), *range(21)]] * torch.tensor([-1.0, 1.0, 1.0])
    for landmarks in (x, swapped):
        described = pipeline.process(landmarks, torch.tensor([24, 24, 24])).described
        task = task_for(pipeline)
        task.head.quantizer.update(*described)
        counts = code_counts(task, *described)["location"]
        assert (counts[:, 1] > 0).sum(-1).max() == 1 < (counts[:, 0] > 0).sum(-1).min()


def test_what_is_missing_is_named(probed):
    with pytest.raises(AslError, match="no feature 'Handshap'; did you mean 'Handshape'"):
        probe(str(probed), features=["Handshap"])
    with pytest.raises(AslError, match="there is no phonology table .*asl phonology"):
        probe(str(probed), phonology="elsewhere.tsv")
    with pytest.raises(AslError, match="--c 0"):
        probe(str(probed), c=0)
    with pytest.raises(AslError, match="Handshape: 4 glosses cannot be shared out to 5 folds"):
        probe(str(probed), features=["Handshape"])
