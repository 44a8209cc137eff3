"""Engines by name, and the names that each has."""

from __future__ import annotations

from types import ModuleType

import pytest

from sparse_backbones import engines


def test_engines_are_loaded_by_name(native: ModuleType) -> None:
    assert list(engines.ENGINES) == ["native", "minkowski"]
    assert native.__name__ == "sparse_backbones.engines.native"


def test_auto_is_native(native: ModuleType) -> None:
    assert engines.load("auto") is native
    assert engines.load() is native


def test_minkowski_is_loaded_by_name(minkowski: ModuleType) -> None:
    assert engines.load("minkowski") is minkowski


@pytest.mark.parametrize("name", ["spconv", "", "Native"])
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown engine '{name}'; choose auto, native, minkowski"):
        engines.load(name)


def test_native_lists_all_its_public_names(native: ModuleType) -> None:
    public = {
        name
        for name, value in vars(native).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert native.__all__ == sorted(public)


def test_native_has_no_name_that_minkowski_lacks(native: ModuleType, minkowski: ModuleType) -> None:
    assert [name for name in native.__all__ if not hasattr(minkowski, name)] == ["install_as_minkowski"]
