"""The whole benchmark on next to nothing, the baselines, and what the command refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.polyp.__main__ import main
from benchmarks.polyp.baselines import apparent_sizes, median_sizes
from benchmarks.polyp.bundle import NAME, named, write_bundle
from benchmarks.polyp.run import ESTIMATING, FULL_FRAME, Settings, binary_f1, run
from pipelines.polyp.aggregate import SCORES
from pipelines.polyp.metrics import Sized
from pipelines.polyp.model.trained import load_trained
from pipelines.polyp.train.store import store_polyps
from tests.pipelines.polyp.train.builders import write_polyps

WAYS = ("", ", gates", ", open gates")


@pytest.mark.slow
def test_one_run_measures_everything_and_keeps_what_it_made(tmp_path: Path) -> None:
    settings = Settings(
        tmp_path / "f.json",
        ("resnet18", "sparse-resnet"),
        seeds=1,
        polyps=9,
        test_polyps=3,
        steps=2,
        frames=2,
        size=96,
        depth_polyps=4,
        depth_steps=2,
        depth_size=64,
        open_gates=True,
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
    assert sections == {
        "baselines",
        "depths",
        "speed",
        *(f"{name}{how}" for name in ("resnet18", "sparse-resnet") for how in WAYS),
        "sparse-resnet, gates, depth",
        "sparse-resnet, gates, estimated depth",
        "sparse-resnet, gates, estimated depth, shown true depth",
    }
    timed = {row["network"] for row in report["rows"] if row["section"] == "speed"}
    assert {FULL_FRAME, ESTIMATING} <= timed
    assert report["summary"]["mae_median"] > 0
    assert report["summary"]["times_faster_than_full_frame"] > 0
    measured = [row for row in report["rows"] if row["section"].endswith(", gates")]
    assert len(measured) == 2
    for row in measured:
        assert row["mae"] > 0, "polyps of which it abstains count too"
        assert (row["mae_sized"] is None) == (row["abstained"] == settings.test_polyps)
    assert len(kept) == 9
    assert report["summary"]["mae_measured_by_depth"] < 2
    assert [path.stat().st_mtime_ns for path in kept] == times, "it was trained again"
    assert again["summary"]["mae_resnet18"] == report["summary"]["mae_resnet18"]


@pytest.mark.slow
def test_the_bundled_model_does_without_a_camera_and_says_what_it_learnt_from(tmp_path: Path) -> None:
    polyps = write_polyps(tmp_path / "p", [2.0, 3.0, 4.0, 6.0, 7.0, 8.0, 11.0, 12.0, 14.0])
    threads = torch.get_num_threads()
    try:
        write_bundle(tmp_path / "m" / NAME, polyps, steps=2, threads=1)
    finally:
        torch.set_num_threads(threads)
    model = load_trained(tmp_path / "m" / NAME)
    assert set(model.calibration) == {SCORES["camera"], SCORES["nothing"]}
    assert model.config["training"]["forget_camera"] > 0
    card = (tmp_path / "m" / NAME / "README.md").read_text()
    assert "No frame of a patient was seen" in card and "rendered" in card
    assert {named(one, style).id for one in polyps for style in ("a", "b")} == {
        f"{style}/{one.id}" for one in polyps for style in ("a", "b")
    }


def test_the_baselines_are_what_they_say(tmp_path: Path) -> None:
    """Discs at nearly the same distance: apparent size tells much, the median nothing."""
    sizes = np.exp(np.random.default_rng(0).uniform(np.log(2), np.log(14), 24)).tolist()
    stored, _ = store_polyps(write_polyps(tmp_path / "p", sizes), 512, 8, tmp_path / "s", lambda text: None)
    training, test = stored[:16], stored[16:]
    median = median_sizes(training, test)
    assert set(median) == {float(np.median([one.mm for one in training]))}
    errors = np.abs(np.log(apparent_sizes(training, test)) - np.log([one.mm for one in test]))
    assert errors.mean() < 0.2
    assert np.abs(np.log(median) - np.log([one.mm for one in test])).mean() > 2 * errors.mean()


def test_f1_of_large_polyps() -> None:
    pairs = [(12.0, 11.0), (10.0, 9.0), (8.0, 10.5), (3.0, 4.0)]
    items = [Sized(str(number), true, said) for number, (true, said) in enumerate(pairs)]
    assert binary_f1(items, 10.0) == pytest.approx(2 / (2 + 2))
    assert binary_f1(items[3:], 10.0) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--networks", "vgg"], "invalid choice"), (["--seeds", "0"], "at least 1")],
)
def test_wrong_options_arenamed(
    tmp_path: Path, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--json", str(tmp_path / "f.json"), *options])
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err
