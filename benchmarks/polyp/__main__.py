"""`python -m benchmarks.polyp [--quick] --json FILE`: sizes of rendered polyps, networks and baselines."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

NETWORKS = ("resnet18", "vit-tiny", "sparse-resnet")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polyp", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="few polyps and steps; figures say little")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each network (default 3)")
    parser.add_argument("--polyps", type=int, default=400, help="rendered to train on (default 400)")
    parser.add_argument("--test-polyps", type=int, default=150, help="rendered to test on (default 150)")
    parser.add_argument("--steps", type=int, default=600, help="of each training (default 600)")
    parser.add_argument(
        "--depth-polyps", type=int, default=1200, help="rendered to learn depths from (default 1200)"
    )
    parser.add_argument("--depth-steps", type=int, default=12000, help="of that training (default 12000)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    parser.add_argument("--workers", type=int, default=1, help="processes that render (default 1)")
    parser.add_argument(
        "--open-gates", action="store_true", help="also with gates that begin nearly open instead of half"
    )
    parser.add_argument("--train-only", action="store_true", help="render and train, measure nothing")
    given = parser.parse_args(arguments)
    numbers = (given.seeds, given.polyps, given.test_polyps, given.steps, given.depth_polyps)
    if min(*numbers, given.depth_steps, given.threads, given.workers) < 1:
        parser.error("numbers must be at least 1")
    # The sparse engine takes its number of threads from here, once, when it is loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.polyp.run import Settings, run

    quick = given.quick
    run(
        Settings(
            target=given.json,
            networks=tuple(given.networks),
            seeds=1 if quick else given.seeds,
            polyps=12 if quick else given.polyps,
            test_polyps=6 if quick else given.test_polyps,
            steps=4 if quick else given.steps,
            frames=2 if quick else 8,
            size=96 if quick else 384,
            depth_polyps=12 if quick else given.depth_polyps,
            depth_steps=4 if quick else given.depth_steps,
            depth_size=96 if quick else 192,
            threads=given.threads,
            workers=given.workers,
            open_gates=given.open_gates,
            measure=not given.train_only,
        )
    )


if __name__ == "__main__":
    main()
