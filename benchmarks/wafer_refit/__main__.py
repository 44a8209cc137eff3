"""`python -m benchmarks.wafer_refit [--quick] --json FILE`: what a refit learns from a review, and keeps."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.wafer.wm811k import add_data_option, check_data


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wafer_refit", description=__doc__)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE", help="where the figures go")
    parser.add_argument("--quick", action="store_true", help="few maps, within a minute; figures say little")
    add_data_option(parser)
    parser.add_argument(
        "--splits",
        nargs="+",
        default=["Donut+Scratch"],
        metavar="CLASS[+CLASS]",
        help="the classes that the first model does not know, a loop each (default Donut+Scratch)",
    )
    parser.add_argument("--maps", type=int, metavar="N", help="train on so many maps (default 4000)")
    parser.add_argument(
        "--reviewed", type=int, metavar="N", help="maps reviewed of each new class (default 40)"
    )
    parser.add_argument("--epochs", type=int, help="of the first training (default 8)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default 1)")
    given = parser.parse_args(arguments)
    if min(given.threads, given.epochs or 1, given.reviewed or 1) < 1:
        parser.error("--threads, --epochs and --reviewed must be at least 1")
    if given.maps is not None and given.maps < 200:
        parser.error(f"--maps must be at least 200, not {given.maps}")
    check_data(parser, given.data)
    # The engine takes its number of threads from here, once, when it is loaded.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)

    from benchmarks.wafer_openset.splits import parse_split
    from benchmarks.wafer_refit.run import Settings, run

    maps, epochs = (400, 1) if given.quick else (4_000, 8)
    try:
        run(
            Settings(
                data=given.data,
                target=given.json,
                splits=[parse_split(text) for text in given.splits],
                maps=given.maps or maps,
                reviewed=given.reviewed or (12 if given.quick else 40),
                epochs=given.epochs or epochs,
                threads=given.threads,
            )
        )
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
