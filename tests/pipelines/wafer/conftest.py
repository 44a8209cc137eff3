"""The engines, and one tiny trained model of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.wafer.train import train
from tests.pipelines.wafer import tiny
from tests.sparse_backbones.conftest import engine, minkowski, native

__all__ = ["engine", "minkowski", "native", "tiny_coordinates", "tiny_dies"]


@dataclass(frozen=True)
class Trained:
    """A model folder, the data it learnt from, what `train` returned and what it said meanwhile."""

    folder: Path
    data: Path
    metrics: dict[str, Any]
    said: list[str]


@pytest.fixture(scope="session")
def tiny_dies(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("dies")
    data = tiny.write_dies(folder / "dies.npz", tiny.DIE_SIZES)
    return _train(data, folder / "toy-dies", tiny.settings(tiny.DIES, data_terms="made up", notes="A toy."))


@pytest.fixture(scope="session")
def tiny_coordinates(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("coordinates")
    data = tiny.write_defects(folder / "defects.npz", tiny.DEFECT_SIZES)
    return _train(data, folder / "toy-defects", tiny.settings(tiny.COORDINATES, data_terms="made up"))


def _train(data: Path, out: Path, config: Any) -> Trained:
    said: list[str] = []
    command = f"suite wafer train {data.name} --out {out.name}"
    return Trained(out, data, train(data, out, config, command=command, progress=said.append), said)
