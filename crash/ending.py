"""How every command of this package ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def ended(problems: list[str], counts: dict[str, Any], file: Path | None) -> int:
    """Print the problems and add a line of counts to the file; the exit code."""
    for problem in problems:
        print(f"  {problem}", flush=True)
    if file:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(counts) + "\n")
    return 1 if problems else 0
