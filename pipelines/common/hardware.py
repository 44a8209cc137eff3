"""Which device to compute on, and what a run says about where it ran."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.common.errors import UserError

if TYPE_CHECKING:
    import torch

PACKAGES = (
    "torch",
    "MinkowskiEngine",
    "numpy",
    "scipy",
    "scikit-learn",
    "safetensors",
    "pydantic",
    "typer",
    "rich",
    "jinja2",
)


def resolve_device(name: str = "auto") -> torch.device:
    """The torch device for `auto` (the first GPU, else the CPU), `cpu`, `cuda` or `cuda:N`."""
    import torch

    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    match = re.fullmatch(r"cuda(?::(\d+))?", name)
    if match is None:
        raise UserError(f"there is no device {name!r}: give auto, cpu, cuda or cuda:N")
    index, count = int(match[1] or 0), torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise UserError(f"the device {name} is not there: torch sees no GPU; give cpu or auto")
    if index >= count:
        raise UserError(f"the device {name} is not there: the last GPU is cuda:{count - 1}")
    return torch.device("cuda", index)


def package_version(name: str) -> str | None:
    """The installed version of a package, read without importing it; None if it is absent."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def environment() -> dict[str, str | int]:
    """Versions, processor and cores, for the record of a run; imports nothing heavy."""
    return {
        "python": platform.python_version(),
        **_versions(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": usable_cores(),
    }


@cache
def _versions() -> dict[str, str]:
    """Those of the packages that results may depend on; what is installed takes a while to read."""
    found = {name: package_version(name) for name in PACKAGES}
    return {name: version for name, version in found.items() if version is not None}


def usable_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def suite_version() -> str:
    """The version of the suite itself; in a checkout that was never installed there is none."""
    return package_version("sparse-suite") or "not installed"
