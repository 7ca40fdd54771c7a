"""A typed function as a command line: what is accepted, and how a mistake is told."""

from typing import List, Literal, Optional

import pytest

from asl.common.arguments import call
from asl.common.errors import AslError


def example(
    first: str,
    rest: List[str],
    some_count: int,
    exp: Optional[str] = None,
    method: Literal["greedy", "beam"] = "greedy",
    dry_run: bool = False,
    files: List[str] = [],
    rate: float = 1.0,
    share: Optional[float] = None,
):
    """Do it.

    Args:
        first: the first word.
        some_count: how many there are.
    """
    return dict(locals())


def run(*words):
    return call(example, words, "asl example", ("first", "rest"))


def test_words_and_options():
    got = run("a", "b", "c", "--some-count", "3", "--files", "x", "y", "--dry-run", "--rate", "-1.5", "--method=beam")
    assert (got["first"], got["rest"], got["some_count"]) == ("a", ["b", "c"], 3)
    assert (got["files"], got["dry_run"], got["rate"], got["method"]) == (["x", "y"], True, -1.5, "beam")


def test_a_plain_word_may_begin_with_a_dash():
    got = run("--some-count", "3", "--", "-a", "--b", "c")
    assert (got["first"], got["rest"], got["some_count"]) == ("-a", ["--b", "c"], 3)


def test_dashes_and_underscores_are_the_same():
    assert run("a", "b", "--some_count=3") == run("a", "b", "--some-count", "3")


def test_a_flag_takes_a_value_too():
    assert run("a", "b", "--some-count", "3", "--dry-run", "false")["dry_run"] is False


@pytest.mark.parametrize(
    "words, said",
    [
        (["a", "b", "--some-cuont", "3"], "no option '--some-cuont'; did you mean '--some-count'?"),
        (["a", "b", "--some", "3"], "no option '--some'"),
        (["a", "b", "-some-count", "3"], "no option '-some-count'; did you mean '--some-count'?"),
        (["a", "b", "--some-count", "three"], "--some-count: "),
        (["a", "b", "--some-count", "3", "--method", "beem"], "--method: "),
        (["a", "b", "--some-count", "3", "--share", "x"], "--share: give a number, not x"),
        (["a", "b", "--some-count", "3", "--files", "1", "--files", "2"], "--files is given twice; give all its values after one"),
        (["a", "b"], "required and not given: --some-count"),
        (["a", "--some-count", "3"], "required and not given: rest"),
        (["a", "b", "--some-count"], "--some-count needs a value"),
        (["a", "b", "--some-count", "3", "--exp", "--dry-run"], "--exp needs a value"),
    ],
)
def test_mistakes(words, said):
    with pytest.raises(AslError) as error:
        run(*words)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_help_comes_from_the_docstring(capsys):
    with pytest.raises(SystemExit) as stop:
        run("--help")
    out = capsys.readouterr().out
    assert stop.value.code == 0
    assert "Do it." in out and "how many there are" in out and "--some-count" in out and "the first word" in out
