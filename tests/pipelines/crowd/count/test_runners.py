"""A counting run by either runner gives the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.common.runner import IN_PROCESS, Runner
from pipelines.crowd.count.config import CountConfig
from pipelines.crowd.count.predict import Predictor
from pipelines.crowd.count.run import count
from tests.pipelines.common.runner.alike import assert_alike, rows_of
from tests.pipelines.crowd.count.made_models import save_model, write_film, write_scene


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Three images, one broken, and a video."""
    for number in range(3):
        write_scene(tmp_path / "in" / f"{number}.png", 70 + 10 * number, number)
    (tmp_path / "in" / "1-bad.png").write_bytes((tmp_path / "in" / "1.png").read_bytes()[:99])
    write_film(tmp_path / "in" / "film.avi", frames=4)
    return tmp_path / "in"


def run(inputs: Path, model: Path, out: Path, runner: Runner, **options: Any) -> None:
    config = CountConfig(model=str(model), device="cpu", points=True)
    count([inputs], predictor=Predictor.load(config), config=config, out=out, runner=runner, **options)


def test_reading_ahead_changes_nothing(inputs: Path, model: Path, tmp_path: Path) -> None:
    run(inputs, model, tmp_path / "here", IN_PROCESS)
    run(inputs, model, tmp_path / "ahead", Runner(workers=1))
    assert [row["status"] for row in rows_of(tmp_path / "here")] == ["ok", "failed", *["ok"] * 6]
    assert_alike(tmp_path / "here", tmp_path / "ahead")


@pytest.mark.slow
def test_rows_on_ray_are_those_of_the_local_runner(
    inputs: Path, model: Path, tmp_path: Path, ray_cluster: None
) -> None:
    run(inputs, model, tmp_path / "here", IN_PROCESS)
    run(inputs, model, tmp_path / "ray", Runner("ray", 2))
    assert_alike(tmp_path / "here", tmp_path / "ray")
    rows = (tmp_path / "ray" / "results.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "ray" / "results.jsonl").write_text("".join(rows[:-2]))  # killed in the video
    run(inputs, model, tmp_path / "ray", Runner("ray", 1), resume=True)
    assert rows_of(tmp_path / "here") == rows_of(tmp_path / "ray")
