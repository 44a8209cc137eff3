"""The sites: distinct, where they should be, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.engines.__main__ import DEFAULT_DATA
from benchmarks.engines.workloads import (
    BRAIN_FILE,
    WAFER_FILE,
    WORKLOADS,
    brightest,
    clusters,
    drawn,
    surface,
)
from pipelines.common.errors import UserError

REAL = {"wafer": WAFER_FILE, "brain": BRAIN_FILE}


@pytest.mark.parametrize("name", WORKLOADS)
def test_sites_are_distinct_and_the_same_every_time(name: str) -> None:
    if name in REAL and not (DEFAULT_DATA / REAL[name]).is_file():
        pytest.skip(f"there is no {DEFAULT_DATA / REAL[name]}")
    workload = WORKLOADS[name]
    found = workload.coordinates(DEFAULT_DATA, quick=True)
    assert found.dtype.is_signed and found.shape[1] == workload.dimension + 1
    assert len(np.unique(found.numpy(), axis=0)) == len(found) > 500
    assert int(found[:, 0].max()) == (15 if name == "wafer" else 0)
    assert found.equal(workload.coordinates(DEFAULT_DATA, quick=True))
    backwards = (np.diff(found[found[:, 0] == 0, 1].numpy()) < 0).mean()
    assert backwards == 0 if workload.scanned else backwards > 0.3


@pytest.mark.parametrize(
    ("side", "dimension", "sites"), [(20, 2, 30), (5, 3, 100), (4, 3, 64), (20_000, 2, 9)]
)
def test_so_many_sites_are_drawn_inside_the_grid(side: int, dimension: int, sites: int) -> None:
    found = drawn(side, dimension, sites)
    assert found.shape == (sites, dimension + 1)
    assert len(np.unique(found, axis=0)) == sites
    assert found[:, 0].max() == 0 and found.min() >= 0 and found.max() < side


def test_too_many_sites_are_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        drawn(10, 2, 101)


def test_a_surface_is_thin_and_closed() -> None:
    sites = {tuple(site) for site in surface(40)[:, 1:].tolist()}
    columns = {site[:2] for site in sites}
    assert {(x, y) for x in range(2, 38) for y in range(2, 38)} <= columns
    assert len(sites) < 0.25 * 40**3


def test_clusters_are_denser_than_their_spread() -> None:
    found = np.unique(clusters(2_000, 500), axis=0)
    neighbours = {tuple(site) for site in found[:, 1:].tolist()}
    beside = np.mean([(x + 1, y) in neighbours for x, y in neighbours])
    assert beside > 5 * len(neighbours) / 500**2


def test_the_brightest_share_of_a_volume() -> None:
    volume = np.zeros((2, 5, 2), dtype=np.int16)
    volume[1, 3, 0], volume[0, 2, 1] = 7, 9
    assert brightest(volume, 0.1).tolist() == [[0, 2, 1], [1, 3, 0]]
    # Unsigned numbers have no negative, and of equal ones the first count.
    assert brightest(np.array([3, 0, 3, 200], dtype=np.uint8), 0.5).tolist() == [[3], [0]]


@pytest.mark.parametrize("name", REAL)
def test_missing_data_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"{REAL[name].name}; .*--data"):
        WORKLOADS[name].coordinates(tmp_path, quick=True)
