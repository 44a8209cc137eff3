"""A wafer that is drawn with the notch in any of four places is the same wafer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipelines.wafer.data import FailedMap, WaferMap, e142, g85, sinf
from tests.pipelines.wafer.data import builders

Read = Callable[[bytes, Path], Iterator[WaferMap | FailedMap]]

FORMATS: dict[str, tuple[Callable[[str], bytes], Read]] = {
    "sinf": (builders.sinf, sinf.read),
    "g85": (builders.g85, g85.read),
    "e142": (builders.e142, e142.read),
}


@pytest.mark.parametrize("notch", builders.DRAWN)
@pytest.mark.parametrize("format", FORMATS)
def test_notch_is_turned_down(format: str, notch: str) -> None:
    write, read = FORMATS[format]
    (wafer,) = read(write(notch), Path("map"))
    assert isinstance(wafer, WaferMap), wafer
    assert wafer.dies is not None
    np.testing.assert_array_equal(wafer.dies.status, builders.UPRIGHT)
    np.testing.assert_allclose(wafer.defects, builders.DEFECTS_MM)
    assert (wafer.notch, wafer.die_pitch_mm) == (notch, builders.PITCH_MM)


@pytest.mark.parametrize("notch", builders.DRAWN)
@pytest.mark.parametrize("format", FORMATS)
def test_source_rows_find_each_die_in_the_stored_grid(format: str, notch: str) -> None:
    write, read = FORMATS[format]
    (wafer,) = read(write(notch), Path("map"))
    assert isinstance(wafer, WaferMap), wafer
    drawn = builders.DRAWN[notch]
    row, col = np.divmod(wafer.source_rows, drawn.shape[1])
    assert (drawn[row, col] == 2).all()
    # From the place in the drawing to the wafer: turned as the notch goes down.
    x = (col - (drawn.shape[1] - 1) / 2) * builders.size_as_drawn(notch)[0]
    y = ((drawn.shape[0] - 1) / 2 - row) * builders.size_as_drawn(notch)[1]
    turned = {"down": (x, y), "left": (-y, x), "up": (-x, -y), "right": (y, -x)}[notch]
    np.testing.assert_allclose(wafer.defects, np.stack(turned, axis=1))
