"""A typed function becomes a command line: options from its parameters, help from its docstring (jsonargparse).

What jsonargparse lets pass is refused here: abbreviations, and unknown options without naming the nearest one.
"""

import argparse
import inspect
import json
import re
import typing
from typing import Any, Callable, Dict, Iterable, List, Sequence

from asl.common.errors import AslError, did_you_mean

# what jsonargparse says of a value that is none of the types of an Optional
_NO_UNION = re.compile(
    r"Does not validate against any of the Union subtypes Subtypes: \[(?:<class ')?([\w.\[\]]+)(?:'>)?, "
    r"<class 'NoneType'>\] Errors: .* Given value: (.*)"
)
_KINDS = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "typing.List[float]": "numbers",
    "typing.List[int]": "whole numbers",
}  # fmt: skip


def call(function: Callable, argv: Sequence[str], prog: str, positional: Sequence[str] = ()) -> Any:
    """Parse ``argv`` for ``function``, call it and return what it returns.

    Args:
        function: every parameter annotated; those without a default are required.
        argv: the words after the command. ``--corpus-dir`` and ``--corpus_dir`` are the same; a bool needs no
            value; an option of a list type takes all words up to the next option.
        prog: how the command is called, for messages.
        positional: the parameters given as plain words (a list type takes one or more), in this order.

    Raises:
        AslError: an unknown option (the nearest is named), a missing one, or a value of the wrong type.
    """
    parser, kinds = _parser(function, prog, positional), _kinds(function, positional)
    try:
        config = parser.parse_args(_normalise(argv, kinds, prog))
    except argparse.ArgumentError as e:
        raise AslError(f"{prog}: {_one_line(str(e), kinds)}; {prog} --help says what it takes") from None
    return function(**parser.instantiate(config).as_dict())


def check_nj(nj: int) -> None:
    """Refuse an --nj that is no number of processes."""
    if nj < 1:
        raise AslError(f"--nj {nj}: give the number of processes, 1 or more")


def _parser(function: Callable, prog: str, positional: Sequence[str]):
    import jsonargparse

    summary = inspect.getdoc(function) or ""
    summary = re.split(r"\n(?:Args|Returns|Raises|Yields|Examples?):\n", summary)[0].strip()
    parser = jsonargparse.ArgumentParser(
        prog=prog, description=summary, allow_abbrev=False, exit_on_error=False, default_env=False
    )
    types = typing.get_type_hints(function)
    described = _described(function)
    for name in positional:
        many = typing.get_origin(types[name]) in (list, typing.List)
        word = (typing.get_args(types[name]) or (str,))[0] if many else types[name]
        parser.add_argument(name, type=word, help=described.get(name, ""), **({"nargs": "+"} if many else {}))
    parser.add_function_arguments(function, as_group=False, skip=set(positional))
    for action in parser._actions:  # shown with dashes, as in every shell script of ours; both are accepted
        plain = [option for option in action.option_strings if not option.endswith("+")]
        action.option_strings = [option.replace("_", "-") for option in plain]
        parser._option_string_actions.update({option: action for option in action.option_strings})
    return parser


def _described(function: Callable) -> Dict[str, str]:
    import docstring_parser

    return {p.arg_name: p.description or "" for p in docstring_parser.parse(function.__doc__ or "").params}


def _kinds(function: Callable, positional: Sequence[str]) -> Dict[str, str]:
    """Each option's name (with underscores) and whether it is a "flag", a "list" or takes one "value"."""
    types = typing.get_type_hints(function)
    kinds = {}
    for name in inspect.signature(function).parameters:
        if name not in positional:
            kind = types.get(name)
            is_list = any(typing.get_origin(t) is list for t in (kind, *typing.get_args(kind)))
            kinds[name] = "flag" if kind is bool else "list" if is_list else "value"
    return kinds


def _normalise(argv: Sequence[str], kinds: Dict[str, str], prog: str) -> List[str]:
    """Options with dashes and ``=`` between name and value, so that argparse is left nothing to guess."""
    out, words, lists = [], list(argv), set()
    while words:
        word = words.pop(0)
        if word == "--":  # plain words from here on, such as an id that begins with a dash
            return out + [word, *words]
        if word in ("-h", "--help") or not word.startswith("-") or _is_number(word):
            out.append(word)
            continue
        name, equals, value = word.partition("=")
        key = name.lstrip("-").replace("-", "_")
        if key not in kinds or not name.startswith("--"):
            options = ["--" + k.replace("_", "-") for k in kinds]
            hint = did_you_mean("--" + key.replace("_", "-"), options)
            raise AslError(f"{prog}: no option '{name}'{hint}; {prog} --help lists them all")
        if kinds[key] == "list":
            if key in lists:
                raise AslError(f"{prog}: {name} is given twice; give all its values after one {name}")
            lists.add(key)
        if not equals:
            value = _value(words, kinds[key], prog, name)
        out.append(f"--{key.replace('_', '-')}={value}")
    return out


def _value(words: List[str], kind: str, prog: str, name: str) -> str:
    """Take the value of the option ``name`` from the front of ``words``."""
    if kind == "flag":
        return words.pop(0) if words and words[0] in ("true", "false") else "true"
    taken = []
    while words and (not words[0].startswith("-") or words[0] == "-" or _is_number(words[0])):
        taken.append(words.pop(0))
        if kind == "value":
            return taken[0]
    if not taken:
        raise AslError(f"{prog}: {name} needs a value")
    return json.dumps(taken)


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", word) is not None


def _one_line(message: str, options: Iterable[str]) -> str:
    """jsonargparse's message, on one line, with our spelling of the option."""
    message = re.sub(r"\s+", " ", message).strip()
    message = re.sub(r'Parser key "([\w.]+)": ', lambda m: f"--{m[1].replace('_', '-')}: ", message)
    message = _NO_UNION.sub(lambda m: f"give {_KINDS.get(m[1], m[1])}, not {m[2]}", message)
    found = re.match(r"the following arguments are required: (.*)", message)
    if found:
        message = "required and not given: " + ", ".join(
            "--" + name.replace("_", "-") if name in options else name for name in found[1].split(", ")
        )
    return message.rstrip(".")
