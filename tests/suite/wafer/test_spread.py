"""`suite wafer train` on two processes, as torchrun and as `--devices` start them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipelines.wafer import tiny
from tests.suite.several import TORCHRUN, suite

SETTINGS = [
    *("--set", "kind=dies", "--set", "cells=8", "--set", "epochs=2", "--set", "maps_per_epoch=16"),
    *("--set", "batch_size=8", "--set", "components=[1]", "--set", "novelty_dimension=2"),
    *("--set", f"architecture={json.dumps(tiny.DIES['architecture'])}", "--device", "cpu", "--json"),
]


@pytest.mark.slow
def test_one_model_is_written_and_one_result_printed(tmp_path: Path) -> None:
    data, out = tiny.write_dies(tmp_path / "d.npz", tiny.DIE_SIZES), tmp_path / "models" / "m"
    command = ["wafer", "train", str(data), "--out", str(out), *SETTINGS]
    done = suite(command, by=TORCHRUN)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"] == json.loads((out / "metrics.json").read_text())
    assert [path.name for path in out.parent.iterdir()] == ["m"]


@pytest.mark.slow
def test_an_error_of_all_processes_is_said_once(tmp_path: Path) -> None:
    data = tiny.write_dies(tmp_path / "d.npz", tiny.DIE_SIZES)
    out = tmp_path / "model"
    command = ["wafer", "train", str(data), "--out", str(out), *SETTINGS]
    done = suite([*command, "--devices", "2", "--set", "normal_label=comet"])
    assert done.returncode == 2
    assert done.stderr.startswith("error: normal_label 'comet' is no class of the data")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not out.exists()
