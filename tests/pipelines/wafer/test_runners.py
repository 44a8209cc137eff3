"""A classification by either runner gives the same folder, and a process that dies costs one file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.common.errors import UserError
from pipelines.common.runner import Runner
from pipelines.wafer import classify as module
from pipelines.wafer.classify import RunSummary, classify
from pipelines.wafer.config import ClassifyConfig
from pipelines.wafer.predict import Predictor
from tests.pipelines.wafer import deadly
from tests.pipelines.wafer.double import Double
from tests.pipelines.wafer.test_classify import read_record, read_rows, write_maps

SAMPLES = Path("sample_data/wafer/maps")
FILES = ("results.csv", "results.jsonl", "maps.jsonl")


@pytest.fixture
def lots(tmp_path: Path) -> Path:
    """Forty files of two maps, one broken file among them and one that is no map."""
    for number in range(40):
        write_maps(tmp_path / "lots" / f"{number:02d}.npz", [number, 7 + number])
    (tmp_path / "lots" / "13.npz").write_bytes((tmp_path / "lots" / "12.npz").read_bytes()[:300])
    (tmp_path / "lots" / "LICENSE").write_text("You may read this.")
    return tmp_path / "lots"


def assert_alike(left: Path, right: Path) -> None:
    for name in FILES:
        assert (left / name).read_bytes() == (right / name).read_bytes()
    for name in ("counts", "failures", "skipped", "model", "config"):
        assert read_record(left)[name] == read_record(right)[name]


@pytest.mark.parametrize("workers", [1, 2, None])
def test_reading_ahead_changes_nothing(lots: Path, tmp_path: Path, workers: int | None) -> None:
    config = ClassifyConfig(batch_maps=8)
    here, ahead = Double(), Double()
    classify([lots], predictor=here, out=tmp_path / "here", config=config)
    classify([lots], predictor=ahead, out=tmp_path / "ahead", config=config, runner=Runner(workers=workers))
    assert_alike(tmp_path / "here", tmp_path / "ahead")
    assert here.batches == ahead.batches


def test_a_run_that_was_stopped_goes_on_with_another_runner(lots: Path, tmp_path: Path) -> None:
    config = ClassifyConfig(batch_maps=8)
    classify([lots], predictor=Double(), out=tmp_path / "whole", config=config)
    with pytest.raises(KeyboardInterrupt):
        classify([lots], predictor=Double(interrupt_at=30), out=tmp_path / "run", config=config)
    rest = Double()
    classify(
        [lots],
        predictor=rest,
        out=tmp_path / "run",
        config=config,
        resume=True,
        runner=Runner(workers=1),
    )
    assert 0 < rest.asked < 78
    for name in FILES:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_file_that_changed_is_noticed_by_a_process_that_reads(lots: Path, tmp_path: Path) -> None:
    classify([lots], predictor=Double(), out=tmp_path / "run")
    write_maps(lots / "20.npz", [20, 28])
    with pytest.raises(UserError, match=r"20\.npz has changed since the run began"):
        classify([lots], predictor=Double(), out=tmp_path / "run", resume=True, runner=Runner(workers=2))


def test_a_file_that_kills_its_reader_is_one_failed_row(
    lots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify([lots], predictor=Double(), out=tmp_path / "whole")
    monkeypatch.setattr(module, "work_of", deadly.work_of)
    classify([lots], predictor=Double(), out=tmp_path / "run", runner=Runner(workers=2))
    expected = {row["source"]: [] for row in read_rows(tmp_path / "whole")}
    for row in read_rows(tmp_path / "whole"):
        expected[row["source"]].append(row)
    deadly_rows = [row for row in read_rows(tmp_path / "run") if row["source"].endswith("21.npz")]
    assert [(row["map"], row["status"]) for row in deadly_rows] == [(0, "failed")]
    assert "was ended from outside, as happens when memory runs out" in deadly_rows[0]["error"]
    del expected[str(lots / "21.npz")]
    others = [row for row in read_rows(tmp_path / "run") if not row["source"].endswith("21.npz")]
    assert others == [row for rows in expected.values() for row in rows]


def test_a_file_that_killed_its_reader_is_left_alone_until_it_is_asked_for(
    lots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    classify([lots], predictor=Double(), out=tmp_path / "whole")
    monkeypatch.setattr(module, "work_of", deadly.work_of)
    classify([lots], predictor=Double(), out=run, runner=Runner(workers=2))
    rows = read_rows(run)
    for _ in range(2):
        classify([lots], predictor=Double(), out=run, resume=True, runner=Runner(workers=2))
        assert read_rows(run) == rows
    monkeypatch.undo()  # from here on there is memory enough
    classify([lots], predictor=Double(), out=run, resume=True, runner=Runner(workers=2))
    assert read_rows(run) == rows
    notes: list[str] = []
    again = {"resume": True, "retry_failed": True}
    classify([lots], predictor=Double(), out=run, note=notes.append, runner=Runner(workers=2), **again)
    assert notes == ["2 failed before and are done again"]  # with the one that is broken
    assert sorted(map(json.dumps, read_rows(run))) == sorted(map(json.dumps, read_rows(tmp_path / "whole")))


def test_a_folder_that_was_away_is_read_when_it_is_back(lots: Path, tmp_path: Path) -> None:
    run, away = tmp_path / "run", tmp_path / "away"
    classify([lots], predictor=Double(), out=tmp_path / "whole")
    reads = iter(range(100))

    class Leaving(Double):
        def predict(self, maps: Any) -> Any:
            if next(reads) == 1:
                lots.rename(away)
            return super().predict(maps)

    small = ClassifyConfig(batch_maps=8)
    classify([lots], predictor=Leaving(), out=run, config=small)
    assert 0 < read_record(run)["counts"]["ok"] < 78
    away.rename(lots)
    classify([lots], predictor=Double(), out=run, config=small, resume=True)
    classify([lots], predictor=Double(), out=run, config=small, resume=True, retry_failed=True)
    assert sorted(map(json.dumps, read_rows(run))) == sorted(map(json.dumps, read_rows(tmp_path / "whole")))


def run_samples(out: Path, runner: Runner, root: Path, **options: Any) -> RunSummary:
    config = ClassifyConfig(device="cpu")
    return classify(
        [root / SAMPLES], predictor=Predictor.of(config), out=out, config=config, runner=runner, **options
    )


@pytest.mark.slow
def test_rows_on_ray_are_those_of_the_local_runner(
    tmp_path: Path, project_root: Path, ray_cluster: None
) -> None:
    local = run_samples(tmp_path / "local", Runner(workers=1), project_root)
    ray = run_samples(tmp_path / "ray", Runner("ray", 2), project_root)
    assert ray.counts == local.counts and local.counts["ok"] > 30
    assert_alike(tmp_path / "local", tmp_path / "ray")
    assert latents(tmp_path / "ray") == latents(tmp_path / "local")
    _cut(tmp_path / "ray", 10)
    again = run_samples(tmp_path / "ray", Runner("ray", 2), project_root, resume=True)
    assert again.counts == local.counts
    assert_alike(tmp_path / "local", tmp_path / "ray")


@pytest.mark.slow
def test_blocks_of_files_on_ray_give_the_rows_of_larger_batches(
    tmp_path: Path, project_root: Path, ray_cluster: None
) -> None:
    """More files than an actor gets at a time, with several maps in some and some that fail."""
    paths = []
    for number in range(3):
        shutil.copytree(project_root / SAMPLES, tmp_path / f"in{number}")
        paths.append(tmp_path / f"in{number}")
    config = ClassifyConfig(device="cpu")
    for name, runner in (("local", Runner(workers=0)), ("ray", Runner("ray", 2))):
        classify(paths, predictor=Predictor.of(config), out=tmp_path / name, config=config, runner=runner)
    here, there = read_rows(tmp_path / "local"), read_rows(tmp_path / "ray")
    assert len(here) == len(there) > 100
    numbers = ("probability", "novelty", "probabilities")
    for one, other in zip(here, there, strict=True):
        exact = {name: value for name, value in one.items() if name not in numbers}
        assert exact == {name: value for name, value in other.items() if name not in numbers}
        for name in numbers:
            assert other[name] == pytest.approx(one[name], rel=1e-4, abs=1e-6)


def latents(out: Path) -> dict[tuple[str, int], str]:
    lines = (json.loads(line) for line in (out / "latents.jsonl").read_text().splitlines())
    return {(one["source"], one["map"]): one["latent"] for one in lines}


def _cut(out: Path, rows: int) -> None:
    """As if the run had been killed after so many rows."""
    lines = (out / "results.jsonl").read_text().splitlines(keepends=True)
    (out / "results.jsonl").write_text("".join(lines[:rows]))
