"""`python -m benchmarks.crowd [--quick] --json FILE`: counting networks, trained from nothing, compared."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crowd"
DATA = ("sha", "brt")
NETWORKS = ("sparse-counter", "dense-counter", "mcnn", "m-segnet", "m-sfanet", "hmode")
PARTS = ("accuracy", "speed", "memory", "decoder")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crowd", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="few images and steps; figures say little")
    parser.add_argument("--sha", type=Path, default=SHARED / "sha_train", help="ShanghaiTech A, training")
    parser.add_argument("--brt", type=Path, default=SHARED / "brt_train", help="Beijing-BRT, training")
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA), help="which data sets")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to measure")
    parser.add_argument("--train-only", action="store_true", help="train what is missing, measure nothing")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="threads of what is timed (default 2)")
    parser.add_argument("--training-threads", type=int, default=1, help="threads of trainings (default 1)")
    parser.add_argument("--repeats", type=int, default=7, help="times that each call is timed (default 7)")
    given = parser.parse_args(arguments)
    folders = {"sha": given.sha, "brt": given.brt}
    for name in given.data:
        if not folders[name].is_dir():
            parser.error(f"there is no {folders[name]}; name the data with --{name}")
    threads = given.training_threads if given.train_only else max(given.threads, given.training_threads)
    # The sparse engine takes its number of threads from here, once, when it is loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)

    from benchmarks.crowd.run import Settings, run

    run(
        Settings(
            target=given.json,
            folders={name: folders[name] for name in given.data},
            networks=tuple(given.networks),
            parts=() if given.train_only else tuple(given.parts),
            quick=given.quick,
            seed=given.seed,
            threads=given.threads,
            training_threads=given.training_threads,
            repeats=2 if given.quick else given.repeats,
        )
    )


if __name__ == "__main__":
    main()
