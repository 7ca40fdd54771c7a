"""cmd.sh: nothing on one machine, torchrun through srun on several of a Slurm job."""

import os
import shlex
import subprocess

import pytest


def words_of(root, recipe, folder, **env):
    """What a recipe's cmd.sh puts before training, in a shell with a stand-in for scontrol."""
    scontrol = folder / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$1 $2 $3" = "show hostnames gpu[3-4]" ] && printf "gpu3\\ngpu4\\n"\n')
    scontrol.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", 'python=/env/bin/python; . "$0"; echo "$train_cmd"', root / f"egs/{recipe}/cmd.sh"],
        env={**kept, **env, "PATH": f"{folder}:{os.environ['PATH']}"}, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return shlex.split(done.stdout)


@pytest.mark.parametrize("recipe", ["wlasl", "TEMPLATE"])
def test_several_machines_of_a_slurm_job_train_together(root, tmp_path, recipe):
    from torch.distributed.run import parse_args

    assert words_of(root, recipe, tmp_path) == []
    assert words_of(root, recipe, tmp_path, SLURM_NNODES="1", SLURM_JOB_ID="7") == []
    job = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "gpu[3-4]", "SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "4"}
    words = words_of(root, recipe, tmp_path, **job)
    assert words[0] == "srun" and "--ntasks-per-node=1" in words
    start = words.index("/env/bin/python")
    assert words[start + 1 : start + 3] == ["-m", "torch.distributed.run"]
    given = parse_args([*words[start + 3 :], "/env/bin/python", "-m", "asl.cli", "train"])
    assert (given.nnodes, given.nproc_per_node, given.rdzv_endpoint) == ("2", "4", "gpu3:29500")
    assert given.no_python and given.training_script == "/env/bin/python"
    assert given.training_script_args == ["-m", "asl.cli", "train"]
