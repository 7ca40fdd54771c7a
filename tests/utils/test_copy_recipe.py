"""A new recipe is a copy that runs: with no Python written, from a table of landmark files."""

import shutil

import numpy as np
import pytest


@pytest.fixture
def toolkit(tmp_path, root):
    """A tree with its own egs/ and utils/, so that nothing is written into this one."""
    tree = tmp_path / "toolkit"
    for part in ("utils", "egs/TEMPLATE"):
        shutil.copytree(root / part, tree / part, ignore=shutil.ignore_patterns("data", "exp", "results"))
    (tree / "asl").symlink_to(root / "asl")
    return tree


def write_corpus(folder):
    """Two signs by two signers, four clips each: one moves sideways, the other up and down."""
    folder.mkdir()
    rows = ["id,path,split,text,signer"]
    random = np.random.default_rng(0)
    for number in range(16):
        sign, split = ("WAVE", "NOD")[number % 2], "train" if number < 12 else "val"
        clip = random.normal(0.5, 0.01, (20, 2, 21, 3)).astype(np.float16)
        clip[..., number % 2] += np.linspace(0, 0.3, 20, dtype=np.float16)[:, None, None]
        clip[..., 1, :, 0] += 0.2
        np.save(folder / f"clip{number}.npy", clip)
        rows.append(f"clip{number},clip{number}.npy,{split},{sign},s{number % 4}")
    (folder / "corpus.csv").write_text("\n".join(rows) + "\n")


def test_the_copy_prepares_a_table_of_clips(toolkit, run_shell, tmp_path):
    write_corpus(tmp_path / "corpus")
    done = run_shell(toolkit / "utils/copy_recipe.sh", "egs/mine", cwd=toolkit)
    assert done.returncode == 0, done.stderr
    recipe = toolkit / "egs/mine"
    done = run_shell(recipe / "run.sh", "--corpus-dir", "corpus", "--stop-stage", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (recipe / "data/lang/words.txt").read_text().split()[:6] == ["<eps>", "0", "WAVE", "1", "NOD", "2"]
    assert (recipe / "data/train/cuts.jsonl.gz").exists() and (recipe / "data/val/cuts.jsonl.gz").exists()


@pytest.mark.slow
def test_the_copy_goes_from_a_table_of_clips_to_a_scored_table(toolkit, run_shell, tmp_path):
    write_corpus(tmp_path / "corpus")
    assert run_shell(toolkit / "utils/copy_recipe.sh", tmp_path / "elsewhere/mine").returncode == 0
    recipe = tmp_path / "elsewhere/mine"
    config = recipe / "conf/softmax.yaml"
    assert "max_epochs: 80" in config.read_text()
    config.write_text(config.read_text().replace("max_epochs: 80", "max_epochs: 1"))
    done = run_shell(recipe / "run.sh", "--corpus-dir", tmp_path / "corpus")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (recipe / "RESULTS.md").read_text()
    assert "top-1" in table and len(list((recipe / "results").glob("*.json"))) == 1


@pytest.mark.slow
def test_the_copy_decodes_sentences_through_an_ngram_of_their_own(toolkit, run_shell, tmp_path):
    write_corpus(tmp_path / "corpus")
    table = tmp_path / "corpus/corpus.csv"
    table.write_text(table.read_text().replace("WAVE", "WAVE NOD").replace(",NOD", ",NOD WAVE NOD"))
    assert run_shell(toolkit / "utils/copy_recipe.sh", "mine").returncode == 0
    recipe = toolkit / "egs/mine"
    config = recipe / "conf/ctc.yaml"
    assert "max_epochs: 80" in config.read_text()
    config.write_text(config.read_text().replace("max_epochs: 80", "max_epochs: 1"))
    words = ("--corpus-dir", tmp_path / "corpus", "--head", "ctc", "--grammar", "ngram", "--order", "2")
    done = run_shell(recipe / "run.sh", *words, "--engine", "kaldi")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (recipe / "data/lang/2-gram.arpa").read_text().count("ngram 2=") == 1
    scored = {path.parent.name for path in recipe.glob("exp/ctc_seed0/decode_*/result.json")}
    assert scored == {"decode_val_greedy", "decode_val_beam", "decode_val_graph"}
    assert "WER [95 %]" in (recipe / "RESULTS.md").read_text()
    again = run_shell(recipe / "run.sh", *words, "--engine", "kaldi").stdout
    assert "runs again" not in again and again.count("skipped") == 4 + 2 + 3 * 2


def test_an_own_path_outside_of_egs_knows_where_the_toolkit_is(toolkit, run_shell, tmp_path):
    new = tmp_path / "some where/recipe"
    assert run_shell(toolkit / "utils/copy_recipe.sh", new).returncode == 0
    done = run_shell(new / "run.sh", "--list-stages")
    assert done.returncode == 0 and done.stdout.startswith("stage 0: ")


def test_another_recipe_can_be_copied_without_what_it_made(toolkit, run_shell):
    template = toolkit / "egs/TEMPLATE"
    for part in ("data", "exp", "results"):
        (template / part).mkdir()
    (template / "RESULTS.md").write_text("")
    assert run_shell(toolkit / "utils/copy_recipe.sh", "second", "TEMPLATE").returncode == 0
    made = {path.name for path in (toolkit / "egs/second").iterdir()}
    assert "run.sh" in made and not made & {"data", "exp", "results", "RESULTS.md"}


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "say what the recipe is called"),
        (["--name", "x"], "no option '--name'"),
        (["a", "b", "c"], "say what the recipe is called"),
        (["TEMPLATE"], "is there already"),
        (["new", "no-such-recipe"], "is no recipe"),
    ],
)
def test_mistakes_are_refused_with_one_line(toolkit, run_shell, words, said):
    done = run_shell(toolkit / "utils/copy_recipe.sh", *words, cwd=toolkit)
    assert done.returncode == 2 and said in done.stderr and done.stderr.count("\n") == 1
    assert sorted(p.name for p in (toolkit / "egs").iterdir()) == ["TEMPLATE"]
