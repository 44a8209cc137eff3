"""Time and peak memory of a command."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.peak import measure

MIB = 2**20


def test_the_peak_is_that_of_the_command_alone() -> None:
    held = np.ones(300 * MIB, dtype=np.uint8)
    small = measure([sys.executable, "-c", "pass"])
    large = measure([sys.executable, "-c", "b'x' * (150 * 2**20)"])
    assert held.nbytes > small.peak_bytes
    assert large.peak_bytes - small.peak_bytes > 140 * MIB
    assert small.seconds > 0


def test_a_failure_shows_what_the_command_said() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 5: .*no such wafer"):
        measure([sys.executable, "-c", "import sys; print('no such wafer', file=sys.stderr); sys.exit(5)"])


def test_a_failure_may_be_allowed_and_variables_arrive() -> None:
    code = "import os, sys; sys.exit(int(os.environ['OMP_NUM_THREADS']))"
    assert measure([sys.executable, "-c", code], allowed=(3,), variables={"OMP_NUM_THREADS": "3"}).seconds > 0


def test_a_command_that_is_not_there_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no-such-command"):
        measure(["/no-such-command"])
