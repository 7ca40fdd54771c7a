"""``asl ablate`` with the real commands below it: trained, failed, killed, started again."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asl.cli import main
from asl.common.errors import AslError
from asl.common.files import read_json
from asl.scoring.ablation import read_ablation
from asl.tasks.ablate import Times, plan_jobs
from asl.tasks.ablation_plan import read_plan
from asl.tasks.ablation_runs import Runner
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)

CONFIG = """
seed: 2
task:
  class_path: IsolatedTask
  init_args:
    encoder: {class_path: BiLstm, init_args: {hidden: 8, layers: 1, part_dim: 8}}
    optimizer: {warmup_steps: 3}
data:
  pipeline: {layout: hands42, frames: 8}
  batch_size: 6
  num_buckets: 1
trainer: {max_epochs: 2, ema_decay: 0.9, checkpoint: ema, accelerator: cpu}
"""
PLAN = """
title: What helps?
base: conf.yaml
data: data
seeds: [4]
rows:
  last: {decode: {checkpoint: last}}
  broken: {set: {data.pipeline.lags: [0]}}
"""


@pytest.fixture
def project(imported, tmp_path, monkeypatch):  # noqa: F811
    imported(train=18, val=8)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf.yaml").write_text(CONFIG)
    (tmp_path / "parts.yaml").write_text(PLAN)
    return tmp_path


def test_a_grid_is_run_a_failure_is_told_and_what_is_done_is_kept(project, capsys):
    assert main(["ablate", "parts.yaml", "--threads", "1"]) == 1
    said = capsys.readouterr()
    assert "[1/2] base, last, seed 4: top1 " in said.out and "left, about" in said.out
    assert (
        "[2/2] broken, seed 4: FAILED: asl train ended with status 1: asl: error: pipeline: lags=[0]"
        in said.out
    )
    assert "asl: error: broken, seed 4: asl train ended" in said.err
    base = project / "exp/ablate_parts/base_seed4"
    assert read_json(base / "version.json")["command"][:2] == ["asl", "train"]
    decoded = [read_json(base / f"decode_val_{row}/decode.json")["checkpoint"] for row in ("base", "last")]
    assert decoded == ["ema", "last"]
    made = read_ablation("results/ablation_parts").groups[0]
    assert [len(row.row.results) if row.row else 0 for row in made.rows] == [1, 1, 0]
    assert made.rows[1].against is not None and made.rows[1].row.results[0]["checkpoint"] == "last"
    table = (project / "exp/ablate_parts/table.md").read_text()
    assert "| broken | lags = [0] | 0 of 1 |" in table and "| last | checkpoint last | 1 |" in table

    # mended: the rest is trained, what is done is left alone
    when = (base / "train.json").stat().st_mtime_ns, (base / "decode_val_base/hyp.jsonl").stat().st_mtime_ns
    (project / "parts.yaml").write_text(PLAN.replace("[0]", "[]"))
    assert main(["ablate", "parts.yaml", "--jobs", "2", "--threads", "1"]) == 0
    assert "base, last, seed 4: top1" in (said := capsys.readouterr().out) and "(was trained already)" in said
    assert when == (
        (base / "train.json").stat().st_mtime_ns, (base / "decode_val_base/hyp.jsonl").stat().st_mtime_ns
    )  # fmt: skip
    # another base: trained anew, only what is asked for
    (project / "conf.yaml").write_text(CONFIG.replace("max_epochs: 2", "max_epochs: 1"))
    assert main(["ablate", "parts.yaml", "--only", "base", "--threads", "1"]) == 0
    assert read_json(base / "train.json")["epochs"] == 1


def test_killed_at_any_moment_the_same_command_goes_on(project, root):
    (project / "parts.yaml").write_text(PLAN.split("  broken")[0])
    (project / "conf.yaml").write_text(CONFIG.replace("max_epochs: 2", "max_epochs: 40"))
    words = [sys.executable, "-m", "asl.cli", "ablate", "parts.yaml", "--threads", "1"]
    env = {**os.environ, "PYTHONPATH": str(root)}
    first = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
    last = project / "exp/ablate_parts/base_seed4/checkpoints/last.ckpt"
    deadline = time.monotonic() + 600
    while not last.is_file():
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    # what it had started trains on, and is waited for
    done = subprocess.run(
        words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True
    )
    assert done.returncode == 0, done.stdout
    assert "base, last, seed 4: top1" in done.stdout
    assert read_json("exp/ablate_parts/base_seed4/train.json")["epochs"] == 40
    log = (project / "exp/ablate_parts/log/base_seed4.log").read_text()
    commands = [line for line in log.splitlines() if line.startswith("# asl train")]
    assert log.count("from the start") == 1 and len(commands) == 2 and "--force" not in "".join(commands)


def test_what_cannot_start_is_found_before_anything_runs(project, capsys):
    for old, new, said in (
        ("pipeline.lags", "pipeline.lag", "parts.yaml: row broken: config: .*'lag'; did you mean 'lags'"),
        (
            "data: data",
            "data: data/100",
            "row base: data/100/train/cuts.jsonl.gz is not there: prepare data/100",
        ),
        (
            "{set: {data.pipeline.lags: [0]}}",
            "{init_from: exp/pre}",
            "row broken: there is no experiment folder",
        ),
        ("base: conf.yaml", "base: conf/x.yaml", "row base: --config conf/x.yaml does not exist"),
    ):
        (project / "parts.yaml").write_text(PLAN.replace(old, new))
        assert main(["ablate", "parts.yaml"]) == 1
        assert re.search(said, capsys.readouterr().err)
    assert not (project / "exp").exists()


def test_a_dry_run_prints_commands_and_makes_nothing(project, capsys):
    assert main(["ablate", "parts.yaml", "--dry-run", "--only", "last", "--exp", "exp/x"]) == 0
    train, decode, score = capsys.readouterr().out.splitlines()
    assert train.startswith(
        "asl train --config conf.yaml --seed 4 --data.data_dir data --exp exp/x/base_seed4 "
    )
    assert "--checkpoint last" in decode and decode.startswith(
        "asl decode --exp exp/x/base_seed4 --data data"
    )
    assert (
        score == "asl score --decode exp/x/base_seed4/decode_val_last --data data --split val --metric topk"
    )
    assert not (project / "exp").exists() and not (project / "results").exists()


def test_a_run_rests_on_the_lang_folder_that_its_configuration_names(project, monkeypatch):
    units = project / "data/lang_units"
    shutil.copytree(project / "data/lang", units)
    (units / "lexiconp.txt").write_text("sign000 1.0 sign000\n")
    (units / "L.fst.txt").write_text("compiled")
    (project / "other.yaml").write_text(CONFIG.replace("  batch_size", "  lang: lang_units\n  batch_size"))
    (project / "parts.yaml").write_text(
        "base: conf.yaml\ndata: data\nseeds: [4]\n"
        "rows: {units: {set: {data.lang: lang_units}}, config: {config: other.yaml}, plain: {set: {data.batch_size: 4}}}"
    )
    seen = []

    def stop(self, now, *more, **options):
        seen.append([Path(path) for path in now["inputs"] if "lang" in path])
        raise AslError("looked at")

    monkeypatch.setattr(Runner, "_step", stop)
    runner = Runner(project / "exp", project / "results", 1, "cpu")
    for job in plan_jobs(read_plan("parts.yaml"), project / "exp", []):
        with pytest.raises(AslError, match="looked at"):
            runner.run(job)
    names = ["tokens.txt", "words.txt", "lexicon.txt"]
    plain, own = [Path("data/lang") / n for n in names], [Path("data/lang_units") / n for n in (*names, "lexiconp.txt")]
    assert seen == [plain, own, own, plain]


def test_rows_are_chosen_by_name(project):
    plan = read_plan("parts.yaml")
    assert [str(job) for job in plan_jobs(plan, project / "exp", ["broken"])] == ["broken, seed 4"]
    with pytest.raises(AslError, match="no row 'brokn'; did you mean 'broken'"):
        plan_jobs(plan, project / "exp", ["brokn"])


def test_the_time_that_is_left(project):
    jobs = plan_jobs(read_plan("parts.yaml"), project / "exp", [])
    times = Times()
    assert times.left(jobs, 1) == ", 2 left"
    times.add(jobs[0], 600.0, trained=True)
    times.add(jobs[0], 1.0, trained=False)
    assert times.left(jobs, 1) == ", 2 left, about 20 min" and times.left(jobs, 2) == ", 2 left, about 10 min"
    assert times.left([], 2) == ""
