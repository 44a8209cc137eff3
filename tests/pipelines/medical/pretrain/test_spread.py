"""A pretraining on two processes: the losses of one with the whole batch."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.training.spread.world import World
from pipelines.medical.config import Foreground
from pipelines.medical.pretrain.config import PretrainConfig
from pipelines.medical.pretrain.run import run
from tests.pipelines.common.training.spread.two import in_two
from tests.pipelines.medical.builders import small_plan, write_dataset

PLAN = small_plan(batch_size=3, foreground=Foreground(rule="above", threshold=1.0))
WAYS: dict[str, dict[str, Any]] = {"all at random": {}, "hard cells": {"hard_share": 0.5}}


def logs(world: World, data: str, out: str) -> dict[str, list[dict[str, float]]]:
    """The log of each way to hide cells, a step an epoch."""
    found = {}
    for name, changes in WAYS.items():
        config = PretrainConfig(epochs=4, steps_per_epoch=1, learning_rate=1e-3, device="cpu", **changes)
        run([Path(data)], Path(out) / name, config, plan=PLAN, world=world)
        with (Path(out) / name / "log.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        found[name] = [{key: float(row[key]) for key in ("loss", "gradient", "steps")} for row in rows]
    return found


@pytest.mark.slow
def test_losses_are_those_of_one_process(tmp_path: Path) -> None:
    data = str(write_dataset(tmp_path / "balls", 4) / "imagesTr")
    alone = logs(World(), data, str(tmp_path / "alone"))
    (tmp_path / "world").mkdir()
    for found in in_two(logs, tmp_path / "world", data, str(tmp_path / "both")):
        for name, rows in alone.items():
            assert len({row["loss"] for row in rows}) == 4
            for row, other in zip(rows, found[name], strict=True):
                assert other == pytest.approx(row, rel=2e-5, abs=1e-5)
