"""``asl train --resume EXP`` needs nothing else, wherever it is called; what cannot be resumed is said."""

import json
import shutil

import pytest

from asl.common.errors import AslError
from asl.tasks.experiment import read_result
from asl.tasks.resume import take_option
from asl.tasks.train import main
from tests.data.conftest import imported, make_data  # noqa: F401 (fixtures)
from tests.tasks.test_train import Killed, assert_same, weights
from tests.tasks.toy import CONFIG, ToyTask


@pytest.fixture
def killed(project, run_train, monkeypatch):
    """``killed(after, *options)`` -> the folder of a run that died in its third epoch; data_dir is relative."""
    (project / "conf.yaml").write_text(CONFIG.format(data="data"))
    step = ToyTask.training_step

    def run(*options, after=12):
        calls = []

        def dying(self, batch, batch_idx):
            calls.append(batch_idx)
            if len(calls) > after:
                raise Killed
            return step(self, batch, batch_idx)

        with monkeypatch.context() as patched:
            patched.setattr(ToyTask, "training_step", dying)
            with pytest.raises(Killed):
                run_train("exp/killed", *options)
        return project / "exp/killed"

    return run


def test_it_goes_on_from_any_folder_with_the_options_it_began_with(killed, run_train, project, monkeypatch, tmp_path):
    options = ["--task.init_args.optimizer.lr", "3e-3", "--trainer.max_epochs", "4", "--seed", "8"]
    whole = run_train("exp/whole", *options)
    exp = killed(*options)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    main(["--resume", str(exp)])
    assert_same(weights(exp), weights(whole))
    assert read_result(exp)["seed"] == 8 and read_result(exp)["epochs"] == 4
    with pytest.raises(AslError, match=r"killed is trained already \(4 epochs\): .* --force"):
        main([f"--resume={exp}"])


def test_a_recipe_may_be_moved_or_only_its_experiment(killed, run_train, project, monkeypatch, tmp_path):
    whole = run_train("exp/whole")
    killed()
    moved = tmp_path / "moved"
    moved.mkdir()
    shutil.copytree(project / "data", moved / "data")
    shutil.copytree(project / "exp", moved / "exp")
    shutil.move(project / "data", project / "away")  # the copies do without it
    main(["--resume", str(moved / "exp/killed"), "--threads", "1"])
    assert_same(weights(moved / "exp/killed"), weights(whole))
    shutil.move(project / "away", project / "data")
    shutil.move(project / "exp/killed", tmp_path / "alone")
    monkeypatch.chdir(tmp_path.parent)
    main(["--resume", str(tmp_path / "alone")])
    assert_same(weights(tmp_path / "alone"), weights(whole))


def test_a_run_killed_before_its_first_checkpoint_begins_again(killed, run_train, project, monkeypatch, tmp_path):
    first = run_train("exp/first", "--trainer.max_epochs", "1")
    options = ["--init-from", "exp/first", "--trainer.max_epochs", "2"]
    whole = run_train("exp/whole", *options)
    exp = killed(*options, after=2)
    assert not (exp / "checkpoints/last.ckpt").exists() and first.is_dir()
    monkeypatch.chdir(tmp_path.parent)
    with pytest.raises(AslError, match=r"another configuration: seed \(3 there, 5 now\)"):
        main(["--resume", str(exp), "--seed", "5"])
    main(["--resume", str(exp)])
    assert_same(weights(exp), weights(whole))


def test_what_cannot_be_resumed_is_said(killed, project, tmp_path):
    with pytest.raises(AslError, match="there is no experiment folder exp/nowhere"):
        main(["--resume", "exp/nowhere"])
    (project / "exp/other").mkdir(parents=True)
    with pytest.raises(AslError, match="exp/other has no config.yaml"):
        main(["--resume", "exp/other"])
    with pytest.raises(AslError, match="--resume needs the folder of a run"):
        main(["--resume"])
    exp = killed()
    for words in (["--config", "conf.yaml"], ["--exp", "exp/killed"], ["--force"]):
        with pytest.raises(AslError, match=f"needs no {words[0]}"):
            main(["--resume", str(exp), *words])
    with pytest.raises(AslError, match=r"trainer.max_epochs \(6 there, 9 now\)"):
        main(["--resume", str(exp), "--trainer.max_epochs", "9"])
    shutil.move(project / "data", project / "away")
    with pytest.raises(AslError, match=r"its data folder is gone \(.*data\); put it back, or .*--data.data_dir"):
        main(["--resume", str(exp)])
    main(["--resume", str(exp), "--data.data_dir", str(project / "away")])


def test_data_that_changed_since_are_refused_by_name(imported, monkeypatch, tmp_path):  # noqa: F811
    from asl.tasks import run_data
    from tests.tasks.test_whole import CONFIG as WHOLE

    imported(train=6, val=3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf.yaml").write_text(WHOLE)
    options = ["--config", "conf.yaml", "--exp", "exp/a", "--data.num_workers", "0", "--trainer.max_epochs", "1"]
    main(options)
    (tmp_path / "exp/a/train.json").unlink()
    files = json.loads((tmp_path / "exp/a/version.json").read_text())["data"]["files"]
    assert set(files) == {"train/cuts.jsonl.gz", "val/cuts.jsonl.gz", "landmarks"} and all(files.values())
    archive = next((tmp_path / "data/landmarks").glob("*.h5"))
    image = archive.read_bytes()
    archive.write_bytes(image + b"0")
    for words in (["--resume", "exp/a"], options):
        with pytest.raises(AslError, match="exp/a: data/landmarks has changed since this run began"):
            main(words)
    archive.write_bytes(image)
    cuts = tmp_path / "data/val/cuts.jsonl.gz"
    kept = cuts.read_bytes()
    cuts.unlink()
    with pytest.raises(AslError, match="data/val/cuts.jsonl.gz is gone since this run began; bring"):
        main(["--resume", "exp/a"])
    cuts.write_bytes(kept)
    main(["--resume", "exp/a"])
    assert run_data.start_of(tmp_path / "exp/a")["data"]["folder"] == "../../data"


def test_an_option_is_taken_out_of_words():
    assert take_option(["--a", "1", "--resume", "x", "--b"], "--resume") == ("x", ["--a", "1", "--b"])
    assert take_option(["--resume=x y", "--b"], "--resume") == ("x y", ["--b"])
    assert take_option(["--resumed", "x"], "--resume") == (None, ["--resumed", "x"])
