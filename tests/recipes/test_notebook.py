"""egs/wlasl/colab.ipynb: run cell by cell from a clone to a result table, on a synthetic corpus of a few signs.

The cells are plain Python without a kernel's own commands, so that running them in order in one namespace is what a
kernel does: no Jupyter has to be installed for it (nbclient needs ipykernel and some thirty packages more). What is not
run here: Colab itself (its drive is a stand-in, a folder), and the making of an environment, which ASL_PYTHON names.
"""

import json
import os
import shutil
import subprocess
import sys
import types

import pytest

CONFIG = """
task:
  class_path: IsolatedTask
  init_args:
    encoder:
      class_path: ConvTransformer
      init_args: {dim: 16, part_dim: 8, stages: 1, blocks: 1, kernel: 5}
data:
  data_dir: data
  pipeline: {layout: hands42, frames: 16}
  batch_size: 16
  num_workers: 0
trainer: {max_epochs: 1, accelerator: cpu, threads: 1}
"""
PARAMETERS = {
    "SIGNS": 3,
    "SYNTHETIC": ["--signers", "4", "--clips-per-sign", "4"],
    "OPTIONS": ["--config", "conf/tiny.yaml"],
    "PROCESSES": 1,
}


@pytest.fixture(scope="module")
def notebook(root):
    return json.loads((root / "egs/wlasl/colab.ipynb").read_text(encoding="utf-8"))


@pytest.fixture
def repository(root, tmp_path):
    """What the notebook needs of the toolkit, in a git repository, with a small network."""
    folder = tmp_path / "repository"
    for part, without in (("asl", ()), ("utils", ()), ("egs/wlasl", ("data", "exp", "results", "RESULTS.md"))):
        shutil.copytree(root / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", *without))
    (folder / "egs/wlasl/conf/tiny.yaml").write_text(CONFIG)
    commit = ("-c", "user.name=a", "-c", "user.email=a@b.org", "commit", "-q", "-m", "all")
    for words in (("init", "-q"), ("add", "-A"), commit):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A working directory of its own; what is displayed, and the drive as on Colab, by stand-ins."""
    (tmp_path / "content").mkdir()
    monkeypatch.chdir(tmp_path / "content")
    for name in ("HDF5_USE_FILE_LOCKING", "PYTHONPATH"):
        monkeypatch.setenv(name, "")  # the cells set them: what they were comes back in the end
        monkeypatch.delenv(name)
    monkeypatch.setenv("ASL_PYTHON", sys.executable)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # as Jupyter's kernels do
    shown = []
    modules = {
        "IPython": {}, "IPython.display": {"Image": lambda filename: filename, "display": shown.append},
        "google": {}, "google.colab": {"drive": types.SimpleNamespace(mount=lambda place: os.makedirs(place))},
    }  # fmt: skip
    for name, content in modules.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return shown


def run_cells(notebook, last=None, **parameters):
    """Run the code cells in order, up to the one named ``last``; return the names that they leave."""
    names = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {cell['id']}", "exec"), names)
            if "parameters" in cell["metadata"].get("tags", ()):
                assert set(parameters) <= set(names)
                names.update(parameters)
        if cell["id"] == last:
            break
    return names


def test_the_file_is_a_notebook_without_outputs(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        keys = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            assert not any(line.lstrip().startswith(("!", "%")) for line in cell["source"]), "plain Python"
            keys |= {"outputs", "execution_count"}
        assert set(cell) == keys


def test_without_a_clone_the_repository_is_asked_for(notebook, session, tmp_path):
    with pytest.raises(ValueError, match="set REPOSITORY"):
        run_cells(notebook, MOUNT=str(tmp_path / "drive"))


def test_elsewhere_than_on_colab_a_folder_is_the_drive(notebook, session, repository, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)  # to import it fails
    for _ in range(2):  # a second session takes the clone and the folder that are there
        names = run_cells(notebook, "link", REPOSITORY=str(repository), **PARAMETERS)
        assert names["toolkit"] == tmp_path / "content/toolkit" and not names["on_colab"]
        assert (names["recipe"] / "data").resolve() == tmp_path / "content/kept/wlasl_3/data"


@pytest.mark.slow
def test_from_a_clone_to_a_result_table(notebook, session, repository, tmp_path, capsys):
    names = run_cells(notebook, REPOSITORY=str(repository), MOUNT=str(tmp_path / "drive"), **PARAMETERS)
    kept = tmp_path / "drive/MyDrive/asl/wlasl_3"
    clone = tmp_path / "content/toolkit"
    assert names["toolkit"] == clone and (clone / "egs/wlasl/data").resolve() == kept / "data"
    assert list((kept / "data/landmarks").glob("val-*.h5")) and (kept / "data/val/cuts.jsonl.gz").is_file()
    assert session == [str(kept / "strip.png")] and (kept / "strip.png").read_bytes()[:4] == b"\x89PNG"
    assert (clone / "egs/wlasl/exp/tiny_3_seed0/decode_val_softmax/result.json").is_file()
    said = capsys.readouterr().out
    assert "stage 4: train exp/tiny_3_seed0" in said and "(synthetic), val" in said and "top-1" in said
