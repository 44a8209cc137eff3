"""The time and peak memory of a command in a process of its own.

`python -m benchmarks.peak COMMAND...` runs a command and prints both as JSON. The process between is there
because a process starts with the peak of the one that started it: this one is small.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cache import ROOT

ERROR_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Measured:
    """Wall seconds, from start-up to exit, and peak resident memory in bytes."""

    seconds: float
    peak_bytes: int


def measure(
    command: Sequence[str | Path],
    *,
    allowed: Sequence[int] = (0,),
    variables: Mapping[str, str] | None = None,
) -> Measured:
    """Run a command from the root of the checkout, its output dropped.

    allowed: exit codes that are a success. variables: added to the environment.
    Raises RuntimeError with the end of what it wrote to stderr if it fails.
    """
    launcher = [sys.executable, "-m", "benchmarks.peak", *map(str, command)]
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(launcher, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"cannot measure {' '.join(launcher)}: {done.stderr[-ERROR_CHARACTERS:]}")
    result = json.loads(done.stdout)
    if result["code"] not in allowed:
        error = result["error"][-ERROR_CHARACTERS:]
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {result['code']}: {error}")
    return Measured(result["seconds"], result["peak_bytes"])


def main() -> None:
    started = time.perf_counter()
    done = subprocess.run(
        sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
    result = {
        "code": done.returncode,
        "seconds": seconds,
        "peak_bytes": peak * unit,
        "error": done.stderr,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
