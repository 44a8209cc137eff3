"""The report of a run: one page that needs no network, with the counts and what they were drawn from.

Names from files are untrusted: jinja2 escapes all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

TEMPLATES = Path(__file__).resolve().parents[1] / "templates"

Row = Mapping[str, Any]
Pair = tuple[Row, Mapping[str, Any] | None]


def write(file: IO[str], record: Row, pairs: Sequence[Pair], folder: Path) -> None:
    """Write the page of the run `record` (the contents of `run.json`).

    pairs: every row, with what is known of its overlay, None for a failed one. folder: the overlays'.
    """
    context = {"record": record, "counts": record["counts"], "rows": [row for row, _ in pairs]}
    file.writelines(_template("count.html.j2").generate(context))


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda value: f"{value:,}"
    environment.filters["short"] = lambda value: "–" if value is None else f"{value:.4g}"
    return environment.get_template(name)
