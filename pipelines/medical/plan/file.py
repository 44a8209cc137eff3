"""The plan as a file that a person reads and changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.common.errors import UserError
from pipelines.common.files import replacing
from pipelines.common.yaml_text import load_yaml
from pipelines.medical.config import Plan

MAX_BYTES = 1_000_000


def write_plan(path: Path, plan: Plan, fingerprint: dict[str, Any]) -> None:
    """Write the plan as YAML, with the fingerprint above it as a comment."""
    about = yaml.safe_dump(fingerprint, sort_keys=False, default_flow_style=None, width=100)
    with replacing(path) as file:
        file.write("# A plan for suite medical train: change what you like. What the data is like:\n#\n")
        file.writelines(f"# {line}\n" for line in about.splitlines())
        file.write("\n")
        yaml.safe_dump(
            plan.model_dump(mode="json", exclude_none=True),
            file,
            sort_keys=False,
            default_flow_style=None,
            width=100,
        )


def read_plan_file(path: Path) -> Plan:
    """Read a plan. Raises UserError, which names the field."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is larger than a plan can be")
        content = load_yaml(path.read_text(encoding="utf-8"))
        return Plan.model_validate(content)
    except OSError as error:
        raise UserError(f"the plan {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {where or 'the plan'}: {first['msg']}") from error
    except ValueError as error:
        raise UserError(f"the plan {path} cannot be read: {error}") from error
