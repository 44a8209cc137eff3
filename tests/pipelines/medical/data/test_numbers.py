"""Stored numbers, scaled."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pipelines.medical.data.numbers import rescaled
from pipelines.medical.data.record import VolumeError


def test_whole_numbers_stay_whole_and_others_become_float32() -> None:
    array = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    whole, other = rescaled(array, 2.0, -1024.0), rescaled(array, 0.5, 1.0)
    assert whole.dtype == np.int16
    assert (whole == array * 2 - 1024.0).all()
    assert other.dtype == np.float32
    assert (other == array * 0.5 + 1).all()


def test_numbers_that_are_none_stay_none_without_a_warning() -> None:
    signalling = np.array([0x7F800001, 0x3F800000], np.uint32).view(np.float32).reshape(1, 1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = rescaled(signalling, 2.0, 1.0)
    assert np.isnan(found[0, 0, 0])
    assert found[0, 0, 1] == 3


@pytest.mark.parametrize("scale", [(np.nan, 0.0), (1.0, np.inf)])
def test_scales_that_are_no_numbers_are_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(VolumeError, match="damaged"):
        rescaled(np.ones((1, 1, 1), np.uint8), *scale)
