"""A step is done once, and again only where something has changed, which it names."""

import json
import os
import signal
import subprocess
import sys
import time

from asl.lang.prepare import write_lang

COPY = (
    'step --in in.txt --out data/out.txt -- "$python" -c '
    "'import sys; open(\"ran\", \"a\").write(\"x\"); open(\"data/out.txt\", \"w\").write(sys.argv[1])' "
    '"$word" --nj "$nj"'
)


def times_run(recipe):
    return len((recipe / "ran").read_text()) if (recipe / "ran").exists() else 0


def test_a_done_step_is_skipped(write_recipe, run_shell):
    recipe = write_recipe(COPY)
    first, second = (run_shell(recipe / "run.sh", cwd=recipe) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr
    assert times_run(recipe) == 1
    assert "skipped" in second.stdout and "skipped" not in first.stdout


def test_a_changed_input_runs_it_again_and_is_named(write_recipe, run_shell):
    recipe = write_recipe(COPY)
    run_shell(recipe / "run.sh", cwd=recipe)
    (recipe / "in.txt").write_text("changed")
    done = run_shell(recipe / "run.sh", cwd=recipe)
    assert times_run(recipe) == 2
    assert "runs again (changed since: in.txt)" in done.stdout


GRAPH = "engine=kaldi\ncompile_graph one-sign exp/graph --morphology rules.txt --topology compact"


def test_the_rules_of_a_graphs_morphology_are_an_input_of_it(write_recipe, run_shell):
    recipe = write_recipe(GRAPH)
    write_lang(["loc-BERG", "TAL"], recipe / "data/lang")
    (recipe / "rules.txt").write_text("delete loc-\n")
    for words, said in ((None, "kaldi graph, compact topology"), (None, "skipped"), ("drop TAL\n", "changed since: rules.txt")):
        if words:
            (recipe / "rules.txt").write_text("delete loc-\n" + words)
        done = run_shell(recipe / "run.sh", cwd=recipe)
        assert done.returncode == 0 and said in done.stdout, done.stdout + done.stderr


def test_a_changed_option_runs_it_again_and_the_old_command_is_shown(write_recipe, run_shell):
    recipe = write_recipe(COPY)
    run_shell(recipe / "run.sh", cwd=recipe)
    done = run_shell(recipe / "run.sh", "--word", "two words", cwd=recipe)
    assert "runs again (its command was: " in done.stdout
    assert (recipe / "data/out.txt").read_text() == "two words"


def test_options_that_change_only_the_speed_do_not(write_recipe, run_shell):
    recipe = write_recipe(COPY)
    run_shell(recipe / "run.sh", cwd=recipe)
    assert "skipped" in run_shell(recipe / "run.sh", "--nj", "4", cwd=recipe).stdout


def test_an_output_that_is_gone_or_force_runs_it_again(write_recipe, run_shell):
    recipe = write_recipe(COPY)
    run_shell(recipe / "run.sh", cwd=recipe)
    (recipe / "data/out.txt").unlink()
    assert "data/out.txt is gone" in run_shell(recipe / "run.sh", cwd=recipe).stdout
    assert "runs again (--force)" in run_shell(recipe / "run.sh", "--force", cwd=recipe).stdout
    assert times_run(recipe) == 3


def test_a_failed_step_leaves_no_marker_and_says_where_the_log_is(write_recipe, run_shell):
    recipe = write_recipe(
        'step --in in.txt --out data/out.txt -- "$python" -c '
        "'import sys; print(\"what went wrong\"); sys.exit(7)'\necho not reached"
    )
    done = run_shell(recipe / "run.sh", cwd=recipe)
    assert done.returncode != 0 and "not reached" not in done.stdout
    assert "stage 1 stopped (status 7)" in done.stderr and "data/log/" in done.stderr
    assert not list(recipe.rglob("*.done.json"))
    log = next((recipe / "data/log").iterdir()).read_text()
    assert "what went wrong" in log and "sys.exit(7)" in log.splitlines()[0] and "# status 7" in log


def test_a_failure_after_success_removes_the_old_marker(write_recipe, run_shell):
    recipe = write_recipe('step --in in.txt --out data/out.txt -- cp "$word" data/out.txt')
    assert run_shell(recipe / "run.sh", "--word", "in.txt", cwd=recipe).returncode == 0
    assert list(recipe.rglob("*.done.json"))
    assert run_shell(recipe / "run.sh", "--word", "absent", cwd=recipe).returncode != 0
    assert not list(recipe.rglob("*.done.json"))


def test_an_output_that_was_not_made_is_an_error(write_recipe, run_shell):
    recipe = write_recipe("step --in in.txt --out data/out.txt -- true")
    done = run_shell(recipe / "run.sh", cwd=recipe)
    assert done.returncode == 1 and "did not make data/out.txt" in done.stderr


def test_an_absent_input_and_an_absent_program_are_named(write_recipe, run_shell):
    absent = run_shell(write_recipe("step --in nowhere --out data/out.txt -- true") / "run.sh")
    assert absent.returncode == 1 and absent.stderr.startswith("asl: error: nowhere is needed and not there")
    assert absent.stderr.count("\n") == 1


def test_a_program_that_does_not_exist_is_named(write_recipe, run_shell):
    done = run_shell(write_recipe("step --out data/out.txt -- no-such-program") / "run.sh")
    assert done.returncode == 1 and "cannot start no-such-program" in done.stderr and done.stderr.count("\n") == 1


def test_words_that_go_before_the_command_are_no_part_of_what_is_compared(write_recipe, run_shell):
    recipe = write_recipe('step --out data/out.txt --via="$word" -- sh -c \'echo "$VALUE" > data/out.txt\'')
    assert run_shell(recipe / "run.sh", "--word", "env 'VALUE=a b'", cwd=recipe).returncode == 0
    assert (recipe / "data/out.txt").read_text() == "a b\n"
    assert "skipped" in run_shell(recipe / "run.sh", "--word", "env VALUE=c", cwd=recipe).stdout


def test_paths_with_blanks(write_recipe, run_shell):
    recipe = write_recipe('step --in "a b" --out "data/c d" -- cp "a b" "data/c d"')
    (recipe / "a b").write_text("x")
    (recipe / "data").mkdir()
    assert run_shell(recipe / "run.sh", cwd=recipe).returncode == 0
    assert "skipped" in run_shell(recipe / "run.sh", cwd=recipe).stdout


# a command that goes on where it was killed: says what it was told, waits while "wait" is there
RESUMES = (
    'step --in in.txt --out data/out.txt --again=--force -- "$python" -c \''
    "import os, sys, time\n"
    'open("told", "a").write(" ".join(sys.argv[1:]) + ".")\n'
    'while os.path.exists("wait"): time.sleep(0.01)\n'
    'open("data/out.txt", "w").write("whole")'
    "'"
)


def kill_while_it_runs(recipe, whole_group):
    (recipe / "wait").touch()
    runner = subprocess.Popen(
        [str(recipe / "run.sh")],
        cwd=recipe,
        env={**os.environ, "ASL_PYTHON": sys.executable},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    seen = (recipe / "told").read_text() if (recipe / "told").exists() else ""
    while not (recipe / "told").exists() or (recipe / "told").read_text() == seen:
        time.sleep(0.02)
    if whole_group:
        os.killpg(runner.pid, signal.SIGKILL)
    else:
        os.kill(runner.pid, signal.SIGKILL)
    runner.wait()


def test_a_killed_step_leaves_no_marker_and_goes_on(write_recipe, run_shell):
    recipe = write_recipe(RESUMES)
    kill_while_it_runs(recipe, whole_group=True)
    assert not list(recipe.rglob("*.done.json")) and not (recipe / "data/out.txt").exists()
    (recipe / "wait").unlink()
    assert run_shell(recipe / "run.sh", cwd=recipe).returncode == 0
    assert (recipe / "told").read_text() == ".."  # the same inputs: it may go on where it was
    assert (recipe / "data/out.txt").read_text() == "whole" and list(recipe.rglob("*.done.json"))


def test_killed_and_started_on_other_inputs_it_is_told_to_begin_anew(write_recipe, run_shell):
    recipe = write_recipe(RESUMES)
    kill_while_it_runs(recipe, whole_group=True)
    (recipe / "wait").unlink()
    (recipe / "in.txt").write_text("changed")
    done = run_shell(recipe / "run.sh", cwd=recipe)
    assert (recipe / "told").read_text() == ".--force."
    assert "changed since: in.txt" in done.stdout


def test_done_and_started_on_other_inputs_it_is_told_to_begin_anew(write_recipe, run_shell):
    recipe = write_recipe(RESUMES)
    run_shell(recipe / "run.sh", cwd=recipe)
    (recipe / "in.txt").write_text("changed")
    run_shell(recipe / "run.sh", cwd=recipe)
    run_shell(recipe / "run.sh", "--force", cwd=recipe)
    assert (recipe / "told").read_text() == ".--force.--force."


def test_a_step_that_was_left_running_is_waited_for(write_recipe):
    recipe = write_recipe(RESUMES)
    kill_while_it_runs(recipe, whole_group=False)  # the shell is gone, its step is not
    second = subprocess.Popen(
        [str(recipe / "run.sh")],
        cwd=recipe,
        env={**os.environ, "ASL_PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        universal_newlines=True,
    )
    said = ""
    while "waiting for its end" not in said:
        line = second.stdout.readline()
        assert line, said
        said += line
    (recipe / "wait").unlink()
    said += second.communicate(timeout=60)[0]
    assert second.returncode == 0 and (recipe / "data/out.txt").read_text() == "whole"
    assert (recipe / "told").read_text() == "." and "skipped" in said


def test_the_marker_says_what_was_done(write_recipe, run_shell):
    recipe = write_recipe(COPY)
    run_shell(recipe / "run.sh", cwd=recipe)
    marker = json.loads((recipe / "data/.out.txt.done.json").read_text())
    assert list(marker["inputs"]) == ["in.txt"] and len(marker["inputs"]["in.txt"]) == 64
    assert marker["command"][-1] == "one" and marker["outputs"] == ["data/out.txt"]
    assert not list((recipe / "data").glob(".tmp*"))


def test_a_listing_notices_new_files_without_reading_them(write_recipe, run_shell):
    recipe = write_recipe("step --listing corpus --out data/out.txt -- touch data/out.txt")
    (recipe / "corpus/deep").mkdir(parents=True)
    secret = recipe / "corpus/deep/a"
    secret.write_text("x")
    run_shell(recipe / "run.sh", cwd=recipe)
    assert "skipped" in run_shell(recipe / "run.sh", cwd=recipe).stdout
    (recipe / "corpus/deep/b").write_text("y")
    assert "changed since: corpus" in run_shell(recipe / "run.sh", cwd=recipe).stdout
