"""Peak memory of a call and of an operation in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.engines.memory import measure, rise

MIB = 2**20

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")


def blocks(mib: int) -> list[bytearray]:
    """So much memory in blocks that the allocator keeps when they are freed."""
    return [bytearray(b"x" * 65_536) for _ in range(16 * mib)]


def test_the_rise_is_that_of_the_call_alone() -> None:
    freed = blocks(150)
    kept = blocks(1)
    del freed
    # What was freed before does not count, and what the call frees does.
    assert rise(lambda: blocks(60)) == pytest.approx(60 * MIB, abs=8 * MIB)
    assert rise(lambda: np.ones(60 * MIB, dtype=np.uint8).sum()) == pytest.approx(60 * MIB, abs=8 * MIB)
    assert rise(lambda: None) < 8 * MIB
    assert len(kept) == 16


def test_a_process_of_its_own_tells_its_peak() -> None:
    found = measure("native", "2d_scattered", "forward_backward", Path("/nowhere"), quick=True, threads=1)
    # Features, output and their gradients of 4,000 sites and 32 channels are 2 MB.
    assert 1 * MIB < found < 100 * MIB


def test_a_failure_shows_what_the_process_said() -> None:
    with pytest.raises(RuntimeError, match="invalid choice: 'dance'"):
        measure("native", "wafer", "dance", Path("/nowhere"), quick=True, threads=1)  # type: ignore[arg-type]
