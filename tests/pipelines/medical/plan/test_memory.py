from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.medical.config import NetworkPlan
from pipelines.medical.plan.memory import training_mib
from tests.pipelines.medical.plan.step import plan_of


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(("name", "side", "batch"), [("dense-unet", 48, 1), ("sparse-unet", 48, 2)])
def test_a_training_step_stays_within_what_was_predicted(
    name: str, side: int, batch: int, project_root: Path
) -> None:
    command = [sys.executable, "-m", "tests.pipelines.medical.plan.step", name, str(side), str(batch)]
    done = subprocess.run(command, cwd=project_root, capture_output=True, text=True, check=True)
    plan = plan_of(name, side, batch)
    predicted = training_mib(plan.network, plan.patch, batch, 1, 3, plan.foreground.occupancy)
    assert 0.6 * predicted < float(done.stdout) < 1.1 * predicted


def test_memory_grows_with_patch_batch_and_width() -> None:
    network = NetworkPlan()
    base = training_mib(network, (32, 32, 32), 2, 1, 3, 1.0)
    assert training_mib(network, (64, 32, 32), 2, 1, 3, 1.0) > base
    assert training_mib(network, (32, 32, 32), 4, 1, 3, 1.0) > base
    wide = network.model_copy(update={"channels": (32, 64, 128, 256)})
    assert training_mib(wide, (32, 32, 32), 2, 1, 3, 1.0) > base
    sparse = network.model_copy(update={"name": "sparse-unet"})
    half, all_ = (training_mib(sparse, (64, 64, 64), 2, 1, 3, share) for share in (0.5, 1.0))
    assert half < all_
