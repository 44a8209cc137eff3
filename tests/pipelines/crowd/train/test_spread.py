"""A training on two processes: the losses of one with the whole batch, and no process waits for another."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.training.spread.world import World
from pipelines.crowd.data import read_dataset
from pipelines.crowd.model import sparse_counter
from pipelines.crowd.train.run import train
from tests.pipelines.common.training.spread.two import in_two
from tests.pipelines.crowd.train.builders import small, write_scenes

NETWORKS = ("sparse-counter", "dense-counter", "mcnn")
WORDS = ("loss", "fine", "mae")


def logs(world: World, data: str, out: str, **network: Any) -> dict[str, list[dict[str, float]]]:
    """The log of a training of each network, a step an epoch."""
    found = {}
    for name in NETWORKS:
        settings = {"batch_size": 4, "epochs": 4, "steps_per_epoch": 1, "validate_every": 4, "held_out": 0.3}
        config = small(network={"name": name, **network}, **settings)
        model = Path(out) / name
        train({"scenes": read_dataset(Path(data)).cases}, model, config, world=world)
        with (model / "log.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        found[name] = [{key: float(row[key]) for key in WORDS if row.get(key)} for row in rows]
    return found


def undrawn(world: World, data: str, out: str, empty: str, other: str) -> dict[str, Any]:
    """The same with no block drawn at random, as each process draws its own, and with nobody in any image."""
    before = sparse_counter.NEGATIVES
    sparse_counter.NEGATIVES = 0.0
    try:
        return {"people": logs(world, data, out), "nobody": logs(world, empty, other, threshold=0.5)}
    finally:
        sparse_counter.NEGATIVES = before


@pytest.mark.slow
def test_losses_are_those_of_one_process(tmp_path: Path) -> None:
    data = str(write_scenes(tmp_path / "scenes", [30, 43, 25, 38, 33, 32]))
    empty = str(write_scenes(tmp_path / "empty", [0, 0, 0, 0]))
    (tmp_path / "world").mkdir()
    places = [[data, str(tmp_path / one), empty, str(tmp_path / f"{one} empty")] for one in ("one", "two")]
    alone = undrawn(World(), *places[0])["people"]
    assert "fine" in alone["sparse-counter"][0]
    for found in in_two(undrawn, tmp_path / "world", *places[1]):
        for name, rows in alone.items():
            assert len({row["loss"] for row in rows}) == 4
            for row, other in zip(rows, found["people"][name], strict=True):
                assert other == pytest.approx(row, rel=1e-5, abs=1e-5)
        assert len(found["nobody"]["sparse-counter"]) == 4
