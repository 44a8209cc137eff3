"""Configs from a file, from `--set`, and from options: a later one wins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.common.errors import UserError

if TYPE_CHECKING:  # pydantic costs a tenth of a second, and `suite --help` needs none of it
    from pydantic import BaseModel, ValidationError

MAX_CONFIG_BYTES = 1_000_000

_SHORT = Repr()  # a value may be as long as its file
_SHORT.maxstring = _SHORT.maxother = 100

Config = TypeVar("Config", bound="BaseModel")


def resolve(kind: type[Config], file: Path | None, sets: Sequence[str], options: Mapping[str, Any]) -> Config:
    """The config of one command; options that are None were not given.

    Raises UserError, which names the field and what it allows.
    """
    from pydantic import ValidationError

    values = read_file(file) if file else {}
    for text in sets:
        _set(values, text)
    values |= {name: value for name, value in options.items() if value is not None}
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise UserError(_explain(kind, error)) from None


def read_file(path: Path) -> dict[str, Any]:
    """The fields in a YAML or JSON file."""
    from pipelines.common.yaml_text import load_yaml

    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise UserError(f"{path} is larger than a config file can be ({MAX_CONFIG_BYTES:,} bytes)")
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else load_yaml(text)
    except OSError as error:
        raise UserError(f"the config {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"the config {path} cannot be read: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise UserError(f"the config {path} must hold fields and values, such as `seed: 1`")
    return values


def _set(values: dict[str, Any], text: str) -> None:
    from pipelines.common.yaml_text import load_yaml

    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise UserError(f"--set needs the form key=value, not {text!r}")
    *groups, last = name.strip().split(".")
    for group in groups:
        inner = values.setdefault(group, {})
        if not isinstance(inner, dict):
            raise UserError(f"--set {text}: {group} is no group of fields")
        values = inner
    try:
        values[last] = load_yaml(value)
    except ValueError:
        values[last] = value


def _explain(kind: type[BaseModel], error: ValidationError) -> str:
    return "\n".join(_explain_one(kind, dict(problem)) for problem in error.errors())


def _explain_one(kind: type[BaseModel], problem: Mapping[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        allowed = list(_fields(kind, path[:-1]))
        near = get_close_matches(path[-1], allowed, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"there is no field {'.'.join(path)}: {hint}allowed are {', '.join(allowed)}"
    message = str(problem["msg"]).removeprefix("Input ").removeprefix("Value error, ")
    return f"{'.'.join(path) or 'the config'}: {message}, not {_SHORT.repr(problem['input'])}"


def _fields(kind: type[BaseModel], path: Sequence[str]) -> Sequence[str]:
    """The fields of the config, or of the group in it that the path leads to."""
    for part in path:
        inner = kind.model_fields[part].annotation if part in kind.model_fields else None
        if not hasattr(inner, "model_fields"):
            return []
        kind = inner  # type: ignore[assignment]
    own = vars(kind).get("__annotations__", {})  # before those that it shares with other commands
    return sorted(kind.model_fields, key=lambda name: name not in own)
