"""`suite wafer train` on two processes, as torchrun and as `--devices` start them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.pipelines.wafer import tiny
from tests.suite.several import ALONE, TORCHRUN, began, suite

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


@pytest.mark.slow
@pytest.mark.parametrize("stopped", ["all", "one"])
def test_all_processes_end_together_and_the_checkpoint_stays(stopped: str, tmp_path: Path) -> None:
    data, out = tiny.write_dies(tmp_path / "d.npz", tiny.DIE_SIZES), tmp_path / "model"
    command = ["wafer", "train", str(data), "--out", str(out), *SETTINGS, "--set", "epochs=9999"]
    checkpoint = tmp_path / ".model.training" / "checkpoint.safetensors"
    with began([*command, "--devices", "2"], ALONE) as process:
        limit = time.monotonic() + 300
        while not checkpoint.exists() and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.1)
        (child,) = children(process.pid)
        if stopped == "all":
            os.killpg(process.pid, signal.SIGINT)
        else:
            os.kill(child, signal.SIGKILL)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == (130 if stopped == "all" else 2)
    expected = "error: interrupted" if stopped == "all" else "error: another process of this training ended"
    assert said.startswith(expected)
    assert said.count("\n") == 1
    assert checkpoint.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def children(parent: int) -> list[int]:
    """The processes that this one started."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="utf-8")
    return [int(number) for number in listed.split()]
