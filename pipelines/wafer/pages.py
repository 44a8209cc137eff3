"""The templates of the wafer reports."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Template

from pipelines.common import pages


@cache
def template(name: str) -> Template:
    """A template by its name, see `pages.template`."""
    return pages.template(Path(__file__).parent / "templates", name)
