"""A toy model that knows its classes, and a run of maps of a class that it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.wafer.train import train
from tests.pipelines.wafer import tiny
from tests.pipelines.wafer.reviews import run_of, write_half_dies

ABLE: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 8,
    "maps_per_epoch": 180,
    "novelty_dimension": 8,
    "architecture": {
        "native_channels": 8,
        "native_blocks": 1,
        "channels": [8, 16],
        "blocks": [1, 1],
        "latent": 16,
    },
}


@dataclass(frozen=True)
class Able:
    """A model, its training set, maps of its classes that it never saw, and a run of 24 unknown maps."""

    model: Path
    data: Path
    test: Path
    run: Path
    rows: list[dict[str, Any]]


@pytest.fixture(scope="session")
def able(tmp_path_factory: pytest.TempPathFactory) -> Able:
    folder = tmp_path_factory.mktemp("able")
    data = tiny.write_dies(folder / "dies.npz", {"None": 60, "Center": 60, "Edge": 60})
    train(data, folder / "able", tiny.settings(tiny.DIES, **ABLE))
    test = tiny.write_dies(folder / "test.npz", {"None": 20, "Center": 20, "Edge": 20}, seed=5)
    rows = run_of(folder / "able", write_half_dies(folder / "half.npz", 24), folder / "run")
    return Able(folder / "able", data, test, folder / "run", rows)
