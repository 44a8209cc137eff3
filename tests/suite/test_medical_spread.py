"""`suite medical train` on two processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.pipelines.medical.builders import small_plan, write_dataset
from tests.suite.several import TORCHRUN, suite


@pytest.mark.slow
def test_one_model_is_written_and_one_result_printed(tmp_path: Path) -> None:
    data, out = write_dataset(tmp_path / "balls", 4), tmp_path / "models" / "m"
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump(small_plan().model_dump(mode="json")))
    settings = ["--set", "epochs=1", "--set", "steps_per_epoch=1", "--set", "folds=2", "--device", "cpu"]
    command = ["medical", "train", str(data), "--plan", str(plan), "--out", str(out), "--fold", "all"]
    done = suite([*command, *settings, "--json"], by=TORCHRUN)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["metrics"] == json.loads((out / "metrics.json").read_text())
    assert [path.name for path in out.parent.iterdir()] == ["m"]
