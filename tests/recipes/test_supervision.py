"""The WLASL recipe with phonological supervision and with CTC's auxiliary losses."""

import json
import subprocess

import pytest
import yaml

from asl.common.jsonl import read_jsonl
from asl.tasks.config import flatten

from ..corpora.test_asl_lex import row, write_csv


def differing(root, name, base):
    """The dotted keys in which a configuration differs from another."""
    read = lambda n: flatten(yaml.safe_load((root / f"egs/wlasl/conf/{n}.yaml").read_text()))  # noqa: E731
    one, other = read(name), read(base)
    return {key for key in {**one, **other} if one.get(key) != other.get(key)}


@pytest.mark.parametrize(
    "name, base, keys",
    [
        ("softmax_phon", "softmax", {"task.init_args.phonology.weight"}),
        (
            "ctc_aux",
            "ctc",
            {f"task.init_args.{k}" for k in ("classifier", "aux_weight", "aux_shared", "segment_weight")}
            | {"data.segments"},
        ),
    ],
)
def test_a_variant_differs_from_its_base_in_nothing_else(root, name, base, keys):
    assert differing(root, name, base) == keys


@pytest.mark.slow
def test_phonology_from_the_owners_csv_to_a_scored_run(new_recipe, tmp_path):
    recipe = new_recipe(tmp_path)
    options = ("--head", "softmax", "--config", "conf/softmax_phon.yaml")
    recipe.run(*options, "--stop-stage", "2")
    refused = subprocess.run(
        recipe.command(*options, "--stage", "4"), env=recipe.environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert refused.returncode and b"data/lang/phonology.tsv is needed and not there" in refused.stdout
    words = [line.split()[0] for line in (recipe.folder / "data/lang/lexicon.txt").read_text().splitlines()]
    signs = [word for word in words if not word.startswith("<")]
    rows = [row(w, Handshape=f"h{i % 2}", NonDominantHandshape="NA") for i, w in enumerate(signs)]
    lex = write_csv(tmp_path / "lex.csv", rows)
    said = recipe.run(*options, "--asl-lex", str(lex), "--stop-stage", "6")
    assert f"{len(signs)} of {len(signs)} glosses found (entry {len(signs)})" in said
    exp = recipe.folder / f"exp/softmax_phon_{len(signs)}_seed0"
    val = json.loads((exp / "train.json").read_text())["val"]
    assert 0 <= val["phon/Handshape"] <= 1 and val["phon/NonDominantHandshape"] == 1
    assert (exp / "decode_val_softmax/result.json").is_file()


@pytest.mark.slow
def test_ctc_with_its_auxiliary_losses(new_recipe, tmp_path):
    recipe = new_recipe(tmp_path, "--config", "conf/ctc_aux.yaml", "--engine", "kaldi")
    recipe.run("--stop-stage", "6")
    exp = recipe.folder / f"exp/ctc_aux_{recipe.exp.name.split('_')[1]}_seed0"
    rows = list(read_jsonl(exp / "logs/epochs.jsonl"))
    assert {"train/ctc", "train/aux", "train/segment", "val/aux_loss", "val/segment", "val/ter"} <= set(rows[-1])
    assert (exp / "decode_val_graph/result.json").is_file()
