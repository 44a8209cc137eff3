"""The convolution benchmark: its sites, that all contestants compute the same, and its JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.native import convolution
from benchmarks.native.convolution import MAX_DENSE_CELLS, QUICK, Shape, measure, run
from sparse_backbones import engines

SMALL = Shape("small", 2, 9, 20, 3)


@pytest.mark.parametrize("shape", [*QUICK, SMALL, Shape("one", 3, 4, 1, 2)])
def test_sites_are_different_and_inside_the_grid(shape: Shape) -> None:
    coordinates = shape.coordinates()
    assert coordinates.shape == (shape.sites, 1 + shape.dimension)
    assert len(np.unique(coordinates.numpy(), axis=0)) == shape.sites
    assert (coordinates[:, 0] == 0).all()
    assert coordinates.min() >= 0
    assert coordinates.max() < shape.side


def test_too_many_sites_are_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        Shape("crowded", 2, 10, 99, 1).coordinates()


@pytest.mark.parametrize("dimension", [2, 3])
def test_sparse_and_dense_compute_the_same(dimension: int) -> None:
    shape = Shape("small", dimension, 6, 12, 3)
    coordinates, features = shape.coordinates(), torch.randn(12, 3)
    sparse = convolution._Sparse(engines.load("native"), shape, coordinates, features)
    dense = convolution._Dense(shape, coordinates, features)
    with torch.no_grad():
        # The offsets of a sparse kernel run with the first axis fastest.
        kernel = sparse.conv.kernel.reshape(*[3] * dimension, 3, 3)
        axes = (dimension + 1, dimension, *reversed(range(dimension)))
        dense.conv.weight.copy_(kernel.permute(axes))
        found = sparse.conv(sparse.x)
        full = dense.conv(dense.x)[0]
    at_sites = full[(slice(None), *found.C[:, 1:].long().T)].T
    torch.testing.assert_close(found.F, at_sites, rtol=1e-4, atol=1e-5)


def test_a_grid_too_large_has_no_dense_peer() -> None:
    large = Shape("large", 2, 20_000, 50, 2)
    assert large.cells > MAX_DENSE_CELLS
    assert {row["engine"] for row in measure(large, ["native"], repeats=1).rows} == {"native"}
    assert {row["engine"] for row in measure(SMALL, ["native"], repeats=1).rows} == {"native", "dense"}


def test_the_json_has_rows_and_ratios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "package_version", lambda name: None)
    report = run([SMALL], tmp_path / "figures.json", threads=torch.get_num_threads(), repeats=1, quick=True)
    assert json.loads((tmp_path / "figures.json").read_text()) == report
    stages = ("new_map_forward", "forward", "forward_backward")
    assert set(report["summary"]) == {f"small_{stage}_native_over_dense" for stage in stages}
    assert {row["stage"] for row in report["rows"]} == set(stages)
