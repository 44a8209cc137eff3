"""Grids on one sheet, against each grid on its own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.wafer import sheet
from pipelines.wafer.data.record import FAIL
from pipelines.wafer.model.dies import encode_dies
from pipelines.wafer.shape import shapes
from pipelines.wafer.sheet import Sheet, portions
from tests.pipelines.wafer import tiny

Grid = NDArray[np.uint8]
REACH = 2
sizes = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=12)


def grids_of(sizes: list[tuple[int, int]]) -> list[Grid]:
    rng = np.random.default_rng(len(sizes))
    return [tiny.random_grid(rng, rows, cols) for rows, cols in sizes]


def window_sums(image: NDArray[np.bool_]) -> Grid:
    side = 2 * REACH + 1
    found: Grid = cv2.boxFilter(  # type: ignore[assignment]
        image.view(np.uint8), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    return found


@settings(deadline=None, max_examples=60)
@given(sizes)
def test_failing_dies_are_those_of_each_grid_and_see_no_other_grid(sizes: list[tuple[int, int]]) -> None:
    grids = grids_of(sizes)
    found = Sheet.of(grids, REACH)
    alone = [np.nonzero(grid == FAIL) for grid in grids]
    assert found.item.tolist() == [number for number, (row, _) in enumerate(alone) for _ in row]
    assert found.row.tolist() == [value for row, _ in alone for value in row.tolist()]
    assert found.col.tolist() == [value for _, col in alone for value in col.tolist()]
    assert (found.places[found.site] == FAIL).all()
    near = [window_sums(grid == FAIL)[at] for grid, at in zip(grids, alone, strict=True)]
    assert found.at(window_sums(found.status == FAIL)).tolist() == np.concatenate(near).tolist()


@settings(deadline=None, max_examples=60)
@given(sizes)
def test_a_sheet_has_hardly_more_places_than_its_grids(sizes: list[tuple[int, int]]) -> None:
    found = Sheet.of(grids_of(sizes), REACH)
    (rows, cols), area = found.status.shape, sum((r + REACH) * (c + REACH) for r, c in sizes)
    assert rows * cols <= 2 * area + max(r for r, _ in sizes) * cols


def test_grids_without_dies_take_no_place() -> None:
    empty = np.zeros((0, 0), np.uint8)
    found = Sheet.of([empty, np.full((2, 3), FAIL, np.uint8), empty], REACH)
    assert found.item.tolist() == [1] * 6
    assert found.x.tolist() == pytest.approx([-2 / 3, 0, 2 / 3] * 2)
    assert found.y.tolist() == [0.5] * 3 + [-0.5] * 3
    assert Sheet.of([empty], REACH).status.size > 0
    assert len(encode_dies([empty, empty], 8).extra) == 2


def test_many_maps_go_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = grids_of([(37, 29)] * 5)
    whole, batch = shapes(grids), encode_dies(grids, 8)
    assert [(part.start, part.stop) for part in portions(grids, REACH)] == [(0, 5)]
    monkeypatch.setattr(sheet, "MOST_PLACES", 9_000)
    assert [(part.start, part.stop) for part in portions(grids, REACH)] == [(0, 2), (2, 4), (4, 5)]
    for most in (9_000, 1):
        monkeypatch.setattr(sheet, "MOST_PLACES", most)
        np.testing.assert_allclose(shapes(grids), whole, atol=1e-6)
        parts = encode_dies(grids, 8)
        for name in ("dies", "cells", "features", "extra"):
            np.testing.assert_array_equal(getattr(parts, name), getattr(batch, name))


def test_no_grid_needs_no_sheet() -> None:
    assert list(portions([], REACH)) == []
