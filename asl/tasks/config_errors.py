"""One line for each mistake in a configuration, with the nearest known name.

jsonargparse finds every mistake but tells it in a nested message of a dozen lines and suggests nothing.
"""

import importlib
import re
from pathlib import Path
from typing import Iterable, List, Optional

from jsonargparse import ArgumentParser, Namespace

from asl.common.errors import AslError, did_you_mean
from asl.common.files import PathLike


def check_yaml(path: PathLike) -> None:
    """Raise AslError unless ``path`` is a readable yaml file that holds keys; names the line."""
    import yaml

    path = Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise AslError(f"--config {path} {what}; give a yaml file")
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as e:
        line = e.problem_mark.line + 1 if e.problem_mark else "?"
        raise AslError(f"{path} line {line}: not valid yaml ({e.problem})") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise AslError(f"{path}: cannot be read as yaml: {' '.join(str(e).split())}") from None
    if not isinstance(value, dict):
        raise AslError(f"{path} holds no keys; it starts with 'task:', 'data:' or 'trainer:'")


_NOT_ACCEPTED = re.compile(
    r"Option '([^']+)' is not accepted(?:\. Got value: Namespace\(class_path='([^']+)')?"
)
_GROUP = re.compile(r"Group '([^']+)' does not accept option '([^']+)'")
_CLASS = re.compile(r"Problem with given class_path '([^']+)'")
_NO_CLASS = re.compile(r"Expected a dot import path string: (\S+)|Import of .* failed.*?: (\S+)")
_TYPE = re.compile(
    r"Parser key \"([^\"]+)\":\s+Expected a <class '(\w+)'>\. Got value: (.*?)(?:\. Got value: |\n|$)"
)
_NO_SUBCLASS = re.compile(r"Not a valid subclass of (\w+)")


def explain(parser: ArgumentParser, message: str) -> str:
    """jsonargparse's nested message as one line that names the nearest known key, option or class."""
    text = " ".join(message.split())
    if "unrecognized arguments: " in message:
        option = message.split("unrecognized arguments: ")[1].split()[0].partition("=")[0]
        if not option.startswith("-"):
            return f"unexpected word {option!r}; options are written --name value"
        known = [n for action in parser._actions for n in action.option_strings if n.startswith("--")]
        return f"unknown option {option}{did_you_mean(option, known)}; see asl train --help"
    if match := _GROUP.search(message):
        group, key = match.groups()
        owners = _CLASS.findall(message[: match.start()])
        keys = argument_keys(owners[-1]) if owners else list(parser.get_defaults().keys())
        known = {k[len(group) + 1 :].split(".")[0] for k in keys if k.startswith(group + ".")}
        return f"config: {group} has no key {key!r}{did_you_mean(key, known)}"
    if match := _NOT_ACCEPTED.search(message):
        key, owner = match.groups()
        owners = [owner] if owner else _CLASS.findall(message[: match.start()])
        keys = argument_keys(owners[-1]) if owners else list(parser.get_defaults().keys())
        known, key = {k.split(".")[0] for k in keys}, key.split(".")[0]
        whose = f"{owners[-1].rpartition('.')[2]} has no argument" if owners else "unknown key"
        return f"config: {whose} {key!r}{did_you_mean(key, known)}"
    if match := _NO_CLASS.search(message):
        name = match.group(1) or match.group(2)
        return f"config: there is no class {name!r}{did_you_mean(name, class_names())}"
    if match := _TYPE.search(message):
        key, kind, value = match.groups()
        return f"config: {key} must be of type {kind}, got {value.strip()!r}"
    if match := _NO_SUBCLASS.search(message):
        base = match.group(1)
        return f"config: a {base} is chosen by 'class_path: NAME', its arguments stand in 'init_args:'"
    return f"config: {text}"


def is_override(word: str) -> bool:
    """Whether a word of the command line is a dotted option, such as --task.init_args.decoder.layers."""
    return word.startswith("--") and "." in word.partition("=")[0]


def misspelt(config: Namespace, words: Iterable[str]) -> Optional[str]:
    """What is wrong with the first dotted option that is no key of ``config``; None: all are.

    jsonargparse takes abbreviated keys of nested dataclasses for the keys, whatever it is told.
    """
    for word in words:
        if not is_override(word):
            continue
        option, node = word.partition("=")[0], config
        parts = option[2:].rstrip("+").split(".")
        for place, part in enumerate(parts):
            if not isinstance(node, Namespace):  # a leaf, or a dictionary of the user's own keys
                break
            if part not in node and "init_args" in node and part in node.init_args:  # its short form
                node = node.init_args
            if part not in node:
                group = ".".join(["--" + parts[0], *parts[1:place], ""])
                near = did_you_mean(part, node.__dict__).replace("'", f"'{group}", 1)
                return f"unknown option {option}{near}; {group[2:-1]} has no key '{part}'"
            node = node[part]
    return None


def argument_keys(class_path: str) -> List[str]:
    """Dotted keys of the constructor arguments of a class, those that it passes on to its base included."""
    module, _, name = class_path.rpartition(".")
    parser = ArgumentParser()
    parser.add_class_arguments(getattr(importlib.import_module(module), name), fail_untyped=False)
    return list(parser.get_defaults().keys())


def class_names() -> List[str]:
    """Names of the tasks and networks that a config can ask for."""
    from torch import nn

    found, todo = [], [nn.Module]
    while todo:
        for child in todo.pop().__subclasses__():
            todo.append(child)
            found += [child.__name__] if child.__module__.startswith("asl.") else []
    return found
