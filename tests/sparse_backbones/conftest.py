"""The engines as fixtures. MinkowskiEngine may be absent on a person's machine, never in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from sparse_backbones import engines


@pytest.fixture(scope="session")
def native() -> ModuleType:
    return engines.load("native")


@pytest.fixture(scope="session")
def minkowski() -> ModuleType:
    try:
        return engines.load("minkowski")
    except ImportError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI is meant to have MinkowskiEngine: {error}")
        pytest.skip(str(error))


@pytest.fixture(scope="session", params=list(engines.ENGINES))
def engine(request: pytest.FixtureRequest) -> ModuleType:
    """Each engine in turn."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Every test starts from the same random state and leaves the one that it found."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
