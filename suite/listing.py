"""`suite list`: the tasks, their commands and their bundled models."""

from __future__ import annotations

from typing import Any

from pipelines.common.models import bundled_models
from pipelines.registry import TASKS
from suite import options
from suite.exits import exits
from suite.terminal import print_json, print_table


def list_tasks(as_json: options.Json = False) -> None:
    """The tasks, their main command and the models that come with them."""
    with exits():
        found: list[dict[str, Any]] = [
            {
                "task": task.name,
                "command": f"suite {task.name} {task.verb}",
                "summary": task.summary,
                "models": [path.name for path in bundled_models(task.name)],
            }
            for task in TASKS
        ]
        if as_json:
            print_json(found)
            return
        rows = [(one["command"], ", ".join(one["models"]) or "none", one["summary"]) for one in found]
        print_table(("command", "models", "what it does"), lambda: rows)
