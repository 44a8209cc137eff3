"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run side by side, those of a file stay together, and all that need Ray share a cluster."""
    for item in items:
        group = "ray" if "ray_cluster" in getattr(item, "fixturenames", ()) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def project_root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout. CI must have it; elsewhere the test is skipped."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{folder} is missing, and CI is meant to have it")
        pytest.skip(f"the real data is not at {folder}")
    return folder


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A cluster of two cores on this machine, which takes some seconds to start. CI must have Ray."""
    from pipelines.common.runner import on_ray

    if not os.environ.get("CI"):
        pytest.importorskip("ray")
    with on_ray.cluster(cores=2):
        yield
