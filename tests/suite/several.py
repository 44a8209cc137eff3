"""Runs the suite's commands in processes of their own, several of which torchrun may start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final

import pytest

from tests.conftest import ROOT

ALONE: Final = (sys.executable, "-m")
TORCHRUN: Final = (*ALONE, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")


def suite(arguments: Sequence[str], by: Sequence[str] = ALONE) -> subprocess.CompletedProcess[str]:
    """What a command of the suite came to. by: what starts it. CI must have Lightning Fabric."""
    if not os.environ.get("CI") and find_spec("lightning_fabric") is None:
        pytest.skip("Lightning Fabric is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TORCHELASTIC")}
    return subprocess.run(
        [*by, "suite", *arguments],
        cwd=ROOT,
        env=environment | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
