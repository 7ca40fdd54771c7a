"""What is drawn together in a run's picture, and that it is drawn."""

import math

import matplotlib.image
import pytest

from asl.tasks.curves import draw_curves, panels


def row(epoch, **more):
    names = {"train/loss": 2.0 / epoch, "val/loss": 3.0 / epoch, "lr": 1e-3, "grad_norm": 1.0 / epoch}
    names.update({"clips_per_second": 100.0, "data_wait": 0.1, "memory_gb": 0.5, "seconds": 10.0 * epoch, "nonfinite": 0})
    return {"epoch": epoch, "step": 5 * epoch, **names, **more}


def titles(rows):
    return {panel.title: panel.names for panel in panels(rows)}


def test_a_plain_run():
    found = titles([row(1, **{"val/top1": 0.1}), row(2, **{"val/top1": 0.2})])
    assert found == {
        "loss": ["train/loss", "val/loss"],
        "validation": ["val/top1"],
        "gradient norm (left), learning rate": ["grad_norm"],
        "clips/s (left), time spent waiting for data": ["clips_per_second"],
        "memory, GB": ["memory_gb"],
    }


def test_parts_of_the_loss_and_codebooks_have_their_own_pictures():
    more = {"train/ctc": 1.0, "train/phonology": 0.5, "val/phonology": 0.6, "val/ter": 0.3}
    more.update({f"val/{kind}/{book}": 0.5 for kind in ("perplexity", "use") for book in ("handshape", "movement")})
    found = titles([row(1), row(2, **more)])  # a metric may come later
    assert found["parts of the loss"] == ["train/ctc", "train/phonology", "val/phonology"]
    assert found["validation"] == ["val/ter"]
    assert found["perplexity"] == ["val/perplexity/handshape", "val/perplexity/movement"]
    assert found["use"] == ["val/use/handshape", "val/use/movement"]


@pytest.mark.parametrize("epochs", [1, 40])
def test_one_png_whatever_was_measured(tmp_path, epochs):
    gaps = {"grad_norm": None, "val/loss": math.nan, "val/use/handshape": 0.0, "nonfinite": 2}
    rows = [row(epoch, **(gaps if epoch % 7 == 1 else {})) for epoch in range(1, epochs + 1)]
    draw_curves(rows, tmp_path / "curves.png", "run")
    image = matplotlib.image.imread(tmp_path / "curves.png")
    assert image.shape[0] > 500 and image.shape[1] > 1000 and image.std() > 0.05
    assert [p.name for p in tmp_path.iterdir()] == ["curves.png"]
