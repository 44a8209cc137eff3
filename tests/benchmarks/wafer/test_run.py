"""The whole benchmark on next to nothing: what the JSON holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.wafer import run as benchmark
from benchmarks.wafer.__main__ import SECTIONS, main
from benchmarks.wafer.dense_cnn import Recipe
from benchmarks.wafer.scaling import exponent
from benchmarks.wafer.wm811k import DieMaps, save
from tests.benchmarks.untrained import untrained_model

LABELS = np.array(["Center", "None", "Scratch"])
SIZES = benchmark.Sizes(
    Recipe(epochs=1, batch=8),
    die_maps=6,
    files=2,
    full_maps=13,
    commands=1,
    command_repeats=1,
    novelty_maps=4,
    train_maps=16,
    val_maps=12,
    defects=(10, 10_000, 20_000),
    sides=(2_000, 4_000),
)
STAGES = ("end_to_end", "predict", "network", "training_step")


@pytest.fixture
def settings(tmp_path: Path) -> benchmark.Settings:
    rng = np.random.default_rng(0)
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    cache.mkdir()
    for name in ("train.npz", "val.npz"):
        grids = [rng.integers(1, 3, (9, 8)).astype(np.uint8) for _ in range(24)]
        save(data / name, DieMaps(grids, LABELS[np.arange(24) % 3]))
    models = {
        kind: str(untrained_model(tmp_path / kind, kind, LABELS.tolist())) for kind in ("dies", "coordinates")
    }
    return benchmark.Settings(
        data, tmp_path / "figures.json", quick=True, threads=1, repeats=1, models=models, cache=cache
    )


@pytest.mark.slow
def test_one_run_reports_everything(
    settings: benchmark.Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # One engine: the other is compared with it in the tests of the engines.
    monkeypatch.setattr(benchmark, "package_version", lambda name: None)
    threads = torch.get_num_threads()
    try:
        report = benchmark.run(settings, SIZES)
    finally:
        torch.set_num_threads(threads)
    assert json.loads(settings.target.read_text()) == report
    assert set(report) == {"environment", "rows", "summary"}
    assert report["environment"]["engines"] == ["native"]
    assert set(report["environment"]["model_sha256"]) == {"dies", "coordinates"}

    rows = report["rows"]
    sections = list(dict.fromkeys(row["section"] for row in rows))
    inputs = ["dies_npz", "klarf_files", "full_npz"]
    speed = [f"speed_{name}" for name in inputs]
    accuracy = ["training_of_peer", "accuracy", "novelty"]
    assert sections == [*accuracy, *speed, "commands", "defects", "resolution"]
    assert sections == list(SECTIONS)
    for section in speed:
        found = [(row["stage"], row["engine"]) for row in rows if row["section"] == section]
        assert found == [(stage, name) for stage in STAGES for name in ("native", "dense")]
    right = [row for row in rows if row["section"] == "accuracy"]
    assert [row["model"] for row in right[:2]] == ["suite", "dense"]
    assert all(row["maps"] == 12 and 0 <= row["ece"] <= 1 for row in right[:2])
    assert [row["class"] for row in right[2:]] == LABELS.tolist()
    assert sum(row["maps"] for row in right[2:]) == 12
    assert all(0 <= row["recall_suite"] <= 1 and 0 <= row["recall_dense"] <= 1 for row in right[2:])
    counts = [(row["engine"], row["defects"]) for row in rows if row["section"] == "defects"]
    assert sorted(counts) == [(name, n) for name in ("dense", "native") for n in SIZES.defects]
    commands = [row for row in rows if row["section"] == "commands"]
    assert all(row["peak_mib"] > 50 for row in commands)

    summary = report["summary"]
    assert all(isinstance(value, int | float) for value in summary.values())
    wanted = {f"{name}_{stage}_native_over_dense" for name in inputs for stage in STAGES}
    wanted |= {"macro_f1_suite", "macro_f1_dense", "macro_f1_difference", "macro_f1_ratio"}
    wanted |= {"seconds_20000_defects_native", "defects_exponent_native", "resolution_4000_over_2000_native"}
    assert wanted <= set(summary)
    assert summary["macro_f1_difference_low"] <= summary["macro_f1_difference_high"]
    assert "macro_f1_difference" in capsys.readouterr().out
    assert not (settings.cache or Path()).joinpath("scratch").exists()


def test_the_exponent_is_the_slope_of_the_logarithms() -> None:
    assert exponent({10: 2.0, 100: 20.0, 1000: 200.0}) == pytest.approx(1)
    assert exponent({10: 2.0, 1000: 20.0}) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--data", "/nowhere"], "--data"),
        (["--threads", "0"], "at least 1"),
        (["--repeats", "0"], "at least 1"),
    ],
)
def test_wrong_options_are_told(extra: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--json", "figures.json", *extra])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
