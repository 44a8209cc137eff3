"""`suite list`: the tasks, their commands and their bundled models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from pipelines.common.errors import UserError
from pipelines.common.models import bundled_models, read_config
from pipelines.registry import TASKS
from suite import options
from suite.exits import exits
from suite.terminal import print_json, print_table

# Models that a main command does not take by --model, by the task and the kind that their config states: what
# takes them, and what they do.
PARTS: Final = {
    ("medical", "encoder"): ("suite medical train --from", "A pretrained encoder, to start a training from."),
    ("polyp-lesion", None): ("suite polyp size --finder", "Finds lesions where nobody has marked them."),
    ("polyp-depth", None): (
        "suite polyp size --set depth_model=depth",
        "Depths from the colours of calibrated frames.",
    ),
}


def list_tasks(as_json: options.Json = False) -> None:
    """The tasks, their main command and the models that come with them."""
    with exits():
        found: list[dict[str, Any]] = []
        for task in TASKS:
            folders = bundled_models(task.name)
            parts = {path.name: part for path in folders if (part := _part(path))}
            found.append(
                {
                    "task": task.name,
                    "command": f"suite {task.name} {task.verb}",
                    "summary": task.summary,
                    "models": [path.name for path in folders if path.name not in parts],
                    "parts": [
                        {"model": name, "command": command, "summary": summary}
                        for name, (command, summary) in parts.items()
                    ],
                }
            )
        if as_json:
            print_json(found)
            return
        rows = [(one["command"], ", ".join(one["models"]) or "none", one["summary"]) for one in found]
        rows += [(part["command"], part["model"], part["summary"]) for one in found for part in one["parts"]]
        print_table(("command", "models", "what it does"), lambda: rows)


def _part(folder: Path) -> tuple[str, str] | None:
    """What takes a model instead of its task's main command; None if that takes it, or it is damaged."""
    for (task, kind), part in PARTS.items():
        try:
            config = read_config(folder, task=task)
        except UserError:
            continue
        if config.get("kind") == kind:
            return part
    return None
