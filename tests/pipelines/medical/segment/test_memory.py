"""The predicted peak, against what a process of its own held."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.medical.config import NetworkPlan, Plan
from pipelines.medical.segment.memory import (
    MIB,
    Sizes,
    case_bytes,
    planes_within,
    predicted_mib,
    sites_within,
)
from tests.pipelines.medical.segment import large

ROOMY = 1.5  # a prediction of half as much again would turn users away from what they could run


def held(folder: Path, network: str, *fields: str, spacing: tuple[float, float, float]) -> dict[str, float]:
    large.write_body(folder / "body.nii.gz", (144, 144, 120))
    large.save_model(folder / "model", 20, network, spacing)
    command = [sys.executable, "-m", "tests.pipelines.medical.segment.large", str(folder), *fields]
    done = subprocess.run(command, cwd=large.ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    assert found["ok"] == 1
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "fields", "spacing"),
    [
        ("dense-unet", ("overlap=0", "uncertainty=true"), (0.7, 0.7, 0.9)),
        ("dense-unet", ("overlap=0", "batch=2"), (1.0, 1.0, 1.5)),
        ("sparse-unet", (), (0.7, 0.7, 0.9)),
    ],
)
def test_the_peak_stays_within_what_was_predicted(
    network: str, fields: tuple[str, ...], spacing: tuple[float, float, float], tmp_path: Path
) -> None:
    found = held(tmp_path, network, *fields, spacing=spacing)
    assert found["peak_mib"] <= found["predicted_mib"] <= ROOMY * found["peak_mib"]


def ct_plan(labels: int) -> Plan:
    return Plan(labels={f"organ {number}": number for number in range(1, 1 + labels)}, patch=(64, 64, 64))


def needed(sizes: Sizes, labels: int) -> float:
    return (
        case_bytes(sizes, ct_plan(labels), members=1, batch=1, mirror=False, sparse=False, memory_mib=2048)
        / MIB
    )


def test_a_large_ct_with_60_labels_stays_under_6_gib() -> None:
    sizes = Sizes((512, 512, 800), (512, 512, 800), (1.0, 1.0, 1.0), 2)
    assert predicted_mib(MIB * needed(sizes, 60), 500 * MIB) < 6 * 1024
    all_scores = 61 * 512 * 512 * 800 * 4 / MIB
    assert needed(sizes, 60) < all_scores / 8


def test_more_needs_more() -> None:
    small, tall = (Sizes((256, 256, side), (256, 256, side), (1.0, 1.0, 1.0)) for side in (200, 400))
    assert needed(small, 5) < needed(small, 50) < needed(tall, 50)


def test_sizes_of_work_fit_the_limit() -> None:
    network = NetworkPlan(name="sparse-unet")
    assert 600_000 < sites_within(1024, network, 5, 1e9, 1.0) < sites_within(4096, network, 5, 1e9, 1.0)
    assert sites_within(4096, network, 5, 100_000, 0.2) == 30_000
    planes = planes_within(1024, 61, (512, 512, 800), 2)
    assert 1 <= planes < 800
    assert 61 * (planes + 1) * 512 * 512 * 2 <= 0.4 * 1024 * MIB
    assert planes_within(4096, 3, (64, 64, 64), 0) == 64
