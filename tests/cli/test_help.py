"""--help is made from docstrings: one that the parser cannot read would leave the options without a word."""

import inspect

import docstring_parser
import pytest

from asl.cli import COMMANDS, load


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if not command.raw])
def test_every_option_of_a_command_is_explained(name):
    function = load(name)
    explained = {p.arg_name for p in docstring_parser.parse(function.__doc__).params if p.description}
    assert explained == set(inspect.signature(function).parameters)
