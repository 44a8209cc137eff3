"""The folders of the benchmark, its simulation, and a run in small."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.scale.inputs import folder_of
from benchmarks.scale.more import Costs, local_rate, ray_rate, simulate
from benchmarks.scale.run import Settings, run
from pipelines.wafer.data import WaferMap, iter_maps

COSTS = Costs(read=0.002, model=0.001, first=0.0002, driver=0.0001)


def test_a_folder_has_so_many_maps_and_is_made_once(tmp_path: Path) -> None:
    folder = folder_of(1_100, tmp_path)
    paths = sorted(folder.rglob("*.sinf"))
    assert len(paths) == 1_100 and len(list(folder.iterdir())) == 2
    assert paths[0].stat().st_ino == paths[500].stat().st_ino != paths[1].stat().st_ino
    assert all(isinstance(one, WaferMap) for one in iter_maps(paths[:20]))
    made = folder.stat().st_mtime_ns
    assert folder_of(1_100, tmp_path).stat().st_mtime_ns == made


@pytest.mark.parametrize(("readers", "seconds"), [(0, 0.0032), (1, 0.002), (2, 0.0012), (9, 0.0012)])
def test_a_local_run_is_as_fast_as_its_slowest_stage(readers: int, seconds: float) -> None:
    assert local_rate(COSTS, readers) == pytest.approx(1 / seconds)


@pytest.mark.parametrize(("actors", "seconds"), [(1, 0.003), (10, 0.0003), (30, 0.0001), (99, 0.0001)])
def test_actors_add_up_until_the_driver_is_busy(actors: int, seconds: float) -> None:
    assert ray_rate(COSTS, actors) == pytest.approx(1 / seconds)
    assert simulate(COSTS).summary["simulated_actors_at_the_drivers_limit"] == pytest.approx(30)


@pytest.mark.slow
def test_a_small_run_ends_with_its_figures(tmp_path: Path) -> None:
    run(Settings(tmp_path / "out.json", maps=(60,), parts=60, ray=False, cache=tmp_path))
    report = json.loads((tmp_path / "out.json").read_text())
    assert {row["section"] for row in report["rows"]} == {"parts", "workers", "maps"}
    assert [row["workers"] for row in report["rows"] if row["section"] == "workers"] == [0, 1, 2]
    assert report["summary"]["us_read"] > 0 and report["summary"]["local_0_over_alone"] == 1
