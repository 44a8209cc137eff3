"""`python -m benchmarks.medical_segment [--quick] --json FILE`: tumours in brain MR, sparse and dense."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.cache import ROOT

DEFAULT_DATA = ROOT.parent / "shared" / "data" / "medical" / "brats2013"
PARTS = ("volumes", "stages", "memory", "break_even")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.medical_segment", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument(
        "--quick", action="store_true", help="a part of each volume, few steps; the figures say little"
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help=f"folder of the patients (default {DEFAULT_DATA})",
    )
    parser.add_argument("--folds", type=int, nargs="+", help="which patients to hold out (default all)")
    parser.add_argument("--steps", type=int, help="of each training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="threads of all contestants (default 1)")
    parser.add_argument("--repeats", type=int, default=1, help="times that each volume is timed (default 1)")
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu counts the process's own time, for a machine that does other things too",
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        help="what to measure (default all); training, as far as another part needs it, is always done",
    )
    given = parser.parse_args(arguments)
    if min(given.threads, given.repeats, 1 if given.steps is None else given.steps) < 1:
        parser.error("--threads, --repeats and --steps must be at least 1")
    # The engine takes its number of threads from here, once, when it is loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.medical_segment.run import Settings, run
    from pipelines.common.errors import UserError

    settings = Settings(
        data=given.data,
        target=given.json,
        quick=given.quick,
        folds=None if given.folds is None else tuple(given.folds),
        steps=given.steps,
        seed=given.seed,
        threads=given.threads,
        repeats=given.repeats,
        clock=given.clock,
        parts=tuple(given.parts),
    )
    try:
        run(settings)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
