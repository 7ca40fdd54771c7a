"""What an ablation file asks for: groups of rows, each row a configuration and its seeds, read and checked.

    title: What does each part bring?
    base: conf/softmax.yaml          # the run that every row is compared with
    data: data/100
    seeds: [0, 1, 2]                 # of the base and of every row that says nothing else
    rows:
      no_augmentation: {set: {data.pipeline.augment: null}}
      no_z: {set: {data.pipeline.space: 2}, seeds: [0]}
      pretrained: {init_from: exp/pretrain, seeds: [0, 1, 2, 3, 4]}
      bilstm: {config: conf/bilstm.yaml}
      last_weights: {decode: {checkpoint: last}}   # trained as the base is: its networks, decoded otherwise
      views: {decode: {views: 4}}

Several groups, each with its own base, stand under ``groups: {small: {data: data/20}, large: {data:
data/100}}``; what a group does not say is taken from the top of the file, its rows too. A row is the base
with what the row says. Paths are relative to the working directory, as everywhere in a recipe; ``{seed}`` in
``init_from`` stands for the seed.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from asl.common.errors import AslError, did_you_mean

BASE = "base"
_SETTINGS = ("config", "set", "data", "seeds", "init_from", "init_only", "init_allow", "decode")
_TOP = ("title", "base", "split", "metric", "rows", "groups")
_GROUP = ("base", "split", "metric", "rows")
# keys of the configuration that have a key of their own in this file
_OWN = {"seed": "seeds", "data.data_dir": "data", "init_from": "init_from", "init_only": "init_only",
        "init_allow": "init_allow", "exp": "--exp"}  # fmt: skip


@dataclass(frozen=True)
class DecodeOptions:
    """How the networks of a row are decoded; the defaults are those of ``asl decode``."""

    method: str = "auto"
    checkpoint: Optional[str] = None
    views: int = 1
    beam_size: Optional[int] = None
    ctc_weight: Optional[float] = None

    def words(self) -> List[str]:
        """As options of ``asl decode``."""
        chosen = [] if self.checkpoint is None else ["--checkpoint", self.checkpoint]
        chosen += ["--views", str(self.views)] if self.views != 1 else []
        chosen += [] if self.beam_size is None else ["--beam-size", str(self.beam_size)]
        chosen += [] if self.ctc_weight is None else ["--ctc-weight", str(self.ctc_weight)]
        return ["--method", self.method, *chosen]


@dataclass(frozen=True)
class PlannedRow:
    """One row: what is trained, with which seeds, and how it is decoded.

    Attributes:
        name: its name in the table and in paths.
        config: yaml file of the training.
        changes: dotted key -> value, on top of ``config``.
        data: data folder.
        seeds: one run each.
        init_from, init_only, init_allow: as ``asl train``.
        decode: as ``asl decode``.
        own: what the row itself says, for the table.
    """

    name: str
    config: str
    changes: Dict[str, Any]
    data: str
    seeds: Tuple[int, ...]
    init_from: Optional[str]
    init_only: Tuple[str, ...]
    init_allow: Tuple[str, ...]
    decode: DecodeOptions
    own: Dict[str, Any] = field(default_factory=dict)

    def train_words(self, seed: int) -> List[str]:
        """The words after ``asl train``, without ``--exp`` and ``--threads``."""
        words = ["--config", self.config, "--seed", str(seed), "--data.data_dir", self.data]
        words += [f"--{key}={_as_word(value)}" for key, value in self.changes.items()]
        if self.init_from:
            words += ["--init-from", self.init_from.replace("{seed}", str(seed))]
        for option, prefixes in (("--init-only", self.init_only), ("--init-allow", self.init_allow)):
            words += [option, *prefixes] if self.init_from and prefixes else []
        return words

    def about(self) -> str:
        """What the row itself says, in short."""
        parts = [f"{_short(key)} = {_as_word(value)}" for key, value in self.own.get("set", {}).items()]
        for key in ("config", "data", "init_from"):
            if key in self.own:
                parts.append(f"{key} {self.own[key] or 'none'}")
        parts += [f"{key} {value}" for key, value in self.own.get("decode", {}).items()]
        return ", ".join(parts) or "-"


@dataclass(frozen=True)
class PlannedGroup:
    """Rows on one data folder; the first is the base."""

    name: str
    split: str
    metric: str
    rows: Tuple[PlannedRow, ...]


@dataclass(frozen=True)
class Plan:
    """An ablation file."""

    path: Path
    title: str
    groups: Tuple[PlannedGroup, ...]

    @property
    def name(self) -> str:
        return self.path.stem


def _as_word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _short(key: str) -> str:
    return re.sub(r"^(data\.pipeline|task\.init_args|task|trainer|data)\.(init_args\.)?", "", key)


def read_plan(path: str) -> Plan:
    """Read an ablation file.

    Raises:
        AslError: not yaml, an unknown key, a value of the wrong type, a row without a configuration, data or
            seeds; names file, group, row and key.
    """
    from asl.tasks.config_errors import check_yaml

    check_yaml(path)
    import yaml

    top = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    _known(top, (*_TOP, *_SETTINGS), path)
    title = _typed(top, "title", str, path, Path(path).stem)
    groups = _mapping(top.get("groups"), f"{path}: groups") if "groups" in top else {"": {}}
    shared = {key: value for key, value in top.items() if key not in ("title", "groups")}
    made = []
    for name, own in groups.items():
        where = f"{path}: group {name}" if name else path
        if name:
            _name(name, where)
        made.append(_group(name, shared, _mapping(own, where), where))
    return Plan(Path(path), title, tuple(made))


def _group(name: str, shared: Dict[str, Any], own: Dict[str, Any], where: str) -> PlannedGroup:
    _known(own, (*_GROUP, *_SETTINGS), where)
    merged = _over(shared, own)
    split = _typed(merged, "split", str, where, "val")
    metric = _typed(merged, "metric", str, where, "topk")
    if metric not in ("topk", "wer", "bleu"):
        raise AslError(f"{where}: metric is {metric!r}; give topk, wer or bleu")
    if "base" not in merged:
        raise AslError(f"{where} has no base; give the config of the run that the rows are compared with")
    base = merged["base"] if isinstance(merged["base"], dict) else {"config": merged["base"]}
    defaults = {key: merged[key] for key in _SETTINGS if key in merged}
    _known(base, _SETTINGS, f"{where}: base")
    first = _row(BASE, defaults, base, f"{where}: base")
    above = _over(defaults, {key: base[key] for key in base if key != "seeds"})
    rows = [first]
    for row_name, row in _mapping(merged.get("rows", {}), f"{where}: rows").items():
        place = f"{where}: row {row_name}"
        _name(row_name, place)
        row = _mapping(row, place)
        _known(row, _SETTINGS, place)
        rows.append(_row(str(row_name), above, row, place))
    names = [row.name for row in rows]
    for row_name in names:
        if names.count(row_name) > 1:
            raise AslError(
                f"{where}: there are two rows called {row_name}; the run compared with is called {BASE}"
            )
    return PlannedGroup(str(name), split, metric, tuple(rows))


def _over(defaults: Dict[str, Any], own: Dict[str, Any]) -> Dict[str, Any]:
    """``own`` over ``defaults``; of ``set`` and ``decode`` key by key."""
    merged = {**defaults, **own}
    for key in ("set", "decode"):
        if isinstance(defaults.get(key), dict) and isinstance(own.get(key), dict):
            merged[key] = {**defaults[key], **own[key]}
    return merged


def _row(name: str, defaults: Dict[str, Any], own: Dict[str, Any], where: str) -> PlannedRow:
    merged = _over(defaults, own)
    for key, example in (("config", "conf/softmax.yaml"), ("data", "data/100"), ("seeds", "[0, 1, 2]")):
        if merged.get(key) is None:
            raise AslError(f"{where} has no {key}; give it, such as {key}: {example}")
    changes = _mapping(merged.get("set", {}), f"{where}: set")
    for key in changes:
        if key in _OWN or str(key).startswith("decode"):
            raise AslError(f"{where}: set has {key}; it is given by {_OWN.get(key, 'decode')} here")
    return PlannedRow(
        name=name,
        config=_typed(merged, "config", str, where),
        changes={str(key): value for key, value in changes.items()},
        data=_typed(merged, "data", str, where),
        seeds=_seeds(merged["seeds"], where),
        init_from=_typed(merged, "init_from", str, where, None),
        init_only=_words(merged, "init_only", where),
        init_allow=_words(merged, "init_allow", where),
        decode=_decode(merged.get("decode", {}), where),
        own={} if name == BASE else own,
    )


def _decode(value: Any, where: str) -> DecodeOptions:
    value = _mapping(value, f"{where}: decode")
    known = DecodeOptions.__dataclass_fields__
    _known(value, tuple(known), f"{where}: decode")
    kinds = {"views": int, "beam_size": int, "ctc_weight": float}
    return DecodeOptions(**{k: _typed(value, k, kinds.get(k, str), f"{where}: decode") for k in value})


def _seeds(value: Any, where: str) -> Tuple[int, ...]:
    numbers = isinstance(value, list) and all(isinstance(v, int) and not isinstance(v, bool) for v in value)
    if not numbers or not value or min(value) < 0 or len(set(value)) < len(value):
        raise AslError(f"{where}: seeds is {value!r}; give different whole numbers from 0, such as [0, 1, 2]")
    return tuple(value)


def _words(mapping: Dict[str, Any], key: str, where: str) -> Tuple[str, ...]:
    value = mapping.get(key) or []
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise AslError(
            f"{where}: {key} is {value!r}; give a list of prefixes of parameters, such as [encoder]"
        )
    return tuple(value)


def _typed(mapping: Dict[str, Any], key: str, kind: type, where: str, default: Any = ...) -> Any:
    value = mapping.get(key)
    if value is None and default is not ...:
        return default
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind):
        what = {str: "text", int: "whole number", float: "number"}[kind]
        raise AslError(f"{where}: {key} is {value!r}; give a {what}")
    return value


def _mapping(value: Any, where: str) -> Dict[Any, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise AslError(
            f"{where} is {value!r}; give keys with values, such as {{set: {{data.pipeline.space: 2}}}}"
        )
    return value


def _known(mapping: Dict[Any, Any], keys: Sequence[str], where: str) -> None:
    for key in mapping:
        if key not in keys:
            raise AslError(f"{where}: no key {key!r}{did_you_mean(str(key), keys)}; it has {', '.join(keys)}")


def _name(name: Any, where: str) -> None:
    if not re.fullmatch(r"[\w+-]+", str(name)):
        raise AslError(f"{where}: its name stands in paths and holds letters, digits, _, - and + only")
