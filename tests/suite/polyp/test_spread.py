"""`suite polyp train` on two processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.pipelines.polyp.size.made import write_dataset
from tests.pipelines.polyp.train.builders import SMALL
from tests.suite.several import TORCHRUN, suite


@pytest.mark.slow
def test_one_model_is_written_and_one_result_printed(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "discs", [2.0, 3.0, 6.0, 8.0, 11.0, 12.0])
    config, out = tmp_path / "config.json", tmp_path / "models" / "m"
    config.write_text(json.dumps({**SMALL, "epochs": 1, "steps_per_epoch": 2, "held_out": 0.5}))
    done = suite(
        ["polyp", "train", str(data), "--config", str(config), "--out", str(out), "--json"], by=TORCHRUN
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"] == json.loads((out / "metrics.json").read_text())
    assert [path.name for path in out.parent.iterdir()] == ["m"]
