"""Pages from templates: text is escaped, and a name that is not there is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template


def template(folder: Path, name: str, filters: Mapping[str, Callable[[Any], str]] | None = None) -> Template:
    """The template `name` of a folder. filters: those of its own, beside `thousands`."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.filters.update(filters or {})
    return environment.get_template(name)
