"""Stage 3 of the WLASL recipe: asked for, left out, or made elsewhere."""

import json

import pytest

from asl.common.compat import torch_load

from .conftest import shorten


def test_what_is_run_with_and_without_it(make_recipe, run_shell, tmp_path):
    recipe = make_recipe("wlasl")
    two = ("--dry-run", "--stage", "3", "--stop-stage", "4")
    said = lambda *words: run_shell(recipe / "run.sh", *two, *words).stdout
    assert "stage 3" not in said() and "--init-from" not in said()
    assert "stage 3: none" in run_shell(recipe / "run.sh", "--list-stages").stdout
    pretrained = said("--pretrain", "--subset", "20", "--seed", "3")
    assert "asl train --config conf/pretrain.yaml --exp exp/pretrain_20_seed3 " in pretrained
    check = "asl check encoder --pretrain-config conf/pretrain.yaml --config conf/softmax.yaml"
    assert pretrained.index(check) < pretrained.index("asl train")
    start = "--init-from exp/pretrain_20_seed3 --init-only encoder"
    assert f"--exp exp/softmax_pre_20_seed3 {start}" in pretrained
    elsewhere = tmp_path / "pretrained"
    elsewhere.mkdir()
    given = said("--init-from", elsewhere)
    assert "stage 3" not in given and f"--init-from {elsewhere} --init-only encoder" in given
    both = run_shell(recipe / "run.sh", "--dry-run", "--pretrain", "--init-from", elsewhere)
    assert both.returncode == 2 and "give one of the two" in both.stderr


@pytest.mark.slow
def test_pre_trained_fine_tuned_and_scored(new_recipe, tmp_path):
    recipe = new_recipe(tmp_path, "--pretrain", "--head", "softmax")
    for name in ("pretrain", "softmax"):
        config = recipe.folder / f"conf/{name}.yaml"
        config.write_text(config.read_text().replace("dim: 192, part_dim: 128", "dim: 16, part_dim: 8"))
        shorten(config, 1)
    said = recipe.run()
    assert "stage 3: pre-train exp/pretrain_4_seed0" in said
    assert "weights from exp/pretrain_4_seed0 (ema)" in said
    folder = recipe.folder / "exp/softmax_pre_4_seed0"
    assert json.loads((folder / "decode_val_softmax/result.json").read_text())["system"] == "softmax_pre_4"
    again = recipe.run()
    assert again.count("skipped") == 7 and "runs again" not in again
    path = recipe.folder / "exp/pretrain_4_seed0/checkpoints/last.ckpt"
    assert "head.quantizer.books.location.sums" in torch_load(path)["state_dict"]
