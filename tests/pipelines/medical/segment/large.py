"""Segments one volume in a process of its own, and says what was predicted and what was held.

`python -m tests.pipelines.medical.segment.large FOLDER [FIELD=VALUE ...]`: the folder has `body.nii.gz` and
`model`, as the functions here write them; FIELD is one of `SegmentConfig`.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import yaml

from pipelines.common.engines import load_engine
from pipelines.medical.config import Foreground, NetworkPlan, Normalisation, Plan
from pipelines.medical.data.record import Volume
from pipelines.medical.data.write import write_labels
from pipelines.medical.model.trained import network_of, save_trained
from pipelines.medical.segment.config import SegmentConfig
from pipelines.medical.segment.memory import MIB
from pipelines.medical.segment.predict import Predictor
from pipelines.medical.segment.run import segment

ROOT = Path(__file__).resolve().parents[4]
AIR, TISSUE = 0, 1000


def peak_bytes() -> int:
    """The most that this process held. Linux counts what its parent held before it in `ru_maxrss`."""
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024)


def write_body(path: Path, shape: tuple[int, int, int]) -> None:
    """A column of tissue, 0.6 of the width, in air: uint16, 0.7 x 0.7 x 0.9 mm."""
    i, j, k = shape
    x, y = np.meshgrid(np.linspace(-1, 1, i), np.linspace(-1, 1, j), indexing="ij")
    inside = x**2 + y**2 < 0.6**2
    array = np.zeros(shape, np.uint16, order="F")
    rng = np.random.default_rng(0)
    for number in range(k):
        array[:, :, number] = np.where(inside, TISSUE + rng.integers(0, 200, (i, j)), AIR)
    write_labels(path, array, Volume(array, np.diag([0.7, 0.7, 0.9, 1.0]), path, path.name))


def save_model(folder: Path, labels: int, network: str, spacing: tuple[float, float, float]) -> None:
    """An untrained network of two levels."""
    plan = Plan(
        labels={f"organ {number}": number for number in range(1, 1 + labels)},
        spacing=spacing,
        patch=(64, 64, 64),
        network=NetworkPlan(name=network, channels=(8, 16), blocks=(1, 1), strides=((2, 2, 2),)),
        normalisation=(Normalisation(scheme="fixed", mean=1000, deviation=100),),
        foreground=Foreground(rule="above", threshold=500, halo=1, occupancy=0.2),
    )
    weights = network_of(plan, load_engine("native")).shared_weights()
    save_trained(folder, plan=plan, members=[weights], training={}, metrics={}, card="# Untrained")


def main(words: list[str]) -> None:
    folder = Path(words[0])
    fields = {name: yaml.safe_load(value) for name, _, value in (word.partition("=") for word in words[1:])}
    predictor = Predictor.load(SegmentConfig.model_validate({"model": str(folder / "model"), **fields}))
    started = time.monotonic()
    summary = segment([folder / "body.nii.gz"], predictor=predictor, out=folder / "run", overwrite=True)
    peak = peak_bytes()
    result = {
        "predicted_mib": summary.memory_mib,
        "peak_mib": round(peak / MIB),
        "ok": summary.counts["ok"],
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
