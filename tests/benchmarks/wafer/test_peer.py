"""The peer from files to rows."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.wafer import peer
from benchmarks.wafer.dense_cnn import network
from benchmarks.wafer.inputs import scattered_map
from benchmarks.wafer.wm811k import DieMaps, save
from pipelines.wafer.data import klarf
from pipelines.wafer.generate.dataset import write_dataset

LABELS = ["Donut", "None"]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    target = tmp_path / "peer.safetensors"
    peer.save(target, network(len(LABELS)), LABELS)
    return target


def rows_of(path: Path, weights: Path, out: Path) -> list[dict[str, str]]:
    model, labels = peer.load(weights)
    count = peer.classify(path, model, labels, out)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    return rows


def test_die_maps_give_a_row_each(tmp_path: Path, weights: Path) -> None:
    rng = np.random.default_rng(0)
    heights = rng.integers(3, 30, peer.BATCH_MAPS + 3)
    grids = [rng.integers(0, 3, (height, 9)).astype(np.uint8) for height in heights]
    source = tmp_path / "maps.npz"
    save(source, DieMaps(grids, np.empty(0, dtype=np.str_)))
    rows = rows_of(source, weights, tmp_path / "rows.csv")
    assert [row["map"] for row in rows] == [f"{source}#{number}" for number in range(len(grids))]
    assert {row["class"] for row in rows} <= set(LABELS)
    assert all(0.5 <= float(row["probability"]) <= 1 for row in rows)


def test_coordinates_and_folders_of_files_give_a_row_each(tmp_path: Path, weights: Path) -> None:
    write_dataset(tmp_path / "full.npz", maps_per_class=1, seed=0, patterns=["ring", "normal"])
    assert len(rows_of(tmp_path / "full.npz", weights, tmp_path / "rows.csv")) == 2
    folder = tmp_path / "klarf"
    folder.mkdir()
    for number in range(3):
        klarf.write([scattered_map(50 + number)], folder / f"{number}.klarf")
    rows = rows_of(folder, weights, tmp_path / "rows.csv")
    assert [Path(row["map"]).name for row in rows] == [f"{number}.klarf#0" for number in range(3)]
