"""Runs the suite's commands in processes of their own, several of which torchrun may start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, Final

import pytest

from tests.conftest import ROOT

ALONE: Final = (sys.executable, "-m")
TORCHRUN: Final = (*ALONE, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


@contextmanager
def began(arguments: Sequence[str], by: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A command of the suite, begun in a group of processes of its own, which is killed at the end."""
    _needs_fabric()
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        [*by, "suite", *arguments], cwd=ROOT, env=_environment(), start_new_session=True, **pipes
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def suite(arguments: Sequence[str], by: Sequence[str] = ALONE) -> subprocess.CompletedProcess[str]:
    """What a command of the suite came to. by: what starts it."""
    _needs_fabric()
    return subprocess.run(
        [*by, "suite", *arguments],
        cwd=ROOT,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )


def _needs_fabric() -> None:
    """CI must have it."""
    if not os.environ.get("CI") and find_spec("lightning_fabric") is None:
        pytest.skip("Lightning Fabric is not installed")


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TORCHELASTIC")}
    return kept | {"OMP_NUM_THREADS": "1"}
