"""`python -m benchmarks.polyp_gates [--quick] --json FILE`: feature gates on digits among clutter."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

NETWORKS = ("resnet18", "vit-tiny")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polyp_gates", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="few steps; figures say little")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network (default 3)")
    parser.add_argument("--training", type=int, default=400, help="digits to train on (default 400)")
    parser.add_argument("--steps", type=int, default=400, help="of each training (default 400)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    given = parser.parse_args(arguments)
    if min(given.seeds, given.steps, given.threads, given.training) < 1:
        parser.error("numbers must be at least 1")
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.polyp_gates.run import Settings, run

    quick = given.quick
    run(
        Settings(
            given.json,
            tuple(given.networks),
            seeds=1 if quick else given.seeds,
            training=given.training,
            steps=3 if quick else given.steps,
            threads=given.threads,
        )
    )


if __name__ == "__main__":
    main()
