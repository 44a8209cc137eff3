"""A sizing run by either runner gives the same folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.common.runner import IN_PROCESS, Runner
from pipelines.polyp.size.run import size
from tests.pipelines.common.runner.alike import assert_alike, rows_of
from tests.pipelines.polyp.size.made import FakeFinder, load, save_model, write_dataset


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "seven")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three polyps, no frame of the last of which can be read."""
    folder = write_dataset(tmp_path / "data", [4.0, 7.0, 12.0])
    for path in folder.glob("polyp2_*.png"):
        path.write_bytes(b"x")
    return folder


def run(data: Path, model: Path, out: Path, runner: Runner, **options: Any) -> None:
    predictor = load(model, device="cpu", **options)
    size([data], predictor=predictor, config=predictor.config, out=out, runner=runner)


def test_reading_ahead_changes_nothing(data: Path, model: Path, tmp_path: Path) -> None:
    run(data, model, tmp_path / "here", IN_PROCESS)
    run(data, model, tmp_path / "ahead", Runner(workers=1))
    assert [row["mm"] is not None for row in rows_of(tmp_path / "here")] == [True, True, False]
    assert_alike(tmp_path / "here", tmp_path / "ahead")


def test_a_polyp_whose_frames_break_off_leaves_the_next_one_whole(
    data: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(model, finder=None)
    size([data], predictor=whole, config=whole.config, out=tmp_path / "whole")
    broken = load(model, finder=None)
    look, asked = broken.look, []

    def look_once(frames: Any) -> Any:
        asked.append(len(frames))
        if len(asked) == 1:
            raise RuntimeError("out of memory")
        return look(frames)

    monkeypatch.setattr(broken, "look", look_once)
    size([data], predictor=broken, config=broken.config, out=tmp_path / "run")
    first, *others = rows_of(tmp_path / "run")
    assert first["error"] == "cannot be measured: out of memory"
    assert others == rows_of(tmp_path / "whole")[1:]


def test_lesions_that_a_finder_looks_for_are_read_ahead_too(data: Path, model: Path, tmp_path: Path) -> None:
    for name, runner in (("here", IN_PROCESS), ("ahead", Runner(workers=1))):
        predictor = load(model, FakeFinder(), ignore_labels=True)
        size([data], predictor=predictor, config=predictor.config, out=tmp_path / name, runner=runner)
    assert [row["boxes_from"] for row in rows_of(tmp_path / "here")] == ["finder", "finder", ""]
    assert_alike(tmp_path / "here", tmp_path / "ahead")


@pytest.mark.slow
def test_rows_on_ray_are_those_of_the_local_runner(
    data: Path, model: Path, tmp_path: Path, ray_cluster: None
) -> None:
    run(data, model, tmp_path / "here", IN_PROCESS)
    run(data, model, tmp_path / "ray", Runner("ray", 2))
    assert_alike(tmp_path / "here", tmp_path / "ray")
