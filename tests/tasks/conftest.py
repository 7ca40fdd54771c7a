"""A small project and ``asl train`` on it, in this process or in one of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from asl.tasks import config as configs
from tests.tasks import toy


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with ``conf.yaml`` and ``data/lang``; the toy data module stands for the real one."""
    monkeypatch.setattr(configs, "data_class", lambda: toy.ToyData)
    monkeypatch.chdir(tmp_path)
    toy.make_project(tmp_path)
    return tmp_path


@pytest.fixture
def run_train(project):
    """``run_train(exp, *options)`` trains on ``conf.yaml`` and returns the experiment folder."""
    from asl.tasks.train import main

    def run(exp: str = "exp/a", *options: str) -> Path:
        main(["--config", "conf.yaml", "--exp", exp, *options])
        return project / exp

    return run


@pytest.fixture
def start_train(project, root):
    """``start_train(exp, *options)`` starts the same in a process of its own and returns it."""
    import os

    started = []

    def start(exp: str, *options: str) -> subprocess.Popen:
        code = "import sys; from tests.tasks import toy; toy.run(sys.argv[1:])"
        argv = [sys.executable, "-c", code, "--config", "conf.yaml", "--exp", exp, *options]
        env = {**os.environ, "PYTHONPATH": str(root)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(argv, cwd=project, env=env, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
