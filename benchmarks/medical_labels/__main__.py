"""`python -m benchmarks.medical_labels [--quick] --json FILE`: Dice from few labels, pretrained or not."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "medical" / "hippocampus"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.medical_labels", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="a fold, a few steps; figures say little")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder with imagesTr and labelsTr")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.1, 0.25, 1.0], help="shares of the labels"
    )
    parser.add_argument(
        "--folds", type=int, nargs="+", default=list(range(5)), help="which of the five folds"
    )
    parser.add_argument(
        "--starts", nargs="+", choices=["nothing", "pretrained"], default=["nothing", "pretrained"]
    )
    parser.add_argument("--steps", type=int, default=2000, help="of a training on all labels (default 2000)")
    parser.add_argument("--pretraining-steps", type=int, default=400, help="of each encoder (default 400)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    given = parser.parse_args(arguments)
    if not (given.data / "imagesTr").is_dir():
        parser.error(f"{given.data} has no imagesTr; name the hippocampus cases with --data")
    if not all(0 < share <= 1 for share in given.shares):
        parser.error("--shares must lie between 0 and 1")
    if not all(0 <= fold < 5 for fold in given.folds):
        parser.error("--folds must be 0 to 4")
    # The engine takes its number of threads from here, once, when it is loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.medical_labels.run import Settings, run

    quick = given.quick
    run(
        Settings(
            data=given.data,
            shares=[0.25] if quick else given.shares,
            folds=[0] if quick else given.folds,
            starts=given.starts,
            steps=6 if quick else given.steps,
            pretraining_steps=4 if quick else given.pretraining_steps,
            seed=given.seed,
            threads=given.threads,
            cases=20 if quick else None,
        ),
        given.json,
    )


if __name__ == "__main__":
    main()
