"""`suite list`: the tasks, their commands and their bundled models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pipelines.common.models import CONFIG, bundled_models
from pipelines.registry import TASKS
from suite import options
from suite.exits import exits
from suite.terminal import print_json, print_table

# Models that a main command does not take by --model, by what their config says they are: what takes them,
# and what they do.
PARTS: Final = {
    "encoder": ("suite medical train --from", "A pretrained encoder, to start a training from."),
    "polyp-lesion": ("suite polyp size --finder", "Finds lesions where nobody has marked them."),
    "polyp-depth": ("suite polyp size --set depth_model", "Depths from the colours of calibrated frames."),
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
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        return PARTS.get(config.get("kind")) or PARTS.get(config["task"])
    except (OSError, ValueError, AttributeError, LookupError, TypeError):
        return None
