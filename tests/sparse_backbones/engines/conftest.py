"""Every test of the engines runs twice: on the compiled kernels and in plain PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from sparse_backbones.engines.native import compiled


def need_compiled() -> None:
    """Skips where the compiled kernels are absent, which they may be on a person's machine, never in CI."""
    if compiled.library() is None:
        if os.environ.get("CI"):
            pytest.fail(f"CI is meant to have the compiled kernels: {compiled.problem()}")
        pytest.skip(f"no compiled kernels: {compiled.problem()}")


@pytest.fixture(scope="module", params=["compiled", "plain"], autouse=True)
def arithmetic(request: pytest.FixtureRequest) -> Iterator[str]:
    """Which of the two computes."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain":
            patch.setattr(compiled, "library", lambda: None)
        else:
            need_compiled()
        yield request.param
