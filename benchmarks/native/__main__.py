"""`python -m benchmarks.native [--quick] --json FILE`: one convolution, native, MinkowskiEngine and dense."""

from __future__ import annotations

import argparse
import os
from pathlib import Path


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.native", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller shapes, within a minute")
    parser.add_argument("--threads", type=int, default=2, help="threads of every contestant (default 2)")
    parser.add_argument("--repeats", type=int, help="times that each thing is timed (default 7; quick 3)")
    given = parser.parse_args(arguments)
    if given.threads < 1 or (given.repeats is not None and given.repeats < 1):
        parser.error("--threads and --repeats must be at least 1")
    # Both engines take their number of threads from here, once, when they are loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.native.convolution import FULL, QUICK, run

    repeats = given.repeats or (3 if given.quick else 7)
    run(
        QUICK if given.quick else FULL,
        given.json,
        threads=given.threads,
        repeats=repeats,
        quick=given.quick,
    )


if __name__ == "__main__":
    main()
