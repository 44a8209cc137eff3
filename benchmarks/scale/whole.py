"""Whole runs in a process of their own: seconds, and the memory of the largest process."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks import peak
from benchmarks.common import Row, Section
from pipelines.common.hardware import usable_cores

VARIABLES = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


def by_maps(folders: dict[int, Path], scratch: Path, *, workers: int) -> Section:
    """Runs of the local runner over more and more maps."""
    rows = [_run(folder, count, scratch, "local", workers) for count, folder in folders.items()]
    summary = {
        f"{name}_{row['maps']}_maps": row[name] for row in rows for name in ("maps_per_second", "peak_mib")
    }
    first, last = rows[0], rows[-1]
    if last is not first:
        summary["peak_growth_bytes_per_map"] = (
            (last["peak_mib"] - first["peak_mib"]) * 2**20 / (last["maps"] - first["maps"])
        )
    return Section(rows, summary)


def by_workers(folder: Path, count: int, scratch: Path, *, ray: bool) -> Section:
    """The same maps with none, one and two processes that read, and with one and two actors."""
    cases = [("local", number) for number in (0, 1, 2)]
    if ray:
        cases += [("ray", number) for number in range(1, usable_cores() + 1)][:2]
    rows = [_run(folder, count, scratch, runner, workers) for runner, workers in cases]
    alone = rows[0]["maps_per_second"]
    summary = {f"{row['runner']}_{row['workers']}_over_alone": row["maps_per_second"] / alone for row in rows}
    return Section(rows, summary)


def _run(folder: Path, count: int, scratch: Path, runner: str, workers: int) -> Row:
    out = scratch / f"{runner}-{workers}-{count}"
    shutil.rmtree(out, ignore_errors=True)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "suite",
        "wafer",
        "classify",
        folder,
        "--out",
        out,
        "--device",
        "cpu",
    ]
    command += ["--quiet", "--runner", runner, "--workers", str(workers)]
    found = peak.measure(command, variables=VARIABLES)
    shutil.rmtree(out)
    return {
        "runner": runner,
        "workers": workers,
        "maps": count,
        "seconds": found.seconds,
        "maps_per_second": count / found.seconds,
        "peak_mib": found.peak_bytes / 2**20,
    }
