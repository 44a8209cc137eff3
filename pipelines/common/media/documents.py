"""JSON files, within a known amount of memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.common.errors import InputError

from . import limits


def load_json(path: Path, most: int = limits.MAX_LABEL_BYTES) -> Any:
    """What a JSON file of at most `most` bytes holds. Raises InputError without the path."""
    try:
        return json.loads(limits.read_bytes(path, most))
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is no JSON: {error}") from error
