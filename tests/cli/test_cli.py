"""asl COMMAND: the table, its speed, and one line for what goes wrong."""

import inspect
import subprocess
import sys
import time
import typing

import pytest

from asl.cli import COMMANDS, choose, load, main


def test_help_is_quick(root):
    def seconds():
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "asl.cli", "--help"], cwd=root, stdout=subprocess.PIPE, check=True)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 1


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == main([]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_a_described_and_typed_function(name):
    function = load(name)
    assert inspect.getdoc(function)
    types = typing.get_type_hints(function)
    assert all(parameter in types for parameter in inspect.signature(function).parameters)
    assert set(COMMANDS[name].positional) <= set(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_names_a_misspelt_option(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*name.split(), "--help"])
    assert stop.value.code == 0 and "--help" in capsys.readouterr().out
    assert main([*name.split(), "--no-such-option", "1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("asl: error: ") and "--no-such-option" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "words, said",
    [
        (["trian"], "no command 'trian'; did you mean 'train'?"),
        (["prepare"], "say which; for example asl prepare wlasl --help"),
        (["prepare", "wlasll"], "'wlasll' is none of them"),
        (["--version"], "no command '--version'"),
        (["score", "--metrik", "topk"], "did you mean '--metric'?"),
        (["prepare", "csv", "--corpus-dir", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_status_1(words, said, capsys):
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("asl: error: ") and said in error and error.count("\n") == 1


def test_two_words_are_taken_before_one():
    assert choose(["score", "compare", "a", "b"]) == ("score compare", ["a", "b"])
    assert choose(["score", "--decode", "x"]) == ("score", ["--decode", "x"])


def test_ctrl_c_is_a_line_and_status_130(monkeypatch, capsys):
    def interrupted(out: str = "") -> None:
        """Work. Args: out: nothing."""
        raise KeyboardInterrupt

    monkeypatch.setattr("asl.cli.load", lambda name: interrupted)
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "asl doctor: interrupted\n"


def test_a_reader_that_goes_away_is_no_error(root):
    command = f"'{sys.executable}' -m asl.cli --help | head -n 1"
    done = subprocess.run(command, shell=True, cwd=root, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert done.returncode == 0 and done.stderr == b""
