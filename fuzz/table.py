"""`python -m fuzz.table COUNTS`: what `python -m fuzz --json COUNTS` counted, as a table in Markdown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .readers import NAMES


def table(lines: list[dict[str, Any]]) -> str:
    """The counts of each reader, added up over its runs."""
    rows = ["| reader | inputs | read | refused | findings | seconds |", "|---|---:|---:|---:|---:|---:|"]
    for name in NAMES:
        runs = [line for line in lines if line["reader"] == name]
        found = sum(sum(line["findings"].values()) for line in runs)
        sums = [sum(line[what] for line in runs) for what in ("inputs", "read", "refused")]
        cells = [*sums, found, round(sum(line["seconds"] for line in runs))]
        rows.append(f"| `{name}` | " + " | ".join(f"{cell:,}" for cell in cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(table([json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]))
