"""`python -m suite.reference`: prints docs/cli.md, every command and option, as the commands have them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from suite.cli import CODES, app

HEAD = """# All commands

Made from the commands themselves, by `python -m suite.reference > docs/cli.md`. `--help` after any of them
says the same.
"""


def reference() -> str:
    """The page, as Markdown that ends with a line feed."""
    groups = [_section(name, one) for name, one in _commands("suite", typer.main.get_command(app))]
    return "\n".join([HEAD, f"{CODES}\n", *groups])


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The commands below a group, each with its full name, in the order of `--help`."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for key, one in inner.items():
        yield from _commands(f"{name} {key}", one)


def _section(name: str, command: Any) -> str:
    shown = [one for one in command.params if not one.hidden]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    choices = [one for one in shown if one.param_type_name == "option"]
    usage = " ".join([name, *(_argument(one) for one in arguments), *(["[OPTIONS]"] if choices else [])])
    lines = [f"## {name}", "", *(_text(command.help).splitlines()), "", "```", usage, "```", ""]
    rows = [(f"`{_argument(one)}`", _text(one.help)) for one in arguments]
    rows += [(_option(one), _text(one.help) + _default(one)) for one in choices]
    if rows:
        lines += ["| | |", "|---|---|", *(f"| {left} | {_cell(right)} |" for left, right in rows), ""]
    return "\n".join(lines)


def _argument(one: Any) -> str:
    name = one.metavar or one.name.upper()
    name = name if one.nargs == 1 else f"{name}..."
    return name if one.required else f"[{name}]"


def _option(one: Any) -> str:
    value = "" if one.is_flag else f" {one.metavar or 'VALUE'}"
    return ", ".join(f"`{name}{value}`" for name in [*one.opts, *one.secondary_opts]).replace("|", "\\|")


def _default(one: Any) -> str:
    plain = not one.is_flag and one.default != "" and isinstance(one.default, str | int | float)
    return f" Default: {one.default}." if plain and one.show_default is True else ""


def _text(text: str | None) -> str:
    """Help as paragraphs, with the line feeds of the source taken out."""
    paragraphs = (text or "").strip().split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)


def _cell(text: str) -> str:
    return text.replace("\n\n", "<br>").replace("|", "\\|")


if __name__ == "__main__":
    print(reference(), end="")
