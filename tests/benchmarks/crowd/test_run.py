"""The whole benchmark on next to nothing: what the JSON holds, and what the command refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.crowd import speed
from benchmarks.crowd.__main__ import main
from benchmarks.crowd.recipe import CROPS, STEPS, recipe
from benchmarks.crowd.run import Settings, run
from tests.pipelines.crowd.train.builders import write_scenes


@pytest.mark.slow
def test_one_run_measures_everything_and_keeps_what_it_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CROPS, "crop", 64)
    monkeypatch.setattr(speed, "WIDTH", 320)
    monkeypatch.setattr(speed, "HEIGHT", 240)
    folders = {name: write_scenes(tmp_path / name, [0, 4, 9, 6, 3, 7]) for name in ("sha", "brt")}
    settings = Settings(
        tmp_path / "f.json",
        folders,
        ("sparse-counter", "mcnn", "m-segnet"),
        ("accuracy", "speed", "memory", "decoder"),
        quick=True,
        threads=1,
        repeats=1,
        cache=tmp_path,
    )
    threads = torch.get_num_threads()
    try:
        report = run(settings)
        kept = sorted((tmp_path / ".cache").rglob("model.safetensors"))
        times = [path.stat().st_mtime_ns for path in kept]
        again = run(settings)
    finally:
        torch.set_num_threads(threads)
    assert json.loads(settings.target.read_text()) == again
    sections = {row["section"] for row in report["rows"]}
    assert {"sha, accuracy", "brt, accuracy", "speed", "sha, decoder", "brt, decoder"} <= sections
    accuracy = {row["network"]: row for row in report["rows"] if row["section"] == "sha, accuracy"}
    assert accuracy.keys() == set(settings.networks)
    assert all(row["mae"] >= 0 and row["rmse"] >= row["mae"] * 0.999 for row in accuracy.values())
    summary = report["summary"]
    assert summary["sha_mae_of_best_other"] == min(accuracy[name]["mae"] for name in ("mcnn", "m-segnet"))
    assert summary["times_faster_sparse-counter_float32"] > 1  # than a network of 30 times the multiply-adds
    assert all(summary[f"peak_mib_{name}"] > 0 for name in settings.networks)
    assert 0 <= summary["brt_open_blocks"] <= 1
    assert summary["brt_decoder_times_faster"] > 0
    assert [path.stat().st_mtime_ns for path in kept] == times, "it was trained again"
    assert again["summary"]["sha_mae_m-segnet"] == summary["sha_mae_m-segnet"]


@pytest.mark.parametrize("network", list(STEPS))
def test_every_network_has_a_recipe(network: str) -> None:
    config = recipe(network, "sha", quick=False, seed=3, threads=1)
    assert config.network.name == network
    assert config.seed == 3
    assert (config.epochs, config.steps_per_epoch) == STEPS[network]
    shorter = recipe(network, "brt", quick=False, seed=3, threads=1)
    assert 0 < shorter.steps_per_epoch < config.steps_per_epoch
    assert (config.enlarge > 1) == network.endswith("-counter"), "published networks see images as they are"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--sha", "nowhere"], "there is no nowhere"),
        (["--networks", "vgg"], "invalid choice"),
        (["--parts", "nothing"], "invalid choice"),
    ],
)
def test_wrong_options_are_named(
    tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--json", str(tmp_path / "f.json"), *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
