"""A training on two processes: the losses of one with the whole batch, with gates of their own or not."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.training.spread.world import World
from pipelines.polyp.data import read_dataset
from pipelines.polyp.train.run import train
from tests.pipelines.common.training.spread.two import in_two
from tests.pipelines.polyp.size.made import write_dataset
from tests.pipelines.polyp.train.builders import small

SIZES = [2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 11.0, 12.0]
NETWORKS: dict[str, dict[str, Any]] = {
    "routed": {"network": {"gated": True}, "routed": True},
    "with the rest": {"network": {"gated": True}, "routed": False},
}


def logs(world: World, data: str, out: str) -> dict[str, list[dict[str, float]]]:
    """The log of a training of each network, a step an epoch."""
    found = {}
    for name, changes in NETWORKS.items():
        config = small(epochs=4, steps_per_epoch=1, validate_every=3, held_out=0.4, **changes)
        model = Path(out) / name
        train(read_dataset(Path(data)).polyps, model, config, name="discs", world=world)
        with (model / "log.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        found[name] = [{key: float(row[key] or 0) for key in ("loss", "mae")} for row in rows]
    return found


@pytest.mark.slow
def test_losses_are_those_of_one_process(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "discs", SIZES)
    alone = logs(World(), str(data), str(tmp_path / "alone"))
    (tmp_path / "world").mkdir()
    for found in in_two(logs, tmp_path / "world", str(data), str(tmp_path / "both")):
        for name, rows in alone.items():
            assert len({row["loss"] for row in rows}) == 4
            for row, other in zip(rows, found[name], strict=True):
                assert other == pytest.approx(row, rel=1e-5)
    assert not list((tmp_path / "both").glob(".*"))
