"""What users mistype is refused with one clear line, and nothing of it is evaluated."""

import pytest


@pytest.fixture
def recipe(make_recipe):
    return make_recipe("wlasl")


@pytest.mark.parametrize(
    "words, said",
    [
        (["stage", "3"], "'stage' is not an option: options start with --"),
        (["3"], "'3' is not an option"),
        (["-stage", "3"], "'-stage' has one dash"),
        (["--stage", "two"], "--stage wants a whole number, not 'two'"),
        (["--stage", "-1"], "--stage wants a whole number, not '-1'"),
        (["--stage", "1.5"], "--stage wants a whole number"),
        (["--stage", "99999999999999999999"], "--stage wants a whole number"),
        (["--stage="], "--stage wants a whole number, not ''"),
        (["--stage"], "--stage needs a value"),
        (["--stage", "--force"], "--stage needs a value, not '--force'"),
        (["--sttage", "3"], "no option '--sttage' (did you mean --stage"),
        (["--PATH", "/tmp"], "no option '--PATH'"),
        (["--python", "/bin/sh"], "no option '--python'"),
        (["--config", "/nowhere"], "--config: there is no file '/nowhere'"),
        (["--config", "conf/sotfmax.yaml"], "there is no file 'conf/sotfmax.yaml'"),
        (["--corpus-dir", "/nowhere"], "--corpus-dir: there is no folder '/nowhere'"),
        (["--corpus_dir", "/nowhere"], "--corpus-dir: there is no folder '/nowhere'"),
        (["--nj", "$(touch x)"], "--nj wants a whole number, not '$(touch x)'"),
        (["--nj", "0"], "--nj wants 1 or more"),
        (["--head", "sofmax"], "--head is one of softmax|ctc, not 'sofmax'"),
        (["--head", "softmax|ctc"], "--head is one of softmax|ctc, not 'softmax|ctc'"),
        (["--force=yes"], "--force takes no value"),
        (["--stage", "5", "--stop-stage", "3"], "--stage 5 is after --stop-stage 3"),
        (["--"], "no option '--'"),
        ([""], "'' is not an option"),
    ],
)
def test_refused_with_one_line(recipe, run_shell, words, said):
    before = sorted(recipe.iterdir())
    done = run_shell(recipe / "run.sh", *words, cwd=recipe)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1 and said in done.stderr and "error: " in done.stderr
    assert sorted(recipe.iterdir()) == before


@pytest.mark.parametrize(
    "words, said",
    [
        (["--ctc-weight", "x"], "--ctc-weight wants a number such as 0.3, not 'x'"),
        (["--ctc-weight", "-0.3"], "--ctc-weight wants a number"),
        (["--ctc-weight", "1.5"], "--ctc-weight wants a share from 0 to 1, not '1.5'"),
        (["--ctc-weight", "1"], "--ctc-weight 1 leaves the decoder out"),
        (["--stitch-least", "2"], "--stitch-least wants a share"),
        (["--lm-scale", "0.1.2"], "--lm-scale wants a number"),
        (["--lm-scale", "."], "--lm-scale wants a number"),
    ],
)
def test_numbers_that_decoding_needs_are_refused_before_training(make_recipe, run_shell, words, said):
    recipe = make_recipe("how2sign")
    done = run_shell(recipe / "run.sh", *words, "--dry-run", cwd=recipe)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1 and said in done.stderr


def test_a_share_may_be_none_all_and_what_is_between(make_recipe, run_shell):
    recipe = make_recipe("how2sign")
    for words, joint in ((["--ctc-weight", "0.0"], 0), (["--ctc-weight", ".5", "--stitch-least", "1", "--lm-scale", "2"], 1)):
        done = run_shell(recipe / "run.sh", *words, "--dry-run", cwd=recipe)
        assert done.returncode == 0 and done.stdout.count("--out exp/base_seed0/decode_val_joint") == joint, done.stderr


def test_values_are_never_evaluated(recipe, run_shell):
    for value in ("$(touch evil)", "`touch evil`", "; touch evil", "a[$(touch evil)]"):
        run_shell(recipe / "run.sh", "--exp", value, "--dry-run", cwd=recipe)
        run_shell(recipe / "run.sh", "--stage", value, "--dry-run", cwd=recipe)
        run_shell(recipe / "run.sh", f"--{value}", "1", cwd=recipe)
    assert not list(recipe.rglob("*evil*"))


def test_dash_and_underscore_and_equals_sign_are_all_accepted(recipe, run_shell):
    runs = [
        run_shell(recipe / "run.sh", *words, "--dry-run", cwd=recipe)
        for words in (["--stop-stage", "0"], ["--stop_stage", "0"], ["--stop-stage=0"], ["--stop_stage=00"])
    ]
    assert all(r.returncode == 0 and r.stdout == runs[0].stdout and r.stderr == "" for r in runs)
    assert runs[0].stdout.count("stage ") == 1


def test_help_lists_every_option_and_runs_nothing(recipe, run_shell):
    done = run_shell(recipe / "run.sh", "--help", cwd=recipe)
    assert done.returncode == 0 and done.stderr == ""
    for option in "stage stop-stage corpus-dir nj devices config exp force dry-run list-stages subset head".split():
        assert f"  --{option} " in done.stdout
    assert not (recipe / "data").exists()


def test_list_stages_names_all_and_says_which_there_is_not(recipe, run_shell):
    done = run_shell(recipe / "run.sh", "--list-stages", cwd=recipe)
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"stage {n}" for n in range(8)]
    assert lines[3] == "stage 3: none: --pretrain is not given"
    assert not (recipe / "data").exists()


def test_dry_run_prints_the_commands_and_runs_nothing(recipe, run_shell):
    done = run_shell(recipe / "run.sh", "--dry-run", "--stage", "1", "--stop-stage", "4", "--nj", "3", cwd=recipe)
    assert done.returncode == 0, done.stderr
    commands = [line for line in done.stdout.splitlines() if line.startswith("  asl ")]
    assert [c.split()[1] for c in commands] == ["prepare", "landmarks", "landmarks", "train"]
    assert [c.split()[2] for c in commands[1:3]] == ["extract", "import"] and "conf/softmax.yaml" in commands[3]
    assert all("--nj 3" in c for c in commands[1:3])
    assert not (recipe / "data").exists() and not (recipe / "exp").exists()


def test_paths_are_seen_from_where_the_user_stands(recipe, run_shell, tmp_path):
    corpus = tmp_path / "my corpus"
    corpus.mkdir()
    done = run_shell(recipe / "run.sh", "--corpus-dir", "my corpus", "--dry-run", "--stop-stage", "0", cwd=tmp_path)
    assert str(corpus).replace(" ", "\\ ") in done.stdout
    inside = run_shell(recipe / "run.sh", "--config", "conf/ctc.yaml", "--dry-run", cwd=tmp_path)
    assert "--config conf/ctc.yaml" in inside.stdout


def test_a_stage_that_reads_the_corpus_says_so_without_one(recipe, run_shell):
    done = run_shell(recipe / "run.sh", cwd=recipe)
    assert done.returncode == 2 and "give --corpus-dir" in done.stderr and done.stderr.count("\n") == 1


def test_without_an_environment_it_says_how_to_make_one(recipe, run_shell):
    done = run_shell(recipe / "run.sh", "--help", cwd=recipe, ASL_PYTHON="/nowhere/python")
    assert done.returncode == 1 and "tools/setup_env.sh" in done.stderr and done.stderr.count("\n") == 1
