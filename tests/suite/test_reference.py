"""The page of all commands: it is that of the commands as they are."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from pipelines.registry import TASKS
from suite.cli import app
from suite.reference import reference


def test_the_page_is_up_to_date(project_root: Path) -> None:
    page = (project_root / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference(), "run `python -m suite.reference > docs/cli.md`"


def test_it_names_every_command_and_its_options() -> None:
    page = reference()
    for task in TASKS:
        for verb in (task.verb, "train", "evaluate"):
            name = f"suite {task.name} {verb}"
            assert f"## {name}\n" in page
            part = page.split(f"## {name}\n")[1].split("\n## ")[0]
            words = CliRunner().invoke(app, [*name.split()[1:], "--help"], env={"COLUMNS": "300"}).output
            for option in ("--out", "--model"):
                assert (f"`{option} " in part) == (f"{option} " in words)
